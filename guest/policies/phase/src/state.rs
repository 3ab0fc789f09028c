//! What the policy keeps.
//!
//! One record holds what counts for the whole ([`Whole`]), so that no ordinary step looks at all nodes. The rest is one
//! record for each node, run of a phase, record of the log or outstanding order.

mod record;
mod run;
mod whole;

pub use record::{Entry, Order, Peers, Record};
pub use run::{Cause, Lock, Recovery, Run, Since, Span, Spend, Step};
pub use whole::{Census, Change, Figures, Last, Versions, Whole, majority, sync_majority};

use crate::{
    budget::Rates,
    control::Control,
    detector::Window,
    ids::{NodeId, Nodes, Phase, RunId},
    overrides::Proposal,
    params::{Config, Region},
    ring::Ring,
    sel::SideEffect,
};
use reprise_guest::compact::{Cell, Map, stored, stored_enum};

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
