//! What the policy keeps.
//!
//! One record holds what counts for the whole ([`Whole`]), so that no ordinary step looks at all nodes. The rest is one
//! record for each node, run of a phase, record of the log or outstanding order.

use crate::{
    budget::Rates,
    control::Control,
    detector::Window,
    ids::{NodeId, Nodes, Phase, RunId},
    machine::State,
    merge::Merge,
    overrides::Proposal,
    params::{Config, Region},
    ring::Ring,
    sel::SideEffect,
    stored::{Cell, Map, Reader, Stored, stored, stored_enum, write_number},
};

/// What counts for the whole.
pub const WHOLE: Cell<Box<Whole>> = Cell::new(b"whole");
/// What `init` set for good.
pub const CONFIG: Cell<Config> = Cell::new(b"config");
/// The supervisors whose accounts are reachable.
pub const ROSTER: Cell<Vec<String>> = Cell::new(b"roster");
/// The nodes, those that left included until their clocks are pruned.
pub const NODES: Map<NodeId, Node> = Map::new(b"node/");
/// Nodes that are out of the replication set (H11).
pub const LAGGING: Cell<Nodes> = Cell::new(b"lagging");
/// What remains of a node whose clock was pruned: SHA-256 of its last clock (H12).
pub const TOMBSTONES: Map<NodeId, [u8; 32]> = Map::new(b"tombstone/");
/// The ring as it should be: the members, by hash.
pub const MEMBERS: Cell<Ring> = Cell::new(b"members");
/// The rings that streams are on, by version.
pub const RINGS: Map<u32, Ring> = Map::new(b"ring/");
/// Which ring each stream is on.
pub const STREAMS: Cell<Vec<u64>> = Cell::new(b"streams");
/// Runs of phases.
pub const RUNS: Map<RunId, Run> = Map::new(b"run/");
/// Recovery locks: one for each phase (H7).
pub const LOCKS: Map<Phase, Lock> = Map::new(b"lock/");
/// The log.
pub const RECORDS: Map<u64, Record> = Map::new(b"record/");
/// What was ordered and has not ended, by the number in its idempotency key.
pub const ORDERS: Map<u64, Order> = Map::new(b"order/");
/// Durations of each phase.
pub const DURATIONS: Map<Phase, Window> = Map::new(b"duration/");
/// Times of fsyncs, in microseconds.
pub const FSYNCS: Cell<Window> = Cell::new(b"fsyncs");
/// The side-effect ledger, in the order of recording.
pub const EFFECTS: Map<(RunId, u32), SideEffect> = Map::new(b"effect/");
/// Where in it an idempotency key is.
pub const KEYS: Map<(RunId, String), u32> = Map::new(b"key/");
/// Control records by name.
pub const CONTROLS: Map<String, Control> = Map::new(b"control/");
/// Overrides under way.
pub const PROPOSALS: Map<RunId, Proposal> = Map::new(b"override/");
/// What `budget.yaml` says of each region.
pub const REGIONS: Map<String, Region> = Map::new(b"region/");
/// The rates of the day.
pub const RATES: Cell<Rates> = Cell::new(b"rates");

/// How a node is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// In time.
    Healthy,
    /// No heartbeat for more than three intervals (section 1).
    Unhealthy,
    /// No gossip for more than 45 seconds: cut off (section 1).
    Partitioned,
}
stored_enum!(Health);

impl Health {
    const ALL: [Self; 3] = [Self::Healthy, Self::Unhealthy, Self::Partitioned];

    /// The document's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["HEALTHY", "UNHEALTHY", "PARTITIONED"][self as usize]
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// How it is heard of.
    pub health: Health,
    /// Last heartbeat, in milliseconds.
    pub beat_ms: u64,
    /// Last gossip, in milliseconds.
    pub gossip_ms: u64,
    /// Since when it is not healthy, in milliseconds.
    pub lost_ms: u64,
    /// When the alert `pending_eviction` was raised, in milliseconds.
    pub pending_ms: Option<u64>,
    /// When it was evicted or decommissioned, in milliseconds.
    pub left_ms: Option<u64>,
    /// Its own entry in its last vector clock.
    pub counter: u64,
    /// SHA-256 of that clock.
    pub vc_hash: [u8; 32],
}
stored!(Node { health, beat_ms, gossip_ms, lost_ms, pending_ms, left_ms, counter, vc_hash });

/// One run of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it stands.
    pub state: State,
    /// The node that began it.
    pub owner: NodeId,
    /// When it began and when it came to this state, in milliseconds.
    pub since: Since,
    /// Its records in the log.
    pub log: Span,
    /// Nodes that reported `started`.
    pub started: Nodes,
    /// Nodes that reported `finished`.
    pub finished: Nodes,
    /// What a detector found: the first in the order of [`Cause`].
    pub cause: Option<Cause>,
    /// Its recovery.
    pub recovery: Recovery,
    /// The logs that were reported for merging.
    pub merge: Merge,
    /// What its side effects came to.
    pub spend: Spend,
}
stored!(Run { state, owner, since, log, started, finished, cause, recovery, merge, spend });

/// Times of a run, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// It began.
    pub began_ms: u64,
    /// It came to its state.
    pub state_ms: u64,
    /// The Φ-detector's timeout is over.
    pub timeout_ms: u64,
    /// `exec_status` is IN_PROGRESS past its SLA.
    pub sla_ms: Option<u64>,
    /// The consensus timer.
    pub consensus_ms: Option<u64>,
    /// It was first interrupted.
    pub interrupted_ms: Option<u64>,
}
stored!(Since { began_ms, state_ms, timeout_ms, sla_ms, consensus_ms, interrupted_ms });

/// A run in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Number of `BEGIN_PHASE`.
    pub begin: u64,
    /// Number of `COMMIT_PHASE`.
    pub commit: Option<u64>,
    /// The fencing token it began with.
    pub token: u64,
    /// The last checkpoint: offset and CRC-32.
    pub checkpoint: Option<(u64, u32)>,
}
stored!(Span { begin, commit, token, checkpoint });

impl Stored for (u64, u32) {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.0, out);
        write_number(self.1.into(), out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        (u64::load(from), u32::load(from))
    }
}

/// What raised FAILED_PARTIAL (section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// `BEGIN_PHASE` without `COMMIT_PHASE` within the Φ-detector's timeout.
    LogGap,
    /// `exec_status` failed, or was IN_PROGRESS past its SLA.
    ExecStatus,
    /// More than three heartbeats of a node that takes part are missing.
    HeartbeatLoss,
    /// Some nodes finished and some did not.
    PartialCommit,
    /// A node that takes part, or the majority, is cut off.
    Partition,
    /// A supervisor ordered it.
    Override,
}
stored_enum!(Cause);

impl Cause {
    const ALL: [Self; 6] =
        [Self::LogGap, Self::ExecStatus, Self::HeartbeatLoss, Self::PartialCommit, Self::Partition, Self::Override];

    /// Its name in effects and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["log_gap", "exec_status", "heartbeat_loss", "partial_commit", "partition", "override"][self as usize]
    }
}

/// The recovery of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Automatic attempts so far.
    pub attempts: u64,
    /// Automation has stopped: a supervisor has to act.
    pub held: bool,
    /// Compensations have begun or were ordered: from here on it only goes back.
    pub back: bool,
    /// The step under way.
    pub step: Step,
    /// Number of its order; 0 when nothing is ordered.
    pub order: u64,
    /// Side effects that are still to be compensated: those below this index.
    pub uncompensated: u32,
}
stored!(Recovery { attempts, held, back, step, order, uncompensated });

/// Steps of a recovery, by the labels of `phase_recovery_latency_seconds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// RECONCILE: nodes replay their logs.
    #[default]
    WalFsync,
    /// RECONCILE: the logs are merged by their vector clocks.
    VcMerge,
    /// RECONCILE: the phase is rolled forward.
    CheckpointFlush,
    /// ROLLBACK: side effects are compensated.
    SelCompensate,
    /// ROLLBACK: the snapshot of the beginning is restored.
    SnapshotApply,
}
stored_enum!(Step);

impl Step {
    const ALL: [Self; 5] =
        [Self::WalFsync, Self::VcMerge, Self::CheckpointFlush, Self::SelCompensate, Self::SnapshotApply];

    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["wal_fsync", "vc_merge", "checkpoint_flush", "sel_compensate", "snapshot_apply"][self as usize]
    }
}

/// What the side effects of a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    /// How many there are.
    pub effects: u32,
    /// Their cost and their compensations', in hundredths of a unit of the budget's currency.
    pub cost: u64,
    /// The cap that was last compared with it.
    pub cap: u64,
    /// The last of them created something (2), deleted something (1) or neither (0).
    pub direction: u64,
    /// When the last changes between creating and deleting were, in milliseconds.
    pub swings_ms: Vec<u64>,
}
stored!(Spend { effects, cost, cap, direction, swings_ms });

/// The recovery lock of a phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The fencing token: odd while a recovery is active (H4).
    pub token: u64,
    /// Which run is being recovered.
    pub holder: Option<RunId>,
    /// Runs that wait to be recovered, ascending.
    pub waiting: Vec<RunId>,
}
stored!(Lock { token, holder, waiting });

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub what: Entry,
    /// Whose run.
    pub run: RunId,
    /// CRC-32 of its text.
    pub crc: u32,
    /// The fencing token it was written under.
    pub token: u64,
    /// Where it is replicated.
    pub peers: Peers,
    /// Peers that acknowledged it.
    pub acks: Nodes,
    /// The slowest of their fsyncs, in microseconds.
    pub slowest_us: u64,
    /// A majority has it.
    pub durable: bool,
}
stored!(Record { what, run, crc, token, peers, acks, slowest_us, durable });

/// So many peers on a ring, clockwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Version of the ring.
    pub ring: u32,
    /// Position of the first.
    pub from: u32,
    /// How many.
    pub count: u32,
}
stored!(Peers { ring, from, count });

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `BEGIN_PHASE`.
    Begin,
    /// `COMMIT_PHASE`.
    Commit,
    /// A signed override.
    Override,
}
stored_enum!(Entry);

impl Entry {
    const ALL: [Self; 3] = [Self::Begin, Self::Commit, Self::Override];

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["BEGIN_PHASE", "COMMIT_PHASE", "OVERRIDE"][self as usize]
    }
}

/// What was ordered and is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A step of a recovery, under this token.
    Step(RunId, u64),
    /// A new leader reads the checkpoint, under this token.
    Resume(RunId, u64),
    /// Peers leave or (one) enters the replication set.
    Reconfigure(Vec<u64>, bool),
}

impl Stored for Order {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Step(run, token) | Self::Resume(run, token) => {
                write_number(u64::from(matches!(self, Self::Resume(..))), out);
                run.store(out);
                write_number(*token, out);
            }
            Self::Reconfigure(nodes, enter) => {
                write_number(2 + u64::from(*enter), out);
                nodes.store(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Self {
        match from.below(4) {
            0 => Self::Step(Stored::load(from), Stored::load(from)),
            1 => Self::Resume(Stored::load(from), Stored::load(from)),
            kind => Self::Reconfigure(Stored::load(from), kind == 3),
        }
    }
}

/// How many of everything, and figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Members.
    pub members: u32,
    /// Members that are healthy.
    pub reachable: u32,
    /// Members out of the replication set.
    pub lagging: u32,
}
stored!(Census { members, reachable, lagging });

/// More than half of so many.
#[must_use]
pub const fn majority(nodes: u32) -> u32 {
    nodes / 2 + 1
}

/// The document's ⌈(N/2) + 1⌉ (section 2), of so few nodes all of them.
#[must_use]
pub fn sync_majority(nodes: u32) -> u32 {
    (nodes.div_ceil(2) + 1).min(nodes)
}

impl Census {
    /// Members whose durable acknowledgement counts.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.members.saturating_sub(self.lagging)
    }

    /// Fewer than a majority of the members can be reached.
    #[must_use]
    pub fn partitioned(&self) -> bool {
        self.reachable < majority(self.members)
    }
}

/// What counts for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// The generation whose phases may begin.
    pub g: u64,
    /// How many of everything.
    pub census: Census,
    /// The leader and its term.
    pub leader: Option<NodeId>,
    /// The last leader's term.
    pub term: u64,
    /// Since when the majority is lost, in milliseconds.
    pub partition_ms: Option<u64>,
    /// Runs that the end of this tick has to look at, ascending.
    pub agenda: Vec<RunId>,
    /// The ring.
    pub ring: Versions,
    /// The peer that may acknowledge without fsync, and until when, in milliseconds.
    pub allowance: Option<(u64, u32)>,
    /// Runs with an override under way, ascending.
    pub proposals: Vec<RunId>,
    /// The last numbers given.
    pub last: Last,
    /// Figures.
    pub figures: Figures,
    /// What the last step did to runs, for [`crate::check`].
    pub changes: Vec<Change>,
}
stored!(Whole { g, census, leader, term, partition_ms, agenda, ring, allowance, proposals, last, figures, changes });

/// Versions of the ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The newest one.
    pub newest: u32,
    /// Members have come or gone since it was made.
    pub stale: bool,
}
stored!(Versions { newest, stale });

/// Numbers that make names unique: the last one given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Order or announcement.
    pub order: u64,
    /// Record of the log: its Lamport index.
    pub record: u64,
    /// The last record that is durable.
    pub durable: u64,
    /// The order that reconfigures the replication set; 0 for none.
    pub reconfigure: u64,
}
stored!(Last { order, record, durable, reconfigure });

/// Figures, counted from the beginning, under the names of section 7 where it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// `phase_recoveries_total{result="rollforward"}`.
    pub rollforward: u64,
    /// `phase_recoveries_total{result="rollback"}`.
    pub rollback: u64,
    /// Runs that became HARD_FAILED.
    pub hard_failed: u64,
    /// `phase_detect_latency_seconds`: the last one, in milliseconds.
    pub detect_ms: u64,
    /// `phase_recovery_latency_seconds`: the last one, in milliseconds.
    pub recovery_ms: u64,
    /// `partition_duration_seconds`: all partitions that ended, in milliseconds.
    pub partition_ms: u64,
    /// `minority_evictions_total`.
    pub evictions: u64,
    /// Streams of the log that migrated.
    pub migrated: u64,
}
stored!(Figures { rollforward, rollback, hard_failed, detect_ms, recovery_ms, partition_ms, evictions, migrated });

/// A run's change of state in the last step that changed any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which run.
    pub run: RunId,
    /// From; none: it began.
    pub from: Option<State>,
    /// To.
    pub to: State,
}
stored!(Change { run, from, to });
