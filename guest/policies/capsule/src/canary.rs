//! `canary`: breaks an invariant, so that people can see that it is noticed (X12).
//!
//! A quarantined capsule that still votes is what must never be; the canary makes one of any capsule. It is for drills
//! on a ledger of their own: `init` has to allow it, and the ledger halts.

use crate::{events::Canary, rejection::No, state::CAPSULES, turn::Turn};
use reprise_guest::{abi::Rejection, rejection::Code};

/// Breaks a record; hidden, only an audit finds it.
///
/// # Errors
/// [`No::CanaryOff`], [`No::UnknownCapsule`].
pub fn canary(turn: &mut Turn, canary: &Canary) -> Result<(), Rejection> {
    if !turn.config.canary {
        return Err(No::CanaryOff.because("`init` did not allow it"));
    }
    let mut held = turn.named(&canary.capsule)?;
    held.capsule.consensus_participation ^= true;
    if canary.hidden {
        CAPSULES.put(turn.host, &held.id, &held.capsule);
    } else {
        turn.save(held);
    }
    Ok(())
}
