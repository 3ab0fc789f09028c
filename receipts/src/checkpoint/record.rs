//! What a node keeps of a checkpoint beside the signed note, and how checkpoints hang together.
//!
//! Every record claims a log, a time and a snapshot, and names the **continuity root** before it:
//!
//! ```text
//! claim digest(n) = derive("reprise 2026 checkpoint v1", encoded claim of checkpoint n)
//! continuity(n)   = derive("reprise 2026 continuity v1", continuity(n - 1) || claim digest(n))
//! continuity(-1)  = the ledger id
//! ```
//!
//! One continuity root therefore stands for all checkpoints of a ledger in their order, from its genesis on.
//!
//! **Retention.** The chunks of a snapshot may go, the signed note may go, and even a record may go: all that ancestry
//! needs of a checkpoint is its claim digest, 32 bytes, and those are kept for ever. An [`Ancestry`] is a list of
//! [`Link`]s, each a whole record or a digest only, and leads from one continuity root to another.

use crate::{
    digest::{CheckpointDigest, ContinuityRoot, LedgerId, LogRoot, derive},
    log::LOG_SIZE_MAX,
    snapshot::Manifest,
};
use reprise_abi::{Canonical, CodecError, encode};
use serde::{Deserialize, Serialize};

/// Version of the checkpoint records that this code writes.
pub const CHECKPOINT_FORMAT: u16 = 1;
/// Most links of one ancestry.
pub const ANCESTRY_LINKS_MAX: usize = 1 << 16;

/// What a checkpoint says of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointClaim {
    /// [`CHECKPOINT_FORMAT`].
    pub format: u16,
    /// Which ledger.
    pub ledger: LedgerId,
    /// Number of receipts, at least 1.
    pub size: u64,
    /// RFC 6962 root of them.
    pub log_root: LogRoot,
    /// Logical time of the last one, in milliseconds.
    pub logical_time_ms: u64,
    /// The state after the last one: its root is the `next_state` of that receipt.
    pub snapshot: Manifest,
}

/// A claim in its place in the chain of a ledger's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// What it says.
    pub claim: CheckpointClaim,
    /// Continuity root of the checkpoint before it, or [`ContinuityRoot::start`].
    pub previous: ContinuityRoot,
    /// Continuity root that this checkpoint makes of the one before.
    pub continuity: ContinuityRoot,
}

/// One checkpoint of an ancestry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "an ancestry is mostly of one kind, and short where it is of records")]
pub enum Link {
    /// All of it is kept.
    Record(CheckpointRecord),
    /// Only what the chain needs is kept.
    Claim(CheckpointDigest),
}

/// Checkpoints that follow one another without a gap, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestry {
    /// At most [`ANCESTRY_LINKS_MAX`].
    pub links: Vec<Link>,
}

/// Why checkpoints do not follow one another. Indices count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AncestryError {
    /// A record names another predecessor.
    #[error("checkpoint {index}: the continuity root before it is {expected}, it names {found}")]
    Previous {
        /// Position in the list.
        index: usize,
        /// What the checkpoints before it lead to.
        expected: ContinuityRoot,
        /// What the record names.
        found: ContinuityRoot,
    },
    /// A record is of another ledger than one before it.
    #[error("checkpoint {index} is of another ledger")]
    Ledger {
        /// Position in the list.
        index: usize,
    },
    /// The log does not grow, or logical time goes back.
    #[error("checkpoint {index}: size or logical time does not come after the record before it")]
    Order {
        /// Position in the list.
        index: usize,
    },
    /// The list leads elsewhere.
    #[error("the checkpoints lead to the continuity root {found}, expected {expected}")]
    End {
        /// Where it should lead.
        expected: ContinuityRoot,
        /// Where it leads.
        found: ContinuityRoot,
    },
}

impl ContinuityRoot {
    /// Before the first checkpoint of a ledger.
    #[must_use]
    pub fn start(ledger: LedgerId) -> Self {
        Self::from_bytes(*ledger.as_bytes())
    }

    /// After one more checkpoint.
    #[must_use]
    pub fn then(self, claim: CheckpointDigest) -> Self {
        let mut both = [0; 64];
        both[..32].copy_from_slice(self.as_bytes());
        both[32..].copy_from_slice(claim.as_bytes());
        Self::from_bytes(derive("reprise 2026 continuity v1", &both))
    }
}

impl CheckpointClaim {
    /// What the chain of checkpoints keeps of it for ever.
    #[must_use]
    pub fn digest(&self) -> CheckpointDigest {
        CheckpointDigest::from_bytes(derive("reprise 2026 checkpoint v1", &encode(self)))
    }

    /// Puts it after the checkpoint with that continuity root.
    #[must_use]
    pub fn after(self, previous: ContinuityRoot) -> CheckpointRecord {
        let continuity = previous.then(self.digest());
        CheckpointRecord { claim: self, previous, continuity }
    }
}

impl Link {
    /// The claim's digest, kept or computed.
    #[must_use]
    pub fn digest(&self) -> CheckpointDigest {
        match self {
            Self::Record(record) => record.claim.digest(),
            Self::Claim(digest) => *digest,
        }
    }
}

impl Ancestry {
    /// The checkpoints lead from one continuity root to the other; the records among them are in order.
    ///
    /// # Errors
    /// [`AncestryError`] with the first checkpoint that does not follow.
    pub fn verify(&self, from: ContinuityRoot, to: ContinuityRoot) -> Result<(), AncestryError> {
        let mut continuity = from;
        let mut last: Option<&CheckpointClaim> = None;
        for (index, link) in self.links.iter().enumerate() {
            if let Link::Record(record) = link {
                if record.previous != continuity {
                    return Err(AncestryError::Previous { index, expected: continuity, found: record.previous });
                }
                let claim = &record.claim;
                if last.is_some_and(|last| last.ledger != claim.ledger) {
                    return Err(AncestryError::Ledger { index });
                }
                let follows =
                    |last: &CheckpointClaim| last.size < claim.size && last.logical_time_ms <= claim.logical_time_ms;
                if !last.is_none_or(follows) {
                    return Err(AncestryError::Order { index });
                }
                last = Some(claim);
            }
            continuity = continuity.then(link.digest());
        }
        if continuity == to { Ok(()) } else { Err(AncestryError::End { expected: to, found: continuity }) }
    }
}

fn rule(holds: bool, kind: &'static str, rule: &'static str) -> Result<(), CodecError> {
    if holds { Ok(()) } else { Err(CodecError::Invalid { kind, rule }) }
}

impl Canonical for CheckpointClaim {
    const KIND: &'static str = "checkpoint claim";
    const BYTES_MAX: usize = 256;

    fn validate(&self) -> Result<(), CodecError> {
        rule(self.format == CHECKPOINT_FORMAT, Self::KIND, "the format version is 1")?;
        rule((1..=LOG_SIZE_MAX).contains(&self.size), Self::KIND, "a checkpoint has 1 to 2^48 receipts")?;
        self.snapshot.validate()
    }
}

impl Canonical for CheckpointRecord {
    const KIND: &'static str = "checkpoint record";
    const BYTES_MAX: usize = CheckpointClaim::BYTES_MAX + 64;

    fn validate(&self) -> Result<(), CodecError> {
        self.claim.validate()?;
        let continuity = self.previous.then(self.claim.digest());
        rule(self.continuity == continuity, Self::KIND, "the continuity root is that of the claim and the root before")
    }
}

impl Canonical for Ancestry {
    const KIND: &'static str = "ancestry";
    const BYTES_MAX: usize = 3 + ANCESTRY_LINKS_MAX * (1 + CheckpointRecord::BYTES_MAX);

    fn validate(&self) -> Result<(), CodecError> {
        rule(self.links.len() <= ANCESTRY_LINKS_MAX, Self::KIND, "there are at most 65536 links")?;
        self.links.iter().try_for_each(|link| match link {
            Link::Record(record) => record.validate(),
            Link::Claim(_) => Ok(()),
        })
    }
}
