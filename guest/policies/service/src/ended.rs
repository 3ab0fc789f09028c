//! What the host says: a timer is due, an effect has ended.

use crate::{
    audit, breaker, database, drill, operations, recovery,
    state::{SENT, Sent},
    turn::Turn,
    verdict,
};
use reprise_guest::abi::{EffectResult, EffectStatus, Rejection};

type Due = fn(&mut Turn<'_>, &str, u64) -> Result<(), Rejection>;

/// What timers are for.
const TIMERS: [(&str, Due); 10] = [
    ("judge", |turn, _, _| verdict::judge(turn)),
    ("slice", |turn, _, number| recovery::slice(turn, number)),
    ("retry", |turn, _, number| recovery::retry(turn, number)),
    ("objective", |turn, _, number| recovery::overdue(turn, number)),
    ("op", |turn, name, _| operations::retry(turn, name)),
    ("breaker", |turn, name, _| breaker::half_open(turn, name)),
    ("drain", |turn, name, _| breaker::drain(turn, name)),
    ("write", |turn, _, number| database::write_is_due(turn, number)),
    ("drill", |turn, _, number| drill::is_due(turn, number)),
    ("audit", |turn, _, _| audit::slice(turn)),
];

/// A timer is due. Its id is `what.name`, where the name may be a number.
///
/// # Errors
/// Corrupt state.
pub fn timer(turn: &mut Turn<'_>, id: &str) -> Result<(), Rejection> {
    let (what, name) = parts(id);
    let number = number(name).unwrap_or_default();
    match TIMERS.iter().find(|(known, _)| *known == what) {
        Some((_, due)) => due(turn, name, number),
        None => Ok(()),
    }
}

/// An effect has ended. Of alerts and notices nothing was kept, so nothing follows.
///
/// # Errors
/// Corrupt state.
pub fn effect(turn: &mut Turn<'_>, result: &EffectResult) -> Result<(), Rejection> {
    let Some(number) = number(parts(&result.idempotency_key).1) else { return Ok(()) };
    let Some(sent) = SENT.get(turn.host, &number)? else { return Ok(()) };
    SENT.delete(turn.host, &number);
    let done = matches!(result.status, EffectStatus::Done { .. });
    match sent {
        Sent::Stage(recovery) => recovery::answered(turn, number, recovery, &result.status),
        Sent::Call(operation) => operations::answered(turn, number, &operation, &result.status),
        Sent::Probe(dependency) => breaker::heard(turn, &dependency, number, done),
        Sent::Drill(number, phase) => drill::answered(turn, number, phase, done),
    }
}

/// What stands before the first point, and behind it.
#[inline(never)]
fn parts(id: &str) -> (&str, &str) {
    let at = id.bytes().position(|byte| byte == b'.').unwrap_or(id.len());
    (id.get(..at).unwrap_or_default(), id.get(at + 1..).unwrap_or_default())
}

/// A number in decimal.
#[inline(never)]
fn number(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
