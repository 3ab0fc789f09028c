//! HEAL and the repair in quarantine: a correction from the nearest stable ancestor (E2, section 1.3 of the document).

use crate::{
    case::{Case, Cause, Correction},
    config::VERIFY_TICKS,
    escalate, lineage,
    orders::{self, Action},
    phi,
    quarantine::open_case,
    recover,
    severity::{RECOVERED_STABILITY_ABOVE_PPM, Reading, Severity},
    state::{Figure, Status},
    turn::{Held, Turn},
};
use reprise_guest::{abi::Rejection, json::Json};

/// Where drift comes from, as far as the measures tell (section 1.3, HEAL, step 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The entropy rose by a spike since the tick before: symbolic complexity is to be reduced.
    EntropySpike,
    /// Stability is not what it should be: reinforced from a stable ancestor.
    StabilityDrop,
    /// Neither: drift velocity or time to failure alone.
    Drift,
}

impl Source {
    /// The source that a reading points to.
    #[must_use]
    pub fn of(reading: &Reading, spike_ppm: u32) -> Self {
        let rise = reading.entropy_before_ppm.map_or(0, |before| reading.entropy_ppm.saturating_sub(before));
        if rise >= spike_ppm {
            Self::EntropySpike
        } else if reading.stability_ppm <= RECOVERED_STABILITY_ABOVE_PPM {
            Self::StabilityDrop
        } else {
            Self::Drift
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::EntropySpike => "ENTROPY_SPIKE",
            Self::StabilityDrop => "STABILITY_DROP",
            Self::Drift => "DRIFT",
        }
    }
}

/// Corrects MILD drift and begins to verify. Without a stable ancestor there is nothing to heal from: it escalates.
///
/// # Errors
/// Corrupt state.
pub fn heal(turn: &mut Turn, held: &mut Held) -> Result<(), Rejection> {
    let cause = Cause::Mild;
    if !correct(turn, held, Action::Heal, cause, VERIFY_TICKS)? {
        return escalate::escalate(turn, held, Cause::NoStableAncestor);
    }
    turn.header.count(Figure::Heals);
    held.capsule.stand(Status::Healing);
    recover::begin_watch(turn, held)
}

/// Attempts a repair in quarantine; the next one is ten ticks later. Only a review releases, so nothing is verified.
///
/// # Errors
/// Corrupt state.
pub fn repair(turn: &mut Turn, held: &mut Held) -> Result<(), Rejection> {
    let Some(cause) = held.capsule.case.as_ref().map(|case| case.cause) else { return Ok(()) };
    correct(turn, held, Action::Repair, cause, crate::config::REPAIR_TICKS)?;
    turn.header.count(Figure::Repairs);
    if let Some(case) = &mut held.capsule.case {
        case.repairs = case.repairs.saturating_add(1);
        case.repair_tick = turn.tick.saturating_add(crate::config::REPAIR_TICKS);
        held.capsule.agenda.due = Some(next_due(case));
    }
    Ok(())
}

/// When a capsule in quarantine is looked at again: its next repair, or the end of the cluster's time if that is
/// sooner.
#[must_use]
pub fn next_due(case: &Case) -> u64 {
    case.assessment.as_ref().map_or(case.repair_tick, |assessment| assessment.until_tick.min(case.repair_tick))
}

/// Orders a correction: 0.7 own + 0.3 ancestor if there is one; in quarantine the agent does what it can without.
fn correct(turn: &mut Turn, held: &mut Held, action: Action, cause: Cause, ticks: u64) -> Result<bool, Rejection> {
    let ancestor = lineage::stable_ancestor(turn.host, &held.capsule)?;
    turn.spend(held.capsule.depth);
    if ancestor.is_none() && action == Action::Heal {
        return Ok(false);
    }
    let case = open_case(&mut held.capsule, turn.tick, cause, Severity::Mild);
    let attempt = case.repairs.saturating_add(1);
    let mut order = orders::order(action, &held.id);
    describe(&mut order, held, turn.config.entropy_spike_ppm);
    if action == Action::Repair {
        order.number("attempt", attempt).flag("lineage", held.capsule.is_order_root());
    }
    let mut phi_before = None;
    match ancestor {
        Some((ancestor, stable)) => {
            let blended = phi::blend(&held.capsule.phi, &stable);
            order.text("ancestor", &ancestor).signed_numbers("phi", &blended.0);
            phi_before = Some(core::mem::replace(&mut held.capsule.phi, blended));
        }
        None => {
            order.null("ancestor").null("phi");
        }
    }
    orders::correct(turn, action, &held.id, order, phi_before.as_ref(), turn.tick.saturating_add(ticks));
    if let Some(case) = &mut held.capsule.case {
        case.correction = Some(Correction { seq: turn.seq, phi_before });
    }
    Ok(true)
}

fn describe(order: &mut Json, held: &Held, spike_ppm: u32) {
    let source = held.capsule.reading.map_or(Source::Drift, |reading| Source::of(&reading, spike_ppm));
    order.text("source", source.name()).flag("reduce_complexity", source == Source::EntropySpike);
}
