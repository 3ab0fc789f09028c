//! What two nodes have after the same number of receipts, root by root.
//!
//! Where the logs are the same, the receipts are, and what they say of states and executions; what is stored, what a
//! checkpoint claims and what a view answers may still differ. Each is compared by itself.

use crate::message::{Projected, Roots};
use reprise_receipts::{LogRoot, StateRoot};

/// How a root here is to that of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They are the same.
    Same,
    /// They are not.
    Differs,
    /// One side does not have it, or they are about different things.
    Unknown,
}

/// Roots here and at a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootsCompared {
    /// Of the receipts.
    pub log: Likeness,
    /// Of the state.
    pub state: Likeness,
    /// Of the last step.
    pub execution: Likeness,
    /// What the peer's newest checkpoint claims, against the receipts here.
    pub checkpoint: Likeness,
    /// Whether the same checkpoints lead to those of one size. Two owners of a ledger each have a line of their own, so that
    /// different lines contradict nothing: they are unknown to each other.
    pub continuity: Likeness,
    /// What the view says.
    pub projection: Likeness,
}

impl RootsCompared {
    /// All of them with their names, in the order in which one rests on another.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Likeness); 6] {
        [
            ("log root", self.log),
            ("state root", self.state),
            ("execution root", self.execution),
            ("checkpoint", self.checkpoint),
            ("continuity root", self.continuity),
            ("projection root", self.projection),
        ]
    }

    /// The first that differs.
    #[must_use]
    pub fn difference(&self) -> Option<&'static str> {
        self.named().into_iter().find(|(_, likeness)| *likeness == Likeness::Differs).map(|(name, _)| name)
    }
}

/// Compares roots after the same number of receipts. `then` are the roots of log and state that the receipts here have for
/// the size of the peer's checkpoint.
#[must_use]
pub fn compare_roots(ours: &Roots, theirs: &Roots, then: Option<(LogRoot, StateRoot)>) -> RootsCompared {
    let claimed = theirs.checkpoint.as_ref();
    let kept = ours.checkpoint.as_ref().filter(|ours| claimed.is_some_and(|it| it.claim.size == ours.claim.size));
    let checkpoint = match (claimed, then) {
        (Some(theirs), Some(then)) => like((theirs.claim.log_root, theirs.claim.snapshot.state_root) == then),
        _ => Likeness::Unknown,
    };
    let one_line = matches!((kept, claimed), (Some(ours), Some(theirs)) if ours.continuity == theirs.continuity);
    RootsCompared {
        log: like(ours.log_root == theirs.log_root),
        state: like(ours.state_root == theirs.state_root),
        execution: like(ours.execution == theirs.execution),
        checkpoint,
        continuity: if one_line { Likeness::Same } else { Likeness::Unknown },
        projection: match (ours.projection, theirs.projection) {
            (Some(ours), Some(theirs)) if ours != Projected::Missing && theirs != Projected::Missing => {
                like(ours == theirs)
            }
            _ => Likeness::Unknown,
        },
    }
}

fn like(same: bool) -> Likeness {
    if same { Likeness::Same } else { Likeness::Differs }
}
