//! QUARANTINE: out of the consensus pool, propagation blocked, observed, repaired every ten ticks (E3, section 1.3).

use crate::{
    case::{Case, Cause},
    config::REPAIR_TICKS,
    heal,
    orders::{self, Action},
    severity::Severity,
    state::{Capsule, Figure, Status},
    turn::{Held, Turn},
};

/// Puts a capsule into quarantine, or keeps it there for another reason.
pub fn quarantine(turn: &mut Turn, held: &mut Held, cause: Cause) {
    if held.capsule.status != Status::Escalated {
        turn.header.count(Figure::Quarantines);
    }
    enter(turn, held, Status::Quarantined, cause, Severity::Moderate);
}

/// Takes a capsule out of the pool: what quarantine, escalation and isolation have in common.
///
/// Repairs go on in their rhythm if the capsule was out before; otherwise the first one is ten ticks from now.
pub fn enter(turn: &mut Turn, held: &mut Held, status: Status, cause: Cause, worst: Severity) {
    let before = held.capsule.status;
    held.capsule.stand(status);
    let case = open_case(&mut held.capsule, turn.tick, cause, worst);
    case.watch = None;
    case.assessment = None;
    if !matches!(before, Status::Quarantined | Status::Escalated | Status::Isolated) {
        case.repair_tick = turn.tick.saturating_add(REPAIR_TICKS);
        case.stable_since_tick = None;
    }
    held.capsule.agenda.due = Some(heal::next_due(case));
    if before.participates() && status != Status::Isolated {
        orders::contain(turn, Action::Quarantine, &held.id);
    }
}

/// The case of a capsule: the one it has, with a new cause, or a new one.
pub fn open_case(capsule: &mut Capsule, tick: u64, cause: Cause, worst: Severity) -> &mut Case {
    let case = capsule.case.get_or_insert_with(|| {
        Box::new(Case {
            cause,
            worst,
            opened_tick: tick,
            repairs: 0,
            repair_tick: tick.saturating_add(REPAIR_TICKS),
            stable_since_tick: None,
            correction: None,
            review: None,
            assessment: None,
            watch: None,
        })
    });
    case.cause = cause;
    case.worst = case.worst.max(worst);
    case
}
