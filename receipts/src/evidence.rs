//! Evidence: a self-contained proof that the holder of a key signed something wrong.
//!
//! | kind | what was signed | what is wrong with it |
//! | --- | --- | --- |
//! | [`Equivocation`] | two attestations over one sequence number and epoch of one ledger | they differ |
//! | [`Fork`] | two logs of one ledger | neither is the beginning of the other, and one epoch ordered what differs |
//! | [`ExecutionFault`] | a log with a receipt in it | the step, done again, gives another receipt |
//!
//! All of them are checked with the public key alone. The last one has to be executed: [`ExecutionFault::open`] checks
//! everything else and gives the head before the step, on a witness of the state.
//!
//! ```text
//! file = "reprise evidence\n", version u16 (little-endian), encoded Evidence
//! ```

mod fault;
mod fork;

pub use self::{
    fault::{ExecutionFault, OpenFault},
    fork::{Difference, Fork, ForkedLeaf, SignedHead},
};

use crate::{
    attestation::{Attestation, AttestationError, PublicKey},
    bundle::skim,
    checkpoint::CheckpointError,
    digest::LedgerId,
    log::LogProofError,
    witness::WitnessError,
};
use reprise_abi::{Canonical, CodecError, decode_canonical, encode};
use serde::{Deserialize, Serialize};

/// First bytes of every file of evidence.
pub const EVIDENCE_MAGIC: &[u8; 17] = b"reprise evidence\n";
/// Version of the format that this code writes and reads.
pub const EVIDENCE_VERSION: u16 = 2;
/// Longest file of evidence, in bytes: packages and a witness, 32 MiB together.
pub const EVIDENCE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A proof that the holder of a key signed something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Two attestations over one sequence number.
    Equivocation(Box<Equivocation>),
    /// Two logs of one ledger.
    Fork(Box<Fork>),
    /// A receipt that replays to another one.
    ExecutionFault(Box<ExecutionFault>),
}

/// One key, one ledger, sequence number and epoch, two bodies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// The one whose encoding sorts first.
    pub first: Attestation,
    /// The other.
    pub second: Attestation,
}

/// Why evidence does not hold, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The file begins with something else.
    #[error("the file is not evidence")]
    Magic,
    /// Written by another version.
    #[error(
        "evidence version {found} is not supported; this version reads {EVIDENCE_VERSION}. Version 1 does not say in which \
         epoch it was signed: make it anew from what it was made of"
    )]
    Version {
        /// What the file says.
        found: u16,
    },
    /// The file is longer than evidence can be.
    #[error("the file is longer than {EVIDENCE_BYTES_MAX} bytes: it is not evidence")]
    TooLong,
    /// A list in it is longer than it can be, or it has not the shape of its kind.
    #[error("the evidence has more parts than there can be, or is none")]
    TooMany,
    /// The object is not one.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// A signature does not hold, or is another key's.
    #[error("{0}")]
    Attestation(#[from] AttestationError),
    /// A checkpoint is not one, or not signed by the key.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Two ledgers do not contradict each other.
    #[error("the two signatures are about different ledgers: {first} and {second}")]
    OtherLedger {
        /// Of the first.
        first: LedgerId,
        /// Of the second.
        second: LedgerId,
    },
    /// Two attestations over different receipts do not contradict each other by themselves.
    #[error("the two attestations are over different receipts: {first} and {second}")]
    OtherSeq {
        /// Of the first.
        first: u64,
        /// Of the second.
        second: u64,
    },
    /// An owner that lost its epoch may sign another receipt in the same place under a later one.
    #[error("what differs was ordered in different epochs, or the evidence does not show in which")]
    OtherEpoch,
    /// What was signed twice is the same.
    #[error("the two signatures say the same")]
    Same,
    /// Two logs of different sizes need a receipt in which they differ.
    #[error("two logs of {first} and {second} receipts: one may be the beginning of the other")]
    NoDifference {
        /// Receipts of the first.
        first: u64,
        /// Receipts of the second.
        second: u64,
    },
    /// A receipt is not in the log that is signed.
    #[error("inclusion proof: {0}")]
    Proof(#[from] LogProofError),
    /// What is signed is about another ledger than the genesis record, or another receipt.
    #[error("the {0} is not the one that the signed receipt names")]
    Mismatch(&'static str),
    /// The witness is not one of the state before the step.
    #[error("{0}")]
    Witness(#[from] WitnessError),
    /// The witness gives the state a size that it cannot have.
    #[error("the witness says that the state has {found} bytes, which cannot be")]
    WitnessSize {
        /// What it says.
        found: u64,
    },
}

impl Evidence {
    /// The evidence as a file.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let mut file = EVIDENCE_MAGIC.to_vec();
        file.extend_from_slice(&EVIDENCE_VERSION.to_le_bytes());
        file.extend_from_slice(&encode(self));
        file
    }

    /// Reads a file. Nothing is verified.
    ///
    /// # Errors
    /// [`EvidenceError`]: it is not evidence, or of another version.
    pub fn from_file(file: &[u8]) -> Result<Self, EvidenceError> {
        let rest = file.strip_prefix(EVIDENCE_MAGIC).ok_or(EvidenceError::Magic)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(EvidenceError::Magic)?;
        let found = u16::from_le_bytes(*version);
        if found != EVIDENCE_VERSION {
            return Err(EvidenceError::Version { found });
        }
        if rest.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLong);
        }
        // In memory an item of a list takes many times the bytes that it can be encoded in.
        skim::evidence(rest).ok_or(EvidenceError::TooMany)?;
        Ok(decode_canonical(rest)?)
    }

    /// The ledger that it is about, as it says.
    ///
    /// # Errors
    /// [`EvidenceError::Checkpoint`]: a note in it is no checkpoint.
    pub fn ledger(&self) -> Result<LedgerId, EvidenceError> {
        match self {
            Self::Equivocation(equivocation) => Ok(equivocation.first.body.ledger),
            Self::Fork(fork) => fork.ledger(),
            Self::ExecutionFault(fault) => Ok(fault.genesis.ledger_id()),
        }
    }

    /// Name of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Equivocation(_) => "equivocation",
            Self::Fork(_) => "fork",
            Self::ExecutionFault(_) => "execution fault",
        }
    }
}

impl Equivocation {
    /// Of two attestations, in either order.
    #[must_use]
    pub fn new(one: Attestation, other: Attestation) -> Self {
        let (first, second) = if encode(&one) <= encode(&other) { (one, other) } else { (other, one) };
        Self { first, second }
    }

    /// `key` signed both, about the same place, and they differ.
    ///
    /// # Errors
    /// [`EvidenceError`]: a signature does not hold, or they do not contradict each other.
    pub fn verify(&self, key: &PublicKey) -> Result<(), EvidenceError> {
        self.first.verify(key)?;
        self.second.verify(key)?;
        let (first, second) = (&self.first.body, &self.second.body);
        if first.ledger != second.ledger {
            return Err(EvidenceError::OtherLedger { first: first.ledger, second: second.ledger });
        }
        if first.seq != second.seq {
            return Err(EvidenceError::OtherSeq { first: first.seq, second: second.seq });
        }
        if first.epoch != second.epoch {
            return Err(EvidenceError::OtherEpoch);
        }
        if first == second { Err(EvidenceError::Same) } else { Ok(()) }
    }
}

impl Canonical for Evidence {
    const KIND: &'static str = "evidence";
    const BYTES_MAX: usize = EVIDENCE_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        match self {
            Self::Equivocation(both) => {
                both.first.validate()?;
                both.second.validate()?;
                let rule = "the attestations are in the order of their bytes";
                let in_order = encode(&both.first) <= encode(&both.second);
                if in_order { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) }
            }
            Self::Fork(fork) => fork.validate(),
            Self::ExecutionFault(fault) => fault.validate(),
        }
    }
}

#[cfg(test)]
mod tests;
