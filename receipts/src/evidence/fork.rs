//! Forks: two logs of one ledger that the same key signed, neither of which is the beginning of the other.

use super::EvidenceError;
use crate::{
    attestation::{Attestation, PublicKey},
    checkpoint::{CHECKPOINT_BYTES_MAX, SignedCheckpoint},
    digest::{LeafHash, LedgerId, LogRoot},
    log::{InclusionProof, LogError, TileSource, prove_inclusion},
    receipt::Receipt,
};
use reprise_abi::{Canonical, CodecError, encode};
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
    /// Both receipts: they say in which epoch they were ordered. Not needed when both heads are attestations of one epoch.
    pub receipts: Option<Box<(Receipt, Receipt)>>,
}

/// A sequence number at which two logs differ, for [`Fork::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub seq: u64,
    /// The leaf in each log.
    pub leaves: [LeafHash; 2],
    /// The receipts, where they are known.
    pub receipts: Option<[Receipt; 2]>,
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
            Self::Checkpoint(_) => Ok(()),
            Self::Attestation(attestation) => attestation.validate(),
        }
    }
}

impl Fork {
    /// Of two heads, in either order; with the tiles of their logs when they are of different sizes.
    ///
    /// `differs_at` is where both logs have another leaf.
    ///
    /// # Errors
    /// [`LogError`]: a tile is missing. [`EvidenceError`] when it does not take that to make the fork: inside.
    pub fn new(
        one: (SignedHead, &dyn TileSource),
        other: (SignedHead, &dyn TileSource),
        differs_at: Option<Difference>,
    ) -> Result<Result<Self, EvidenceError>, LogError> {
        let (claims, swapped) = match (one.0.claim(), other.0.claim()) {
            (Ok(one), Ok(other)) => ([one, other], one.size > other.size),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let at = match differs_at {
            Some(Difference { seq, leaves, receipts }) => {
                let first = (leaves[0], prove_inclusion(one.1, claims[0].size, seq)?);
                let second = (leaves[1], prove_inclusion(other.1, claims[1].size, seq)?);
                let (first, second) = if swapped { (second, first) } else { (first, second) };
                let ordered = |[a, b]: [Receipt; 2]| Box::new(if swapped { (b, a) } else { (a, b) });
                Some(ForkedLeaf { seq, first, second, receipts: receipts.map(ordered) })
            }
            None => None,
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
            None => self.one_epoch(),
            Some(at) => {
                if at.first.0 == at.second.0 {
                    return Err(EvidenceError::Same);
                }
                at.first.1.verify(&first.log_root, first.size, at.seq, &at.first.0)?;
                at.second.1.verify(&second.log_root, second.size, at.seq, &at.second.0)?;
                self.one_epoch()
            }
        }
    }

    /// What differs was ordered in one epoch: an owner that lost its epoch may sign another receipt in its place later.
    /// Both receipts show it; or both attestations, since within an epoch a log only grows; or an attestation without
    /// epoch, which only a ledger has that cannot change it.
    fn one_epoch(&self) -> Result<(), EvidenceError> {
        let heads = [&self.first, &self.second].map(|head| match head {
            SignedHead::Checkpoint(_) => None,
            SignedHead::Attestation(attestation) => Some(attestation.body.epoch),
        });
        let by_heads = heads.contains(&Some(None)) || heads[0].is_some() && heads[0] == heads[1];
        let by_receipts = || {
            let at = self.at.as_ref()?;
            let (first, second) = &**at.receipts.as_ref()?;
            let are_there = (LeafHash::of(&encode(first)), LeafHash::of(&encode(second))) == (at.first.0, at.second.0);
            Some(are_there && first.epoch == second.epoch)
        };
        if by_heads || by_receipts() == Some(true) { Ok(()) } else { Err(EvidenceError::OtherEpoch) }
    }

    pub(super) fn ledger(&self) -> Result<LedgerId, EvidenceError> {
        Ok(self.first.claim()?.ledger)
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        self.first.validate()?;
        self.second.validate()?;
        let Some(at) = &self.at else { return Ok(()) };
        if let Some(receipts) = &at.receipts {
            receipts.0.validate()?;
            receipts.1.validate()?;
        }
        at.first.1.validate()?;
        at.second.1.validate()
    }
}
