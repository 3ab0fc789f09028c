//! Start-up: from the journal's records to a head that the next input can follow, by the cheapest sound way.
//!
//! | way to the state | when |
//! | --- | --- |
//! | the stored state and the diffs after it | always first: it is never far behind |
//! | a checkpoint's snapshot and the diffs after it | the stored state is lost or does not have the receipt's root |
//! | all diffs | there is no snapshot that holds |
//! | all inputs, executed again | diffs are damaged: `reprise recover rebuild`, since it needs the engine |
//!
//! Every way ends with the same question: is this the root that the last receipt names? The right edge of the log comes
//! from stored tiles, or from the receipts, and is held against the last attestation. A way that was passed over is
//! said, in the log and by `reprise status`; the next start-up for writing stores the state anew.

use super::{Way, ways};
use crate::{
    checkpoints,
    journal::{Journal, JournalError, LedgerEntry, LedgerReader, RecordKind, StateLag},
    pipeline::OpenLedger,
};
use reprise_receipts::{Attestation, Attesters, Head, LeafHash, Receipt, StateTrie, log::LogTail};

/// How a ledger was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartUp {
    /// The way to the state.
    pub way: Way,
    /// Diffs that were applied on it.
    pub diffs: u64,
    /// The right edge of the log was made from receipts, as its tiles do not hold.
    pub log_from_receipts: bool,
    /// Ways that were tried before, and why they are not sound.
    pub passed_over: Vec<(Way, String)>,
}

impl StartUp {
    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        let log = if self.log_from_receipts { "; the log's right edge from receipts" } else { "" };
        format!("{}, {} diffs applied{log}", self.way, self.diffs)
    }

    /// Something on the disk did not hold.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.log_from_receipts || !self.passed_over.is_empty()
    }
}

/// Opens a ledger.
///
/// # Errors
/// [`JournalError`] names the record that is damaged, when there is no way around it.
pub fn start(journal: &Journal, entry: &LedgerEntry) -> Result<(OpenLedger, StartUp), JournalError> {
    let reader = journal.read(entry.no)?;
    let last = reader.last_receipt()?;
    let size = last.as_ref().map_or(0, |(receipt, _)| receipt.seq + 1);
    let (head, state_lag, mut start) = open_state(journal, entry, &reader, last.as_ref())?;
    let (tail, log_from_receipts) = open_log(&reader, size, last.as_ref().map(|(_, leaf)| *leaf))?;
    start.log_from_receipts = log_from_receipts;
    let attesters = Attesters::of_state(&entry.genesis, head.state());
    let attested = check_attestation(&reader.last_attestation()?, (entry, &attesters), &tail)?;
    if start.is_degraded() {
        let passed_over = start.passed_over.first().map(|(way, why)| format!("{way}: {why}")).unwrap_or_default();
        tracing::warn!(ledger = %entry.id, way = start.describe(), passed_over, "started with damaged records");
    } else {
        tracing::info!(ledger = %entry.id, size, way = start.describe(), "started");
    }
    Ok((OpenLedger { no: entry.no, head, tail, attested, state_lag }, start))
}

fn open_state(
    journal: &Journal,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    last: Option<&(Receipt, LeafHash)>,
) -> Result<(Head, StateLag, StartUp), JournalError> {
    let head = |state| Head::at(entry.genesis.clone(), last.map(|(receipt, leaf)| (receipt, *leaf)), state);
    let expected = last.map_or_else(|| Head::genesis(entry.genesis.clone()).state_root(), |(r, _)| r.next_state);
    let stored = reader.state_and_lag().and_then(|(state, lag)| {
        let head = head(state);
        let found = head.state_root();
        if found == expected {
            return Ok((head, lag));
        }
        let reason = format!("its root is {found}, the last receipt says {expected}: `reprise doctor` names the keys");
        Err(JournalError::damaged(RecordKind::State, "of the ledger", reason))
    });
    let damaged = match stored {
        Ok((head, lag)) => {
            let start =
                StartUp { way: Way::StoredState, diffs: lag.steps(), log_from_receipts: false, passed_over: vec![] };
            return Ok((head, lag, start));
        }
        Err(error @ JournalError::Damaged { .. }) => error,
        Err(error) => return Err(error),
    };
    let mut passed_over = vec![(Way::StoredState, damaged.to_string())];
    let size = last.map_or(0, |(receipt, _)| receipt.seq + 1);
    let ways = ways::ways(journal, entry, reader, size).unwrap_or_default();
    for way in ways.into_iter().map(|(way, _)| way).filter(|way| *way != Way::StoredState) {
        let from = if let Way::Snapshot { size } = way { size } else { 0 };
        match ways::state_by_records(journal, entry, way, size, expected) {
            Ok(state) => {
                store_anew(journal, entry, size, &state)?;
                let start = StartUp { way, diffs: size - from, log_from_receipts: false, passed_over };
                return Ok((head(state), StateLag::default(), start));
            }
            Err(error) => passed_over.push((way, error.to_string())),
        }
    }
    Err(damaged)
}

/// What was made around the stored state replaces it, if the journal is open for writing.
fn store_anew(journal: &Journal, entry: &LedgerEntry, size: u64, state: &StateTrie) -> Result<(), JournalError> {
    if journal.is_writable() { journal.cut(entry.no, size, state) } else { Ok(()) }
}

/// The right edge of the log, and whether it had to be made from receipts.
fn open_log(reader: &LedgerReader, size: u64, last: Option<LeafHash>) -> Result<(LogTail, bool), JournalError> {
    let damaged = |reason: String| JournalError::damaged(RecordKind::LogNode, "of the log's right edge", reason);
    let stored = checkpoints::log_tail_at(reader, size);
    let attested = reader.last_attestation().ok().flatten();
    let contradicted = |tail: &LogTail| {
        let at_end = attested.as_ref().filter(|(seq, _)| *seq + 1 == size);
        at_end.is_some_and(|(_, attestation)| attestation.body.log_root != tail.root())
    };
    if let Ok(tail) = &stored
        && tail.last_leaf() == last
        && !contradicted(tail)
    {
        return Ok((tail.clone(), false));
    }
    let mut tail = LogTail::new();
    for step in reader.steps(0..size)? {
        let step = step?.map_err(|missing| damaged(missing.to_string()))?;
        tail.append(LeafHash::of(step.receipt()));
    }
    let _ = tail.take_dirty_tiles();
    Ok((tail, true))
}

fn check_attestation(
    last: &Option<(u64, Attestation)>,
    (entry, attesters): (&LedgerEntry, &Attesters),
    tail: &LogTail,
) -> Result<u64, JournalError> {
    let Some((seq, attestation)) = last else { return Ok(0) };
    let damaged = |reason: String| JournalError::damaged(RecordKind::Attestation, seq, reason);
    attesters.verify(attestation).map_err(|error| damaged(error.to_string()))?;
    if attestation.body.seq != *seq || attestation.body.ledger != entry.id || *seq >= tail.size() {
        return Err(damaged("it is about another receipt".to_owned()));
    }
    if *seq + 1 == tail.size() && attestation.body.log_root != tail.root() {
        return Err(damaged(format!("it signs log root {}, the log has {}", attestation.body.log_root, tail.root())));
    }
    Ok(seq + 1)
}
