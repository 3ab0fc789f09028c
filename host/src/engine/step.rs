//! From the answer of a policy's function to what the step did: the same for every executor.

use super::{
    executor::{Answer, GuestFault, HostFault, Running, Stop},
    step_host::{Mode, Work},
};
use reprise_abi::{
    LimitKind, Outcome, Rejection, Violation,
    limits::{ANSWER_BYTES_MAX, DETAIL_BYTES_MAX, NAME_BYTES_MAX},
};
use reprise_receipts::{Executed, LedgerId};
use std::sync::LazyLock;

/// Deriving the key of the context costs as much as hashing the seed: it is done once.
static SEED: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key("reprise 2026 step seed v1"));

/// Judges the answer, runs the invariants if something changed, and closes the transcript.
pub(super) fn conclude(running: &mut impl Running, answer: Answer) -> Result<Executed, HostFault> {
    let outcome = match judge(running, answer) {
        Ok(outcome) => outcome,
        Err(Stop::Guest(fault)) => fault.into(),
        Err(Stop::Host(fault)) => return Err(fault),
    };
    // What an engine says of fuel after a trap is wrong, so a fault costs all of it.
    let fuel = match outcome {
        Outcome::Accepted { .. } | Outcome::Rejected(_) | Outcome::InvariantViolated(_) => running.fuel_used(),
        Outcome::Trapped(_) | Outcome::OutOfFuel | Outcome::LimitExceeded(_) => running.fuel_max(),
    };
    let work = running.host().finish(&outcome);
    let Work { changes, effects, timers, execution, calls } = work;
    if !outcome.is_accepted() {
        let nothing = Executed { outcome, changes: vec![], effects: vec![], timers: vec![], execution, fuel, calls };
        return Ok(nothing);
    }
    Ok(Executed { outcome, changes, effects, timers, execution, fuel, calls })
}

fn judge(running: &mut impl Running, answer: Answer) -> Result<Outcome, Stop> {
    let answer = match answer? {
        Ok(answer) => bounded_answer(answer)?,
        Err(rejection) => return Ok(Outcome::Rejected(bounded_rejection(rejection))),
    };
    if running.host().changes_state() {
        running.host().enter(Mode::Check);
        if let Err(violation) = running.check()? {
            return Ok(Outcome::InvariantViolated(bounded_violation(violation)?));
        }
    }
    Ok(Outcome::Accepted { answer })
}

/// An answer of a step, migration or view.
pub(super) fn bounded_answer(answer: Vec<u8>) -> Result<Vec<u8>, GuestFault> {
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(GuestFault::LimitExceeded(LimitKind::Answer));
    }
    Ok(answer)
}

/// A rejection whose sentence is cut to its limit.
pub(super) fn bounded_rejection(rejection: Rejection) -> Rejection {
    Rejection { code: rejection.code, detail: bounded_detail(rejection.detail) }
}

/// The name of an invariant must be one; the sentence is cut to its limit.
fn bounded_violation(violation: Violation) -> Result<Violation, GuestFault> {
    if violation.invariant.is_empty() || violation.invariant.len() > NAME_BYTES_MAX {
        return Err(GuestFault::LimitExceeded(LimitKind::Name));
    }
    Ok(Violation { invariant: violation.invariant, detail: bounded_detail(violation.detail) })
}

fn bounded_detail(mut detail: String) -> String {
    detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
    detail
}

/// The only randomness of a step: four little-endian integers of
/// `derive_key("reprise 2026 step seed v1", ledger || seq as u64, little-endian)`.
#[must_use]
pub fn seed(ledger: LedgerId, seq: u64) -> [u64; 4] {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(ledger.as_bytes());
    bytes[32..].copy_from_slice(&seq.to_le_bytes());
    let derived = SEED.clone().update(&bytes).finalize();
    let (words, _) = derived.as_bytes().as_chunks::<8>();
    [words[0], words[1], words[2], words[3]].map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
