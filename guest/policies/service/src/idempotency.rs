//! Idempotency keys: the duplicate of a request gets the first answer, for 24 hours (9.1).

use crate::{
    error::No,
    orders::Status,
    params::{FORGET_MAX, KEY_TTL_MS},
    state::{EXPIRIES, Figure, KEYS, OPERATIONS},
    turn::Turn,
};
use reprise_guest::{
    abi::Rejection,
    compact::{decoded, stored},
};

/// The first answer to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Fingerprint of the request.
    pub request: u64,
    /// When it is forgotten, in milliseconds.
    pub expires_ms: u64,
    /// The order that was answered with.
    pub order: u64,
    /// The status that was answered with.
    pub status: Status,
}
stored!(Kept { request, expires_ms, order, status });

/// Something that is forgotten at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// What: an operation, or else a key.
    pub operation: bool,
    /// Its name.
    pub name: String,
}
stored!(Expiry { at_ms, operation, name });

/// Has something forgotten after 24 hours. Answers when.
#[inline(never)]
pub fn expires(turn: &mut Turn<'_>, operation: bool, name: &str) -> u64 {
    let at_ms = turn.now_ms.saturating_add(KEY_TTL_MS);
    let expiry = Expiry { at_ms, operation, name: name.into() };
    EXPIRIES.put(turn.host, &(at_ms, (u8::from(operation), name.into())), &expiry);
    at_ms
}

/// The first answer to a key, if the request is the same and the answer is not forgotten.
///
/// # Errors
/// [`No::KeyReused`].
pub fn first(turn: &mut Turn<'_>, key: &str, request: u64) -> Result<Option<(u64, Status)>, Rejection> {
    let kept = KEYS.of(turn.host, key)?.filter(|kept| kept.expires_ms > turn.now_ms);
    let Some(kept) = kept else { return Ok(None) };
    if kept.request != request {
        return Err(No::KeyReused.about(key));
    }
    turn.exchange.count(Figure::Duplicates);
    Ok(Some((kept.order, kept.status)))
}

/// Keeps the answer to a key, and forgets some that are over.
///
/// # Errors
/// Corrupt state.
pub fn keep(turn: &mut Turn<'_>, key: String, request: u64, order: u64, status: Status) -> Result<(), Rejection> {
    forget(turn)?;
    let expires_ms = expires(turn, false, &key);
    KEYS.put(turn.host, &key, &Kept { request, expires_ms, order, status });
    Ok(())
}

/// Forgets some of what is over: more than one entry is made at a time, so that nothing piles up.
///
/// # Errors
/// Corrupt state.
pub fn forget(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    for expiry in EXPIRIES.take(turn.host, FORGET_MAX) {
        let Some(expiry) = decoded::<Expiry>(Some(expiry))? else { continue };
        let Expiry { at_ms, operation, name } = &expiry;
        if *at_ms > turn.now_ms {
            EXPIRIES.put(turn.host, &(*at_ms, (u8::from(*operation), name.clone())), &expiry);
        } else if *operation {
            // A name that is in use again has another entry of its own.
            if OPERATIONS.get(turn.host, name)?.is_some_and(|op| op.expires_ms == *at_ms) {
                OPERATIONS.delete(turn.host, name);
            }
        } else if KEYS.get(turn.host, name)?.is_some_and(|kept| kept.expires_ms == *at_ms) {
            KEYS.delete(turn.host, name);
        }
    }
    Ok(())
}

/// 64 bits that tell requests apart (FNV-1a). Somebody who looks for two requests with one fingerprint gains nothing:
/// the key is their own.
#[must_use]
#[inline(never)]
pub fn fingerprint(texts: &[&str], numbers: &[u64]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for text in texts {
        text.bytes().for_each(&mut add);
        add(0xff);
    }
    for number in numbers {
        number.to_le_bytes().into_iter().for_each(&mut add);
    }
    hash
}
