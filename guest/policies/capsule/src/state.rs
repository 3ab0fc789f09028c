//! What the policy keeps: a record for each capsule, a case for each one in trouble, an order for each lineage
//! isolated.

use crate::{
    case::{Case, Cause},
    config::Config,
    index::{self, Index, Names},
    numbers,
    phi::Phi,
    severity::{Reading, Severity},
};
use reprise_guest::{
    Host,
    typed::{Cell, CorruptState, Map},
};
use serde::{Deserialize, Serialize};

/// Parameters.
pub const CONFIG: Cell<Config> = Cell::new(b"config");
/// Names of the nodes, ascending. A node is known by its place in this list.
pub const NODES: Cell<Vec<String>> = Cell::new(b"nodes");
/// Counters and figures.
pub const HEADER: Cell<Header> = Cell::new(b"header");
/// Capsules by name.
pub const CAPSULES: Map<String, Capsule> = Map::new(CAPSULES_PREFIX);
const CAPSULES_PREFIX: &[u8] = b"capsule/";
/// (parent, child).
pub const CHILDREN: Index<(String, String)> = Index::new(b"child/");
/// What is decided at the end of this tick: (urgency, capsule). In this order ancestors are isolated before their
/// descendants are looked at.
pub const PLAN: Index<(u64, String)> = Index::new(b"plan/");
/// What is due: (tick, capsule).
pub const DUE: Index<(u64, String)> = Index::new(b"due/");
/// Isolated lineages, by number: the forensic record.
pub const ORDERS: Map<u64, Order> = Map::new(b"order/");
/// The audit under way.
pub const AUDIT: Cell<Audit> = Cell::new(b"audit");
/// What the last step changed: for `check`.
pub const TOUCHED: Cell<Touched> = Cell::new(b"touched");

/// Where a capsule stands. The names are the document's, or made like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Status {
    /// In the pool.
    Normal = 0,
    /// In the pool; a correction is being verified.
    Healing = 1,
    /// Out of the pool; repaired in the background until a review.
    Quarantined = 2,
    /// Quarantined, and the cluster is deciding.
    Escalated = 3,
    /// Quarantined with its lineage.
    Isolated = 4,
    /// Released by a review; still out of the pool, until the success criteria hold.
    Recovering = 5,
}

impl Status {
    /// Every status, in the order of its number.
    pub const ALL: [Self; 6] =
        [Self::Normal, Self::Healing, Self::Quarantined, Self::Escalated, Self::Isolated, Self::Recovering];

    /// In capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Healing => "HEALING",
            Self::Quarantined => "QUARANTINED",
            Self::Escalated => "ESCALATED",
            Self::Isolated => "ISOLATED",
            Self::Recovering => "RECOVERING",
        }
    }

    /// Takes part in consensus, and may have children.
    #[must_use]
    pub fn participates(self) -> bool {
        matches!(self, Self::Normal | Self::Healing)
    }
}

/// One capsule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capsule {
    /// What it descends from.
    pub parent: Option<String>,
    /// How many ancestors it has.
    #[serde(serialize_with = "numbers::narrow")]
    pub depth: u32,
    /// It has descendants.
    pub has_children: bool,
    /// Its state vector.
    pub phi: Phi,
    /// The last tick in which it was measured.
    pub reading: Option<Reading>,
    /// Where it stands.
    pub status: Status,
    /// It is in the active consensus pool.
    pub consensus_participation: bool,
    /// Nothing may spring from it.
    pub propagation_blocked: bool,
    /// It belongs to an isolated lineage.
    pub lineage_tainted: bool,
    /// Which order isolated it.
    pub order: Option<u64>,
    /// What it waits for.
    pub agenda: Agenda,
    /// What is being done about it.
    pub case: Option<Box<Case>>,
}

impl Capsule {
    /// Changes where it stands, and with that whether it takes part and propagates.
    pub fn stand(&mut self, status: Status) {
        self.status = status;
        self.consensus_participation = status.participates();
        self.propagation_blocked = !status.participates();
    }

    /// Its place in [`PLAN`]: CRITICAL goes first, and then who is nearer to the beginning of a lineage.
    #[must_use]
    pub fn urgency(&self) -> u64 {
        let critical = self.reading.is_some_and(|reading| reading.severity() == Severity::Critical);
        let rest = 1 << 32;
        (if critical { 0 } else { rest }) + u64::from(self.depth)
    }

    /// It is the root of the lineage that its order isolated.
    #[must_use]
    pub fn is_order_root(&self) -> bool {
        self.order.is_some() && self.case.is_some()
    }

    /// The reading, if it is of the tick that just ended or of this one.
    #[must_use]
    pub fn fresh(&self, tick: u64) -> Option<Reading> {
        self.reading.filter(|reading| reading.tick + 1 >= tick)
    }
}

/// What a capsule waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agenda {
    /// Something was heard: it is decided at the end of the tick.
    pub planned: bool,
    /// At the beginning of this tick something is due.
    pub due: Option<u64>,
    /// An effect that mattered came to nothing.
    pub setback: Option<Setback>,
}

/// An effect that came to nothing, and changes what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Setback {
    /// A correction was not applied.
    Correction,
    /// A release was not carried out.
    Release,
    /// The release of a lineage was not carried out.
    LineageRelease,
}

/// The forensic record of an isolated lineage (E5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The root of the lineage.
    pub root: String,
    /// When it was isolated, in milliseconds of logical time.
    #[serde(serialize_with = "numbers::wide")]
    pub at_ms: u64,
    /// Why.
    pub cause: Cause,
    /// What was measured of the root.
    pub reading: Option<Reading>,
    /// Capsules isolated so far, the root included.
    #[serde(serialize_with = "numbers::narrow")]
    pub affected: u32,
    /// Capsules given back by the release so far, the root included.
    #[serde(serialize_with = "numbers::narrow")]
    pub released: u32,
    /// Capsules that the release kept in quarantine, because they do not meet the criteria themselves.
    #[serde(serialize_with = "numbers::narrow")]
    pub held: u32,
    /// A later order isolated a lineage that this one is part of.
    pub superseded_by: Option<u64>,
    /// The tree is being given back, not isolated.
    pub releasing: bool,
    /// How far the tree is worked through, depth first: from the root down a parent, and which of its children was
    /// the last one done.
    pub path: Vec<(String, Option<String>)>,
}

impl Order {
    /// Every descendant has been reached.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.path.is_empty()
    }
}

/// An audit of the whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The last capsule looked at; none before the first.
    pub after: Option<String>,
    /// Capsules by status so far.
    #[serde(serialize_with = "numbers::narrows")]
    pub by_status: [u32; 6],
    /// All were looked at.
    pub complete: bool,
}

/// Counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Capsules by status.
    #[serde(serialize_with = "numbers::narrows")]
    pub by_status: [u32; 6],
    /// Number of the last question to the cluster.
    #[serde(serialize_with = "numbers::wide")]
    pub rounds: u64,
    /// Number of the last order.
    #[serde(serialize_with = "numbers::wide")]
    pub orders: u64,
    /// Orders whose trees are being worked through, the first goes first.
    pub walking: Vec<u64>,
    /// The tick at whose beginning the timer goes off.
    pub timer: Option<u64>,
    /// The tick in which what stands in [`PLAN`] was heard.
    #[serde(serialize_with = "numbers::wide")]
    pub heard_tick: u64,
    /// How often what happened, by [`Figure`].
    #[serde(serialize_with = "numbers::wides")]
    pub figures: [u64; 9],
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Figure {
    /// Corrections of MILD drift.
    Heals = 0,
    /// Times a capsule was put into quarantine, lineages aside.
    Quarantines = 1,
    /// Repairs attempted.
    Repairs = 2,
    /// Questions to the cluster.
    Escalations = 3,
    /// Lineages isolated.
    Isolations = 4,
    /// Recoveries that met all criteria.
    Recoveries = 5,
    /// Verifications extended.
    Extensions = 6,
    /// Effects that failed or expired.
    Undelivered = 7,
    /// Audits begun.
    Audits = 8,
}

impl Figure {
    /// Names, by number.
    pub const NAMES: [&str; 9] = [
        "heals",
        "quarantines",
        "repairs",
        "escalations",
        "isolations",
        "recoveries",
        "extensions",
        "undelivered",
        "audits",
    ];
}

impl Header {
    /// Counts one more.
    pub fn count(&mut self, figure: Figure) {
        let count = &mut self.figures[figure as usize];
        *count = count.saturating_add(1);
    }
}

/// What a step changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Capsules by status before the step.
    #[serde(serialize_with = "numbers::narrows")]
    pub by_status_before: [u32; 6],
    /// What happened to which capsule, ascending by name: its status before, then its status after each time it was
    /// stored. A new one has none before.
    pub changes: Vec<(String, Vec<Status>)>,
    /// What an audit found broken, and of which capsule.
    pub broken: Option<(String, String)>,
}

/// At most `limit` names of capsules after one, and whether more follow.
///
/// # Errors
/// [`CorruptState`]: bytes of another version.
pub fn capsules_after(host: &mut dyn Host, after: Option<&String>, limit: u32) -> Result<Names, CorruptState> {
    index::names(host, CAPSULES_PREFIX, after, limit).ok_or(CorruptState { place: CAPSULES_PREFIX })
}
