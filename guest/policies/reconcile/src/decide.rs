//! The table: what a difference is answered with. Total, and a function of the difference alone.
//!
//! The word of somebody who does not lead takes nothing back and stops nothing. What is protected is never taken back.

use crate::state::{Divergence, Why};

/// The rules that users rely on, as text: its digest is the governed rule `reconciliation`.
pub const RULES: &str = "stale here: fetch. stale there, corrupt there: nothing. corrupt here: suspend. From who does \
                         not lead, no more. Forked at what is protected: suspend. Forked after it: roll back, then \
                         fetch. Equivocation, execution fault, incomparable: suspend. Nothing resumes unverified but \
                         by an operator. What is protected is never taken back.";
/// BLAKE3 of the rules, keyed with `reprise reconcile rules v1`.
pub const RULES_DIGEST: [u8; 32] = [
    0xd6, 0xd1, 0xab, 0xf2, 0x92, 0xd8, 0xb8, 0x05, 0x61, 0xe4, 0xc5, 0x73, 0x58, 0x35, 0x65, 0x8e, 0x52, 0xc8, 0x6e,
    0x65, 0x9a, 0xa3, 0x23, 0x26, 0x07, 0xed, 0x2b, 0x0d, 0xfd, 0x77, 0xdd, 0xfd,
];

/// What is done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch what is missing, do it again, and follow.
    Fetch,
    /// Take back the steps from this one on, then fetch.
    RollBack {
        /// First step that goes.
        to: u64,
    },
    /// Do not advance any more.
    Suspend(Why),
    /// Nothing: the other side is to act, or its word is not enough.
    Nothing,
}

/// The remedy for a difference to a peer.
#[must_use]
pub fn remedy(divergence: Divergence, protected: u64, leads: bool) -> Remedy {
    match divergence {
        Divergence::StaleHere { .. } => Remedy::Fetch,
        Divergence::CorruptHere => Remedy::Suspend(Why::CorruptHere),
        Divergence::StaleThere { .. } | Divergence::CorruptThere => Remedy::Nothing,
        _ if !leads => Remedy::Nothing,
        Divergence::Forked { at } if at < protected => Remedy::Suspend(Why::Contradiction { at }),
        Divergence::Forked { at } => Remedy::RollBack { to: at },
        Divergence::Equivocation { at } => Remedy::Suspend(Why::Equivocation { at }),
        Divergence::ExecutionFault { at } => Remedy::Suspend(Why::ExecutionFault { at }),
        Divergence::Incomparable => Remedy::Suspend(Why::Incomparable),
    }
}

/// Why the table says so, in a sentence.
#[must_use]
pub fn reason(divergence: Divergence, remedy: Remedy, leads: bool) -> &'static str {
    match (divergence, remedy) {
        (Divergence::StaleHere { .. }, _) => "the log here is proved to be the beginning of the peer's",
        (Divergence::StaleThere { .. }, _) => "the peer is behind and fetches for itself",
        (Divergence::CorruptHere, _) => "the state here is not what the receipts here say",
        (Divergence::CorruptThere, _) => "what the peer says does not fit its own roots or receipts",
        _ if !leads => "the peer does not lead: its word takes nothing back and stops nothing",
        (_, Remedy::RollBack { .. }) => "the logs part after everything that is committed, signed or final here",
        (Divergence::Forked { .. }, _) => "the logs part in what is committed, signed or final here",
        (Divergence::Equivocation { .. }, _) => "one key has signed both histories",
        (Divergence::ExecutionFault { .. }, _) => "the same step on the same state gave another result",
        (Divergence::Incomparable, _) => "a package, an engine profile or history is missing on one side",
    }
}

#[cfg(test)]
mod tests;
