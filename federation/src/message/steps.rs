//! The owner's steps on their way to the members, and what the members have of them.

use super::{Mark, rule};
use crate::{
    limits::{APPEND_BYTES_MAX, APPEND_STEPS_MAX, TRANSFER_BYTES_MAX, TRANSFER_STEPS_MAX},
    list::List,
};
use reprise_abi::{
    Canonical, CodecError,
    limits::{INPUT_BYTES_MAX, RECEIPT_BYTES_MAX},
};
use reprise_receipts::{LeafHash, LedgerId, StateRoot};
use serde::{Deserialize, Serialize};

/// A step as it travels: what was ordered, and what the owner says came of it. The receiver does it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The encoded input.
    #[serde(with = "serde_bytes")]
    pub input: Vec<u8>,
    /// The encoded receipt.
    #[serde(with = "serde_bytes")]
    pub receipt: Vec<u8>,
}

impl Step {
    /// Leaf hash of the receipt.
    #[must_use]
    pub fn leaf(&self) -> LeafHash {
        LeafHash::of(&self.receipt)
    }

    /// Bytes of both parts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.input.len() + self.receipt.len()
    }

    fn validate(&self) -> Result<(), CodecError> {
        rule(self.input.len() <= INPUT_BYTES_MAX, "an input has at most 65,984 bytes")?;
        rule(self.receipt.len() <= RECEIPT_BYTES_MAX, "a receipt has at most 1 KiB")
    }
}

/// What a stream of steps holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// In their order.
    pub steps: List<Step, { TRANSFER_STEPS_MAX as usize }>,
}

impl Canonical for Steps {
    const KIND: &'static str = "steps";
    const BYTES_MAX: usize = TRANSFER_BYTES_MAX as usize;

    fn validate(&self) -> Result<(), CodecError> {
        self.steps.iter().try_for_each(Step::validate)
    }
}

/// The owner's next steps, and how far everything is. Without steps it says that the owner is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// Which ledger.
    pub ledger: LedgerId,
    /// The epoch under which the sender owns it.
    pub epoch: u64,
    /// Receipts of the log with which that epoch began.
    pub base: u64,
    /// The log before the steps.
    pub before: Mark,
    /// The steps; none if the next one is too long for a frame, or there is none.
    pub steps: List<Step, APPEND_STEPS_MAX>,
    /// The owner's log.
    pub head: Mark,
    /// So many receipts are known to be durable on a quorum.
    pub committed: u64,
}

impl Append {
    pub(super) fn validate(&self) -> Result<(), CodecError> {
        let bytes: usize = self.steps.iter().map(Step::bytes).sum();
        rule(bytes <= APPEND_BYTES_MAX, "the steps of a frame have at most 48 KiB")?;
        let end = self.before.size.checked_add(self.steps.len() as u64);
        rule(end.is_some_and(|end| end <= self.head.size), "the steps do not go beyond the owner's log")?;
        rule(self.committed <= self.head.size, "what is committed is part of the owner's log")?;
        self.steps.iter().try_for_each(Step::validate)
    }
}

/// Where a member stands with regard to the owner's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standpoint {
    /// All of `have` is durable, done again, and part of the owner's log.
    Agrees,
    /// The steps begin after the end of `have`.
    Behind,
    /// The log is another one; the member looks for the place.
    Differs,
    /// The member has suspended the ledger.
    Suspended,
}

/// What a member has. Counts towards durability only with [`Standpoint::Agrees`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Which ledger.
    pub ledger: LedgerId,
    /// The epoch that the member knows of.
    pub epoch: u64,
    /// Where it stands.
    pub standpoint: Standpoint,
    /// The part of the log that this is about.
    pub have: Mark,
    /// Root of the state after it, as the member computes it.
    pub state_root: StateRoot,
}
