//! Verification: does every step of a range again, and says match, divergent or incomparable.
//!
//! The range is cut into one segment for each job. A segment starts from the state that the stored diffs lead to, which is
//! cheap to compute and is held against the state root of the receipt before it; every stored diff is itself checked
//! by the segment that executes its step. So segments need not trust each other, and the verdict of a range does not
//! depend on how it was cut: of several divergences the first in sequence order is the answer.

mod leaves;
mod replay;
mod segment;
mod signatures;
mod stored_state;

pub use replay::Replay;

use crate::{
    engine::{EngineProfile, on_engine_thread},
    journal::{Journal, JournalError, LedgerEntry},
    node::{EngineChoice, PackageExecutors},
    runner::{RunError, Runner},
};
use reprise_receipts::{Divergence, Head, LeafHash, Missing, Verdict, verdict::Claim};
use segment::Segment;
use std::{
    ops::Range,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

/// What to verify, and how.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Which receipts; all of them when absent.
    pub range: Option<Range<u64>>,
    /// What runs the policies.
    pub engine: EngineChoice,
    /// Segments that are verified at the same time, at least 1.
    pub jobs: usize,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The journal cannot be read.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// A step could not be executed here.
    #[error("sequence number {seq} could not be executed: {error}")]
    Run {
        /// Which step.
        seq: u64,
        /// Why.
        error: RunError,
    },
    /// The range is not in the ledger.
    #[error("the ledger has receipts 0 to {size}, the end not included; {from}..{to} is not a range of them")]
    Range {
        /// First sequence number asked for.
        from: u64,
        /// End of the range asked for.
        to: u64,
        /// Receipts in the ledger.
        size: u64,
    },
    /// A thread could not be started, or it panicked.
    #[error("a verifying thread failed")]
    Thread,
}

/// Most segments that are verified at the same time.
pub const JOBS_MAX: usize = 64;

/// What a segment found, if it found anything.
pub type Found<T> = Result<T, Verdict>;

/// Verifies receipts of a ledger. `progress` counts the steps that were done.
///
/// # Errors
/// [`VerifyError`]: there is no verdict.
pub fn verify(
    journal: &Arc<Journal>,
    entry: &LedgerEntry,
    dir: &Path,
    options: &VerifyOptions,
    progress: &Arc<AtomicU64>,
) -> Result<Verdict, VerifyError> {
    let size = journal.read(entry.no)?.size()?;
    let range = options.range.clone().unwrap_or(0..size);
    if range.start > range.end || range.end > size {
        return Err(VerifyError::Range { from: range.start, to: range.end, size });
    }
    let at_hand = EngineProfile::current().digest();
    if entry.genesis.engine_profile != at_hand {
        let needed = entry.genesis.engine_profile;
        return Ok(Verdict::Incomparable(Missing::EngineProfile { seq: range.start, needed, at_hand }));
    }
    let executors = PackageExecutors::new(journal.clone(), options.engine, dir);
    let mut threads = Vec::new();
    for part in cut(&range, options.jobs) {
        let runner = Runner::new(Box::new(executors.clone()));
        let reader = journal.read(entry.no)?;
        let segment = Segment { reader, entry: entry.clone(), range: part, runner, engine: options.engine };
        let progress = progress.clone();
        let thread = on_engine_thread("reprise-verify", move || segment.verify(&progress));
        threads.push(thread.map_err(|_| VerifyError::Thread)?);
    }
    // All of them end before the first error is looked at: no thread outlives the call.
    let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().map_err(|_| VerifyError::Thread)).collect();
    let mut leaves: Vec<LeafHash> = Vec::new();
    let mut last = None;
    for segment in ended {
        match segment?? {
            Ok(done) => {
                leaves.extend(done.leaves);
                last = Some(done.head);
            }
            Err(verdict) => return Ok(verdict),
        }
    }
    let head = last.expect("there is at least one segment");
    conclude(journal, entry, range, size, &leaves, head)
}

/// What is left when every step holds: the log, the signatures, and the stored state.
fn conclude(
    journal: &Journal,
    entry: &LedgerEntry,
    range: Range<u64>,
    size: u64,
    leaves: &[LeafHash],
    mut head: Head,
) -> Result<Verdict, VerifyError> {
    let reader = journal.read(entry.no)?;
    if let Err(verdict) = leaves::check_log(&reader, &range, leaves)? {
        return Ok(verdict);
    }
    let attested = match signatures::check(&reader, entry, &range, leaves)? {
        Ok(attested) => attested,
        Err(verdict) => return Ok(verdict),
    };
    if range.end == size {
        if let Some((kind, seq)) = reader.beyond(size)? {
            let expected = format!("nothing after receipt {}", size.saturating_sub(1));
            return Ok(diverges(seq, Claim::Stray, expected, kind));
        }
        if let Some(divergence) = stored_state::differs(&reader, &mut head)? {
            return Ok(Verdict::Divergent(Box::new(divergence)));
        }
    }
    let covered = attested.map_or(range.start, |seq| seq + 1);
    if covered < range.end {
        return Ok(Verdict::Incomparable(Missing::Attestation { seq: covered }));
    }
    let state_root = head.state_root();
    Ok(Verdict::Match(reprise_receipts::verdict::Range { from: range.start, to: range.end, state_root, attested }))
}

/// Cuts a range into at most `jobs` parts that take about the same time. There is always at least one part.
///
/// A segment applies all diffs before it, which costs about an eighth of doing those steps again: so each segment is an
/// eighth shorter than the one before it.
fn cut(range: &Range<u64>, jobs: usize) -> Vec<Range<u64>> {
    let jobs = jobs.clamp(1, JOBS_MAX);
    let mut weights = vec![1_u128 << 64; jobs];
    for job in 1..jobs {
        weights[job] = weights[job - 1] / 8 * 7;
    }
    let total: u128 = weights.iter().sum();
    let length = u128::from(range.end - range.start);
    let mut parts = Vec::new();
    let (mut start, mut weight) = (range.start, 0);
    for of_part in weights {
        weight += of_part;
        let end = range.start + u64::try_from(length * weight / total).expect("it is a part of the range");
        if start < end {
            parts.push(start..end);
        }
        start = end;
    }
    if parts.is_empty() { vec![range.clone()] } else { parts }
}

fn diverges(seq: u64, what: Claim, expected: impl ToString, found: impl ToString) -> Verdict {
    let (expected, found) = (expected.to_string(), found.to_string());
    Verdict::Divergent(Box::new(Divergence { seq, what, expected, found, keys: Vec::new() }))
}

#[cfg(test)]
mod tests;
