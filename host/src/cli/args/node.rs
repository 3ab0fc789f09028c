//! Arguments of commands about a running node and its peers.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Serve the ledgers of this node and share them with its peers, until SIGTERM or `reprise node stop`
    Run {
        /// The configuration, TOML; `node.toml` in the node's directory when absent
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// This node has lost its disk: of ledgers that nothing is kept of it neither promises nor signs anything before
        /// it has all that their owners have
        #[arg(long)]
        rejoin: bool,
    },
    /// Read a configuration and say what is wrong with it
    Check {
        /// The configuration, TOML; `node.toml` in the node's directory when absent
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Stop the node that runs in this directory
    Stop,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FederationCommand {
    /// Who agrees with whom, up to where, and why not
    Status,
    /// Lift the suspension of a ledger; what is still wrong suspends it again
    Resume {
        /// Name, or the first digits of its id
        ledger: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReconcileOptions {
    /// Only this ledger: name, or the first digits of its id (with --history: its name)
    pub(crate) ledger: Option<String>,
    /// Print the differences, what would be decided about each and why, and do nothing
    #[arg(long, conflicts_with = "history")]
    pub(crate) dry_run: bool,
    /// Print what was decided, with the sequence numbers of the receipts on the node's own ledger
    #[arg(long)]
    pub(crate) history: bool,
}
