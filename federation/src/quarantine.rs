//! What was rejected: kept for whoever wants to know why, never used.
//!
//! Bounded in records and in bytes. When it is full, the oldest go, and how many and how much went stays known.

use crate::{
    limits::{QUARANTINE_BYTES_MAX, QUARANTINE_OBJECT_BYTES_MAX, QUARANTINE_RECORDS_MAX},
    message::NodeKey,
};
use reprise_receipts::{LedgerId, digest::derive};
use std::collections::VecDeque;

/// What the digests of rejected objects are derived with.
pub const DIGEST_CONTEXT: &str = "reprise 2026 quarantine v1";

/// Why something was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A frame that is no message.
    #[error("the frame does not decode")]
    Malformed,
    /// A message out of its place.
    #[error("the message does not keep to the protocol")]
    Protocol,
    /// A signature that does not hold.
    #[error("a signature does not verify")]
    BadSignature,
    /// Steps that do not hang together, or do not lead to the log that was verified before.
    #[error("the steps do not lead to the log that was verified before")]
    Continuity,
    /// A step that gives another receipt here.
    #[error("a step gives another receipt here")]
    Execution,
    /// A chunk that is not the one asked for.
    #[error("the chunk is another one")]
    Chunk,
    /// Answers that contradict each other.
    #[error("the answers contradict each other")]
    Contradiction,
    /// Evidence that proves nothing.
    #[error("the evidence does not hold")]
    Evidence,
    /// A bundle that is not of the ledger, range, length or digest that was asked for or announced.
    #[error("the bundle is not the one that was asked for and announced")]
    OtherBundle,
    /// A bundle whose contents do not belong together, or are not signed.
    #[error("the bundle does not hold")]
    Bundle,
    /// A bundle whose steps give other receipts here.
    #[error("a step of the bundle gives another receipt here")]
    BundleDiverges,
}

/// An object that is too long to be held in memory as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongObject {
    /// Its length in bytes.
    pub len: u64,
    /// `derive("reprise 2026 quarantine v1", all of its bytes)`.
    pub digest: [u8; 32],
    /// Its beginning; more than 256 KiB of it are not kept.
    pub beginning: Vec<u8>,
}

/// One rejected object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Number of the record, from 1, never used again.
    pub number: u64,
    /// When it was rejected, in milliseconds of the node's clock.
    pub at_ms: u64,
    /// Who sent it.
    pub origin: NodeKey,
    /// Which ledger it was about, if it was about one.
    pub ledger: Option<LedgerId>,
    /// Why it was rejected.
    pub reason: Reason,
    /// Its length in bytes.
    pub len: u64,
    /// `derive("reprise 2026 quarantine v1", all of its bytes)`.
    pub digest: [u8; 32],
    /// Its bytes; of a longer one the first 256 KiB.
    pub bytes: Vec<u8>,
}

/// What went to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Records.
    pub records: u64,
    /// Bytes of the objects.
    pub bytes: u64,
    /// Number of the last one.
    pub last: u64,
}

/// Everything that was rejected and is still there.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    records: VecDeque<Rejected>,
    kept_bytes: usize,
    numbers: u64,
    dropped: Dropped,
}

impl Quarantine {
    /// Empty; numbers go on after `last_number`.
    #[must_use]
    pub fn after(last_number: u64) -> Self {
        Self { numbers: last_number, ..Self::default() }
    }

    /// Adds what was rejected, and lets the oldest go where there is no room.
    pub fn add(
        &mut self,
        at_ms: u64,
        origin: NodeKey,
        ledger: Option<LedgerId>,
        reason: Reason,
        object: &[u8],
    ) -> &Rejected {
        let beginning = object[..object.len().min(QUARANTINE_OBJECT_BYTES_MAX)].to_vec();
        let digest = derive(DIGEST_CONTEXT, object);
        self.add_long(at_ms, origin, ledger, reason, LongObject { len: object.len() as u64, digest, beginning })
    }

    /// [`Self::add`], of an object of which only the beginning is at hand.
    pub fn add_long(
        &mut self,
        at_ms: u64,
        origin: NodeKey,
        ledger: Option<LedgerId>,
        reason: Reason,
        object: LongObject,
    ) -> &Rejected {
        let LongObject { len, digest, beginning: mut bytes } = object;
        bytes.truncate(QUARANTINE_OBJECT_BYTES_MAX);
        while self.records.len() >= QUARANTINE_RECORDS_MAX || self.kept_bytes + bytes.len() > QUARANTINE_BYTES_MAX {
            self.drop_oldest();
        }
        self.numbers += 1;
        self.kept_bytes += bytes.len();
        self.records.push_back(Rejected { number: self.numbers, at_ms, origin, ledger, reason, len, digest, bytes });
        self.records.back().expect("just added")
    }

    /// The records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &Rejected> {
        self.records.iter()
    }

    /// One of them.
    #[must_use]
    pub fn record(&self, number: u64) -> Option<&Rejected> {
        self.records.iter().find(|record| record.number == number)
    }

    /// Removes a record; whether it was there.
    pub fn remove(&mut self, number: u64) -> bool {
        let Some(at) = self.records.iter().position(|record| record.number == number) else { return false };
        let removed = self.records.remove(at).expect("it is there");
        self.kept_bytes -= removed.bytes.len();
        true
    }

    /// What went to make room, in all.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn drop_oldest(&mut self) {
        let oldest = self.records.pop_front().expect("a full quarantine is not empty, and one object fits");
        self.kept_bytes -= oldest.bytes.len();
        self.dropped.records += 1;
        self.dropped.bytes += oldest.len;
        self.dropped.last = oldest.number;
    }
}

#[cfg(test)]
mod tests;
