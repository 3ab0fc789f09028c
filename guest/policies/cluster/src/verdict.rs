//! What follows from the evidence, judged once when a tick is over.
//!
//! Heartbeats, votes, reports and acknowledgements only count. Whatever could follow from them (an election, a decision,
//! a loss of consensus, a global failure, the end of a verification) is decided by the timer `judge`, one millisecond
//! later. So the order in which different nodes are heard within a tick changes nothing.

use crate::{
    ballot,
    consensus::{self, Trigger},
    halt, incident, leader, moves,
    state::Phase,
    turn::{To, Turn},
    verify,
};
use reprise_guest::{abi::Rejection, json::Json};

/// Judges the evidence.
///
/// # Errors
/// Corrupt state.
pub fn judge(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    tell_of_tampering(turn);
    match turn.cluster.phase {
        Phase::Running => running(turn),
        Phase::AwaitingReunion => {
            if turn.cluster.census.responsive() == turn.cluster.census.members() {
                verify::begin(turn);
            }
            Ok(())
        }
        Phase::Verifying => verify::decide(turn, false),
        Phase::Halting => halt::decide(turn, false),
        _ => Ok(()),
    }
}

/// Invalid proofs: investigate tampering (4.2).
fn tell_of_tampering(turn: &mut Turn<'_>) {
    let round = &mut turn.cluster.round;
    if !round.invalid.is_empty() && !round.told {
        round.told = true;
        let mut details = Json::object();
        details.number("round", round.number).numbers("nodes", &round.invalid);
        turn.alert(To::Security, "investigate_tampering", &mut details);
    }
}

fn running(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    if !turn.cluster.suspects.is_empty() {
        incident::begin(turn, "a node contradicted itself");
        return Ok(());
    }
    let round = &turn.cluster.round;
    if (round.conflict || !round.invalid.is_empty()) && !turn.cluster.causes.digests {
        consensus::lose(turn, Trigger::Digests);
    } else if turn.cluster.is_unanimous() {
        turn.cluster.causes.digests = false;
    }
    ballot::decide(turn, false);
    if turn.cluster.leader.is_none() && turn.cluster.census.responsive() > 0 {
        leader::elect(turn)?;
    }
    match turn.cluster.wake.take() {
        Some(first) => moves::wake(turn, first),
        None => Ok(()),
    }
}
