//! Reconciliation: what this node finds becomes an event on its own ledger, the policy there decides, and what it orders
//! is carried out.
//!
//! ```text
//! Decide, Found, Suspended, Evidence, Quarantined -> event -> own ledger -> receipt, durable -> effect -> carried out
//!                                                                 ^                                          |
//!                                                                 +------------------- result ---------------+
//! ```
//!
//! | module | what it does |
//! | --- | --- |
//! | `events` | the words in which the policy is told |
//! | `orders` | the words in which it answers |
//! | `tell` | what is told, and what happens when nobody can decide |
//! | `carry` | reads the own ledger's steps, carries their effects out, watches them to their ends |
//! | `look` | holds stored state and log against the receipts, and names the first step that is wrong |
//! | `repair` | the state anew, from a peer's snapshot, by the chunks that differ |
//! | `report` | what would be decided, what was |
//!
//! Invariant: an order is read from a step that is durable on the own ledger, never from an answer on its way.
//!
//! Invariant: when the own ledger cannot decide, the ledger in question is suspended. Nothing is done silently.

mod carry;
mod events;
mod look;
mod orders;
mod repair;
mod report;
mod tell;

pub(super) use look::Looked;
pub(super) use repair::{Remains, Restored};

use self::{look::Looks, orders::Order, repair::Repair, tell::Told};
use crate::{daemon::happening::Reply, journal::LedgerEntry, orderer::FUTURE_MS_MAX};
use reprise_federation::{Mark, NodeKey, Remedy, Suspension, node::Finding};
use reprise_receipts::{LedgerId, Receipt};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::{mpsc, oneshot};

/// Answers of the own ledger that may wait to be looked at.
const ANSWERS_MAX: usize = 8_192;

/// What this node knows of its own decisions.
pub(super) struct Reconciler {
    /// The own ledger; none when this node has none, and then it decides nothing.
    own: Option<LedgerEntry>,
    /// Sequence number of the next step of the own ledger to be read.
    next_seq: u64,
    /// Where refusals come back.
    answers: (mpsc::Sender<Reply>, mpsc::Receiver<Reply>),
    /// What the policy was told, and what waits for its word.
    told: Told,
    /// Differences that wait for a decision, by ledger.
    undecided: BTreeMap<LedgerId, Undecided>,
    /// Orders that are not closed, by idempotency key.
    orders: BTreeMap<String, Open>,
    /// Repairs under way.
    repairs: BTreeMap<LedgerId, Repair>,
    /// Peers of which nothing about differences is used.
    quarantined: BTreeSet<NodeKey>,
    looks: Looks,
    /// When the own ledger's time is brought forward next, on the node's clock.
    advance_at_ms: u64,
    time: OwnTime,
}

/// The time of the own ledger in this life of the node.
#[derive(Clone, Copy, Debug, Default)]
struct OwnTime {
    /// Receipts that it had at the start: no two lives that have ordered something have the same number.
    first_seq: u64,
    /// How far the ledger's time was ahead of the node's clock at the start: the clock has gone back since. Waits of plans
    /// end when they have lasted, not when the clock has caught up.
    ahead_ms: u64,
}

impl OwnTime {
    /// After a last receipt with this number and logical time. At most half as far ahead of the clock as an event may be.
    fn after(last_seq: u64, last_ms: u64, now_ms: u64) -> Self {
        Self { first_seq: last_seq + 1, ahead_ms: last_ms.saturating_sub(now_ms).min(FUTURE_MS_MAX / 2) }
    }
}

/// A difference that waits for a decision.
#[derive(Clone, Copy, Debug)]
struct Undecided {
    finding: Finding,
    proposed: Remedy,
    /// The log that the pursuit leads to.
    target: Option<Mark>,
}

/// An order that is not closed.
struct Open {
    order: Order,
    stage: Stage,
    /// When it was read, on the node's clock.
    since_ms: u64,
}

/// How far an order is.
enum Stage {
    /// The difference that it is about has to be found again: the node was started since.
    Unmatched,
    /// Carried out by the state machines; the log before, and the one it leads to.
    Pursued { before: Mark, target: Option<Mark> },
    /// Carried out beside.
    Beside,
}

/// Who waits for a ledger to be resumed.
type Resuming = BTreeMap<LedgerId, Vec<oneshot::Sender<Result<(), String>>>>;

impl Reconciler {
    /// With the own ledger of this node.
    pub(super) fn new(own: Option<LedgerEntry>) -> Self {
        Self {
            own,
            next_seq: 0,
            answers: mpsc::channel(ANSWERS_MAX),
            told: Told::default(),
            undecided: BTreeMap::new(),
            orders: BTreeMap::new(),
            repairs: BTreeMap::new(),
            quarantined: BTreeSet::new(),
            looks: Looks::default(),
            advance_at_ms: 0,
            time: OwnTime::default(),
        }
    }

    /// The own ledger begins a life, with this as its last receipt.
    pub(super) fn begins(&mut self, last: Option<&Receipt>, now_ms: u64) {
        self.time = last.map_or_else(OwnTime::default, |last| OwnTime::after(last.seq, last.logical_time_ms, now_ms));
    }

    /// Decisions are made on a ledger of this node's own.
    pub(super) fn decides(&self) -> bool {
        self.own.is_some()
    }

    /// This is the own ledger.
    pub(super) fn is_own(&self, ledger: LedgerId) -> bool {
        self.own.as_ref().is_some_and(|own| own.id == ledger)
    }

    /// Nothing that this peer says about differences is used.
    pub(super) fn in_quarantine(&self, peer: NodeKey) -> bool {
        self.quarantined.contains(&peer)
    }
}

/// The name of a reason of suspension, and the receipt that it is about.
fn suspension_words(why: Suspension) -> (&'static str, Option<u64>) {
    match why {
        Suspension::CorruptHere => ("corrupt_here", None),
        Suspension::Contradiction { at } => ("contradiction", Some(at)),
        Suspension::ExecutionFault { at } => ("execution_fault", Some(at)),
        Suspension::Equivocation { at } => ("equivocation", Some(at)),
        Suspension::Incomparable => ("incomparable", None),
        Suspension::Ordered => ("ordered", None),
    }
}

#[cfg(test)]
mod tests;
