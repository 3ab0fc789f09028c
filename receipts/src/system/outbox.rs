//! The outbox under the root: effects that have not ended, in the order in which they expire (H6: the side-effect
//! ledger).
//!
//! An effect goes in when its step is accepted. A driver may act on it once the step is durable; what becomes of it
//! comes back as an input of kind `reprise.effect`. An attempt that failed is counted and the next one waits: twice as
//! long each time, up to 15 minutes, with jitter drawn from the effect's own name. When the attempts are used up, the
//! driver's breaker opens for 30 minutes. An effect that failed or expired may have happened in part, so it is undone
//! if it says how. An idempotency key is remembered for 24 hours after its effect ended, and not acted on again.

use super::{PRUNED_NEIGHBOURS, SYSTEM_NAMESPACE, SystemChanges};
use crate::{digest::derive, trie::StateTrie};
use reprise_abi::{
    Canonical, CodecError, Effect, EffectPhase, EffectResult, EffectStatus, Rejection, decode_canonical, encode,
    limits::{
        BREAKER_OPEN_MS, EFFECT_ATTEMPTS_MAX, EFFECT_BACKOFF_FIRST_MS, EFFECT_BACKOFF_MAX_MS, EFFECT_PAYLOAD_BYTES_MAX,
        IDEMPOTENCY_RETENTION_MS, NAME_BYTES_MAX,
    },
};
use serde::{Deserialize, Serialize};

pub(super) const QUEUE_PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b'o'];
pub(super) const MARK_PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b'e'];
pub(super) const BREAKER_PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b'b'];

/// An effect that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// What to do, and how to undo it.
    pub effect: Effect,
    /// The step that emitted it.
    pub seq: u64,
    /// Its place among that step's effects.
    pub index: u32,
    /// The epoch it was ordered under: a driver refuses a lower one than it has seen.
    pub epoch: u64,
    /// Whether it is being carried out or undone.
    pub phase: EffectPhase,
    /// Attempts that failed in this phase.
    pub attempts: u32,
    /// Logical time before which the next attempt must not begin, in milliseconds.
    pub not_before_ms: u64,
    /// Logical time after which no attempt may begin, in milliseconds.
    pub deadline_ms: u64,
}

impl OutboxEntry {
    /// The driver that acts now: the effect's, or its compensator's.
    #[must_use]
    pub fn driver(&self) -> &str {
        match (self.phase, &self.effect.compensator) {
            (EffectPhase::Compensate, Some(undo)) => &undo.driver,
            _ => &self.effect.driver,
        }
    }

    /// What the driver gets: the effect's payload, or its compensator's.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match (self.phase, &self.effect.compensator) {
            (EffectPhase::Compensate, Some(undo)) => &undo.payload,
            _ => &self.effect.payload,
        }
    }

    /// One more failure uses up the attempts.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempts >= EFFECT_ATTEMPTS_MAX - 1
    }

    /// Logical time at which it expires: the first millisecond after its deadline; `None` for never.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        self.deadline_ms.checked_add(1)
    }

    pub(super) fn key(&self) -> Vec<u8> {
        entry_key(self.deadline_ms, self.seq, self.index)
    }
}

impl Canonical for OutboxEntry {
    const KIND: &'static str = "outbox entry";
    const BYTES_MAX: usize = 2 * EFFECT_PAYLOAD_BYTES_MAX + 3 * NAME_BYTES_MAX + 128;
}

/// What is remembered under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EffectMark {
    /// The effect is in the outbox, under this key.
    Pending {
        /// The whole state key.
        #[serde(with = "serde_bytes")]
        entry: Vec<u8>,
    },
    /// The effect has ended.
    Ended {
        /// Logical time of the step that ended it, in milliseconds.
        at_ms: u64,
    },
}

impl Canonical for EffectMark {
    const KIND: &'static str = "effect mark";
    const BYTES_MAX: usize = 64;
}

/// Why the ledger does not take a result. The discriminant is the rejection code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u32)]
pub enum ResultError {
    /// The payload does not decode, or its key is not the input's id.
    #[error("the result does not decode")]
    Malformed = 8_101,
    /// No such effect is in the outbox, or it is in its other phase.
    #[error("no such effect is in the outbox")]
    NotPending = 8_102,
    /// Another attempt is announced, and there is none left.
    #[error("the attempts are used up")]
    NoAttemptLeft = 8_103,
    /// It is said to have expired before its deadline has passed.
    #[error("the deadline has not passed")]
    NotExpired = 8_104,
}

impl From<ResultError> for Rejection {
    fn from(error: ResultError) -> Self {
        Self { code: error as u32, detail: error.to_string() }
    }
}

/// Effects that have not ended, in the order in which they expire.
pub fn pending(state: &StateTrie) -> impl Iterator<Item = OutboxEntry> + '_ {
    state.scan(QUEUE_PREFIX, None).filter_map(|(_, entry)| decode_canonical(entry).ok())
}

/// When the first effect expires, in milliseconds; `None` if none ever does.
#[must_use]
pub fn first_expiry_ms(state: &StateTrie) -> Option<u64> {
    let (key, _) = state.scan(QUEUE_PREFIX, None).next()?;
    key[QUEUE_PREFIX.len()..].first_chunk().and_then(|deadline| u64::from_be_bytes(*deadline).checked_add(1))
}

/// The effect that expires first.
#[must_use]
pub fn first(state: &StateTrie) -> Option<OutboxEntry> {
    pending(state).next()
}

/// The effect of an idempotency key, if it has not ended.
#[must_use]
pub fn find(state: &StateTrie, idempotency_key: &str) -> Option<OutboxEntry> {
    match decode_canonical(state.get(&mark_key(idempotency_key))?).ok()? {
        EffectMark::Pending { entry } => decode_canonical(state.get(&entry)?).ok(),
        EffectMark::Ended { .. } => None,
    }
}

/// Logical time before which nothing is asked of a driver, in milliseconds; 0 when its breaker is closed.
#[must_use]
pub fn breaker_open_until_ms(state: &StateTrie, driver: &str) -> u64 {
    let until = state.get(&breaker_key(driver)).and_then(|until| until.try_into().ok());
    until.map_or(0, u64::from_be_bytes)
}

/// Effects that a driver may be asked for at `now_ms`, oldest step first.
#[must_use]
pub fn deliverable(state: &StateTrie, now_ms: u64) -> Vec<OutboxEntry> {
    let may_begin = |entry: &OutboxEntry| {
        entry.not_before_ms <= now_ms
            && now_ms <= entry.deadline_ms
            && breaker_open_until_ms(state, entry.driver()) <= now_ms
    };
    let mut entries: Vec<_> = pending(state).filter(may_begin).collect();
    entries.sort_by_key(|entry| (entry.seq, entry.index));
    entries
}

/// Reads a result and holds it against the outbox.
///
/// # Errors
/// [`ResultError`]: the ledger rejects the input with that code.
pub fn accept(state: &StateTrie, id: &str, payload: &[u8], now_ms: u64) -> Result<EffectResult, ResultError> {
    let result: EffectResult = decode_canonical(payload).map_err(|_| ResultError::Malformed)?;
    if result.idempotency_key != id {
        return Err(ResultError::Malformed);
    }
    let entry = find(state, id).filter(|entry| entry.phase == result.phase).ok_or(ResultError::NotPending)?;
    match result.status {
        EffectStatus::Retry { .. } if entry.is_last_attempt() => Err(ResultError::NoAttemptLeft),
        EffectStatus::Expired if now_ms <= entry.deadline_ms => Err(ResultError::NotExpired),
        _ => Ok(result),
    }
}

impl SystemChanges<'_> {
    /// Puts the effects of an accepted step into the outbox. A key that is known there is passed over.
    pub(crate) fn emit(&mut self, effects: &[Effect], seq: u64, epoch: u64, now_ms: u64) {
        for (index, effect) in (0..).zip(effects) {
            if self.is_known(&effect.idempotency_key, now_ms) {
                continue;
            }
            let effect = effect.clone();
            let deadline_ms = effect.deadline_ms;
            let phase = EffectPhase::Act;
            self.file(OutboxEntry {
                effect,
                seq,
                index,
                epoch,
                phase,
                attempts: 0,
                not_before_ms: now_ms,
                deadline_ms,
            });
        }
    }

    /// Takes a result that [`accept`] let through.
    pub(crate) fn settle(&mut self, result: &EffectResult, now_ms: u64) {
        let entry = find(self.state, &result.idempotency_key).expect("a result is only accepted for a pending effect");
        self.write(entry.key(), None);
        match result.status {
            EffectStatus::Done { .. } => {
                self.write(breaker_key(entry.driver()), None);
                self.forget(&entry, now_ms);
            }
            EffectStatus::Retry { .. } => {
                let attempts = entry.attempts + 1;
                let not_before_ms = now_ms.saturating_add(backoff_ms(&result.idempotency_key, attempts));
                self.file(OutboxEntry { attempts, not_before_ms, ..entry });
            }
            EffectStatus::Failed { .. } => {
                if entry.is_last_attempt() {
                    let until_ms = now_ms.saturating_add(BREAKER_OPEN_MS);
                    self.write(breaker_key(entry.driver()), Some(until_ms.to_be_bytes().to_vec()));
                }
                self.undo_or_forget(entry, now_ms);
            }
            EffectStatus::Expired => self.undo_or_forget(entry, now_ms),
        }
    }

    fn undo_or_forget(&mut self, entry: OutboxEntry, now_ms: u64) {
        if entry.phase == EffectPhase::Compensate || entry.effect.compensator.is_none() {
            return self.forget(&entry, now_ms);
        }
        let deadline_ms = now_ms.saturating_add(IDEMPOTENCY_RETENTION_MS);
        let phase = EffectPhase::Compensate;
        self.file(OutboxEntry { phase, attempts: 0, not_before_ms: now_ms, deadline_ms, ..entry });
    }

    fn file(&mut self, entry: OutboxEntry) {
        let mark = EffectMark::Pending { entry: entry.key() };
        self.write(mark_key(&entry.effect.idempotency_key), Some(encode(&mark)));
        self.write(entry.key(), Some(encode(&entry)));
    }

    fn forget(&mut self, entry: &OutboxEntry, now_ms: u64) {
        let key = mark_key(&entry.effect.idempotency_key);
        let state = self.state;
        for (neighbour, mark) in state.scan(MARK_PREFIX, Some(&key)).take(PRUNED_NEIGHBOURS) {
            if !mark_stands(mark, now_ms) {
                self.write(neighbour.to_vec(), None);
            }
        }
        self.write(key, Some(encode(&EffectMark::Ended { at_ms: now_ms })));
    }

    fn is_known(&self, idempotency_key: &str, now_ms: u64) -> bool {
        self.value(&mark_key(idempotency_key)).is_some_and(|mark| mark_stands(mark, now_ms))
    }
}

fn mark_stands(mark: &[u8], now_ms: u64) -> bool {
    match decode_canonical(mark) {
        Ok(EffectMark::Pending { .. }) => true,
        Ok(EffectMark::Ended { at_ms }) => now_ms.saturating_sub(at_ms) < IDEMPOTENCY_RETENTION_MS,
        Err(CodecError::TooLong { .. }) | Err(_) => false,
    }
}

/// How long the attempt after `attempts` failures waits: between half of the doubled wait and all of it, drawn from
/// the effect's name, so that effects which failed together do not come back together, and a replay waits the same.
fn backoff_ms(idempotency_key: &str, attempts: u32) -> u64 {
    let doubled = EFFECT_BACKOFF_FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(32));
    let wait_ms = doubled.min(EFFECT_BACKOFF_MAX_MS);
    let name = [&attempts.to_le_bytes(), idempotency_key.as_bytes()].concat();
    let drawn = derive("reprise 2026 effect backoff v1", &name);
    let drawn = u64::from_le_bytes(drawn[..8].try_into().expect("8 of 32 bytes"));
    wait_ms / 2 + drawn % (wait_ms / 2 + 1)
}

pub(super) fn entry_key(deadline_ms: u64, seq: u64, index: u32) -> Vec<u8> {
    let place = [seq.to_be_bytes().as_slice(), &index.to_be_bytes()].concat();
    [QUEUE_PREFIX, &deadline_ms.to_be_bytes(), &place].concat()
}

pub(super) fn mark_key(idempotency_key: &str) -> Vec<u8> {
    [MARK_PREFIX, &derive("reprise 2026 effect key v1", idempotency_key.as_bytes())].concat()
}

pub(super) fn breaker_key(driver: &str) -> Vec<u8> {
    [BREAKER_PREFIX, &derive("reprise 2026 driver v1", driver.as_bytes())].concat()
}

#[cfg(test)]
mod tests;
