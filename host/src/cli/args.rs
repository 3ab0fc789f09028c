//! Arguments as typed.

mod again;
mod class;
mod history;
mod log;
mod node;
mod paths;
mod peer;
mod portable;
mod trial;

pub(crate) use again::{ReplayOptions, VerifyOptions};
pub(crate) use class::Class;
pub(crate) use history::{CheckpointCommand, DoctorOptions, QuarantineCommand, RecoverCommand, SetOptions, Which};
pub(crate) use log::{ArchiveCommand, ArchiveOptions, CheckProofOptions, LogCommand};
pub(crate) use node::{CompareOptions, FederationCommand, GrantOptions, NodeCommand, ReconcileOptions};
pub(crate) use peer::PeerCommand;
pub(crate) use portable::{
    BundleCommand, EvidenceCommand, ExportOptions, FetchOptions, KindArg, MakeCommand, PairOptions, TrustArgs,
};
pub(crate) use trial::{BenchOptions, DemoOptions, DrillOptions};

use crate::{node::EngineChoice, orderer::TimeSource};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Failure recovery you can replay: policies as deterministic WebAssembly, signed receipts for every decision.
#[derive(Debug, Parser)]
#[command(name = "reprise", version, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 done or match, 1 divergent or refused, 2 incomparable, 64 usage, 70 fault.\n\
                        Logs go to stderr; REPRISE_LOG=info or =debug shows more.")]
pub(crate) struct Arguments {
    /// The node's directory
    #[arg(long, global = true, env = "REPRISE_DIR", default_value = "reprise-node", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Print JSON instead of tables: the same data, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show nothing that may be out of date: what a running node marks as stale or suspended is refused
    #[arg(long, global = true)]
    pub(crate) fresh: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a node: keys, journal, cache
    Init,
    /// Keys of this node and of publishers
    #[command(subcommand)]
    Key(KeyCommand),
    /// Policy packages
    #[command(subcommand)]
    Package(PackageCommand),
    /// Ledgers: ordered histories under a policy
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Submit events (JSON lines) and wait until each has a durable receipt
    Submit(SubmitOptions),
    /// Let a ledger's time go on: timers fire, deadlines pass, effects are delivered
    Advance(AdvanceOptions),
    /// Receipts and their proofs
    #[command(subcommand)]
    Receipts(ReceiptsCommand),
    /// The state of a ledger
    #[command(subcommand)]
    State(StateCommand),
    /// Do every step again and say match, divergent or incomparable
    Verify(VerifyOptions),
    /// Do a range of steps again and print each of them
    Replay(ReplayOptions),
    /// Checkpoints: signed commitments to log and state that a ledger can be restored from
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Take a ledger back, restore or rebuild it: every plan is printed before it is carried out
    #[command(subcommand)]
    Recover(RecoverCommand),
    /// Look at every record, and repair what other material proves
    Doctor(DoctorOptions),
    /// What was cut off or replaced, or sent by peers and rejected: kept for forensics
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Portable files: ranges and checkpoints that others verify and import
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Old steps as plain files beside the log, and back
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// The log as files that transparency clients read
    #[command(subcommand)]
    Log(LogCommand),
    /// Proofs that somebody signed something wrong
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Other nodes: this node's key for them, and what they answer
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Run this node: serve its ledgers and share them
    #[command(subcommand)]
    Node(NodeCommand),
    /// The peers of a running node: connections, round trips, what was counted
    Peers,
    /// What a running node and its peers agree on
    #[command(subcommand)]
    Federation(FederationCommand),
    /// Compare with the peers of a running node now, and let what is different be decided about
    Reconcile(ReconcileOptions),
    /// What this node holds and whether it can go on
    Status,
    /// Scripted worlds: play them on the real engine and ledger
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// Inject faults into live nodes of their own and hold the recovery time against its objective
    Drill(DrillOptions),
    /// A recorded incident, from events to a verified ledger, in a temporary directory
    Demo(DemoOptions),
    /// What receipts and durability cost, against the same guest without them; build with --release
    Bench(BenchOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// The public keys of this node
    Show,
    /// Make a publisher's key and print its public half
    Generate {
        /// The name that publishers' notes carry, such as example.com/recovery
        #[arg(long)]
        name: String,
        /// Where the secret key goes; an existing file is never overwritten
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// What a package file is, whether it holds, and whether the engine admits it
    Inspect {
        /// The package file
        file: PathBuf,
        /// Check the publisher's signature with this note key
        #[arg(long, value_name = "KEY")]
        publisher: Option<String>,
    },
    /// Take a package into this node
    Add {
        /// The package file
        file: PathBuf,
        /// Trust this publisher from now on: a note key, name+keyid+base64
        #[arg(long, value_name = "KEY")]
        publisher: Option<String>,
    },
    /// The packages of this node
    List,
    /// Build a signed package from a core WebAssembly module
    Build {
        /// The module, built for wasm32-unknown-unknown with the SDK
        #[arg(long)]
        core: PathBuf,
        /// The publisher's key name
        #[arg(long)]
        publisher: String,
        /// The publisher's secret key file
        #[arg(long)]
        key: PathBuf,
        /// Where the package goes
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Create a ledger under a policy
    Create {
        /// Its name
        name: String,
        /// The package: name, name@version, or the first digits of its digest
        #[arg(long)]
        package: String,
    },
    /// The ledgers of this node
    List,
    /// One ledger in full
    Show {
        /// Name, or the first digits of its id
        ledger: String,
    },
    /// What carries out a ledger's effects; a driver that is not set delivers nothing
    Drivers {
        /// Name, or the first digits of its id
        ledger: String,
        /// Let this kind carry out this driver's effects; the kind is `log`
        #[arg(long, value_name = "DRIVER=KIND")]
        set: Vec<String>,
        /// Let nothing carry out this driver's effects
        #[arg(long, value_name = "DRIVER")]
        unset: Vec<String>,
    },
    /// Settings of a ledger on this node: when it makes checkpoints
    Set(SetOptions),
    /// Lift the halt of a suspended ledger, signed with this node's operator key
    Resume {
        /// Name, or the first digits of its id
        ledger: String,
    },
    /// Put a newer package in force and migrate the state, signed with this node's operator key
    Upgrade {
        /// Name, or the first digits of its id
        ledger: String,
        /// The new package
        #[arg(long)]
        package: String,
    },
    /// Grant a ledger to another owner under a higher epoch, signed with this node's operator key
    Grant(GrantOptions),
}

#[derive(Debug, Args)]
pub(crate) struct AdvanceOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// Until when: RFC 3339, milliseconds since 1970, or now
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub(crate) to: String,
    /// Print one JSON line for every delivery, and for every result as soon as it is durable
    #[arg(long)]
    pub(crate) each: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Play files and print what happens, step by step
    Run(ScenarioOptions),
    /// Play files and print one line for each: ok, or what differs first
    Check(ScenarioOptions),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ScenarioOptions {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What runs the policy
    #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
    pub(crate) engine: EngineArg,
    /// The policy's package; the newest in a folder `packages` above the file when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) package: Option<PathBuf>,
    /// Write a golden trace for each file into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) trace_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// File of JSON lines, or - for standard input
    pub(crate) file: PathBuf,
    /// Where logical time comes from
    #[arg(long, value_enum, default_value_t = TimeArg::Event)]
    pub(crate) time: TimeArg,
    /// Take events whose time is more than 24 hours ahead of this node's clock
    #[arg(long)]
    pub(crate) allow_future: bool,
    /// Order events of a shared ledger here although no other member is asked: what only this node has may be cut off
    #[arg(long)]
    pub(crate) alone: bool,
    /// Print one JSON line for every event as soon as it is durable
    #[arg(long)]
    pub(crate) each: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TimeArg {
    /// The event's own time, or the clock when it has none
    Event,
    /// The node's clock
    Clock,
}

impl From<TimeArg> for TimeSource {
    fn from(arg: TimeArg) -> Self {
        match arg {
            TimeArg::Event => Self::Event,
            TimeArg::Clock => Self::Clock,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptsCommand {
    /// Receipts of a range
    List {
        /// Name, or the first digits of its id
        ledger: String,
        /// FROM..TO, the end not included; the last 20 when absent
        #[arg(long, value_name = "FROM..TO")]
        range: Option<String>,
    },
    /// One receipt in full: what it claims, its input, its changes, who signed it, and its place in the log
    Show {
        /// Name, or the first digits of its id
        ledger: String,
        /// Which one
        seq: u64,
    },
    /// Write a proof file (C2SP tlog-proof): a receipt's place in a signed checkpoint
    Prove {
        /// Name, or the first digits of its id
        ledger: String,
        /// Which one
        seq: u64,
        /// Where the proof goes; an existing file is never overwritten
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a proof file; needs no node
    CheckProof(CheckProofOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// The value under a key of the policy
    Get {
        /// Name, or the first digits of its id
        ledger: String,
        /// The key: text, or 0x and hexadecimal digits
        key: String,
    },
    /// Keys and values of the policy, in key order
    Scan {
        /// Name, or the first digits of its id
        ledger: String,
        /// Only keys that begin with this: text, or 0x and hexadecimal digits
        #[arg(default_value = "")]
        prefix: String,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// A projection of the policy; the list of them when no name is given
    View {
        /// Name, or the first digits of its id
        ledger: String,
        /// Which view
        view: Option<String>,
        /// Arguments for the view
        #[arg(long, default_value = "")]
        args: String,
        /// Write the projection with its root to this new file
        #[arg(long, value_name = "FILE", requires = "view")]
        out: Option<PathBuf>,
    },
    /// Compute a projection again, from this node's history, and compare
    CheckProjection {
        /// The projection file
        file: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EngineArg {
    /// Compiled to machine code
    Cranelift,
    /// The same component, interpreted
    Pulley,
    /// The policy's native form; charges no fuel
    Native,
}

impl From<EngineArg> for EngineChoice {
    fn from(arg: EngineArg) -> Self {
        match arg {
            EngineArg::Cranelift => Self::Cranelift,
            EngineArg::Pulley => Self::Pulley,
            EngineArg::Native => Self::Native,
        }
    }
}
