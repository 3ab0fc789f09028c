//! Arguments of commands about a running node and its peers.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Serve the ledgers of this node and share them with its peers, until SIGTERM or `reprise node stop`
    Run {
        /// The configuration, TOML; `node.toml` in the node's directory when absent
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
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
    /// Hand in the grant of a ledger: the node that it names takes over
    Take {
        /// Name, or the first digits of its id
        ledger: String,
        /// The file of `reprise ledger grant`, with enough signatures
        #[arg(long, value_name = "FILE")]
        grant: PathBuf,
    },
    /// Lift the suspension of a ledger; what is still wrong suspends it again
    Resume {
        /// Name, or the first digits of its id
        ledger: String,
    },
}
