//! Checkpoints of a large state: 1,000,000 keys. What a step waits for one, what it writes, and how fast it is restored.
//!
//! The keys are real: 1,000,000 events within 24 hours of logical time leave as many idempotency records. What a restore
//! is held against is the least that it could be: reading the same chunks from the same journal, and one BLAKE3 hash of
//! each, without a state coming out of it.

use super::{
    WINDOW,
    figure::{Figure, Target},
    steps::{Load, durable_us, waits_us},
};
use crate::{
    checkpoints,
    cli::{demo, error::CliError},
    journal::{CheckpointSettings, ChunkReader, JournalError, LedgerEntry, StoredCheckpoint},
    node::Node,
};
use reprise_receipts::{
    Head, StateTrie,
    digest::ChunkId,
    snapshot::{Chunk, ChunkOrder, ChunkSink, write_snapshot},
};
use std::{hint::black_box, path::Path, time::Instant};

/// Receipts, and about as many keys.
const KEYS: u64 = 1_000_000;
/// All of them within 24 hours, so that no idempotency record is forgotten.
const SPACING_MS: u64 = 80;
/// Steps that are waited for, one at a time, with a walk under way and without.
const WAITS: u64 = 20_000;
/// What a step may wait for a checkpoint.
const WAIT_US_MAX: f64 = 50_000.0;
/// What changes before another snapshot: one key of so many, and how much of the whole it may then be.
const CHANGES: [(&str, usize, f64); 2] =
    [("moved after 100 of 1,000,000 keys changed", 10_000, 0.05), ("written after 1 % of the keys changed", 100, 0.1)];
/// What asking for a chunk and announcing it takes: its address and its length.
const ASKED_BYTES: usize = 32 + 4;

const OFF: CheckpointSettings = CheckpointSettings { receipts: 0, logical_ms: 0, keep: 8 };
/// One walk after the other.
const ALWAYS: CheckpointSettings = CheckpointSettings { receipts: 1, logical_ms: 0, keep: 8 };

/// Builds the ledger, and gives its figures.
pub(super) fn figures(dir: &Path) -> Result<Vec<Figure>, CliError> {
    let (node, entry) = demo::set_up(dir)?;
    let set = |settings| node.journal().set_checkpoint_settings(entry.no, &settings).map_err(CliError::from);
    let load = |from, to| Load { range: from..to, spacing_ms: SPACING_MS };
    set(OFF)?;
    durable_us(&node, &entry, load(0, KEYS), WINDOW)?;
    let quiet = waits_us(&node, &entry, load(KEYS, KEYS + WAITS))?;
    set(ALWAYS)?;
    let walking = waits_us(&node, &entry, load(KEYS + WAITS, KEYS + 2 * WAITS))?;
    let made = node.journal().checkpoints(entry.no)?.len();
    let mut head = node.open_ledger(&entry)?.head;
    let mut figures = waits(&quiet, &walking, made)?;
    let checkpoint = checkpoints::create(node.journal(), &entry, &head, &node.attester()?)?;
    let chunks = Chunks::of(&node, &entry, &checkpoint)?;
    figures.extend(chunks.restore(&checkpoint)?);
    for change in CHANGES {
        figures.push(chunks.new_after_a_change(change, &mut head)?);
    }
    Ok(figures)
}

fn waits(quiet: &[f64], walking: &[f64], made: usize) -> Result<Vec<Figure>, CliError> {
    let (Some(longest), Some(longest_quiet)) = (walking.last(), quiet.last()) else {
        return Err(CliError::Fault("no step was waited for".to_owned()));
    };
    if made == 0 {
        return Err(CliError::Fault("no checkpoint was made while steps were waited for".to_owned()));
    }
    let percentile = |waits: &[f64]| waits[waits.len() * 99 / 100];
    let of_bound = |what: &str, us: f64, target| Figure::new(what, us, "us", "50 ms", us / WAIT_US_MAX, target);
    Ok(vec![
        of_bound("99 of 100 steps, no checkpoint", percentile(quiet), Target::None),
        of_bound("longest step, no checkpoint", *longest_quiet, Target::None),
        of_bound("99 of 100 steps, checkpoint under way", percentile(walking), Target::None),
        of_bound("longest step, checkpoint under way", *longest, Target::AtMost(1.0)),
    ])
}

/// The chunks of a snapshot, in the order in which a restore wants them.
struct Chunks {
    reader: ChunkReader,
    order: Vec<ChunkId>,
    bytes: usize,
}

impl Chunks {
    fn of(node: &Node, entry: &LedgerEntry, checkpoint: &StoredCheckpoint) -> Result<Self, CliError> {
        let reader = node.journal().chunks(entry.no)?;
        let mut order = ChunkOrder::new(&checkpoint.record.claim.snapshot);
        let (mut ids, mut sum) = (Vec::new(), 0);
        let unsound = |what: String| CliError::Fault(format!("the snapshot of the bench does not hold: {what}"));
        while let Some(id) = order.wanted() {
            let bytes = reader.chunk(id)?.ok_or_else(|| unsound(format!("chunk {id} is missing")))?;
            let chunk = Chunk::open(id, &bytes).map_err(|error| unsound(error.to_string()))?;
            order.accept(&chunk).map_err(|error| unsound(error.to_string()))?;
            ids.push(id);
            sum += bytes.len();
        }
        Ok(Self { reader, order: ids, bytes: sum })
    }

    fn restore(&self, checkpoint: &StoredCheckpoint) -> Result<Vec<Figure>, CliError> {
        let started = Instant::now();
        for id in &self.order {
            black_box(self.reader.chunk(*id)?.map(|bytes| blake3::hash(&bytes)));
        }
        let raw_ms = started.elapsed().as_secs_f64() * 1e3;
        let started = Instant::now();
        let state: StateTrie =
            checkpoints::restore_state(checkpoint.record.claim.snapshot, |id| self.reader.chunk(id))?;
        let restore_ms = started.elapsed().as_secs_f64() * 1e3;
        let keys = state.len() as f64;
        let ms = |what, value, against, ratio, target| Figure::new(what, value, "ms", against, ratio, target);
        Ok(vec![
            Figure::new("keys of the state", keys, "", "-", keys, Target::None),
            Figure::new("its snapshot", self.bytes as f64 / 1e6, "MB", "-", 1.0, Target::None),
            ms("reading and hashing its chunks", raw_ms, "itself", 1.0, Target::None),
            ms(
                "restoring the state",
                restore_ms,
                "reading and hashing, rate",
                raw_ms / restore_ms,
                Target::AtLeast(0.5),
            ),
        ])
    }

    /// What a checkpoint writes, or a peer with the old one fetches, after keys, evenly spread, got other values.
    fn new_after_a_change(
        &self,
        (what, one_of, target): (&'static str, usize, f64),
        head: &mut Head,
    ) -> Result<Figure, CliError> {
        let state = head.lend_state();
        let changed: Vec<(Vec<u8>, Vec<u8>)> = state
            .scan(&[], None)
            .step_by(one_of)
            .map(|(key, value)| (key.to_vec(), value.iter().map(|byte| !byte).collect()))
            .collect();
        for (key, value) in &changed {
            state.insert(key, value);
        }
        let root = state.root();
        let mut written = Written { reader: &self.reader, bytes: 0, error: None };
        write_snapshot(state, root, &mut written);
        if let Some(error) = written.error {
            return Err(error.into());
        }
        let part = written.bytes as f64 / self.bytes as f64;
        let megabytes = written.bytes as f64 / 1e6;
        Ok(Figure::new(what, megabytes, "MB", "whole snapshot", part, Target::AtMost(target)))
    }
}

/// Counts what would be written.
struct Written<'a> {
    reader: &'a ChunkReader,
    bytes: usize,
    error: Option<JournalError>,
}

impl ChunkSink for Written<'_> {
    fn contains(&mut self, id: ChunkId) -> bool {
        self.reader.contains(id).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            true
        })
    }

    fn put(&mut self, _: ChunkId, bytes: Vec<u8>) {
        self.bytes += bytes.len() + ASKED_BYTES;
    }
}
