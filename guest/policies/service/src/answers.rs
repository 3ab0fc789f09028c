//! What the answer to each stage of a recovery must say, and what follows for the exchange.

use crate::{alert::Severity, database, payload::member, recovery::Recovery, regions, stage::Stage, turn::Turn};
use reprise_guest::abi::Rejection;

/// Holds an answer to what the stage has to achieve. What is wrong with it is what comes back.
///
/// # Errors
/// Corrupt state.
pub fn accept(turn: &mut Turn<'_>, recovery: &mut Recovery, answer: &[u8]) -> Result<Option<&'static str>, Rejection> {
    match recovery.stage {
        Stage::LoadState => {
            let (Some(from), Some(to)) = (member(answer, "checkpoint"), member(answer, "last")) else {
                return Ok(Some("no `checkpoint` and `last`"));
            };
            recovery.work.from = from;
            recovery.work.to = to;
            Ok((from > to).then_some("the checkpoint is after the last event"))
        }
        Stage::ReplayEvents => {
            let reached: Option<u64> = member(answer, "sequence");
            Ok((reached != Some(recovery.work.to)).then_some("replay ended elsewhere"))
        }
        Stage::ReplayLog | Stage::VerifyCopy => {
            let lsn: Option<u64> = member(answer, "lsn");
            let Some(lsn) = lsn.filter(|lsn| *lsn >= turn.exchange.data.acknowledged) else {
                turn.alert(Severity::P0, "acknowledged_writes_missing", &recovery.work.target);
                return Ok(Some("acknowledged writes are missing"));
            };
            if recovery.stage == Stage::VerifyCopy { Ok(None) } else { database::replayed(turn, recovery, lsn) }
        }
        Stage::Fence => regions::fenced(turn, recovery),
        Stage::Switch => regions::switched(turn, recovery),
        Stage::VerifyData => Ok((member(answer, "valid") != Some(true)).then_some("it is still corrupt")),
        _ => Ok(None),
    }
}
