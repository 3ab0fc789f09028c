//! What counts for the whole: how many of everything, what was numbered last, figures, and the changes of the last step.

use crate::{
    ids::{NodeId, RunId},
    machine::State,
};
use reprise_guest::compact::stored;

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
