//! How peers behave: whose material is not used any more, and until when.
//!
//! What does not hold counts; so many times, and nothing that the peer sends about differences is used for a while.
//! Whoever is proved to have signed something wrong stays in quarantine until an operator lets it out.

use crate::{
    error::No,
    events::{Evidence, Rejected},
    state::Conduct,
    turn::{RELEASE, Turn},
};
use reprise_guest::{abi::Rejection, rejection::Code};

/// Longest reason of a rejection, in bytes.
const REASON_BYTES_MAX: usize = 64;

/// Something that a peer sent was rejected.
///
/// # Errors
/// [`No::BadRejected`], [`No::BadName`], or corrupt state.
pub fn rejected(turn: &mut Turn<'_>, rejected: &Rejected) -> Result<(), Rejection> {
    if rejected.count == 0 || rejected.reason.len() > REASON_BYTES_MAX {
        return Err(No::BadRejected.because("at least one object, and a reason of at most 64 bytes"));
    }
    if rejected.ours {
        turn.say("nothing", "it could be the fault of this node");
        return Ok(());
    }
    if !strike(turn, &rejected.peer, rejected.count)? {
        turn.say("nothing", "it counts against the peer");
    }
    Ok(())
}

/// A peer is proved to have signed something wrong.
///
/// # Errors
/// [`No::BadName`], or corrupt state.
pub fn evidence(turn: &mut Turn<'_>, evidence: &Evidence) -> Result<(), Rejection> {
    let held = turn.ledger(&evidence.ledger)?;
    turn.save(held);
    let conduct = turn.conduct(&evidence.peer)?;
    let convicted = Conduct { convicted: true, quarantined_until_ms: Some(u64::MAX), ..conduct };
    turn.behaved(&evidence.peer, &convicted)?;
    let why = "it is proved to have signed something wrong";
    if conduct.quarantined_until_ms.is_none() {
        turn.tell_of_peer("quarantine", &evidence.peer, why);
    }
    turn.say("quarantine", why);
    Ok(())
}

/// Something of a peer did not hold. Whether that puts it into quarantine.
///
/// # Errors
/// [`No::BadName`], [`No::TooMany`], or corrupt state.
pub fn strike(turn: &mut Turn<'_>, peer: &str, count: u32) -> Result<bool, Rejection> {
    let mut conduct = turn.conduct(peer)?;
    conduct.strikes = conduct.strikes.saturating_add(count);
    let quarantine = conduct.strikes >= turn.params.strikes_max && conduct.quarantined_until_ms.is_none();
    if quarantine {
        let until_ms = turn.now_ms.saturating_add(turn.params.window_ms);
        conduct.quarantined_until_ms = Some(until_ms);
        turn.wake(RELEASE, peer, until_ms);
        let why = "too much of what it sent does not hold";
        turn.tell_of_peer("quarantine", peer, why);
        turn.say("quarantine", why);
    }
    turn.behaved(peer, &conduct)?;
    Ok(quarantine)
}

/// The time in quarantine is over.
///
/// # Errors
/// Corrupt state.
pub fn release(turn: &mut Turn<'_>, peer: &str) -> Result<(), Rejection> {
    let conduct = turn.conduct(peer)?;
    let over = conduct.quarantined_until_ms.is_some_and(|until_ms| until_ms <= turn.now_ms);
    if over { let_out(turn, peer, "its time in quarantine is over") } else { Ok(()) }
}

/// An operator takes a peer out of quarantine.
///
/// # Errors
/// [`No::NotInQuarantine`], [`No::BadName`], or corrupt state.
pub fn pardon(turn: &mut Turn<'_>, peer: &str) -> Result<(), Rejection> {
    if turn.conduct(peer)?.quarantined_until_ms.is_none() {
        return Err(No::NotInQuarantine.because(peer));
    }
    let_out(turn, peer, "an operator has ordered it")
}

fn let_out(turn: &mut Turn<'_>, peer: &str, why: &str) -> Result<(), Rejection> {
    turn.behaved(peer, &Conduct::default())?;
    turn.tell_of_peer("release", peer, why);
    turn.say("release", why);
    Ok(())
}
