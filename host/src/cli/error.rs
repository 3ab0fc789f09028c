//! Exit codes, and which error leads to which.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done, or match |
//! | 1 | divergent, or refused |
//! | 2 | incomparable |
//! | 64 | usage, and input files that are not there |
//! | 70 | fault of the host |

use crate::{
    bundles::BundleFileError, checkpoints::CheckpointError, engine::HostFault, events::LineError,
    journal::JournalError, keys::KeyError, node::NodeError, orderer::Refusal, pipeline::PipelineError,
    recovery::RecoveryError, runner::RunError, verify::VerifyError,
};
use reprise_receipts::bundle::BundleError;
use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    process::ExitCode,
};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Refused = 1,
    Incomparable = 2,
    Usage = 64,
    Fault = 70,
}

impl Exit {
    /// The exit that has this code.
    pub(crate) fn of(code: u64) -> Option<Self> {
        let all = [Self::Done, Self::Refused, Self::Incomparable, Self::Usage, Self::Fault];
        all.into_iter().find(|exit| *exit as u64 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Bundle(#[from] BundleFileError),
    #[error("engine: {0}")]
    Host(#[from] HostFault),
    #[error("{file} {error}. {advice}")]
    Line { file: String, error: LineError, advice: String },
    #[error("line {line}: {refusal}")]
    Refused { line: u64, refusal: Refusal },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refusal(String),
    #[error("{0}")]
    Fault(String),
}

impl CliError {
    /// The exit code of this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Verify(VerifyError::Range { .. }) => Exit::Usage,
            Self::Line { .. } | Self::Refused { .. } | Self::Refusal(_) => Exit::Refused,
            Self::Run(RunError::Missing(_)) => Exit::Incomparable,
            Self::Node(error) => node_exit(error),
            Self::Journal(error) => journal_exit(error),
            Self::Bundle(error) => bundle_exit(error),
            Self::File { error, .. } | Self::Key(KeyError::File { error, .. }) => file_exit(error),
            Self::Recovery(error) => recovery_exit(error),
            Self::Checkpoint(error) => checkpoint_exit(error),
            Self::Host(_) | Self::Run(_) | Self::Key(_) | Self::Pipeline(_) | Self::Verify(_) | Self::Fault(_) => {
                Exit::Fault
            }
        }
    }
}

fn bundle_exit(error: &BundleFileError) -> Exit {
    match error {
        BundleFileError::Bundle { error: BundleError::NoPackage { .. }, .. } => Exit::Incomparable,
        BundleFileError::Journal(error) => journal_exit(error),
        BundleFileError::Node(error) => node_exit(error),
        BundleFileError::Range { .. } => Exit::Usage,
        BundleFileError::File { error, .. } => file_exit(error),
        BundleFileError::Log(_) | BundleFileError::Run { .. } | BundleFileError::Stopped | BundleFileError::Thread => {
            Exit::Fault
        }
        _ => Exit::Refused,
    }
}

fn node_exit(error: &NodeError) -> Exit {
    match error {
        NodeError::Journal { error, .. } => journal_exit(error),
        NodeError::Recovery(error) | NodeError::Stuck(error) => recovery_exit(error),
        NodeError::File { error, .. } => file_exit(error),
        NodeError::Key(_) | NodeError::Random => Exit::Fault,
        NodeError::NotEmpty(_)
        | NodeError::UnknownLedger(_)
        | NodeError::AmbiguousLedger(_)
        | NodeError::UnknownPackage(_)
        | NodeError::NotAPackage { .. }
        | NodeError::UnknownPublisher(_)
        | NodeError::Package(_)
        | NodeError::PublisherLine { .. }
        | NodeError::LedgerName => Exit::Refused,
    }
}

/// A file that is not there, or is no file, was named wrong; one that is there already is not overwritten.
fn file_exit(error: &io::Error) -> Exit {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidFilename => {
            Exit::Usage
        }
        ErrorKind::AlreadyExists => Exit::Refused,
        _ => Exit::Fault,
    }
}

fn journal_exit(error: &JournalError) -> Exit {
    match error {
        JournalError::Exists | JournalError::Format { .. } => Exit::Refused,
        JournalError::Damaged { .. } | JournalError::NotStaged | JournalError::Meets { .. } => Exit::Refused,
        _ => Exit::Fault,
    }
}

fn recovery_exit(error: &RecoveryError) -> Exit {
    match error {
        RecoveryError::Journal(error) => journal_exit(error),
        RecoveryError::Checkpoint(error) => checkpoint_exit(error),
        RecoveryError::Run { error: RunError::Missing(_), .. } => Exit::Incomparable,
        RecoveryError::Run { .. } | RecoveryError::Engine(_) | RecoveryError::Key(_) | RecoveryError::Stopped => {
            Exit::Fault
        }
        _ => Exit::Refused,
    }
}

fn checkpoint_exit(error: &CheckpointError) -> Exit {
    match error {
        CheckpointError::Journal(error) => journal_exit(error),
        CheckpointError::Walk(_) => Exit::Fault,
        _ => Exit::Refused,
    }
}
