//! Invariants, on what the last step changed: a step must not cost more where there are more ledgers.

use crate::state::{CONDUCT, COUNTS, Conduct, LEDGERS, Ledger, PARAMS, Stage, TOUCHED};
use reprise_guest::{
    Host,
    abi::{Rejection, Violation},
};

/// Holds the invariants that the last step can have broken.
///
/// # Errors
/// The first one that does not hold.
pub fn check(host: &mut dyn Host) -> Result<(), Violation> {
    let Some(params) = PARAMS.get(host).map_err(unreadable)? else { return Ok(()) };
    let counts = COUNTS.get(host).map_err(unreadable)?.unwrap_or_default();
    if counts.plans > counts.ledgers || counts.quarantined > counts.conduct {
        return Err(violated("counts-fit", ""));
    }
    let touched = TOUCHED.get(host).map_err(unreadable)?.unwrap_or_default();
    if let Some((name, before)) = &touched.ledger
        && let Some(ledger) = LEDGERS.get(host, name).map_err(unreadable)?
    {
        plan(&ledger, *before, params.attempts_max).map_err(|broken| violated(broken, name))?;
    }
    if let Some(peer) = &touched.peer
        && let Some(conduct) = CONDUCT.get(host, peer).map_err(unreadable)?
    {
        behaviour(&conduct, params.strikes_max).map_err(|broken| violated(broken, peer))?;
    }
    Ok(())
}

/// What always holds of a ledger, `before` being the stage of its plan before the step.
///
/// # Errors
/// Which invariant does not hold.
pub fn plan(ledger: &Ledger, before: Option<Stage>, attempts_max: u32) -> Result<(), &'static str> {
    let Some(plan) = &ledger.plan else { return Ok(()) };
    if plan.number != ledger.plans {
        return Err("one-plan-and-the-last");
    }
    if plan.attempt == 0 || plan.attempt > attempts_max.max(1) {
        return Err("attempts-are-bounded");
    }
    match plan.stage {
        Stage::RollBack { to } if to < ledger.protected => Err("protected-is-never-taken-back"),
        Stage::Fetch | Stage::RollBack { .. } if ledger.suspended.is_some() => Err("suspended-does-not-advance"),
        Stage::Resume if !plan.verified && !plan.ordered => Err("resumed-only-verified-or-ordered"),
        // The state is made anew only after it was seen to be wrong.
        Stage::Restore if !matches!(before, Some(Stage::Verify | Stage::Restore)) => Err("restored-only-when-wrong"),
        Stage::Rebuild if !matches!(before, Some(Stage::Restore | Stage::Rebuild)) => Err("rebuilt-only-after-peers"),
        _ => Ok(()),
    }
}

/// What always holds of a peer.
///
/// # Errors
/// Which invariant does not hold.
pub fn behaviour(conduct: &Conduct, strikes_max: u32) -> Result<(), &'static str> {
    let earned = conduct.convicted || conduct.strikes >= strikes_max;
    if conduct.quarantined_until_ms.is_some() == earned { Ok(()) } else { Err("quarantine-is-earned") }
}

fn violated(invariant: &str, about: &str) -> Violation {
    Violation { invariant: invariant.into(), detail: about.into() }
}

fn unreadable(why: impl Into<Rejection>) -> Violation {
    Violation { invariant: "state-is-readable".into(), detail: why.into().detail }
}
