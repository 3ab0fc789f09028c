//! Bringing steps back from an archive, behind the last of those that are there, so that a journal never has gaps.
//!
//! Where the ledger begins in the journal there is a log root that a checkpoint vouches for. Steps come back a file at
//! a time, from the end: each run of them must lead from a log of the archive to that root, and is one transaction.
//! What came back is as good as what never left, and a crash in between loses nothing.

use super::{ArchiveError, ArchiveReader, ArchivedStep, Store};
use crate::journal::{Base, Journal, LedgerEntry, ReturnedSteps};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    LeafHash, LogRoot, Receipt,
    log::{LogError, LogTail, prove_consistency, prove_inclusion},
};
use std::{collections::BTreeSet, ops::Range};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hydrated {
    /// Steps that were missing and are there now; empty if none was missing.
    pub range: Range<u64>,
    /// The checkpoint of this journal that they were held against, in receipts; `None` if none was missing.
    pub checkpoint: Option<u64>,
}

/// Brings the steps of a range back into the journal.
///
/// # Errors
/// [`ArchiveError`]: the range does not reach the journal's first step, or the archive does not have it or does not
/// lead to the checkpoint that is kept. What was brought back before the error stays.
pub fn hydrate(
    journal: &Journal,
    entry: &LedgerEntry,
    store: &dyn Store,
    range: Range<u64>,
) -> Result<Hydrated, ArchiveError> {
    each_run(journal, entry, store, range, |archive, returned| {
        let packages = returned.steps.iter().filter_map(|[_, receipt, _]| decode_canonical::<Receipt>(receipt).ok());
        for digest in packages.map(|receipt| receipt.package).collect::<BTreeSet<_>>() {
            if journal.package(digest)?.is_none() {
                journal.put_package(&archive.package(digest)?)?;
            }
        }
        Ok(journal.begin_earlier(entry.no, returned)?)
    })
}

/// What [`hydrate`] would bring back: every step is held against the checkpoint, and nothing is written.
///
/// # Errors
/// [`ArchiveError`], as for [`hydrate`].
pub fn plan_hydrate(
    journal: &Journal,
    entry: &LedgerEntry,
    store: &dyn Store,
    range: Range<u64>,
) -> Result<Hydrated, ArchiveError> {
    each_run(journal, entry, store, range, |_, _| Ok(()))
}

/// Gives the runs of steps of a range, the last one first, each held against the log at the beginning after it.
fn each_run(
    journal: &Journal,
    entry: &LedgerEntry,
    store: &dyn Store,
    range: Range<u64>,
    mut take: impl FnMut(&ArchiveReader<'_>, &ReturnedSteps) -> Result<(), ArchiveError>,
) -> Result<Hydrated, ArchiveError> {
    let reader = journal.read(entry.no)?;
    let Some(mut base) = reader.base().cloned().filter(|base| range.start < base.size) else {
        return Ok(Hydrated { range: range.start..range.start, checkpoint: None });
    };
    let first = base.size;
    if range.end < first {
        return Err(ArchiveError::WouldGap { from: range.start, first });
    }
    let checkpoint = vouched(journal, entry, &base)?;
    let archive = ArchiveReader::open(store)?;
    let (expected, found) = (entry.id, archive.checkpoint().ledger);
    if expected != found {
        return Err(ArchiveError::OtherLedger { expected, found });
    }
    archive.note().verify(reader.attesters(&entry.genesis)?.of_log(archive.checkpoint().size))?;
    while base.size > range.start {
        let mut steps = archive.run_with(base.size - 1)?;
        steps.retain(|step| (range.start..base.size).contains(&step.receipt.seq));
        let returned = returned(&archive, &base, &steps)?;
        take(&archive, &returned)?;
        let Some(before) = returned.base else { break };
        base = before;
    }
    Ok(Hydrated { range: range.start..first, checkpoint: Some(checkpoint) })
}

/// The newest checkpoint that is kept, if the log at the base leads to it.
fn vouched(journal: &Journal, entry: &LedgerEntry, base: &Base) -> Result<u64, ArchiveError> {
    let newest = journal.checkpoints(entry.no)?.pop();
    let newest = newest.filter(|newest| newest.note.checkpoint().size >= base.size);
    let newest = newest.ok_or(ArchiveError::Beyond { size: base.size, wanted: base.size })?;
    let reader = journal.read(entry.no)?;
    let attesters = reader.attesters(&entry.genesis)?;
    let signed = newest.note.verify(attesters.of_log(newest.record.claim.size))?;
    let root = root_of(base)?;
    let proof = prove_consistency(&reader, base.size, signed.size)?;
    proof.verify(base.size, &root, signed.size, &signed.log_root)?;
    Ok(signed.size)
}

fn root_of(base: &Base) -> Result<LogRoot, ArchiveError> {
    let tail = LogTail::load(base.size, |level, index| base.tile(level, index).map(<[u8]>::to_vec))?;
    Ok(tail.root())
}

/// A run of steps that ends where the journal begins, with the beginning before it.
fn returned(archive: &ArchiveReader<'_>, base: &Base, steps: &[ArchivedStep]) -> Result<ReturnedSteps, ArchiveError> {
    let first = steps.first().expect("the run has the step that was asked for").receipt.seq;
    let root = root_of(base)?;
    let before = match first.checked_sub(1) {
        Some(last) => Some(begin_at(archive, base, root, first, archive.step(last)?.receipt_bytes)?),
        None => None,
    };
    let mut tail = match &before {
        Some(before) => LogTail::load(first, |level, index| before.tile(level, index).map(<[u8]>::to_vec))?,
        None => LogTail::new(),
    };
    steps.iter().for_each(|step| tail.append(LeafHash::of(&step.receipt_bytes)));
    if tail.root() != root || tail.size() != base.size {
        return Err(ArchiveError::Fork { size: base.size });
    }
    let tiles = tail.take_complete_tiles();
    let parts =
        |step: &'_ ArchivedStep| [step.parts.input.clone(), step.receipt_bytes.clone(), step.parts.record.clone()];
    let attestations = steps.iter().filter_map(|step| Some((step.receipt.seq, step.parts.attestation.clone()?)));
    Ok(ReturnedSteps {
        base: before,
        first,
        steps: steps.iter().map(parts).collect(),
        attestations: attestations.collect(),
        tiles,
    })
}

/// An earlier beginning out of the archive's tiles, every hash of which leads to the root at the present one.
fn begin_at(
    archive: &ArchiveReader<'_>,
    base: &Base,
    root: LogRoot,
    size: u64,
    last_receipt: Vec<u8>,
) -> Result<Base, ArchiveError> {
    // The path of the last leaf goes by all the hashes of its tile.
    let leaf = LeafHash::of(&last_receipt);
    let damaged = |error: LogError| ArchiveError::damaged("tile", error);
    prove_inclusion(archive, base.size, size - 1).map_err(damaged)?.verify(&root, base.size, size - 1, &leaf)?;
    Base::of_log(archive, size, last_receipt).map_err(damaged)
}
