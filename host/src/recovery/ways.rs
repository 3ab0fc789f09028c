//! The ways to the state after some receipts, and what each costs.

use super::{Origin, RecoveryError, Site, Way};
use crate::{
    checkpoints::{self, CheckpointError},
    journal::{Journal, JournalError, LedgerEntry, LedgerReader, RecordKind, StoredCheckpoint},
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::{Head, Receipt, StateRoot, StateTrie, StepRecord};
use std::{collections::BTreeMap, ops::Range};

/// What a way costs, roughly: bytes that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Bytes of keys, values and step records to read.
    pub bytes: u64,
    /// Steps whose diffs are applied.
    pub steps: u64,
}

/// The state after `size` receipts, made in this way and held against `expected`.
///
/// # Errors
/// [`RecoveryError`]: the material of this way is missing or damaged, or leads to another state.
pub fn state_by(site: &Site<'_>, way: Way, size: u64, expected: StateRoot) -> Result<StateTrie, RecoveryError> {
    match way {
        Way::Replay => {
            let (state, found) = from_inputs(site, size)?;
            let other = RecoveryError::OtherState { way, size, expected, found };
            if found == expected { Ok(state) } else { Err(other) }
        }
        _ => state_by_records(site.journal, site.entry, way, size, expected),
    }
}

/// The state after `size` receipts by the cheapest way that leads to `expected` without executing anything.
///
/// # Errors
/// [`RecoveryError`]: no way does; why the cheapest one does not.
pub fn cheapest_state(site: &Site<'_>, size: u64, expected: StateRoot) -> Result<(Way, StateTrie), RecoveryError> {
    let mut failed = None;
    for (way, _) in ways(site.journal, site.entry, &site.journal.read(site.entry.no)?, size)? {
        match state_by(site, way, size, expected) {
            Ok(state) => return Ok((way, state)),
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    Err(failed.unwrap_or(RecoveryError::NoWay { size }))
}

/// [`state_by`], without executing anything.
///
/// # Panics
/// For [`Way::Replay`].
pub(super) fn state_by_records(
    journal: &Journal,
    entry: &LedgerEntry,
    way: Way,
    size: u64,
    expected: StateRoot,
) -> Result<StateTrie, RecoveryError> {
    let reader = journal.read(entry.no)?;
    let mut state = match way {
        Way::StoredState => from_stored(&reader, size)?,
        Way::Snapshot { size: from } => from_snapshot(journal, entry, &reader, from, size)?,
        Way::Diffs => apply(&reader, StateTrie::new(), 0..size)?,
        Way::Replay => unreachable!("a replay needs an engine"),
    };
    let found = state.root();
    if found == expected { Ok(state) } else { Err(RecoveryError::OtherState { way, size, expected, found }) }
}

/// The root of the state after `size` receipts, as the receipt says.
///
/// # Errors
/// [`RecoveryError::NoReceipt`].
pub(super) fn root_after(site: &Site<'_>, reader: &LedgerReader, size: u64) -> Result<StateRoot, RecoveryError> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(Head::genesis(site.entry.genesis.clone()).state_root());
    };
    let bytes = reader.receipt(last)?.ok_or(RecoveryError::NoReceipt(last))?;
    let receipt: Receipt = decode_canonical(&bytes).map_err(|_| RecoveryError::NoReceipt(last))?;
    Ok(receipt.next_state)
}

/// The ways to the state after `size` receipts that need no execution, cheapest first.
///
/// # Errors
/// [`RecoveryError::Journal`].
pub(super) fn ways(
    journal: &Journal,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    size: u64,
) -> Result<Vec<(Way, Cost)>, RecoveryError> {
    let record_bytes = mean_record_bytes(reader, size)?;
    let steps_cost = |steps: u64, state_bytes: u64| Cost { bytes: state_bytes + steps * record_bytes, steps };
    // A ledger that begins with a checkpoint here has no diffs before it.
    let mut ways: Vec<_> = reader.base().is_none().then(|| (Way::Diffs, steps_cost(size, 0))).into_iter().collect();
    let checkpoints = journal.checkpoints(entry.no).unwrap_or_default();
    let begin = reader.base().map_or(0, |base| base.size);
    let usable = |checkpoint: &&StoredCheckpoint| {
        checkpoint.restorable && (begin..=size).contains(&checkpoint.record.claim.size)
    };
    let newest = checkpoints.iter().rfind(usable);
    if let Some(claim) = newest.map(|checkpoint| &checkpoint.record.claim) {
        let way = Way::Snapshot { size: claim.size };
        ways.push((way, steps_cost(size - claim.size, claim.snapshot.weight())));
    }
    if let Ok(at) = reader.state_at() {
        // All keys are read in any case: the root cannot be told from a part of them.
        let state_bytes = checkpoints.last().map_or(0, |last| last.record.claim.snapshot.bytes);
        ways.push((Way::StoredState, steps_cost(at.abs_diff(size), state_bytes)));
    }
    ways.sort_by_key(|(way, cost)| (*cost, *way != Way::StoredState));
    Ok(ways)
}

/// A sample says enough for an estimate.
fn mean_record_bytes(reader: &LedgerReader, size: u64) -> Result<u64, JournalError> {
    const SAMPLE: u64 = 64;
    let mut bytes = 0;
    let mut steps = 0;
    let first = reader.base().map_or(0, |base| base.size);
    for step in reader.steps(size.saturating_sub(SAMPLE).max(first.min(size))..size)? {
        let Ok(Ok(step)) = step else { break };
        bytes += step.record().len() as u64;
        steps += 1;
    }
    Ok(bytes.checked_div(steps).unwrap_or(0))
}

fn from_stored(reader: &LedgerReader, size: u64) -> Result<StateTrie, RecoveryError> {
    let at = reader.state_at()?;
    let mut state = reader.stored_state()?;
    if at <= size {
        return apply(reader, state, at..size);
    }
    // The first change of a key after `size` says what the key held then.
    let mut then = BTreeMap::new();
    for_each_diff(reader, size..at, |_, record| {
        for change in record.diff.changes() {
            then.entry(change.key.clone()).or_insert_with(|| change.before.clone());
        }
        Ok(())
    })?;
    for (key, value) in then {
        match value {
            Some(value) => state.insert(&key, &value),
            None => drop(state.remove(&key)),
        }
    }
    Ok(state)
}

fn from_snapshot(
    journal: &Journal,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    from: u64,
    size: u64,
) -> Result<StateTrie, RecoveryError> {
    let checkpoint = checkpoints::find(journal, entry.no, from)?;
    if !checkpoint.restorable {
        return Err(CheckpointError::NotKept { size: from }.into());
    }
    let chunks = journal.chunks(entry.no)?;
    let state = checkpoints::restore_state(checkpoint.record.claim.snapshot, |id| chunks.chunk(id))?;
    apply(reader, state, from..size)
}

pub(super) fn apply(
    reader: &LedgerReader,
    mut state: StateTrie,
    range: Range<u64>,
) -> Result<StateTrie, RecoveryError> {
    for_each_diff(reader, range, |seq, record| {
        let misfit = |error| JournalError::damaged(RecordKind::StepRecord, seq, error);
        Ok(state.apply(&record.diff).map_err(misfit)?)
    })?;
    Ok(state)
}

fn for_each_diff(
    reader: &LedgerReader,
    range: Range<u64>,
    mut take: impl FnMut(u64, StepRecord) -> Result<(), RecoveryError>,
) -> Result<(), RecoveryError> {
    for step in reader.steps(range)? {
        let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
        let damaged = |error| JournalError::damaged(RecordKind::StepRecord, step.seq(), error);
        take(step.seq(), decode_canonical(step.record()).map_err(damaged)?)?;
    }
    Ok(())
}

fn from_inputs(site: &Site<'_>, size: u64) -> Result<(StateTrie, StateRoot), RecoveryError> {
    let (reader, mut runner) = (site.journal.read(site.entry.no)?, site.runner());
    let origin = Origin::find(site)?;
    let mut head = origin.head(site.entry.genesis.clone());
    let replay = move || {
        for step in reader.steps(origin.size..size)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
            let damaged = |error: String| JournalError::damaged(RecordKind::Input, step.seq(), error);
            let input: Input = decode_canonical(step.input()).map_err(|error| damaged(error.to_string()))?;
            let work = head.prepare(&input).map_err(|error| damaged(error.to_string()))?;
            let run = |error| RecoveryError::Run { seq: input.seq, error };
            let executed = runner.run(&mut head, &input, &work).map_err(run)?;
            head.seal(&input, &work, executed);
        }
        let root = head.state_root();
        Ok((std::mem::take(head.lend_state()), root))
    };
    super::replay_reconstruction::on_engine(replay)
}
