//! Bundles as files of a peer: what is asked for, and what is offered. Since version 3 of the protocol.

use super::rule;
use crate::limits::{BUNDLE_BYTES_MAX, BUNDLE_STEPS_MAX};
use reprise_abi::CodecError;
use reprise_receipts::{LedgerId, bundle::BundleKind, digest::BundleDigest, log::LOG_SIZE_MAX};
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleQuery {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Which kind of bundle.
    pub kind: BundleKind,
    /// First receipt; 0 of a checkpoint, which has all before it.
    pub from: u64,
    /// End of the range; of a checkpoint, its number of receipts. None: as far as the peer has it and wants to send it; the
    /// newest checkpoint.
    pub to: Option<u64>,
    /// Number of the stream, chosen by whoever asks.
    pub transfer: u64,
}

/// What is sent over the stream: a bundle as a file, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleOffer {
    /// End of its range; of a checkpoint, its number of receipts.
    pub to: u64,
    /// Its length.
    pub bytes: u64,
    /// Its digest: the last 32 bytes of the file.
    pub digest: BundleDigest,
}

impl BundleQuery {
    /// The offer is of what was asked for.
    #[must_use]
    pub fn is_met_by(&self, offer: &BundleOffer) -> bool {
        let is_short = self.kind == BundleKind::Checkpoint || offer.to <= self.from.saturating_add(BUNDLE_STEPS_MAX);
        self.from < offer.to && is_short && self.to.is_none_or(|to| to == offer.to)
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        let end = self.to.unwrap_or(LOG_SIZE_MAX);
        rule(self.from < end && end <= LOG_SIZE_MAX, "a bundle has at least one receipt, within the largest log")?;
        rule(self.kind != BundleKind::Checkpoint || self.from == 0, "a checkpoint has all receipts before it")
    }
}

impl BundleOffer {
    pub(super) fn validate(&self) -> Result<(), CodecError> {
        rule((1..=BUNDLE_BYTES_MAX).contains(&self.bytes), "a bundle that is sent has 1 byte to 4 GiB")?;
        rule((1..=LOG_SIZE_MAX).contains(&self.to), "a bundle ends within the largest log")
    }
}
