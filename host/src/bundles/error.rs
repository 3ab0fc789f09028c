//! What can go wrong with a bundle's file, in terms of what its reader can do about it.

use crate::{journal::JournalError, node::NodeError, runner::RunError};
use reprise_receipts::{LedgerId, Verdict, bundle::BundleError, log::LogError};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a bundle is not written, read or imported.
#[derive(Debug, thiserror::Error)]
pub enum BundleFileError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is a file already where the bundle should go.
    #[error("{0} is there already: choose another name")]
    Exists(PathBuf),
    /// The file is not a bundle that holds.
    #[error("{path}: {error}")]
    Bundle {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: BundleError,
    },
    /// The range is not in the ledger, or no bundle of the kind has it.
    #[error("{from}..{to} is not a range of receipts that the ledger has: it has 0..{size}")]
    Range {
        /// First sequence number.
        from: u64,
        /// End of the range.
        to: u64,
        /// Receipts in the ledger.
        size: u64,
    },
    /// No checkpoint with its snapshot.
    #[error("there is no checkpoint over {0} receipts with its snapshot: see `reprise checkpoint list`")]
    NoCheckpoint(u64),
    /// The ledger has no checkpoint at all.
    #[error("the ledger has no checkpoint with its snapshot: make one with `reprise checkpoint create`")]
    NoCheckpoints,
    /// What the journal has of the range does not hold.
    #[error("the range does not hold here, so that nothing is exported: run `reprise verify`")]
    NotExported(Box<Verdict>),
    /// A verifier would not accept what was written.
    #[error(
        "what was written would be refused by whoever verifies it, so that there is no {path}: {error}. Run `reprise \
         doctor`"
    )]
    Unsound {
        /// Where the bundle should have gone.
        path: PathBuf,
        /// What a verifier would say.
        error: BundleError,
    },
    /// It is not known what the checkpoint comes after.
    #[error(
        "the checkpoints before the one over {0} receipts are not known here, so that nobody could take it: export it \
         on the node that made it, or import a bundle of it that was made there"
    )]
    NoAncestry(u64),
    /// Somebody who watches the import stopped it.
    #[error("the import was stopped before it was done: the same import goes on with it")]
    Stopped,
    /// The bundle does not hold when its steps are done again.
    #[error("the bundle does not hold, so that nothing is imported")]
    NotImported(Box<Verdict>),
    /// The bundle continues something that is not here.
    #[error("the bundle begins with receipt {from} of ledger {ledger}, of which {size} receipts are here")]
    Gap {
        /// Which ledger.
        ledger: LedgerId,
        /// First receipt of the bundle.
        from: u64,
        /// Receipts that are here.
        size: u64,
    },
    /// The bundle contradicts what is here.
    #[error("the bundle does not continue ledger {ledger}: the receipt before {from} is another one here")]
    Fork {
        /// Which ledger.
        ledger: LedgerId,
        /// First receipt of the bundle.
        from: u64,
    },
    /// Another ledger has the name.
    #[error("there is another ledger `{0}` here: names of ledgers in a node differ")]
    SameName(String),
    /// The file changed while it was imported.
    #[error("{0} changed while it was imported: nothing of it is visible; import it again")]
    Changed(PathBuf),
    /// The journal cannot be used.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The node cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A proof cannot be made.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// A step could not be executed here.
    #[error("sequence number {seq} could not be executed: {error}")]
    Run {
        /// Which.
        seq: u64,
        /// Why.
        error: RunError,
    },
    /// A thread could not be started, or it panicked.
    #[error("the engine thread failed")]
    Thread,
}

impl BundleFileError {
    pub(super) fn bundle(path: &Path) -> impl FnOnce(BundleError) -> Self + '_ {
        |error| Self::Bundle { path: path.to_owned(), error }
    }

    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File { path: path.to_owned(), error }
    }
}
