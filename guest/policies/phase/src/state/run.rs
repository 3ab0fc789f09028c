//! A run of a phase: where it stands, its place in the log, its recovery and what that may cost.

use crate::{
    ids::{NodeId, Nodes, RunId},
    machine::State,
    merge::Merge,
};
use reprise_guest::compact::{stored, stored_enum};

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
