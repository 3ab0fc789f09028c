//! Options of what runs by itself to show something: demonstration, drills, bench.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Keep the node in this new directory, to look around afterwards
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DrillOptions {
    /// Which drills, or `all`
    #[arg(required_unless_present = "list", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Say which drills there are, what each injects, and its objective
    #[arg(long)]
    pub(crate) list: bool,
    /// Hold the recovery time against this objective instead of the drill's own, in milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) objective: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Only a ledger of 1,000,000 receipts: its memory, and how long it takes to open (gigabytes of disk)
    #[arg(long)]
    pub(crate) large: bool,
    /// Only checkpoints of a state of 1,000,000 keys: waiting, writing, restoring (gigabytes of disk)
    #[arg(long, conflicts_with = "large")]
    pub(crate) history: bool,
    /// Only three nodes: what a majority costs
    #[arg(long, conflicts_with_all = ["large", "history"])]
    pub(crate) federation: bool,
}
