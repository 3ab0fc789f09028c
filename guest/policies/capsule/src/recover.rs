//! Verification and the end of a recovery (E2, E12, sections 1.3 and 4.2 of the document).

use crate::{
    case::{Cause, Watch},
    config::VERIFY_TICKS,
    isolate,
    moves::Failed,
    orders::{self, Action},
    quarantine::{open_case, quarantine},
    severity::Severity,
    state::{Figure, Status},
    turn::{Held, Turn},
};
use reprise_guest::{abi::Rejection, json::Json};

/// A review lets a capsule recover: five ticks in which the success criteria must come to hold. It stays out of the
/// pool.
///
/// # Errors
/// Corrupt state.
pub fn release(turn: &mut Turn, held: &mut Held) -> Result<(), Rejection> {
    held.capsule.stand(Status::Recovering);
    let case = open_case(&mut held.capsule, turn.tick, Cause::Released, Severity::Mild);
    // What comes now is judged anew.
    case.worst = Severity::Mild;
    case.assessment = None;
    begin_watch(turn, held)
}

/// Asks every node whether it agrees, and looks again in five ticks.
///
/// # Errors
/// Corrupt state.
pub fn begin_watch(turn: &mut Turn, held: &mut Held) -> Result<(), Rejection> {
    turn.header.rounds += 1;
    let round = turn.header.rounds;
    let until_tick = turn.tick.saturating_add(VERIFY_TICKS);
    held.capsule.agenda.due = Some(until_tick);
    let baseline_ppm = held.capsule.reading.map_or(0, |reading| reading.stability_ppm);
    if let Some(case) = &mut held.capsule.case {
        case.watch = Some(Watch {
            round,
            since_tick: turn.tick,
            baseline_ppm,
            extensions: 0,
            agreed: 0,
            disagreed: 0,
            distrusted: 0,
        });
    }
    let mut question = Json::object();
    question.text("message_type", "RECOVERY_VERIFICATION").number("round", round).nested("payload");
    question.text("capsule_id", &held.id).text("status", held.capsule.status.name());
    question.signed_numbers("phi", &held.capsule.phi.0).close();
    orders::broadcast(turn, "verify", round, &question, until_tick)
}

/// Stability is not above 0.8 yet: another five ticks.
pub fn extend(turn: &mut Turn, held: &mut Held) {
    turn.header.count(Figure::Extensions);
    held.capsule.agenda.due = Some(turn.tick.saturating_add(VERIFY_TICKS));
    if let Some(watch) = held.capsule.case.as_mut().and_then(|case| case.watch.as_mut()) {
        watch.extensions = watch.extensions.saturating_add(1);
    }
}

/// A criterion is not met: back to quarantine, and people are told of each one that needs them.
pub fn fail(turn: &mut Turn, held: &mut Held, failed: Failed) {
    let causes = [
        (failed.velocity, Cause::Requarantine),
        (failed.agreement, Cause::ManualIntervention),
        (failed.proof, Cause::InvestigateTampering),
    ];
    for (_, cause) in causes.iter().filter(|(fails, _)| *fails) {
        orders::notice(turn, &held.id, cause.name());
    }
    if held.capsule.lineage_tainted {
        isolate::reisolate(turn, held, failed.cause());
    } else {
        quarantine(turn, held, failed.cause());
    }
}

/// All criteria are met: back to normal, and the lineage with it.
///
/// # Errors
/// Corrupt state.
pub fn complete(turn: &mut Turn, held: &mut Held) -> Result<(), Rejection> {
    turn.header.count(Figure::Recoveries);
    let was = held.capsule.status;
    let order = held.capsule.order.take();
    held.capsule.stand(Status::Normal);
    held.capsule.lineage_tainted = false;
    held.capsule.case = None;
    held.capsule.agenda.due = None;
    match order {
        Some(order) => isolate::give_back(turn, order, held.capsule.has_children)?,
        None if was == Status::Recovering => orders::release(turn, Action::Release, Action::Quarantine, &held.id),
        None => {}
    }
    Ok(())
}
