//! The receipt: what a step claims; and the step record that the claim is about.

use crate::digest::{
    DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LedgerId, OutputDigest, PackageDigest,
    StateRoot,
};
use reprise_abi::{
    Canonical, CodecError, Diff, Effect, Outcome, OutcomeClass, TimerChange, encode,
    limits::{RECEIPT_BYTES_MAX, STEP_RECORD_BYTES_MAX},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the receipt format that this code writes.
pub const RECEIPT_FORMAT: u16 = 1;

/// What a step claims. Nothing in it depends on which node made it: every honest node has the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: u16,
    /// Which ledger.
    pub ledger: LedgerId,
    /// Position in the ledger, from 0.
    pub seq: u64,
    /// The fencing token the input was ordered under.
    pub epoch: u64,
    /// Which rules are in force.
    pub protocol_epoch: u32,
    /// Which engine and settings.
    pub engine_profile: EngineProfileDigest,
    /// Which policy.
    pub package: PackageDigest,
    /// Which input.
    pub input: InputDigest,
    /// Logical time of the step in milliseconds.
    pub logical_time_ms: u64,
    /// State root before.
    pub prior_state: StateRoot,
    /// State root after.
    pub next_state: StateRoot,
    /// What changed.
    pub diff: DiffDigest,
    /// How it was computed.
    pub execution: ExecutionRoot,
    /// What it answered, and what should happen outside.
    pub output: OutputDigest,
    /// How it ended.
    pub class: OutcomeClass,
    /// The code within the class.
    pub code: u32,
    /// Fuel charged: comparable only under the same engine profile.
    pub fuel: u64,
    /// RFC 6962 leaf hash of the receipt before, or [`LeafHash::NONE`].
    pub previous: LeafHash,
}

impl Canonical for Receipt {
    const KIND: &'static str = "receipt";
    const BYTES_MAX: usize = RECEIPT_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        if self.format == RECEIPT_FORMAT {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "the format version is 1" })
    }
}

impl LeafHash {
    /// RFC 6962 section 2.1: SHA-256 of a zero byte and the encoded receipt.
    #[must_use]
    pub fn of(encoded_receipt: &[u8]) -> Self {
        Self::from_bytes(Sha256::new().chain_update([0]).chain_update(encoded_receipt).finalize().into())
    }
}

/// Everything that leaves a step beside its diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutput {
    /// How it ended, with the answer.
    pub outcome: Outcome,
    /// What the outside world should do; empty unless accepted.
    pub effects: Vec<Effect>,
    /// What happens to the timers; empty unless accepted.
    pub timers: Vec<TimerChange>,
}

impl Canonical for StepOutput {
    const KIND: &'static str = "step output";
    const BYTES_MAX: usize = STEP_RECORD_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        if self.outcome.is_accepted() || (self.effects.is_empty() && self.timers.is_empty()) {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "only an accepted step has effects or timers" })
    }
}

/// A diff and an output as they are kept beside a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// What changed.
    pub diff: Diff,
    /// What left the step.
    pub output: StepOutput,
}

impl StepRecord {
    /// Digests of its two halves, as a receipt names them.
    #[must_use]
    pub fn digests(&self) -> (DiffDigest, OutputDigest) {
        (DiffDigest::of(&encode(&self.diff)), OutputDigest::of(&encode(&self.output)))
    }

    /// The encoding of a record, from the encodings of its halves.
    #[must_use]
    pub fn join(mut diff: Vec<u8>, output: &[u8]) -> Vec<u8> {
        diff.extend_from_slice(output);
        diff
    }
}

impl Canonical for StepRecord {
    const KIND: &'static str = "step record";
    const BYTES_MAX: usize = STEP_RECORD_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.diff.validate()?;
        self.output.validate()
    }
}
