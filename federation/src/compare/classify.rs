//! What kind of difference it is. Who is to blame follows from what is signed and from replay, never from who says it.

use crate::message::Mark;
use core::fmt;
use reprise_receipts::{
    Attestation, Receipt, StateRoot,
    evidence::{Equivocation, Evidence},
};

/// How this node and a peer differ on a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// One log is the beginning of the other: this node is behind by so many receipts.
    StaleHere {
        /// Receipts that are missing here.
        missing: u64,
    },
    /// The peer is behind by so many receipts.
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
    /// One key has signed both histories, which one epoch ordered.
    Equivocation {
        /// First receipt that differs.
        at: u64,
    },
    /// The same step on the same state, done twice, with different results. Replay says who is wrong.
    ExecutionFault {
        /// Which step.
        at: u64,
    },
    /// It cannot be said.
    Incomparable(Uncomparable),
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleHere { missing } => write!(f, "behind the peer by {missing} receipts"),
            Self::StaleThere { missing } => write!(f, "the peer is behind by {missing} receipts"),
            Self::Forked { at } => write!(f, "two histories from receipt {at} on"),
            Self::CorruptHere => f.write_str("what is stored here is not what the receipts say"),
            Self::CorruptThere => f.write_str("what the peer says contradicts its own roots or receipts"),
            Self::Equivocation { at } => write!(f, "one key has signed two histories from receipt {at} on"),
            Self::ExecutionFault { at } => write!(f, "step {at} gives different results on the same state"),
            Self::Incomparable(what) => write!(f, "incomparable: {what}"),
        }
    }
}

/// What is missing for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncomparable {
    /// Other rules were in force.
    ProtocolEpoch,
    /// Another engine.
    Engine,
    /// Another policy.
    Package,
    /// One side does not keep the history any more.
    History,
}

impl fmt::Display for Uncomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProtocolEpoch => "other rules were in force there",
            Self::Engine => "another engine profile",
            Self::Package => "another policy package",
            Self::History => "the history is not kept any more",
        })
    }
}

/// One side of a fork: the first receipt that differs, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkSide {
    /// The receipt; its place in the log is verified.
    pub receipt: Receipt,
    /// An attestation of the log that it is in, verified, if there is one.
    pub attestation: Option<Attestation>,
}

/// A divergence and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What it is.
    pub divergence: Divergence,
    /// The proof that somebody signed something wrong, if what is at hand is enough for one.
    pub evidence: Option<Evidence>,
}

/// Classifies a fork by the first receipts that differ.
#[must_use]
pub fn classify(ours: &ForkSide, theirs: &ForkSide) -> Classified {
    let at = ours.receipt.seq;
    let without_evidence = |divergence| Classified { divergence, evidence: None };
    if let (Some(our), Some(their)) = (&ours.attestation, &theirs.attestation)
        && our.signer == their.signer
        && ours.receipt.epoch == theirs.receipt.epoch
    {
        let same_place = (our.body.seq, our.body.epoch) == (their.body.seq, their.body.epoch) && our.body != their.body;
        let evidence =
            same_place.then(|| Evidence::Equivocation(Box::new(Equivocation::new(our.clone(), their.clone()))));
        return Classified { divergence: Divergence::Equivocation { at }, evidence };
    }
    let (our, their) = (&ours.receipt, &theirs.receipt);
    let same_start = (our.input, our.prior_state, our.previous, our.epoch, our.logical_time_ms)
        == (their.input, their.prior_state, their.previous, their.epoch, their.logical_time_ms);
    if !same_start {
        return without_evidence(Divergence::Forked { at });
    }
    without_evidence(if our.protocol_epoch != their.protocol_epoch {
        Divergence::Incomparable(Uncomparable::ProtocolEpoch)
    } else if our.engine_profile != their.engine_profile {
        Divergence::Incomparable(Uncomparable::Engine)
    } else if our.package != their.package {
        Divergence::Incomparable(Uncomparable::Package)
    } else {
        Divergence::ExecutionFault { at }
    })
}

/// Two nodes have the same log and different states: the receipts say which one is right.
///
/// `receipt` is the state root in the last receipt, which both logs have. `None`: the states are the same.
#[must_use]
pub fn classify_states(
    (our_log, our_state): (&Mark, StateRoot),
    (their_log, their_state): (&Mark, StateRoot),
    receipt: StateRoot,
) -> Option<Divergence> {
    if our_log != their_log || our_state == their_state {
        return None;
    }
    Some(if our_state == receipt { Divergence::CorruptThere } else { Divergence::CorruptHere })
}
