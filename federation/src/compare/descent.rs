//! The way down to the first receipt in which two logs differ: 16 subtrees at a time.

use crate::{
    ledgers::{EpochStart, Ledgers, subtree_roots},
    limits::SUBTREE_FANOUT,
    message::Question,
};
use reprise_receipts::LedgerId;
use tlog_tiles::Tile;

/// A search for the first receipt that differs, within receipts that both logs have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descent {
    ledger: LedgerId,
    /// Receipts that both logs have: subtrees beyond are not complete.
    common: u64,
    /// The first receipt that differs is not before this one.
    low: u64,
    /// It is before this one.
    high: u64,
    /// Subtree of the level above in which the logs differ, with its root at the peer.
    above: Option<(u8, u64, [u8; 32])>,
}

/// Why there is no end to the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescentError {
    /// The peer answers with another number of roots.
    #[error("{found} subtree roots, {expected} were asked for")]
    Count {
        /// Asked for.
        expected: usize,
        /// Answered.
        found: usize,
    },
    /// The roots are not those of the subtree whose root the peer gave before.
    #[error("subtree roots that do not make the root of the subtree above them")]
    Contradiction,
    /// No subtree differs, although the roots of the logs do.
    #[error("no subtree differs, although the logs are said to")]
    NoDifference,
    /// A tile of the local log is missing.
    #[error("the local log lacks hashes at receipt {0}")]
    LocalLog(u64),
}

/// A run of subtrees of one level.
struct Row {
    level: u8,
    first: u64,
    count: u64,
}

impl Descent {
    /// Between two logs of which both have `common` receipts, at least 1.
    #[must_use]
    pub fn new(ledger: LedgerId, common: u64) -> Self {
        Self { ledger, common, low: 0, high: common, above: None }
    }

    /// Narrows the search by the epoch tables. A leaf hash binds all receipts before it, so where the same epoch begins
    /// with the same receipt, everything up to it is equal; where it does not, something up to it differs.
    pub fn narrow(&mut self, ours: &[EpochStart], theirs: &[EpochStart]) {
        for our in ours {
            match theirs.iter().find(|their| their.epoch == our.epoch) {
                Some(their) if their == our && our.first < self.high => self.low = self.low.max(our.first + 1),
                Some(their) if their == our => {}
                Some(their) => self.high = self.high.min(our.first.min(their.first).saturating_add(1)),
                None => {}
            }
        }
        // Tables that contradict each other say nothing.
        if self.low >= self.high {
            (self.low, self.high) = (0, self.common);
        }
    }

    /// The next question.
    #[must_use]
    pub fn question(&self) -> Question {
        let Row { level, first, count } = self.row();
        Question::Subtrees { ledger: self.ledger, level, first, count: count as u8 }
    }

    /// Takes the answer to [`Self::question`]; the first receipt that differs, if it is known now.
    ///
    /// # Errors
    /// [`DescentError`].
    pub fn answer(&mut self, theirs: &[[u8; 32]], facts: &dyn Ledgers) -> Result<Option<u64>, DescentError> {
        let Row { level, first, count } = self.row();
        if theirs.len() as u64 != count {
            return Err(DescentError::Count { expected: count as usize, found: theirs.len() });
        }
        if let Some((above_level, index, root)) = self.above {
            let whole = level + 1 == above_level && first == index * SUBTREE_FANOUT && count == SUBTREE_FANOUT;
            if whole && Tile::subtree_hash(theirs.as_flattened()).0 != root {
                return Err(DescentError::Contradiction);
            }
        }
        let leaf = |index: u64| index << (4 * u32::from(level));
        let ours = subtree_roots(facts, self.ledger, level, first, count).ok_or(DescentError::LocalLog(leaf(first)))?;
        match ours.iter().zip(theirs).position(|(our, their)| our != their) {
            Some(at) => {
                let index = first + at as u64;
                self.low = self.low.max(leaf(index));
                self.high = self.high.min(leaf(index + 1));
                self.above = Some((level, index, theirs[at]));
                if level == 0 {
                    return Ok(Some(index));
                }
            }
            None => {
                self.low = leaf(first + count);
                self.above = None;
            }
        }
        if self.low >= self.high { Err(DescentError::NoDifference) } else { Ok(None) }
    }

    /// The highest subtrees of which at most 16 cover what is left, those that are complete.
    fn row(&self) -> Row {
        let blocks = |level: u8| {
            let bits = 4 * u32::from(level);
            let first = self.low >> bits;
            let last = (self.high - 1) >> bits;
            let complete = self.common >> bits;
            (first, last, complete)
        };
        let mut level = (0..12)
            .find(|level| {
                let (first, last, _) = blocks(*level);
                last - first < SUBTREE_FANOUT
            })
            .expect("16 subtrees of the highest level are more than the largest log");
        loop {
            let (first, last, complete) = blocks(level);
            let end = complete.min(last + 1);
            if end > first {
                return Row { level, first, count: end - first };
            }
            // Nothing complete: one subtree on the right edge, of which the parts are asked for.
            level -= 1;
        }
    }
}
