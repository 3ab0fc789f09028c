//! What the policy keeps: a record for each ledger with the plan under way, what is known of each peer on it, and how
//! each peer has behaved.

use crate::params::Params;
use reprise_guest::typed::{Cell, Map};
use serde::{Deserialize, Serialize};

/// Parameters.
pub const PARAMS: Cell<Params> = Cell::new(b"params");
/// How much there is of what.
pub const COUNTS: Cell<Counts> = Cell::new(b"counts");
/// Ledgers by name.
pub const LEDGERS: Map<String, Ledger> = Map::new(b"ledger/");
/// (ledger, peer) to the last difference between them.
pub const SEEN: Map<(String, String), Seen> = Map::new(b"seen/");
/// Peers that sent what does not hold.
pub const CONDUCT: Map<String, Conduct> = Map::new(b"conduct/");
/// What the last step changed: for `check`.
pub const TOUCHED: Cell<Touched> = Cell::new(b"touched");

/// How much there is of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ledgers.
    pub ledgers: u32,
    /// Pairs of a ledger and a peer.
    pub seen: u32,
    /// Peers that sent what does not hold.
    pub conduct: u32,
    /// Ledgers whose plan is under way.
    pub plans: u32,
    /// Peers in quarantine.
    pub quarantined: u32,
}

/// One ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// It does not advance, and why.
    pub suspended: Option<Why>,
    /// Repair was given up: a person is to look.
    pub gave_up: bool,
    /// So many receipts are never taken back.
    pub protected: u64,
    /// Number of the last plan.
    pub plans: u64,
    /// Plans in a row that came to nothing.
    pub failures: u32,
    /// Repairs within the window that began at `repairs_since_ms`.
    pub repairs: u32,
    /// See `repairs`, in milliseconds of logical time.
    pub repairs_since_ms: u64,
    /// The plan under way.
    pub plan: Option<Plan>,
}

/// A plan: the step that it is at, and what is known on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its number on its ledger, from 1.
    pub number: u64,
    /// Whom it is about; empty when it is about nobody.
    pub peer: String,
    /// The step that it is at.
    pub stage: Stage,
    /// Attempts at this step, this one among them.
    pub attempt: u32,
    /// Steps of this plan so far, every attempt counted: with its number it makes the key of what is ordered.
    pub orders: u32,
    /// The step is ordered at this time, in milliseconds; none when it is under way.
    pub due_ms: Option<u64>,
    /// The host has held log and state against each other since the last change.
    pub verified: bool,
    /// The state was made anew in this plan.
    pub restored: bool,
    /// An operator has ordered it.
    pub ordered: bool,
    /// When it was made, in milliseconds of logical time.
    pub made_ms: u64,
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Fetch what is missing, and follow.
    Fetch,
    /// Take back the steps from this one on.
    RollBack {
        /// First step that goes.
        to: u64,
    },
    /// Do not advance any more.
    Suspend(Why),
    /// Hold log and state against each other, and name the first step that is wrong.
    Verify,
    /// Make the state anew from a peer's snapshot, by the chunks that differ.
    Restore,
    /// Make the state anew from what is here.
    Rebuild,
    /// Advance again.
    Resume,
}

/// Why a ledger does not advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The state or the log here is not what the receipts say.
    CorruptHere,
    /// The owner's log contradicts what is protected here.
    Contradiction {
        /// First receipt that differs.
        at: u64,
    },
    /// A step of the owner gives another receipt here.
    ExecutionFault {
        /// Which step.
        at: u64,
    },
    /// The owner has signed two histories.
    Equivocation {
        /// First place that is signed twice.
        at: u64,
    },
    /// The histories cannot be compared, or this node cannot go on for a fault of its own.
    Incomparable,
    /// An operator has ordered it.
    Ordered,
}

/// How this node and a peer differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Divergence {
    /// This node is behind.
    StaleHere {
        /// Receipts that are missing here.
        missing: u64,
    },
    /// The peer is behind.
    StaleThere {
        /// Receipts that are missing there.
        missing: u64,
    },
    /// Two histories from this receipt on.
    Forked {
        /// First receipt that differs.
        at: u64,
    },
    /// What is stored here is not what the receipts here say.
    CorruptHere,
    /// What the peer tells is not what its own roots or receipts say.
    CorruptThere,
    /// One key has signed both histories.
    Equivocation {
        /// First receipt that differs.
        at: u64,
    },
    /// The same step on the same state with different results.
    ExecutionFault {
        /// Which step.
        at: u64,
    },
    /// It cannot be said.
    Incomparable,
}

/// Where a ledger stands on a node. Roots are 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Receipts.
    pub size: u64,
    /// Root of the log of them.
    pub log_root: String,
    /// Root of the state after the last one.
    pub state_root: String,
}

/// The last difference between this node and a peer on a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it was.
    pub divergence: Divergence,
    /// The peer's ledger, as far as it was known.
    pub there: Option<Head>,
    /// When it was found, in milliseconds of logical time.
    pub at_ms: u64,
}

/// How a peer has behaved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conduct {
    /// Objects that did not hold, since the last time out of quarantine.
    pub strikes: u32,
    /// Nothing that it sends about differences is used until then, in milliseconds of logical time.
    pub quarantined_until_ms: Option<u64>,
    /// It is proved to have signed something wrong: only an operator lets it out.
    pub convicted: bool,
}

/// What a step changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// A ledger, and the stage of its plan before.
    pub ledger: Option<(String, Option<Stage>)>,
    /// A peer.
    pub peer: Option<String>,
}

impl Stage {
    /// Its name, as effects have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::RollBack { .. } => "roll_back",
            Self::Suspend(_) => "suspend",
            Self::Verify => "verify",
            Self::Restore => "restore",
            Self::Rebuild => "rebuild",
            Self::Resume => "resume",
        }
    }

    /// It belongs to the repair of a suspended ledger.
    #[must_use]
    pub fn repairs(self) -> bool {
        matches!(self, Self::Verify | Self::Restore | Self::Rebuild | Self::Resume)
    }
}

impl Why {
    /// Its name, as events and effects have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CorruptHere => "corrupt_here",
            Self::Contradiction { .. } => "contradiction",
            Self::ExecutionFault { .. } => "execution_fault",
            Self::Equivocation { .. } => "equivocation",
            Self::Incomparable => "incomparable",
            Self::Ordered => "ordered",
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str, at: Option<u64>) -> Option<Self> {
        Some(match (name, at) {
            ("corrupt_here", None) => Self::CorruptHere,
            ("contradiction", Some(at)) => Self::Contradiction { at },
            ("execution_fault", Some(at)) => Self::ExecutionFault { at },
            ("equivocation", Some(at)) => Self::Equivocation { at },
            ("incomparable", None) => Self::Incomparable,
            ("ordered", None) => Self::Ordered,
            _ => return None,
        })
    }

    /// The receipt that it is about.
    #[must_use]
    pub fn at(self) -> Option<u64> {
        match self {
            Self::Contradiction { at } | Self::ExecutionFault { at } | Self::Equivocation { at } => Some(at),
            Self::CorruptHere | Self::Incomparable | Self::Ordered => None,
        }
    }

    /// This node may be the one that is wrong, so it looks, repairs itself and goes on. Everything else is for operators:
    /// a grant, or `resume`.
    #[must_use]
    pub fn is_repaired_here(self) -> bool {
        matches!(self, Self::CorruptHere | Self::ExecutionFault { .. } | Self::Incomparable)
    }
}

impl Divergence {
    /// Its class, as events have it.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::StaleHere { .. } => "stale_here",
            Self::StaleThere { .. } => "stale_there",
            Self::Forked { .. } => "forked",
            Self::CorruptHere => "corrupt_here",
            Self::CorruptThere => "corrupt_there",
            Self::Equivocation { .. } => "equivocation",
            Self::ExecutionFault { .. } => "execution_fault",
            Self::Incomparable => "incomparable",
        }
    }
}
