//! QUARANTINE: out of the consensus pool, propagation blocked, observed, repaired every ten ticks (E3, section 1.3).

use crate::{
    case::{Case, Cause, Containment},
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

/// Orders the containment again that came to nothing: it is not given up. People are told, the first time.
pub fn contain_again(turn: &mut Turn, held: &mut Held) {
    let blocked = held.capsule.propagation_blocked;
    let action = if held.capsule.is_order_root() { Action::IsolateLineage } else { Action::Quarantine };
    let Some(containment) = held.capsule.case.as_mut().map(|case| &mut case.containment) else { return };
    if !core::mem::take(&mut containment.failed) || !blocked {
        return;
    }
    let told = core::mem::replace(&mut containment.told, true);
    orders::contain(turn, action, &held.id);
    if !told {
        orders::notice(turn, &held.id, "CONTAINMENT_UNCONFIRMED");
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
            containment: Containment::default(),
        })
    });
    case.cause = cause;
    case.worst = case.worst.max(worst);
    case
}
