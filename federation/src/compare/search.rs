//! Behind or forked, and where: what two logs of one ledger have to do with each other.

use super::descent::{Descent, DescentError};
use crate::{
    ledgers::{Ledgers, contains},
    message::{Mark, Question, Refusal, Reply, consistency},
};
use reprise_receipts::LedgerId;

/// How the local log and a peer's log lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// They are one log.
    Same,
    /// The local log is the beginning of the peer's.
    Behind,
    /// The peer's log is the beginning of the local one.
    Ahead,
    /// They are equal before this receipt and differ in it.
    Forked {
        /// Sequence number of the first receipt that differs.
        at: u64,
    },
}

/// Why a search ends without a result: the peer contradicts itself, refuses, or local data is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The answer is to another question.
    #[error("the answer does not belong to the question")]
    OtherAnswer,
    /// The peer does not answer.
    #[error("{0}")]
    Refused(Refusal),
    /// The answers contradict each other.
    #[error("{0}")]
    Descent(#[from] DescentError),
}

/// A comparison of two logs of one ledger, tier by tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    ledger: LedgerId,
    ours: Mark,
    theirs: Mark,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Continuity,
    Epochs,
    Descent(Descent),
    Done(Relation),
}

impl Search {
    /// Of the local log, which is at `ours`, and a peer's. What local data can answer is answered at once.
    #[must_use]
    pub fn new(ledger: LedgerId, ours: Mark, theirs: Mark, facts: &dyn Ledgers) -> Self {
        let stage = if ours == theirs {
            Stage::Done(Relation::Same)
        } else if theirs.size > ours.size {
            // Of the empty log there is nothing to be proved.
            if ours.size == 0 { Stage::Done(Relation::Behind) } else { Stage::Continuity }
        } else if theirs.size < ours.size && contains(facts, ledger, &theirs) {
            Stage::Done(Relation::Ahead)
        } else {
            Stage::Epochs
        };
        Self { ledger, ours, theirs, stage }
    }

    /// The peer's log that is compared with.
    #[must_use]
    pub fn theirs(&self) -> Mark {
        self.theirs
    }

    /// The local log that is compared: if it is not that any more, the search is void.
    #[must_use]
    pub fn ours(&self) -> Mark {
        self.ours
    }

    /// The result, when there is one.
    #[must_use]
    pub fn relation(&self) -> Option<Relation> {
        match self.stage {
            Stage::Done(relation) => Some(relation),
            _ => None,
        }
    }

    /// What to ask next; `None` when there is a result.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let ledger = self.ledger;
        match &self.stage {
            Stage::Continuity => Some(Question::Continuity { ledger, from: self.ours.size, to: self.theirs.size }),
            Stage::Epochs => Some(Question::Epochs { ledger }),
            Stage::Descent(descent) => Some(descent.question()),
            Stage::Done(_) => None,
        }
    }

    /// Takes the answer to [`Self::question`].
    ///
    /// # Errors
    /// [`SearchError`]: nothing more can be found out with this peer.
    pub fn answer(&mut self, reply: &Reply, facts: &dyn Ledgers) -> Result<(), SearchError> {
        let next = match (&mut self.stage, reply) {
            (_, Reply::Refused(refusal)) => return Err(SearchError::Refused(*refusal)),
            (Stage::Continuity, Reply::Continuity(path)) => {
                let (ours, theirs) = (&self.ours, &self.theirs);
                let holds = consistency(path).verify(ours.size, &ours.log_root, theirs.size, &theirs.log_root);
                // A proof that does not hold is what an honest peer of another history sends.
                if holds.is_ok() { Stage::Done(Relation::Behind) } else { Stage::Epochs }
            }
            (Stage::Epochs, Reply::Epochs(theirs)) => {
                let common = self.ours.size.min(self.theirs.size);
                if common == 0 {
                    return Err(DescentError::NoDifference.into());
                }
                let mut descent = Descent::new(self.ledger, common);
                descent.narrow(&facts.epochs(self.ledger), theirs);
                Stage::Descent(descent)
            }
            (Stage::Descent(descent), Reply::Subtrees(roots)) => match descent.answer(roots, facts)? {
                Some(at) => Stage::Done(Relation::Forked { at }),
                None => return Ok(()),
            },
            _ => return Err(SearchError::OtherAnswer),
        };
        self.stage = next;
        Ok(())
    }
}
