//! What can go wrong with an archive, in terms of what can be done about it.

use super::StoreError;
use crate::journal::JournalError;
use reprise_receipts::{
    LedgerId, PackageDigest,
    checkpoint::CheckpointError,
    log::{LogError, LogProofError},
    trust_policy::PolicyRefusal,
};

/// Why an archive is not written, not read, or not relied on.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal cannot be used.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The log in the journal cannot be read.
    #[error("log: {0}; run `reprise doctor`")]
    Log(#[from] LogError),
    /// A file of the archive is not there.
    #[error("{0} is not in the archive")]
    Absent(String),
    /// A file of the archive is not what it should be.
    #[error("{name} is damaged: {reason}")]
    Damaged {
        /// Which.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that never changes is there, with other bytes.
    #[error("{0} is there already with other bytes: verify the archive, or write to an empty directory")]
    Conflict(String),
    /// The archive's checkpoint is not one, or not signed by the ledger's attester.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The archive's checkpoint is not trusted.
    #[error("checkpoint: {0}")]
    Policy(#[from] PolicyRefusal),
    /// The archive is of another ledger.
    #[error("the archive is of ledger {found}, not of {expected}")]
    OtherLedger {
        /// Which was asked for.
        expected: LedgerId,
        /// Which it is of.
        found: LedgerId,
    },
    /// The archive reaches further than what is to be written or compared.
    #[error("the archive has {archived} receipts already, more than {size}")]
    Longer {
        /// Receipts of the archive.
        archived: u64,
        /// Receipts that were asked for.
        size: u64,
    },
    /// Archive and journal have different histories.
    #[error("the archive's checkpoint over {size} receipts contradicts this ledger: they are two histories; keep both")]
    Fork {
        /// Receipts of the archive.
        size: u64,
    },
    /// The journal does not have the receipts that come after those of the archive.
    #[error("receipts {from}..{to} are neither in the archive nor in the journal: hydrate them from another archive")]
    Gap {
        /// The first of them.
        from: u64,
        /// The first that is in the journal.
        to: u64,
    },
    /// There is nothing to archive, or not so much.
    #[error("the ledger has {size} receipts: there is no checkpoint over {wanted}")]
    Beyond {
        /// Receipts of the ledger.
        size: u64,
        /// Receipts asked for.
        wanted: u64,
    },
    /// Nobody here can sign.
    #[error(
        "there is no checkpoint over {size} receipts, and this node's key is not the ledger's attester; \
         `reprise checkpoint list` shows those that are there"
    )]
    NoSigner {
        /// Receipts asked for.
        size: u64,
    },
    /// Nothing says that the log in the journal is the one that was signed before.
    #[error("the log of {size} receipts is not what the attestation of receipt {seq} signs: run `reprise doctor`")]
    NotAttested {
        /// Receipts asked for.
        size: u64,
        /// The attested receipt.
        seq: u64,
    },
    /// No receipt is attested.
    #[error("no receipt of the ledger is attested yet")]
    Unattested,
    /// A proof from the archive's tiles does not hold.
    #[error("the tiles of the archive: {0}")]
    Proof(#[from] LogProofError),
    /// The archive's log has another root.
    #[error("the receipts of the archive do not have the root that its checkpoint signs")]
    Root,
    /// The archive has no inputs and records.
    #[error("the archive has receipts only: `reprise archive write` adds what steps are done again from")]
    ReceiptsOnly,
    /// A package that a receipt names is not there.
    #[error("package {0}, which receipts of the archive name, is not in it")]
    NoPackage(PackageDigest),
    /// No checkpoint to begin with.
    #[error(
        "nothing can go: the ledger must begin with a checkpoint whose snapshot is kept, that is in the archive, that \
         leaves {keep} receipts, and that is 24 hours of logical time old, for so long may events come again; \
         `reprise checkpoint list` shows them"
    )]
    NothingToPrune {
        /// Receipts that are to stay.
        keep: u64,
    },
    /// The range to hydrate does not end where the journal begins.
    #[error("a journal has no gaps, and this one begins with receipt {first}: hydrate {from}..{first}")]
    WouldGap {
        /// First receipt asked for.
        from: u64,
        /// First receipt of the journal.
        first: u64,
    },
}

impl ArchiveError {
    pub(super) fn damaged(name: impl Into<String>, reason: impl ToString) -> Self {
        Self::Damaged { name: name.into(), reason: reason.to_string() }
    }
}
