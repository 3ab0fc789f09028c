//! What became of the steps, and what follows: the way of a plan to its end.
//!
//! | step | done | failed |
//! | --- | --- | --- |
//! | fetch | end | end; the next one waits |
//! | roll back | end: what is missing is found next | verify |
//! | suspend | end | again |
//! | verify | sound: resume; else restore | again |
//! | restore | verify | again, from another peer; then rebuild |
//! | rebuild | verify | again |
//! | resume | end | verify |
//!
//! "Again" is after a wait, as often as the parameters allow; then the plan is given up.

use crate::{
    conduct,
    error::No,
    plans::{begin, end, give_up, step},
    state::{Plan, Stage},
    turn::{Held, RELEASE, Turn, WAIT, key_of},
};
use reprise_guest::{
    LogLevel,
    abi::{EffectResult, EffectStatus, Rejection},
    rejection::{Code, SdkCode},
    text::{decimal, join},
    typed::json,
};
use serde::Deserialize;

/// What the host answers to `verify`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// Log and state are what the receipts say.
    pub sound: bool,
    /// The first step whose result is not what is stored.
    #[serde(default)]
    pub first_wrong: Option<u64>,
    /// What is wrong, for people.
    #[serde(default)]
    pub what: String,
}

/// A timer is due.
///
/// # Errors
/// [`No::UnknownTimer`], or corrupt state.
pub fn due(turn: &mut Turn<'_>, id: &str) -> Result<(), Rejection> {
    if let Some(peer) = id.strip_prefix(RELEASE) {
        return conduct::release(turn, peer);
    }
    let name = id.strip_prefix(WAIT).ok_or_else(|| No::UnknownTimer.because(id))?;
    let now_ms = turn.now_ms;
    let waiting = |plan: &Plan| plan.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
    let Some(mut held) = turn.known(name)? else { return Ok(()) };
    let Some(plan) = held.ledger.plan.as_mut().filter(|plan| waiting(plan)) else {
        turn.say("nothing", "the plan that waited was replaced");
        return Ok(());
    };
    plan.due_ms = None;
    let plan = plan.clone();
    turn.order(name, &plan, "the wait is over");
    turn.say(plan.stage.name(), "the wait is over");
    turn.save(held);
    Ok(())
}

/// An effect has ended.
///
/// # Errors
/// [`No::UnknownEffect`], [`SdkCode::MalformedPayload`], or corrupt state.
pub fn ended(turn: &mut Turn<'_>, result: &EffectResult) -> Result<(), Rejection> {
    let key = &result.idempotency_key;
    let name = key.rsplit('.').next().unwrap_or_default();
    if key.starts_with("quarantine.") || key.starts_with("release.") {
        return Ok(());
    }
    let mut held = turn.known(name)?.ok_or_else(|| No::UnknownEffect.because(key))?;
    let Some(plan) = held.ledger.plan.clone().filter(|plan| plan.due_ms.is_none() && key_of(plan, name) == *key) else {
        turn.say("nothing", "the plan was replaced");
        return Ok(());
    };
    match &result.status {
        EffectStatus::Done { answer } => done(turn, &mut held, &plan, answer)?,
        EffectStatus::Failed { detail } => failed(turn, &mut held, &plan, detail),
        _ => failed(turn, &mut held, &plan, "it was not done in time"),
    }
    turn.save(held);
    Ok(())
}

fn done(turn: &mut Turn<'_>, held: &mut Held, plan: &Plan, answer: &[u8]) -> Result<(), Rejection> {
    match plan.stage {
        Stage::Fetch | Stage::RollBack { .. } => {
            end(held, true);
            turn.say("end", "it is done");
        }
        Stage::Suspend(why) => {
            held.ledger.suspended = Some(why);
            end(held, true);
            turn.say("end", "it does not advance");
        }
        Stage::Verify => verified(turn, held, plan, answer)?,
        Stage::Restore | Stage::Rebuild => {
            if let Some(plan) = &mut held.ledger.plan {
                (plan.restored, plan.verified) = (true, false);
            }
            step(turn, held, Stage::Verify, 0, "the state is new: it is held against the log before anything goes on");
        }
        Stage::Resume => {
            (held.ledger.suspended, held.ledger.gave_up) = (None, false);
            end(held, true);
            turn.host.log(LogLevel::Info, &join(&[&held.name, ": resumed"]));
            turn.say("end", "it advances again");
        }
    }
    Ok(())
}

fn verified(turn: &mut Turn<'_>, held: &mut Held, plan: &Plan, answer: &[u8]) -> Result<(), Rejection> {
    let said: Verified = json::read(answer).map_err(|error| SdkCode::MalformedPayload.because(error.to_string()))?;
    if said.sound {
        if let Some(plan) = &mut held.ledger.plan {
            plan.verified = true;
        }
        step(turn, held, Stage::Resume, 0, "log and state are what the receipts say");
        return Ok(());
    }
    let at = said.first_wrong.map_or_else(|| String::from("unknown"), decimal);
    turn.host.log(LogLevel::Warn, &join(&[&held.name, ": first wrong step ", &at, ": ", &said.what]));
    if let Some(first_wrong) = said.first_wrong {
        turn.answer.number("first_wrong", first_wrong);
    }
    if plan.restored {
        give_up(turn, held, "the state was made anew, and is wrong again");
    } else {
        step(turn, held, Stage::Restore, 0, "the state here is wrong: a peer's is taken, held against the signed log");
    }
    Ok(())
}

fn failed(turn: &mut Turn<'_>, held: &mut Held, plan: &Plan, detail: &str) {
    let spent = plan.attempt >= turn.params.attempts_max;
    match plan.stage {
        Stage::Fetch => {
            end(held, false);
            turn.say("end", detail);
        }
        Stage::RollBack { .. } => {
            held.ledger.failures = held.ledger.failures.saturating_add(1);
            begin(turn, held, Stage::Verify, &plan.peer, "steps could not be taken back: the ledger is looked at");
        }
        Stage::Suspend(_) if spent => {
            end(held, false);
            turn.host.log(LogLevel::Error, &join(&[&held.name, ": cannot be suspended: ", detail]));
            turn.say("end", detail);
        }
        Stage::Restore if spent => {
            step(turn, held, Stage::Rebuild, 0, "no peer gives the state: it is made from what is here")
        }
        Stage::Verify | Stage::Rebuild if spent => give_up(turn, held, detail),
        Stage::Resume => resumed_in_vain(turn, held, detail),
        again => step(turn, held, again, plan.attempt, detail),
    }
}

/// What is still wrong has suspended it again: another round, of which there are only so many.
fn resumed_in_vain(turn: &mut Turn<'_>, held: &mut Held, detail: &str) {
    held.ledger.repairs = held.ledger.repairs.saturating_add(1);
    if held.ledger.repairs > turn.params.attempts_max {
        return give_up(turn, held, detail);
    }
    if let Some(plan) = &mut held.ledger.plan {
        (plan.verified, plan.restored, plan.ordered) = (false, false, false);
    }
    let failures = held.ledger.repairs;
    step(turn, held, Stage::Verify, failures, detail);
}
