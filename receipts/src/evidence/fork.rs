//! Forks: two logs of one ledger that the same key signed, neither of which is the beginning of the other.

use super::EvidenceError;
use crate::{
    attestation::{Attestation, PublicKey},
    checkpoint::{CHECKPOINT_BYTES_MAX, SignedCheckpoint},
    digest::{LeafHash, LedgerId, LogRoot},
    log::{InclusionProof, LogError, TileSource, prove_inclusion},
};
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};

/// A log that is signed: by a checkpoint, or by an attestation, which names the root of the log up to its receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignedHead {
    /// A signed note, to the byte.
    Checkpoint(String),
    /// An attestation.
    Attestation(Attestation),
}

/// Two logs of one ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The shorter log, or one of two of the same size.
    pub first: SignedHead,
    /// The other.
    pub second: SignedHead,
    /// Where they differ, if they are not of the same size.
    pub at: Option<ForkedLeaf>,
}

/// A sequence number that has another receipt in each of two logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkedLeaf {
    /// Which.
    pub seq: u64,
    /// Leaf hash in the first log, and that it is there.
    pub first: (LeafHash, InclusionProof),
    /// The same of the second.
    pub second: (LeafHash, InclusionProof),
}

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadClaim {
    pub(super) ledger: LedgerId,
    pub(super) size: u64,
    pub(super) log_root: LogRoot,
}

impl SignedHead {
    /// Ledger, size and root. The signature is not verified.
    pub(super) fn claim(&self) -> Result<HeadClaim, EvidenceError> {
        match self {
            Self::Checkpoint(note) => {
                let checkpoint = *SignedCheckpoint::parse(note.as_bytes())?.checkpoint();
                Ok(HeadClaim { ledger: checkpoint.ledger, size: checkpoint.size, log_root: checkpoint.log_root })
            }
            Self::Attestation(Attestation { body, .. }) => {
                let size = body.seq.checked_add(1).ok_or(EvidenceError::Mismatch("sequence number"))?;
                Ok(HeadClaim { ledger: body.ledger, size, log_root: body.log_root })
            }
        }
    }

    /// Number of receipts in the log.
    ///
    /// # Errors
    /// [`EvidenceError::Checkpoint`]: the note is no checkpoint.
    pub fn size(&self) -> Result<u64, EvidenceError> {
        Ok(self.claim()?.size)
    }

    /// `key` signed it.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<HeadClaim, EvidenceError> {
        match self {
            Self::Checkpoint(note) => drop(SignedCheckpoint::parse(note.as_bytes())?.verify(key)?),
            Self::Attestation(attestation) => attestation.verify(key)?,
        }
        self.claim()
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        match self {
            Self::Checkpoint(note) if note.len() > CHECKPOINT_BYTES_MAX => {
                Err(CodecError::Invalid { kind: "evidence", rule: "a checkpoint has at most 128 KiB" })
            }
            _ => Ok(()),
        }
    }
}

impl Fork {
    /// Of two heads, in either order; with the tiles of their logs when they are of different sizes.
    ///
    /// `differs_at` is a sequence number that both logs have, with another leaf in each.
    ///
    /// # Errors
    /// [`LogError`]: a tile is missing. [`EvidenceError`] when it does not take that to make the fork: inside.
    pub fn new(
        one: (SignedHead, &dyn TileSource),
        other: (SignedHead, &dyn TileSource),
        differs_at: Option<(u64, [LeafHash; 2])>,
    ) -> Result<Result<Self, EvidenceError>, LogError> {
        let (claims, swapped) = match (one.0.claim(), other.0.claim()) {
            (Ok(one), Ok(other)) => ([one, other], one.size > other.size),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let at = match differs_at {
            Some((seq, leaves)) if claims[0].size != claims[1].size => {
                let first = (leaves[0], prove_inclusion(one.1, claims[0].size, seq)?);
                let second = (leaves[1], prove_inclusion(other.1, claims[1].size, seq)?);
                let (first, second) = if swapped { (second, first) } else { (first, second) };
                Some(ForkedLeaf { seq, first, second })
            }
            _ => None,
        };
        let (first, second) = if swapped { (other.0, one.0) } else { (one.0, other.0) };
        Ok(Ok(Self { first, second, at }))
    }

    /// `key` signed both logs, and neither is the beginning of the other.
    ///
    /// # Errors
    /// [`EvidenceError`]: a signature does not hold, or the logs may be one log.
    pub fn verify(&self, key: &PublicKey) -> Result<(), EvidenceError> {
        self.first.verify(key)?;
        self.second.verify(key)?;
        self.contradiction()
    }

    /// Neither log is the beginning of the other, whoever signed them.
    ///
    /// # Errors
    /// [`EvidenceError`]: the logs may be one log, or are of different ledgers.
    pub fn contradiction(&self) -> Result<(), EvidenceError> {
        let (first, second) = (self.first.claim()?, self.second.claim()?);
        if first.ledger != second.ledger {
            return Err(EvidenceError::OtherLedger { first: first.ledger, second: second.ledger });
        }
        match &self.at {
            None if first.size != second.size => {
                Err(EvidenceError::NoDifference { first: first.size, second: second.size })
            }
            None if first.log_root == second.log_root => Err(EvidenceError::Same),
            None => Ok(()),
            Some(at) => {
                if at.first.0 == at.second.0 {
                    return Err(EvidenceError::Same);
                }
                at.first.1.verify(&first.log_root, first.size, at.seq, &at.first.0)?;
                Ok(at.second.1.verify(&second.log_root, second.size, at.seq, &at.second.0)?)
            }
        }
    }

    pub(super) fn ledger(&self) -> Result<LedgerId, EvidenceError> {
        Ok(self.first.claim()?.ledger)
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        self.first.validate()?;
        self.second.validate()?;
        let Some(at) = &self.at else { return Ok(()) };
        at.first.1.validate()?;
        at.second.1.validate()
    }
}
