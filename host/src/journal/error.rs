//! What can go wrong with the journal, in terms of what the operator can do about it.

use std::{fmt, io};

/// A kind of record, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A package.
    Package,
    /// A genesis record.
    Genesis,
    /// A row of steps: where in it one begins and ends.
    Steps,
    /// An input.
    Input,
    /// A receipt.
    Receipt,
    /// A step record: diff and output.
    StepRecord,
    /// An attestation.
    Attestation,
    /// Keys and values.
    State,
    /// A tile of the log.
    LogNode,
    /// When a ledger makes checkpoints.
    Settings,
    /// A checkpoint's record or note.
    Checkpoint,
    /// A chunk of a snapshot.
    Chunk,
    /// A case of quarantine, or a record in it.
    Quarantine,
    /// A plan that is being carried out.
    Plan,
    /// What is on record of a rewind.
    Rewind,
    /// Where a ledger begins on this node.
    Base,
    /// What an imported checkpoint comes after.
    Ancestry,
    /// What members have made final.
    Final,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is a file already where a new journal should go.
    #[error("there is a journal already")]
    Exists,
    /// There is no journal.
    #[error("there is no journal: create a node with `reprise init`")]
    NotThere,
    /// Another process has it open.
    #[error("another process has the journal open: wait until it ends, or stop it")]
    Locked,
    /// The last process did not close it, and it was opened for reading only.
    #[error("the journal was not closed: open it for writing once (`reprise status`)")]
    NeedsRepair,
    /// Opened for reading.
    #[error("the journal was opened for reading only")]
    ReadOnly,
    /// Written by another version.
    #[error("journal format {found:?} is not supported; this version reads \"reprise journal v2\"")]
    Format {
        /// What the journal says of itself.
        found: String,
    },
    /// The disk is full, or the file may not grow.
    #[error("no space left on the disk: make room and submit again; nothing acknowledged is lost")]
    NoSpace,
    /// No permission to write.
    #[error("no permission to use the journal: check owner and mode of the node's directory")]
    Permission,
    /// Nothing is staged under the digest of what is imported.
    #[error("nothing of the import is staged here any more: import it again")]
    NotStaged,
    /// A ledger went on while something was imported into it.
    #[error("what was staged begins with receipt {staged}, but the ledger has {size} now: import it again")]
    Meets {
        /// First receipt that was staged.
        staged: u64,
        /// Receipts of the ledger.
        size: u64,
    },
    /// One record is not what it should be.
    #[error("{kind} {name} is damaged: {reason}")]
    Damaged {
        /// Kind of the record.
        kind: RecordKind,
        /// Which one.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The database itself is damaged.
    #[error("the database file is damaged: {reason}; restore the node's directory from a copy")]
    Corrupt {
        /// What redb says.
        reason: String,
    },
    /// Anything else that the database reports.
    #[error("the database failed: {0}")]
    Database(Box<redb::Error>),
}

impl JournalError {
    pub(crate) fn damaged(kind: RecordKind, name: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Damaged { kind, name: name.to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Package => "package",
            Self::Genesis => "genesis record",
            Self::Steps => "row of steps",
            Self::Input => "input",
            Self::Receipt => "receipt",
            Self::StepRecord => "step record",
            Self::Attestation => "attestation",
            Self::State => "state",
            Self::LogNode => "log tile",
            Self::Settings => "checkpoint settings record of ledger number",
            Self::Checkpoint => "checkpoint",
            Self::Chunk => "snapshot chunk",
            Self::Quarantine => "quarantine case",
            Self::Plan => "running plan of ledger number",
            Self::Rewind => "rewind",
            Self::Base => "beginning of ledger number",
            Self::Ancestry => "ancestry of the checkpoint of size",
            Self::Final => "final mark of ledger number",
        })
    }
}

/// Sorts redb's errors by what can be done about them.
pub(super) fn from_redb(error: impl Into<redb::Error>) -> JournalError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => JournalError::Locked,
        redb::Error::RepairAborted => JournalError::NeedsRepair,
        redb::Error::Corrupted(reason) => JournalError::Corrupt { reason },
        redb::Error::Io(error) => from_io(error),
        redb::Error::UpgradeRequired(version) => JournalError::Format { found: format!("redb file format {version}") },
        error @ (redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
            JournalError::Corrupt { reason: error.to_string() }
        }
        error => JournalError::Database(Box::new(error)),
    }
}

fn from_io(error: io::Error) -> JournalError {
    match error.kind() {
        io::ErrorKind::NotFound => JournalError::NotThere,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => JournalError::Permission,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            JournalError::NoSpace
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            JournalError::Corrupt { reason: error.to_string() }
        }
        _ => JournalError::Database(Box::new(redb::Error::Io(error))),
    }
}
