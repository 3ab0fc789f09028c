//! Plans: how one begins, waits, and is given up.
//!
//! A ledger has at most one. A later difference takes the place of an earlier one; a repair is not disturbed by
//! differences. Fetching that comes to nothing never suspends anything, for it is not unsafe to be behind: the next
//! attempt only waits longer.

use crate::{
    error::No,
    events::Suspended,
    state::{Plan, Stage, Why},
    turn::{Held, Turn, WAIT},
};
use reprise_guest::{LogLevel, abi::Rejection, rejection::Code, text::join};

/// Begins a plan in the place of the one under way, if there is one.
pub fn begin(turn: &mut Turn<'_>, held: &mut Held, stage: Stage, peer: &str, why: &str) {
    held.ledger.plans = held.ledger.plans.saturating_add(1);
    let plan = Plan {
        number: held.ledger.plans,
        peer: peer.into(),
        stage,
        attempt: 0,
        orders: 0,
        due_ms: None,
        verified: false,
        restored: false,
        ordered: false,
        made_ms: turn.now_ms,
    };
    held.ledger.plan = Some(plan);
    let waits = matches!(stage, Stage::Fetch | Stage::RollBack { .. });
    let failures = if waits { held.ledger.failures } else { 0 };
    step(turn, held, stage, failures, why);
}

/// Goes on with a step of the plan: at once, or after the wait of so many failures.
pub fn step(turn: &mut Turn<'_>, held: &mut Held, stage: Stage, failures: u32, why: &str) {
    let Some(plan) = &mut held.ledger.plan else { return };
    plan.attempt = if plan.stage == stage { plan.attempt.saturating_add(1) } else { 1 };
    plan.orders = plan.orders.saturating_add(1);
    plan.stage = stage;
    if failures > 0 {
        let due_ms = turn.now_ms.saturating_add(turn.params.wait_after(failures));
        plan.due_ms = Some(due_ms);
        turn.wake(WAIT, &held.name, due_ms);
        turn.say("wait", why);
    } else {
        plan.due_ms = None;
        let plan = plan.clone();
        turn.order(&held.name, &plan, why);
        turn.say(stage.name(), why);
    }
    turn.answer.number("plan", held.ledger.plans);
}

/// The plan has come to its end.
pub fn end(held: &mut Held, good: bool) {
    held.ledger.plan = None;
    held.ledger.failures = if good { 0 } else { held.ledger.failures.saturating_add(1) };
}

/// What can be done here was done: the ledger stays, or gets, suspended, until a person has looked.
pub fn give_up(turn: &mut Turn<'_>, held: &mut Held, why: &str) {
    let reason = held.ledger.suspended.unwrap_or(Why::Incomparable);
    held.ledger.gave_up = true;
    turn.host.log(LogLevel::Error, &join(&[&held.name, ": given up: ", why]));
    begin(turn, held, Stage::Suspend(reason), "", why);
}

/// The host says that a ledger does not advance any more: it looks for itself whether it can be repaired.
///
/// # Errors
/// [`No::BadReason`], or corrupt state.
pub fn suspended(turn: &mut Turn<'_>, suspended: &Suspended) -> Result<(), Rejection> {
    let why = suspended.why()?;
    let mut held = turn.ledger(&suspended.ledger)?;
    held.ledger.suspended = Some(why);
    let busy = held.ledger.plan.as_ref().is_some_and(|plan| plan.stage.repairs());
    if held.ledger.gave_up {
        turn.say("nothing", "a person is to look");
    } else if busy {
        turn.say("nothing", "it is being repaired");
    } else if why.is_repaired_here() {
        repair(turn, &mut held);
    } else {
        held.ledger.plan = None;
        turn.host.log(LogLevel::Warn, &join(&[&held.name, ": suspended: ", why.name()]));
        turn.say("nothing", "it takes operators: a grant of a higher epoch, or `resume`");
    }
    turn.save(held);
    Ok(())
}

/// Looks first: what is wrong decides what is done. So many repairs within a window, and a person is to look.
fn repair(turn: &mut Turn<'_>, held: &mut Held) {
    let ledger = &mut held.ledger;
    if ledger.repairs == 0 || turn.now_ms.saturating_sub(ledger.repairs_since_ms) >= turn.params.window_ms {
        (ledger.repairs, ledger.repairs_since_ms) = (0, turn.now_ms);
    }
    ledger.repairs = ledger.repairs.saturating_add(1);
    if ledger.repairs > turn.params.attempts_max {
        return give_up(turn, held, "it was repaired again and again, and did not hold");
    }
    begin(turn, held, Stage::Verify, "", "it is suspended: what is wrong decides what is done");
}

/// A suspension is over: the answer to it came from elsewhere.
///
/// # Errors
/// [`No::UnknownLedger`], or corrupt state.
pub fn lifted(turn: &mut Turn<'_>, name: &str) -> Result<(), Rejection> {
    let mut held = turn.known(name)?.ok_or_else(|| No::UnknownLedger.because(name))?;
    let plan = held.ledger.plan.take_if(|plan| plan.stage.repairs() || matches!(plan.stage, Stage::Suspend(_)));
    (held.ledger.suspended, held.ledger.gave_up, held.ledger.failures) = (None, false, 0);
    let why = if plan.is_some() { "it advances again: the plan is not needed" } else { "it advances again" };
    turn.say("nothing", why);
    turn.save(held);
    Ok(())
}

/// An operator lifts a suspension. It is done unverified, because it was ordered; what is still wrong suspends again.
///
/// # Errors
/// [`No::UnknownLedger`], [`No::NotSuspended`], or corrupt state.
pub fn resume(turn: &mut Turn<'_>, name: &str) -> Result<(), Rejection> {
    let mut held = turn.known(name)?.ok_or_else(|| No::UnknownLedger.because(name))?;
    if held.ledger.suspended.is_none() {
        return Err(No::NotSuspended.because(name));
    }
    (held.ledger.gave_up, held.ledger.failures, held.ledger.repairs) = (false, 0, 0);
    begin(turn, &mut held, Stage::Resume, "", "an operator has ordered it");
    if let Some(plan) = &mut held.ledger.plan {
        plan.ordered = true;
    }
    turn.save(held);
    Ok(())
}
