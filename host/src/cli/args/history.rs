//! Arguments of the commands about history: checkpoints, recovery, the doctor, quarantine.

use super::EngineArg;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct SetOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// Make a checkpoint after so many receipts; 0 for never
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_receipts: Option<u64>,
    /// Make a checkpoint after so much logical time; 0 for never
    #[arg(long, value_name = "T")]
    pub(crate) checkpoint_seconds: Option<u64>,
    /// Keep so many snapshots; the oldest ones go
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
}

impl SetOptions {
    /// Something is to be set.
    pub(crate) fn changes(&self) -> bool {
        [self.checkpoint_receipts, self.checkpoint_seconds, self.keep.map(u64::from)].iter().any(Option::is_some)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Make a checkpoint now
    Create {
        /// Name, or the first digits of its id
        ledger: String,
    },
    /// The checkpoints of a ledger
    List {
        /// Name, or the first digits of its id
        ledger: String,
    },
    /// One checkpoint in full, with its signed note
    Show {
        /// Name, or the first digits of its id
        ledger: String,
        /// Receipts that it is over; the last one when absent
        size: Option<u64>,
    },
    /// Let the snapshot of a checkpoint go; its record and note stay
    Drop {
        /// Name, or the first digits of its id
        ledger: String,
        /// Receipts that it is over
        size: u64,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecoverCommand {
    /// Take a ledger back to an earlier receipt or checkpoint; what is cut off goes to quarantine
    #[command(group(ArgGroup::new("place").required(true).args(["to", "checkpoint"])))]
    Rollback {
        /// Name, or the first digits of its id
        ledger: String,
        /// The last receipt that stays
        #[arg(long, value_name = "SEQ")]
        to: Option<u64>,
        /// The checkpoint over so many receipts
        #[arg(long, value_name = "SIZE")]
        checkpoint: Option<u64>,
        /// Go back across receipts that are attested: the signatures over them stay valid
        #[arg(long, requires = "reason")]
        attested: bool,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Print the plan, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the state anew from a checkpoint's snapshot and the diffs after it
    Restore {
        /// Name, or the first digits of its id
        ledger: String,
        /// The checkpoint over so many receipts; the newest one that is kept when absent
        #[arg(long, value_name = "SIZE")]
        checkpoint: Option<u64>,
        /// Print the plan, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take a ledger over from the directory of another node, from a checkpoint on
    Take {
        /// Name, or the first digits of its id, on the other node
        ledger: String,
        /// The directory of the other node
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The checkpoint over so many receipts; the newest one that is kept when absent
        #[arg(long, value_name = "SIZE")]
        checkpoint: Option<u64>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Execute every input again, and replace what differs from what is attested
    Rebuild {
        /// Name, or the first digits of its id
        ledger: String,
        /// What runs the policy
        #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
        engine: EngineArg,
        /// Print what differs and the plan, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Guest faults, halts and host faults: what to do about them, with the command to sign
    Runtime {
        /// Name, or the first digits of its id
        ledger: String,
    },
    /// Go on with a plan that was begun and is not done
    Resume {
        /// Name, or the first digits of its id
        ledger: String,
        /// Print what is left of the plan, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Give up a plan that was begun and cannot be brought to its end, where nothing of it shows yet
    Abandon {
        /// Name, or the first digits of its id
        ledger: String,
        /// Say whether it can be given up, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Name, or the first digits of its id
    #[arg(required_unless_present = "all")]
    pub(crate) ledger: Option<String>,
    /// All ledgers
    #[arg(long, conflicts_with = "ledger")]
    pub(crate) all: bool,
    /// Repair what other material proves; what is replaced goes to quarantine
    #[arg(long)]
    pub(crate) repair: bool,
    /// Copies to repair from: an archive, the directory of another node, or one with package files
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// What runs the policy where a step has to be done again
    #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
    pub(crate) engine: EngineArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// The cases of a ledger; with --peers, what peers sent and was rejected
    List {
        /// Name, or the first digits of its id
        #[arg(required_unless_present = "peers")]
        ledger: Option<String>,
        /// What peers sent and was rejected; the node may be running
        #[arg(long, conflicts_with = "ledger")]
        peers: bool,
    },
    /// The records of a case, or one object that a peer sent
    Show {
        #[command(flatten)]
        which: Quarantined,
        /// Print the bytes of each record
        #[arg(long)]
        bytes: bool,
    },
    /// Write the bytes of a case's records, or of one object that a peer sent, to files
    Export {
        #[command(flatten)]
        which: Quarantined,
        /// A new file; of a case, a new directory
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
    },
    /// Remove a case with its records, or one object that a peer sent, for good
    Drop {
        #[command(flatten)]
        which: Quarantined,
        /// Say what would be removed, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// What of the quarantine.
#[derive(Debug, Args)]
pub(crate) struct Quarantined {
    /// Name, or the first digits of its id
    #[arg(required_unless_present = "record")]
    ledger: Option<String>,
    /// Which case
    #[arg(required_unless_present = "record")]
    case: Option<u32>,
    /// Instead: number of an object that a peer sent; the node may be running
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["ledger", "case"])]
    record: Option<u64>,
}

/// [`Quarantined`], as validated.
pub(crate) enum Which<'a> {
    /// A case of a ledger.
    Case(&'a str, u32),
    /// An object that a peer sent.
    Record(u64),
}

impl Quarantined {
    pub(crate) fn which(&self) -> Which<'_> {
        match (self.record, &self.ledger, self.case) {
            (Some(record), ..) => Which::Record(record),
            (None, Some(ledger), Some(case)) => Which::Case(ledger, case),
            (None, ..) => unreachable!("the arguments require either"),
        }
    }
}
