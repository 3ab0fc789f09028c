//! What a member must not forget: kept by the host, durable before anything that follows from it is sent.

use super::{GrantError, Roster, SignedGrant};
use crate::message::{Mark, NodeKey};
use reprise_abi::{Canonical, CodecError};
use reprise_receipts::LedgerId;
use serde::{Deserialize, Serialize};

/// Version of the standing that this code writes.
pub const STANDING_FORMAT: u16 = 2;
/// The format before: its grants named no attester, and none of them was ever carried out.
const STANDING_FORMAT_BEFORE: u16 = 1;

/// A member's promises and signatures on one ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// [`STANDING_FORMAT`].
    pub format: u16,
    /// Which ledger.
    pub ledger: LedgerId,
    /// Lower epochs are refused.
    pub promised: u64,
    /// Who owns the ledger in that epoch.
    pub owner: NodeKey,
    /// The grant that says so; none in the first epoch.
    pub grant: Option<SignedGrant>,
    /// The epoch whose owner the log was last brought in line with: the log holds all that this owner began with.
    pub log_epoch: u64,
    /// So many receipts are known to be durable on a quorum: they never change again.
    pub committed: u64,
    /// The largest log that this node has signed. It never follows a log that is not an extension of it.
    pub signed: Mark,
    /// The largest log that a quorum has cosigned.
    pub last_final: Mark,
    /// The ledger does not advance, and why.
    pub suspended: Option<Suspension>,
    /// The node has lost what it knew of this ledger: it does not promise, count or sign until it is in line again.
    pub rejoining: bool,
}

/// Why a ledger does not advance on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Suspension {
    /// The state or the log here is not what the receipts say.
    #[error("the state or the log of this node is not what its receipts say")]
    CorruptHere,
    /// The owner's log contradicts what is committed or signed here.
    #[error("the owner's log contradicts receipts that are committed or signed here, from sequence number {at} on")]
    Contradiction {
        /// First receipt that differs.
        at: u64,
    },
    /// A step of the owner gives another receipt here.
    #[error("step {at} gives another receipt here than at the owner")]
    ExecutionFault {
        /// Which step.
        at: u64,
    },
    /// The owner has signed two histories.
    #[error("the owner has signed two histories that contradict each other at {at}")]
    Equivocation {
        /// First place that is signed twice.
        at: u64,
    },
    /// The histories cannot be compared: package, engine or history is missing.
    #[error("the histories cannot be compared: a package, an engine profile or history is missing")]
    Incomparable,
    /// An operator has ordered it.
    #[error("an operator has suspended the ledger")]
    Ordered,
}

impl Standing {
    /// Of a member that has not promised or signed anything.
    #[must_use]
    pub fn new(roster: &Roster) -> Self {
        Self {
            format: STANDING_FORMAT,
            ledger: roster.ledger,
            promised: roster.first_epoch,
            owner: roster.first_owner,
            grant: None,
            log_epoch: roster.first_epoch,
            committed: 0,
            signed: Mark::EMPTY,
            last_final: Mark::EMPTY,
            suspended: None,
            rejoining: false,
        }
    }

    /// So many receipts are never taken back here.
    #[must_use]
    pub fn protected(&self) -> u64 {
        self.committed.max(self.signed.size).max(self.last_final.size)
    }

    /// Takes a grant over, if it is the first of its epoch and no lower than what is promised. Answers whether anything
    /// changed.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn promise(&mut self, signed: &SignedGrant, roster: &Roster) -> Result<bool, GrantError> {
        let grant = signed.verify(roster)?;
        if grant.epoch < self.promised {
            return Err(GrantError::LowerEpoch { promised: self.promised, found: grant.epoch });
        }
        if grant.epoch == self.promised {
            let same = grant.owner == self.owner;
            return if same {
                Ok(false)
            } else {
                Err(GrantError::EpochTaken { epoch: grant.epoch, owner: self.owner })
            };
        }
        self.format = STANDING_FORMAT;
        (self.promised, self.owner, self.grant) = (grant.epoch, grant.owner, Some(signed.clone()));
        Ok(true)
    }

    /// Takes over what the log here says: its last epoch, which this grant began. Whoever orders or keeps a receipt of an
    /// epoch has all of the log that the epoch began with. Answers whether anything changed.
    ///
    /// The ledger has checked the signatures, and the roster may be a later one than the grant names.
    pub fn catch_up(&mut self, signed: &SignedGrant) -> bool {
        let epoch = signed.grant.epoch;
        let is_known = epoch == self.promised && (self.log_epoch == epoch || self.owner != signed.grant.owner);
        if epoch < self.promised || is_known {
            return false;
        }
        self.format = STANDING_FORMAT;
        (self.promised, self.owner, self.log_epoch) = (epoch, signed.grant.owner, epoch);
        self.grant = Some(signed.clone());
        true
    }
}

impl Canonical for Standing {
    const KIND: &'static str = "standing";
    const BYTES_MAX: usize = 256 + SignedGrant::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        let is_known =
            self.format == STANDING_FORMAT || (self.format == STANDING_FORMAT_BEFORE && self.grant.is_none());
        rule(is_known, "the format version is 2, or 1 without a grant")?;
        rule(self.log_epoch <= self.promised, "the log is not of a later epoch than is promised")?;
        let Some(grant) = &self.grant else { return Ok(()) };
        let says = (grant.grant.epoch, grant.grant.owner) == (self.promised, self.owner);
        rule(says, "the grant is the one of the promised epoch")?;
        grant.validate()
    }
}
