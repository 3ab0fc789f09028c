//! Verification: does every step of a range again, and says match, divergent or incomparable.
//!
//! The range is cut into one segment for each job. A segment starts from the state that the stored diffs lead to, which is
//! cheap to compute and is held against the state root of the receipt before it; every stored diff is itself checked
//! by the segment that executes its step. So segments need not trust each other, and the verdict of a range does not
//! depend on how it was cut: of several divergences the first in sequence order is the answer.
//!
//! A ledger that begins with a checkpoint on this node is verified from there: log, last receipt and state of then hang
//! on the signatures over what comes after, or on the checkpoint's.

mod finality;
mod leaves;
mod replay;
mod segment;
mod signatures;
mod stored_state;

pub use replay::Replay;

use crate::{
    engine::{EngineProfile, on_engine_thread},
    journal::{Journal, JournalError, LedgerEntry, StoredCheckpoint},
    node::{EngineChoice, PackageExecutors},
    recovery::{Origin, RecoveryError, Site},
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
    // The ledger may go on meanwhile: all of it is verified as it is now.
    let journal = &Arc::new(journal.moment()?);
    let size = journal.read(entry.no)?.size()?;
    let first = journal.read(entry.no)?.base().map_or(0, |base| base.size);
    let range = options.range.clone().unwrap_or(first..size);
    if range.start > range.end || range.end > size {
        return Err(VerifyError::Range { from: range.start, to: range.end, size });
    }
    let at_hand = EngineProfile::current().digest();
    if entry.genesis.engine_profile != at_hand {
        let needed = entry.genesis.engine_profile;
        return Ok(Verdict::Incomparable(Missing::EngineProfile { seq: range.start, needed, at_hand }));
    }
    let site = Site { journal, entry, dir, engine: options.engine };
    let origin = match origin(&site, &range, first)? {
        Ok(origin) => Arc::new(origin),
        Err(verdict) => return Ok(verdict),
    };
    let executors = PackageExecutors::new(journal.clone(), options.engine, dir);
    let mut threads = Vec::new();
    for part in cut(&range, options.jobs) {
        let runner = Runner::new(Box::new(executors.clone()));
        let reader = journal.read(entry.no)?;
        let (entry, origin) = (entry.clone(), origin.clone());
        let segment = Segment { reader, entry, origin, range: part, runner, engine: options.engine };
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
    conclude(&site, &origin, options.jobs, range, &leaves, head)
}

/// Where the steps begin on this node, if the range does not begin before that.
///
/// # Errors
/// [`VerifyError`]: the disk refuses. A verdict, when something is missing for it.
pub fn origin(site: &Site<'_>, range: &Range<u64>, first: u64) -> Result<Found<Origin>, VerifyError> {
    if range.start < first {
        return Ok(Err(Verdict::Incomparable(Missing::Record { kind: "receipt", seq: range.start })));
    }
    match Origin::find(site) {
        Ok(origin) => Ok(Ok(origin)),
        Err(RecoveryError::Journal(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the beginning of the ledger on this node");
            Ok(Err(Verdict::Incomparable(Missing::Record { kind: "state after the receipt", seq: first - 1 })))
        }
    }
}

/// What is left when every step holds: the log, the signatures, and the stored state.
fn conclude(
    site: &Site<'_>,
    origin: &Origin,
    jobs: usize,
    range: Range<u64>,
    leaves: &[LeafHash],
    mut head: Head,
) -> Result<Verdict, VerifyError> {
    let (reader, entry) = (site.journal.read(site.entry.no)?, site.entry);
    let size = reader.size()?;
    let log = (range.start == origin.size).then(|| origin.tail.clone());
    if let Err(verdict) = leaves::check_log(&reader, log.clone(), leaves)? {
        return Ok(verdict);
    }
    let attested = match signatures::check(&reader, entry, (&range, log.clone()), leaves, jobs.min(JOBS_MAX))? {
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
    let verified = finality::Verified { range: &range, leaves, log };
    if let Err(verdict) = finality::check(site.journal, entry, &reader, verified)? {
        return Ok(verdict);
    }
    let covered = attested.map_or(range.start, |seq| seq + 1);
    if covered < range.end || (range.is_empty() && !is_signed(site, origin)?) {
        return Ok(Verdict::Incomparable(Missing::Attestation { seq: covered.min(range.end.saturating_sub(1)) }));
    }
    let state_root = head.state_root();
    Ok(Verdict::Match(reprise_receipts::verdict::Range { from: range.start, to: range.end, state_root, attested }))
}

/// A checkpoint signs the log with which the ledger begins here: nothing else does where nothing comes after it.
fn is_signed(site: &Site<'_>, origin: &Origin) -> Result<bool, JournalError> {
    let root = origin.tail.root();
    let attesters = site.journal.attesters(site.entry)?;
    let signs = |checkpoint: &StoredCheckpoint| {
        let signed = checkpoint.note.verify(attesters.of_log(origin.size));
        signed.is_ok_and(|signed| (signed.ledger, signed.size, signed.log_root) == (site.entry.id, origin.size, root))
    };
    Ok(origin.size == 0 || site.journal.checkpoints(site.entry.no)?.iter().any(signs))
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
