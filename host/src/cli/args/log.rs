//! Arguments of commands about what others read: archives, the log as files, proof files.

use super::TrustArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// Bring an archive up to the ledger: signed checkpoint, log tiles, receipts, and what steps are done again from
    Write(ArchiveOptions),
    /// Read all of an archive back and hold it against its checkpoint; needs no node
    Verify {
        /// The archive's directory
        archive: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Bring steps back into the journal, held against a checkpoint that is kept
    Hydrate {
        /// Name, or the first digits of its id
        ledger: String,
        /// The archive's directory
        #[arg(long = "archive", value_name = "DIR")]
        archive: PathBuf,
        /// FROM..TO; TO must reach the first step of the journal, and does when absent
        #[arg(long, value_name = "FROM..TO", default_value = "..")]
        range: String,
        /// Hold the steps against the checkpoint, say what would come back, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let old steps leave the journal, behind a checkpoint and after the archive was read back
    Prune {
        /// Name, or the first digits of its id
        ledger: String,
        /// The archive's directory
        #[arg(long = "archive", value_name = "DIR")]
        archive: PathBuf,
        /// Keep at least so many receipts
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        keep: u64,
        /// Say what would go, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// The archive's directory; created when absent
    #[arg(long = "archive", value_name = "DIR")]
    pub(crate) archive: PathBuf,
    /// First sequence number that does not go into the archive; all do when absent
    #[arg(long, value_name = "SEQ")]
    pub(crate) to: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Write the log as the files that transparency clients read (C2SP tlog-tiles), for any web server
    ServeDir {
        /// Name, or the first digits of its id
        ledger: String,
        /// The directory; created when absent
        out: PathBuf,
        /// First sequence number that is not in it; all are when absent
        #[arg(long, value_name = "SEQ")]
        to: Option<u64>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CheckProofOptions {
    /// The proof file
    pub(crate) file: PathBuf,
    /// The encoded receipt; the one in the proof file when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}
