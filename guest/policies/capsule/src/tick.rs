//! The end of a tick: everything that was heard in it is decided, then what is due.
//!
//! The order is fixed: trees that are being worked through, then what was heard (CRITICAL first, ancestors before
//! descendants, then by name), then what is due, then the audit. What one step cannot do, the next one does: its
//! timer is due at once, and goes before any other input.

use crate::{
    audit,
    escalate::escalate,
    heal, isolate,
    moves::{self, Move},
    quarantine::{contain_again, quarantine},
    recover,
    rejection::No,
    state::{AUDIT, DUE, PLAN},
    turn::{Held, TIMER, Turn},
};
use reprise_guest::{
    abi::{Rejection, Timer},
    rejection::Code,
};

/// The timer went off.
///
/// # Errors
/// [`No::UnknownTimer`], or corrupt state.
pub fn ended(turn: &mut Turn, timer: &str) -> Result<(), Rejection> {
    if timer != TIMER {
        return Err(No::UnknownTimer.because(timer));
    }
    // While this runs nothing need wake it; what is set is set at the end.
    turn.header.timer = Some(0);
    let more = work(turn)?;
    turn.header.timer = None;
    if more {
        at_once(turn);
    } else if let Some((due, _)) = DUE.first(turn.host)? {
        turn.wake(due);
    }
    if PLAN.first(turn.host)?.is_some() {
        turn.wake(turn.header.heard_tick.saturating_add(1));
    }
    Ok(())
}

/// Sets the timer again if it should have gone off: its step came to nothing, and nothing else would ever set it.
pub fn recall(turn: &mut Turn) {
    if turn.header.timer.is_some_and(|tick| turn.config.begin_ms(tick) < turn.now_ms) {
        at_once(turn);
    }
}

/// Sets the timer to now: it goes off before the next input.
pub fn at_once(turn: &mut Turn) {
    turn.header.timer = Some(turn.tick);
    turn.host.set_timer(Timer { id: TIMER.into(), due_ms: turn.now_ms, payload: Vec::new() });
}

/// Does what there is to do; true if there is more than one step can do.
fn work(turn: &mut Turn) -> Result<bool, Rejection> {
    loop {
        if turn.is_spent() {
            return Ok(true);
        }
        if let Some(&number) = turn.header.walking.first() {
            isolate::walk(turn, number)?;
        } else if let Some(id) = next(turn)? {
            attend(turn, &id)?;
        } else if AUDIT.get(turn.host)?.is_some_and(|audit| !audit.complete) {
            return audit::slice(turn);
        } else {
            return Ok(false);
        }
    }
}

fn next(turn: &mut Turn) -> Result<Option<String>, Rejection> {
    turn.spend(1);
    if turn.header.heard_tick < turn.tick
        && let Some((_, id)) = PLAN.first(turn.host)?
    {
        return Ok(Some(id));
    }
    let due = DUE.first(turn.host)?.filter(|(due, _)| *due <= turn.tick);
    Ok(due.map(|(_, id)| id))
}

/// Decides about one capsule, and does it.
fn attend(turn: &mut Turn, id: &String) -> Result<(), Rejection> {
    let mut held = turn.named(id)?;
    let what = moves::next_move(&held.capsule, turn.tick, &turn.config);
    note(turn, &mut held);
    match what {
        Move::Stay => {}
        Move::Heal => heal::heal(turn, &mut held)?,
        Move::Quarantine(cause) => quarantine(turn, &mut held, cause),
        Move::Escalate(cause) => escalate(turn, &mut held, cause)?,
        Move::Isolate(cause) => isolate::isolate(turn, &mut held, cause),
        Move::Reisolate(cause) => isolate::reisolate(turn, &mut held, cause),
        Move::Repair => heal::repair(turn, &mut held)?,
        Move::Release => recover::release(turn, &mut held)?,
        Move::Extend => recover::extend(turn, &mut held),
        Move::Fail(failed) => recover::fail(turn, &mut held, failed),
        Move::Complete => recover::complete(turn, &mut held)?,
    }
    contain_again(turn, &mut held);
    turn.save(held);
    Ok(())
}

/// What was heard is heard.
fn note(turn: &Turn, held: &mut Held) {
    let reading = held.capsule.fresh(turn.tick);
    held.capsule.agenda.planned = false;
    held.capsule.agenda.setback = None;
    if let Some(case) = &mut held.capsule.case {
        case.review = None;
        match reading {
            Some(reading) if reading.is_stable() => {
                case.stable_since_tick.get_or_insert(reading.tick);
            }
            Some(_) => case.stable_since_tick = None,
            None => {}
        }
    }
}
