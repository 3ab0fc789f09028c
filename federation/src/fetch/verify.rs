//! Whether steps that came from somewhere continue the local log and lead to the one that was proved.

use super::Held;
use crate::message::{Mark, Step, consistency};
use reprise_abi::decode_canonical;
use reprise_receipts::{InputDigest, LeafHash, LedgerId, Receipt, log::LogTail};

/// Why steps are not taken. Nothing of them has been executed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// They do not begin where the local log ends.
    #[error("the steps begin at {found}, the log ends at {expected}")]
    Place {
        /// Receipts of the local log.
        expected: u64,
        /// First step that came.
        found: u64,
    },
    /// A receipt does not decode.
    #[error("receipt {0} does not decode")]
    Receipt(u64),
    /// A receipt is of another ledger or place, or does not name the one before it.
    #[error("receipt {0} does not continue the log")]
    Chain(u64),
    /// An input is not the one that its receipt names.
    #[error("input {0} is not the one that the receipt names")]
    Input(u64),
    /// The log that they lead to is not the beginning of the one that was proved.
    #[error("the steps up to {0} do not lead to the log that was proved")]
    Root(u64),
}

/// Checks that steps from `first` on continue the log `tail`, without asking where they lead. The log after them.
///
/// # Errors
/// [`SegmentError`] with the first thing that is wrong.
pub fn verify_chain(ledger: LedgerId, tail: &LogTail, first: u64, steps: &[Step]) -> Result<LogTail, SegmentError> {
    if first != tail.size() {
        return Err(SegmentError::Place { expected: tail.size(), found: first });
    }
    let mut tail = tail.clone();
    for step in steps {
        let seq = tail.size();
        let receipt: Receipt = decode_canonical(&step.receipt).map_err(|_| SegmentError::Receipt(seq))?;
        let previous = tail.last_leaf().unwrap_or(LeafHash::NONE);
        if receipt.ledger != ledger || receipt.seq != seq || receipt.previous != previous {
            return Err(SegmentError::Chain(seq));
        }
        if InputDigest::of(&step.input) != receipt.input {
            return Err(SegmentError::Input(seq));
        }
        tail.append(step.leaf());
    }
    // Tiles that became complete are the journal's business.
    drop(tail.take_complete_tiles());
    Ok(tail)
}

/// Checks steps that are to come after the log `tail`, on the way to `target`. The log after them.
///
/// # Errors
/// [`SegmentError`] with the first thing that is wrong.
pub fn verify_segment(ledger: LedgerId, tail: &LogTail, held: &Held, target: &Mark) -> Result<LogTail, SegmentError> {
    let tail = verify_chain(ledger, tail, held.first, &held.steps)?;
    let (end, root) = (tail.size(), tail.root());
    let leads = match end == target.size {
        true => root == target.log_root,
        false => consistency(&held.path).verify(end, &root, target.size, &target.log_root).is_ok(),
    };
    if leads { Ok(tail) } else { Err(SegmentError::Root(end)) }
}
