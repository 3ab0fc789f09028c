//! Arguments of commands about a running node and its peers, and about who owns what.

use clap::{Args, Subcommand};
use reprise_receipts::LedgerId;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Serve the ledgers of this node and share them with its peers, until SIGTERM or `reprise node stop`
    Run {
        /// The configuration, TOML; `node.toml` in the node's directory when absent
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// This node has lost its disk, and its ledgers were put back by hand: of those that nothing is kept of it neither
        /// promises nor signs anything before it has all that their owners have. Ledgers that begin over the link, because
        /// the configuration says their id, do so without being told
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
    /// Hand in the grant of a ledger: the node that it names takes over
    Take {
        /// Name, or the first digits of its id
        ledger: String,
        /// The file of `reprise ledger grant`, with enough signatures
        #[arg(long, value_name = "FILE")]
        grant: PathBuf,
    },
    /// What members have after the same number of receipts: log, state, execution, checkpoint, and what a view says. Prints
    /// match, divergent at which root, or incomparable and why, for each
    Compare(CompareOptions),
    /// Lift the suspension of a ledger; what is still wrong suspends it again
    Resume {
        /// Name, or the first digits of its id
        ledger: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CompareOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// With this member, as the configuration calls it; may be given again; with all when absent
    #[arg(long = "with", value_name = "PEER")]
    pub(crate) peers: Vec<String>,
    /// After so many receipts; as many as this node and one of them have when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) receipts: Option<u64>,
    /// Let every node run this view of the policy, and compare the projections
    #[arg(long, value_name = "VIEW")]
    pub(crate) view: Option<String>,
    /// Arguments for the view
    #[arg(long, default_value = "", requires = "view")]
    pub(crate) args: String,
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

#[derive(Debug, Args)]
pub(crate) struct GrantOptions {
    /// Name, or the first digits of its id; the whole id, with --epoch, needs no journal
    pub(crate) ledger: String,
    /// Node key of the new owner: `reprise peer key` there
    #[arg(long, value_name = "NODEKEY")]
    pub(crate) to_owner: String,
    /// The key that attests the receipts of the new owner: the attester of `reprise key show` there
    #[arg(long, value_name = "KEY")]
    pub(crate) attester: String,
    /// The epoch that it begins; one above the one in force when absent
    #[arg(long, value_name = "N")]
    pub(crate) epoch: Option<u64>,
    /// Number of the list of members, as in the configuration
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) roster: u64,
    /// The file; if it is there with the same grant, this signature is added to it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

impl GrantOptions {
    /// Ledger and epoch, when both are given in full.
    pub(crate) fn whole(&self) -> Option<(LedgerId, u64)> {
        Some((self.ledger.parse().ok()?, self.epoch?))
    }
}
