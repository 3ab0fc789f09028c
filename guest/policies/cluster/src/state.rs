//! What the policy keeps.
//!
//! One record holds everything that counts for the whole ([`Cluster`]), so that no ordinary step looks at all nodes. The
//! rest is one record for each node, capsule or outstanding order.

use crate::{
    ballot::Ballot,
    census::Census,
    consensus::{Causes, Round},
    halt::Halt,
    incident::Incident,
    leader::Leader,
    moves::Move,
    order::Order,
    params::Timeouts,
    restore::{Restoration, Snapshots},
};
use reprise_guest::{
    compact::{Cell, Map, Reader, Stored, stored, stored_enum, write_number},
    typed::StateKey,
};
use serde::Deserialize;

/// The cluster as a whole.
pub const CLUSTER: Cell<Cluster> = Cell::new(b"cluster");
/// The timeouts, pinned by `init`.
pub const TIMEOUTS: Cell<Timeouts> = Cell::new(b"timeouts");
/// Who may order what.
pub const PEOPLE: Cell<People> = Cell::new(b"people");
/// The nodes.
pub const NODES: Map<NodeId, Node> = Map::new(b"node/");
/// Which of them are healthy, in the order in which capsules are dealt out.
pub const HEALTHY: Map<NodeId, ()> = Map::new(b"healthy/");
/// Nodes that were taken out, and when, in milliseconds.
pub const EVICTED: Map<NodeId, u64> = Map::new(b"evicted/");
/// The last report of each node.
pub const REPORTS: Map<NodeId, Reported> = Map::new(b"report/");
/// The routing table: where a capsule is.
pub const ROUTES: Map<CapsuleId, NodeId> = Map::new(b"route/");
/// The same the other way round: which capsules a node has.
pub const HELD: Map<(NodeId, CapsuleId), ()> = Map::new(b"held/");
/// How many capsules a node has; none if there is no entry.
pub const LOADS: Map<NodeId, u32> = Map::new(b"load/");
/// Nodes whose capsules are being moved away.
pub const MOVES: Map<NodeId, Move> = Map::new(b"move/");
/// What was ordered and has not ended, by the number in its idempotency key.
pub const ORDERS: Map<u64, Order> = Map::new(b"order/");
/// The global failure that is or was handled last.
pub const INCIDENT: Cell<Box<Incident>> = Cell::new(b"incident");
/// The emergency halt that is or was last.
pub const HALT: Cell<Box<Halt>> = Cell::new(b"halt");
/// The restoration that is or was last.
pub const RESTORATION: Cell<Box<Restoration>> = Cell::new(b"restoration");
/// The snapshots that can be restored, the oldest first.
pub const SNAPSHOTS: Cell<Snapshots> = Cell::new(b"snapshots");
/// What an audit found to be wrong: never outlives its step, see [`crate::check`].
pub const FAULT: Cell<String> = Cell::new(b"fault");

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        pub struct $name(pub u32);

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl Stored for $name {
            fn store(&self, out: &mut Vec<u8>) {
                write_number(u64::from(self.0), out);
            }

            fn load(from: &mut Reader<'_>) -> Self {
                Self(u32::load(from))
            }
        }

        impl StateKey for $name {
            fn write(&self, out: &mut Vec<u8>) {
                StateKey::write(&self.0, out);
            }

            fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
                <u32 as StateKey>::read(bytes).map(|(id, rest)| (Self(id), rest))
            }
        }
    };
}
id!(
    /// A node of the cluster.
    NodeId
);
id!(
    /// A capsule: what a node works on.
    CapsuleId
);

/// How a node is (2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// Heard of in time.
    Healthy,
    /// Silent; being retried.
    Degraded,
    /// Three retries failed; about to be failed over.
    Failing,
    /// Failed over: out of the cluster's count until it is restarted by hand.
    Offline,
    /// Being restarted.
    Recovering,
}
stored_enum!(NodeState);

impl NodeState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Healthy, Self::Degraded, Self::Failing, Self::Offline, Self::Recovering];

    /// The document's transitions, and no other (2.2).
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use NodeState::{Degraded, Failing, Healthy, Offline, Recovering};
        matches!(
            (self, to),
            (Healthy, Degraded)
                | (Degraded, Failing)
                | (Failing, Offline)
                | (Offline, Recovering)
                | (Degraded | Failing | Recovering, Healthy)
        )
    }

    /// It counts among the N nodes of which two thirds are asked for.
    #[must_use]
    pub const fn is_member(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded | Self::Failing)
    }

    /// It was heard of in time.
    #[must_use]
    pub const fn is_responsive(self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Failing => "FAILING",
            Self::Offline => "OFFLINE",
            Self::Recovering => "RECOVERING",
        }
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// How it is.
    pub state: NodeState,
    /// When it was last heard of, in milliseconds.
    pub beat_ms: u64,
    /// Retries that failed since it is degraded.
    pub retries: u32,
    /// Number of the order (retry, recovery, restart) that is under way for it; 0 for none.
    pub order: u64,
    /// When the attempt under way, or the pause after it, ends, in milliseconds.
    pub due_ms: u64,
    /// The last ballot it voted in, or may not vote in.
    pub ballot: u64,
    /// Its vote there; none: it joined after that ballot was opened.
    pub vote: Option<bool>,
    /// The last halt it acknowledged.
    pub acked: u64,
}
stored!(Node { state, beat_ms, retries, order, due_ms, ballot, vote, acked });

impl Node {
    /// A node in its first state.
    #[must_use]
    pub fn new(state: NodeState, now_ms: u64) -> Self {
        Self { state, beat_ms: now_ms, retries: 0, order: 0, due_ms: now_ms, ballot: 0, vote: None, acked: 0 }
    }
}

/// What a node last reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// In which round.
    pub round: u64,
    /// The digest of its state.
    pub digest: String,
    /// All its proofs verify.
    pub proofs_valid: bool,
}
stored!(Reported { round, digest, proofs_valid });

/// Operators and admins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct People {
    /// Who may order things.
    pub operators: Vec<String>,
    /// Those of them who may restore.
    pub admins: Vec<String>,
}
stored!(People { operators, admins });

/// What goes on with the whole. Everything but [`Phase::Running`] halts all mutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing special.
    Running,
    /// The mode of a global failure is being found (3.1).
    Identifying,
    /// Remedy of a partition.
    AwaitingReunion,
    /// Remedy of a leader's failure.
    Electing,
    /// Remedy of corrupt state: an admin has to choose a snapshot.
    AwaitingRestore,
    /// Remedy of an attack.
    Evicting,
    /// Nodes are being restored (3.3).
    Restoring,
    /// All nodes have to agree (3.1, 3.3, 4.2).
    Verifying,
    /// They did not: an operator has to act (4.2).
    Manual,
    /// An emergency halt waits for its acknowledgements (3.2).
    Halting,
    /// Halted, until an operator resumes.
    Halted,
}
stored_enum!(Phase);

impl Phase {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Running,
        Self::Identifying,
        Self::AwaitingReunion,
        Self::Electing,
        Self::AwaitingRestore,
        Self::Evicting,
        Self::Restoring,
        Self::Verifying,
        Self::Manual,
        Self::Halting,
        Self::Halted,
    ];

    /// It ends by itself: by a timer or by results. An operator has to wait.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        use Phase::{Electing, Evicting, Halting, Identifying, Restoring, Verifying};
        matches!(self, Identifying | Electing | Evicting | Restoring | Verifying | Halting)
    }

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Identifying => "identifying",
            Self::AwaitingReunion => "awaiting_reunion",
            Self::Electing => "electing",
            Self::AwaitingRestore => "awaiting_restore",
            Self::Evicting => "evicting",
            Self::Restoring => "restoring",
            Self::Verifying => "verifying",
            Self::Manual => "manual",
            Self::Halting => "halting",
            Self::Halted => "halted",
        }
    }
}

/// Figures, all counted from the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Nodes that were failed over.
    pub failovers: u64,
    /// Nodes that came back to healthy.
    pub recoveries: u64,
    /// Capsules that were moved.
    pub moved: u64,
    /// Capsules that were not healthy after they were moved.
    pub unhealthy: u64,
    /// Losses of consensus.
    pub consensus_losses: u64,
    /// Global failures.
    pub incidents: u64,
    /// Nodes that were evicted.
    pub evictions: u64,
    /// Successful restorations.
    pub restores: u64,
    /// Audits that found nothing wrong.
    pub audits: u64,
    /// From the last sign of life of the last node that was failed over to the end of its recovery, in milliseconds.
    pub last_recovery_ms: u64,
    /// Recoveries of a single node beyond the target of 35 seconds (4.1).
    pub late_recoveries: u64,
}
stored!(Figures {
    failovers,
    recoveries,
    moved,
    unhealthy,
    consensus_losses,
    incidents,
    evictions,
    restores,
    audits,
    last_recovery_ms,
    late_recoveries
});

/// A node's change of state in the last step that changed any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which node.
    pub node: NodeId,
    /// From.
    pub from: NodeState,
    /// To.
    pub to: NodeState,
}
stored!(Change { node, from, to });

/// The cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What goes on.
    pub phase: Phase,
    /// Why consensus is lost, if it is.
    pub causes: Causes,
    /// How many of everything.
    pub census: Census,
    /// Who leads, or is asked to.
    pub leader: Option<Leader>,
    /// Number of the last election.
    pub term: u64,
    /// The open ballot.
    pub ballot: Option<Ballot>,
    /// The digests of the present round.
    pub round: Round,
    /// Members that contradicted themselves, ascending.
    pub suspects: Vec<NodeId>,
    /// The last order, ballot, incident and halt.
    pub last: Last,
    /// Figures.
    pub figures: Figures,
    /// What the last step did to nodes, for [`crate::check`].
    pub changes: Vec<Change>,
    /// A node became healthy, or operations resumed: moves of this node and up that wait have to be begun again.
    pub wake: Option<u32>,
}
stored!(Cluster { phase, causes, census, leader, term, ballot, round, suspects, last, figures, changes, wake });

/// Numbers that make names unique: the last one given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Order or announcement.
    pub order: u64,
    /// Ballot.
    pub ballot: u64,
    /// Incident.
    pub incident: u64,
    /// Halt.
    pub halt: u64,
}
stored!(Last { order, ballot, incident, halt });
