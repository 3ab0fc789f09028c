//! A final mark in a bundle: the mark, and the proof that what its signers signed and the bundle are of one log.
//!
//! One of the two logs is the beginning of the other. A mark of fewer receipts than the bundle's log makes those final; one
//! of more makes all of the bundle final. Either way one consistency proof says it.

use super::{BundleError, Place};
use crate::{
    digest::{LeafHash, LedgerId, LogRoot},
    finality::{FinalMark, FinalityError},
    log::{ConsistencyProof, LogError, TileSource, prove_consistency},
};
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};

/// What a bundle carries of what is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleMark {
    /// Who signed which log.
    pub mark: FinalMark,
    /// That the shorter log, of the mark and of the bundle, is the beginning of the longer one.
    pub proof: ConsistencyProof,
}

/// The log of a bundle, up to and including its last receipt.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogOfBundle {
    pub ledger: LedgerId,
    pub size: u64,
    pub last: LeafHash,
    pub root: LogRoot,
}

impl BundleMark {
    /// For a bundle whose last receipt is the one before `end`, from tiles of a log that has both.
    ///
    /// # Errors
    /// [`LogError`]: a tile is missing, as where a ledger begins with a checkpoint.
    pub fn of(mark: FinalMark, end: u64, source: &(impl TileSource + ?Sized)) -> Result<Self, LogError> {
        let proof = prove_consistency(source, mark.size().min(end), mark.size().max(end))?;
        Ok(Self { mark, proof })
    }

    pub(super) fn check(&self, place: Place, log: &LogOfBundle) -> Result<(), BundleError> {
        self.holds(log).map_err(|error| BundleError::Final { place, error })
    }

    fn holds(&self, log: &LogOfBundle) -> Result<(), FinalityError> {
        let (mark, size, here) = (&self.mark, self.mark.size(), log.size);
        if mark.ledger() != log.ledger {
            return Err(FinalityError::OtherLedger(mark.ledger()));
        }
        mark.verify()?;
        if size == here && mark.leaf() != log.last {
            return Err(FinalityError::OtherReceipt { seq: mark.receipt.seq });
        }
        if size > here {
            let leads = self.proof.verify(here, &log.root, size, &mark.log_root);
            return leads.map_err(|_| FinalityError::Beyond { size, here });
        }
        let begins = self.proof.verify(size, &mark.log_root, here, &log.root);
        begins.map_err(|_| FinalityError::OtherLog { size, here })
    }
}

impl Canonical for BundleMark {
    const KIND: &'static str = "final mark of a bundle";
    const BYTES_MAX: usize = FinalMark::BYTES_MAX + ConsistencyProof::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.mark.validate()?;
        self.proof.validate()
    }
}
