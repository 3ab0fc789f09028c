//! What the ledger itself keeps in the state, beside the policy's keys and under the same root.
//!
//! Whatever is needed to resume belongs here: a node that starts from a state and the receipts before it needs nothing
//! else. Every key begins with a namespace byte, so that a policy can neither read nor write the ledger's own.
//!
//! | key | value | meaning |
//! | --- | --- | --- |
//! | `00 62` (`b`), 32 bytes of the driver's digest | logical time in milliseconds, 8 bytes big-endian | the driver's breaker is open until then |
//! | `00 65` (`e`), 32 bytes of the idempotency key's digest | [`outbox::EffectMark`] | an effect that is in the outbox, or ended less than 24 hours ago |
//! | `00 67` (`g`), epoch (8 bytes big-endian) | [`epochs::EpochRecord`] | an epoch that a command began |
//! | `00 66` (`f`) | count, 8 bytes big-endian | guest faults since the last submitted event without one, absent when none |
//! | `00 68` (`h`) | [`Halt`] | the ledger takes no input but an operator's command |
//! | `00 69` (`i`), 32 bytes of [`idempotency_key`] | seq and logical time, 8 bytes big-endian each, 32 bytes of [`event_digest`] | first answer to an idempotency key |
//! | `00 6f` (`o`), deadline, seq, index (8, 8, 4 bytes, big-endian) | [`outbox::OutboxEntry`] | an effect that has not ended |
//! | `00 70` (`p`) | package digest | policy in force, when it is not the genesis record's |
//! | `00 74` (`t`), due time (8 bytes big-endian), timer id | the timer's payload | a timer that is set |
//! | `00 75` (`u`), timer id | due time, 8 bytes big-endian | finds the timer |
//! | `01`, the policy's key | the policy's value | policy state |

pub mod due;
pub mod epochs;
pub mod outbox;
pub mod reads;
pub mod timers;

pub use due::Due;

use crate::{
    digest::{PackageDigest, derive_once},
    trie::StateTrie,
};
use reprise_abi::{
    Canonical, Change, Diff, Event, Input, OutcomeClass, decode_canonical, encode,
    limits::{GUEST_FAULTS_MAX, IDEMPOTENCY_RETENTION_MS},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Namespace byte of the ledger's own keys.
pub const SYSTEM_NAMESPACE: u8 = 0;
/// Namespace byte of the policy's keys.
pub const POLICY_NAMESPACE: u8 = 1;

const FAULTS_KEY: &[u8] = &[SYSTEM_NAMESPACE, b'f'];
const HALT_KEY: &[u8] = &[SYSTEM_NAMESPACE, b'h'];
const IDEMPOTENCY_PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b'i'];
const PACKAGE_KEY: &[u8] = &[SYSTEM_NAMESPACE, b'p'];

/// First bytes of the keys that say what the ledger owes the world, and whether it may act: breakers, epochs, the halt, the
/// outbox, the policy in force. In key order.
pub const OWED_PREFIXES: [&[u8]; 5] =
    [outbox::BREAKER_PREFIX, epochs::PREFIX, HALT_KEY, outbox::QUEUE_PREFIX, PACKAGE_KEY];

/// Expired idempotency records that one step removes at most: the neighbours of the record it writes.
///
/// Keys are digests, so a new record lands anywhere among the old ones. When `n` records are alive, looking at 4
/// neighbours keeps about `n / 3` expired ones in the state, without a queue to maintain.
pub const PRUNED_NEIGHBOURS: usize = 4;

/// Why a ledger stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// The step after which it stands still.
    pub seq: u64,
    /// How that step ended.
    pub class: OutcomeClass,
}

impl Canonical for Halt {
    const KIND: &'static str = "halt record";
    const BYTES_MAX: usize = 32;
}

/// The first answer to an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstAnswer {
    /// Which step answered.
    pub seq: u64,
    /// Logical time of that step, in milliseconds.
    pub logical_time_ms: u64,
    /// Which event it answered: another event under the same key is a mistake of its sender.
    pub event: [u8; 32],
}

impl FirstAnswer {
    const BYTES: usize = 48;

    pub(crate) fn of(input: &Input) -> Self {
        Self { seq: input.seq, logical_time_ms: input.logical_time_ms, event: event_digest(&input.event) }
    }

    /// It still stands at `now_ms`: less than 24 hours of logical time have passed (X14).
    #[must_use]
    pub fn stands_at(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.logical_time_ms) < IDEMPOTENCY_RETENTION_MS
    }

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.logical_time_ms.to_be_bytes());
        bytes[16..].copy_from_slice(&self.event);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 of 48 bytes"));
        let event = bytes[16..].try_into().expect("32 of 48 bytes");
        Some(Self { seq: number(0), logical_time_ms: number(8), event })
    }
}

/// Digest of (source, id): what the idempotency record is filed under.
#[must_use]
pub fn idempotency_key(event: &Event) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(4 + event.source.len() + event.id.len());
    let source_len = u32::try_from(event.source.len()).expect("names are at most 128 bytes long");
    bytes.extend_from_slice(&source_len.to_le_bytes());
    bytes.extend_from_slice(event.source.as_bytes());
    bytes.extend_from_slice(event.id.as_bytes());
    derive_once!("reprise 2026 idempotency key v1", &bytes)
}

/// Digest of an event, independent of its order.
#[must_use]
pub fn event_digest(event: &Event) -> [u8; 32] {
    derive_once!("reprise 2026 event v1", &encode(event))
}

/// The first answer to this event's idempotency key, if it still stands at `now_ms`.
#[must_use]
pub fn first_answer(state: &StateTrie, event: &Event, now_ms: u64) -> Option<FirstAnswer> {
    let record = state.get(&idempotency_state_key(event))?;
    FirstAnswer::from_bytes(record).filter(|answer| answer.stands_at(now_ms))
}

/// Why the ledger stands still, if it does.
#[must_use]
pub fn halt(state: &StateTrie) -> Option<Halt> {
    state.get(HALT_KEY).and_then(|bytes| decode_canonical(bytes).ok())
}

/// Guest faults since the last submitted event that ended without one.
#[must_use]
pub fn guest_faults(state: &StateTrie) -> u64 {
    let count = state.get(FAULTS_KEY).and_then(|bytes| bytes.try_into().ok());
    count.map_or(0, u64::from_be_bytes)
}

/// The key says what the ledger owes the world, or whether it may act: see [`OWED_PREFIXES`].
#[must_use]
pub fn tells_what_is_owed(key: &[u8]) -> bool {
    OWED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The policy in force, when it is not the genesis record's.
#[must_use]
pub fn package_in_force(state: &StateTrie) -> Option<PackageDigest> {
    let bytes: Option<[u8; 32]> = state.get(PACKAGE_KEY).and_then(|bytes| bytes.try_into().ok());
    bytes.map(PackageDigest::from_bytes)
}

/// The package that a step puts in force, if its diff does.
#[must_use]
pub fn puts_in_force(diff: &Diff) -> Option<PackageDigest> {
    let change = diff.changes().iter().find(|change| change.key == PACKAGE_KEY)?;
    let bytes: Option<[u8; 32]> = change.after.as_deref().and_then(|bytes| bytes.try_into().ok());
    bytes.map(PackageDigest::from_bytes)
}

/// What the ledger itself writes in one step, collected as changes in key order.
#[derive(Debug)]
pub(crate) struct SystemChanges<'a> {
    state: &'a StateTrie,
    after: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> SystemChanges<'a> {
    pub(crate) fn new(state: &'a StateTrie) -> Self {
        Self { state, after: BTreeMap::new() }
    }

    /// Files the first answer to an event, and forgets expired neighbours.
    pub(crate) fn record_answer(&mut self, event: &Event, answer: FirstAnswer) {
        let key = idempotency_state_key(event);
        for (neighbour, value) in self.state.scan(IDEMPOTENCY_PREFIX, Some(&key)).take(PRUNED_NEIGHBOURS) {
            let expired = FirstAnswer::from_bytes(value).is_none_or(|old| !old.stands_at(answer.logical_time_ms));
            if expired {
                self.after.insert(neighbour.to_vec(), None);
            }
        }
        self.after.insert(key, Some(answer.to_bytes().to_vec()));
    }

    /// Counts guest faults; enough of them, or one broken invariant, halt the ledger. A submitted event that ends without
    /// one begins the count anew; a timer or a result does not, because the policy may not have run for it.
    pub(crate) fn record_outcome(&mut self, seq: u64, class: OutcomeClass) {
        let before = guest_faults(self.state);
        if !class.is_guest_fault() {
            if before > 0 {
                self.after.insert(FAULTS_KEY.to_vec(), None);
            }
            return;
        }
        let faults = before.saturating_add(1);
        self.after.insert(FAULTS_KEY.to_vec(), Some(faults.to_be_bytes().to_vec()));
        if class == OutcomeClass::InvariantViolated || faults >= GUEST_FAULTS_MAX {
            self.after.insert(HALT_KEY.to_vec(), Some(encode(&Halt { seq, class })));
        }
    }

    /// Lifts a halt and forgets the faults that led to it.
    pub(crate) fn resume(&mut self) {
        self.after.insert(FAULTS_KEY.to_vec(), None);
        self.after.insert(HALT_KEY.to_vec(), None);
    }

    /// Puts another policy in force.
    pub(crate) fn put_in_force(&mut self, package: PackageDigest) {
        self.after.insert(PACKAGE_KEY.to_vec(), Some(package.as_bytes().to_vec()));
    }

    /// What a key holds after the changes so far.
    pub(crate) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.after.get(key).map_or_else(|| self.state.get(key), Option::as_deref)
    }

    pub(crate) fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.after.insert(key, value);
    }

    /// The changes that change something, in key order.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        let state = self.state;
        let change = |(key, after): (Vec<u8>, Option<Vec<u8>>)| {
            let before = state.get(&key).map(<[u8]>::to_vec);
            (before != after).then_some(Change { key, before, after })
        };
        self.after.into_iter().filter_map(change).collect()
    }
}

fn idempotency_state_key(event: &Event) -> Vec<u8> {
    let mut key = IDEMPOTENCY_PREFIX.to_vec();
    key.extend_from_slice(&idempotency_key(event));
    key
}
