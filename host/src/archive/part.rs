//! Parts: inputs, step records and attestations of consecutive steps, behind a digest.
//!
//! ```text
//! file = derive_key("reprise 2026 archive steps v1", encoded StepsPart), encoded StepsPart
//! ```
//!
//! The digest tells damage from forgery: what the steps really are, their receipts say.

use super::{
    ArchiveError,
    layout::{self, SEAL_BYTES},
};
use reprise_abi::{Canonical, CodecError, decode_canonical, encode, limits::INPUT_BYTES_MAX};
use reprise_receipts::{
    Attestation, Attesters, InputDigest, LeafHash, LedgerId, Receipt, StepRecord,
    bundle::{BUNDLE_GRANTS_MAX, BUNDLE_RECORD_BYTES_MAX},
    system::epochs::EpochRecord,
};
use serde::{Deserialize, Serialize};

/// Bytes of steps after which a part ends.
pub const PART_BYTES_TARGET: usize = 8 * 1024 * 1024;
/// Longest part, in bytes: one step beyond the target, and the bookkeeping of 256.
pub const PART_BYTES_MAX: usize = PART_BYTES_TARGET + STEP_BYTES_MAX + 256 * 64;

/// Longest step without its receipt, in bytes.
pub(super) const STEP_BYTES_MAX: usize = INPUT_BYTES_MAX + BUNDLE_RECORD_BYTES_MAX + Attestation::BYTES_MAX;
const FORMAT: u16 = 1;
const CONTEXT: &str = "reprise 2026 archive steps v1";

/// Consecutive steps of one tile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepsPart {
    /// 1.
    pub format: u16,
    /// Which ledger.
    pub ledger: LedgerId,
    /// Sequence number of the first step.
    pub first: u64,
    /// At least one.
    pub steps: Vec<StepParts>,
}

/// What there is of a step beside its receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepParts {
    /// The encoded input.
    pub input: Vec<u8>,
    /// The encoded step record.
    pub record: Vec<u8>,
    /// The encoded attestation over the receipt, if there is one.
    pub attestation: Option<Vec<u8>>,
}

/// A step with its receipt, all of it held against the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedStep {
    /// The receipt.
    pub receipt: Receipt,
    /// The receipt, encoded.
    pub receipt_bytes: Vec<u8>,
    /// The rest.
    pub parts: StepParts,
    /// The attestation over it, whose signature holds.
    pub attestation: Option<Attestation>,
}

impl StepsPart {
    /// A part without steps yet.
    pub(super) fn new(ledger: LedgerId, first: u64) -> Self {
        Self { format: FORMAT, ledger, first, steps: Vec::new() }
    }

    /// The file.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        layout::seal(CONTEXT, &encode(self))
    }

    /// Reads a file called `name`.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`].
    pub fn of_file(name: &str, file: &[u8]) -> Result<Self, ArchiveError> {
        decode_canonical(layout::unseal(CONTEXT, name, file)?).map_err(|error| ArchiveError::damaged(name, error))
    }
}

/// The epochs of the archived ledger after its first: the file `reprise/epochs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedEpochs {
    /// As the ledger's state has them, ascending.
    pub records: Vec<EpochRecord>,
}

impl Canonical for ArchivedEpochs {
    const KIND: &'static str = "archived epochs";
    const BYTES_MAX: usize = 8 + BUNDLE_GRANTS_MAX * EpochRecord::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.records.iter().try_for_each(Canonical::validate)
    }
}

impl StepParts {
    /// Bytes of all of it.
    pub(super) fn bytes(&self) -> usize {
        self.input.len() + self.record.len() + self.attestation.as_ref().map_or(0, Vec::len)
    }

    /// Holds a step against its receipt, and an attestation against the attester. What the receipt itself is worth is
    /// for the log to say.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn check(
        self,
        seq: u64,
        ledger: LedgerId,
        receipt_bytes: Vec<u8>,
        attesters: &Attesters,
    ) -> Result<ArchivedStep, &'static str> {
        let receipt: Receipt = decode_canonical(&receipt_bytes).map_err(|_| "the receipt does not decode")?;
        if (receipt.seq, receipt.ledger) != (seq, ledger) {
            return Err("the receipt is of another place or ledger");
        }
        if InputDigest::of(&self.input) != receipt.input {
            return Err("the input is not that of the receipt");
        }
        let record: StepRecord = decode_canonical(&self.record).map_err(|_| "the step record does not decode")?;
        if record.digests() != (receipt.diff, receipt.output) {
            return Err("the step record is not that of the receipt");
        }
        let attestation = self.attestation.as_deref().map(decode_canonical::<Attestation>).transpose();
        let attestation = attestation.map_err(|_| "the attestation does not decode")?;
        let holds = attestation.as_ref().is_none_or(|made| {
            let body = &made.body;
            let of_it = (body.seq, body.ledger, body.leaf) == (seq, ledger, LeafHash::of(&receipt_bytes));
            of_it && attesters.verify_in(receipt.epoch, made).is_ok()
        });
        if !holds {
            return Err("the attestation is not the attester's over this receipt");
        }
        Ok(ArchivedStep { receipt, receipt_bytes, parts: self, attestation })
    }
}

impl Canonical for StepsPart {
    const KIND: &'static str = "archived steps";
    const BYTES_MAX: usize = PART_BYTES_MAX - SEAL_BYTES;

    fn validate(&self) -> Result<(), CodecError> {
        if self.format == FORMAT && !self.steps.is_empty() && self.steps.len() <= 256 {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "the format version is 1, and there are 1 to 256 steps" })
    }
}
