//! What to do about a difference: a plan is a value, and making one is a pure, total function.
//!
//! [`suggest`] is what the state machine does when nobody else decides. With
//! [`Config::decide_elsewhere`](crate::node::Config::decide_elsewhere) it is only a proposal: the driver gives it to
//! whoever decides, and hands the decision back.

use crate::{compare::Divergence, membership::Suspension};

/// What is done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch the steps that are missing, do them again, and follow.
    Fetch,
    /// Take back the steps from this one on, then fetch.
    RollBack {
        /// First step that goes.
        to: u64,
    },
    /// Do not advance any more.
    Suspend(Suspension),
    /// Nothing: the other side is to act, or its word is not enough.
    Nothing,
}

/// The remedy for a difference to a peer.
///
/// `protected` receipts are committed, signed or final here and stay. `leads` says that the peer owns the ledger in the
/// promised epoch, or that a quorum has shown its log: the word of anybody else takes nothing back and stops nothing.
#[must_use]
pub fn suggest(divergence: Divergence, protected: u64, leads: bool) -> Remedy {
    match divergence {
        Divergence::StaleHere { .. } => Remedy::Fetch,
        Divergence::CorruptHere => Remedy::Suspend(Suspension::CorruptHere),
        Divergence::StaleThere { .. } | Divergence::CorruptThere => Remedy::Nothing,
        _ if !leads => Remedy::Nothing,
        Divergence::Forked { at } if at < protected => Remedy::Suspend(Suspension::Contradiction { at }),
        Divergence::Forked { at } => Remedy::RollBack { to: at },
        Divergence::Equivocation { at } => Remedy::Suspend(Suspension::Equivocation { at }),
        Divergence::ExecutionFault { at } => Remedy::Suspend(Suspension::ExecutionFault { at }),
        Divergence::Incomparable(_) => Remedy::Suspend(Suspension::Incomparable),
    }
}

#[cfg(test)]
mod tests;
