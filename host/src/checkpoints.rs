//! Checkpoints: a signed commitment to log and state, and a snapshot that the state can be restored from.
//!
//! A running ledger makes them by itself ([`schedule`]) and never stands still for one: the engine thread walks through
//! the state between steps, a few keys at a time, and the commit thread keeps the chunks after it has given its answers
//! ([`keeper`]). Only when every chunk is durable is the checkpoint signed, and only then do old snapshots go
//! ([`retention`]). On demand a checkpoint is made in one go: [`create`].

mod keeper;
pub mod retention;
mod schedule;

pub(crate) use keeper::Keeper;
pub(crate) use schedule::{BUSY_KEYS, Checkpointer, Gate, Handed, IDLE_KEYS, Pace};

use crate::journal::{ChunkReader, Journal, JournalError, LedgerEntry, LedgerNo, LedgerReader, StoredCheckpoint};
use reprise_receipts::{
    Head, LogRoot, SigningKey, StateTrie,
    checkpoint::{CHECKPOINT_FORMAT, Checkpoint, CheckpointClaim},
    digest::{ChunkId, ContinuityRoot},
    log::{LogError, LogTail, TILE_HEIGHT, TileSource},
    snapshot::{ChunkSink, Manifest, RestoreError, Restorer, WalkError, write_snapshot},
};

/// Bytes of chunks that are written at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// Why there is no checkpoint, or no state out of one.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The journal cannot be read or written.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The ledger has no receipts yet.
    #[error("a ledger without receipts has no checkpoint")]
    NoReceipts,
    /// Only the ledger's attester may sign for it.
    #[error("this node's key is not the ledger's attester: only the attester signs checkpoints")]
    NotTheAttester,
    /// The walk missed a change: a bug. Nothing was signed.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The log cannot be read.
    #[error("log: {0}; `reprise doctor --repair` makes it again from the receipts")]
    Log(#[from] LogError),
    /// There is no such checkpoint.
    #[error("there is no checkpoint of {size} receipts: see `reprise checkpoint list`")]
    Unknown {
        /// Receipts.
        size: u64,
    },
    /// Its snapshot was dropped.
    #[error("the snapshot of the checkpoint of {size} receipts is not kept any more")]
    NotKept {
        /// Receipts.
        size: u64,
    },
    /// A chunk of the snapshot is not there.
    #[error("chunk {0} of the snapshot is missing")]
    MissingChunk(ChunkId),
    /// The chunks do not make the state.
    #[error("the snapshot does not hold: {0}")]
    Restore(#[from] RestoreError),
}

/// A snapshot all of whose chunks are kept, to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Receipts that lead to the state.
    pub size: u64,
    /// Logical time of the last of them, in milliseconds.
    pub logical_time_ms: u64,
    /// What the snapshot is of.
    pub manifest: Manifest,
}

/// Makes a checkpoint of a ledger as it is now, in one go. One that is there already is only made restorable again.
///
/// # Errors
/// [`CheckpointError`]: no receipts, another attester, or the journal.
pub fn create(
    journal: &Journal,
    entry: &LedgerEntry,
    head: &Head,
    attester: &SigningKey,
) -> Result<StoredCheckpoint, CheckpointError> {
    if head.next_seq() == 0 {
        return Err(CheckpointError::NoReceipts);
    }
    let manifest = keep_snapshot(journal, entry.no, head)?;
    let snapshot = Snapshot { size: head.next_seq(), logical_time_ms: head.logical_time_ms(), manifest };
    sign(journal, entry, &snapshot, attester)
}

/// Keeps the chunks of a state that are not kept yet.
///
/// # Errors
/// [`CheckpointError::Journal`].
pub fn keep_snapshot(journal: &Journal, no: LedgerNo, head: &Head) -> Result<Manifest, CheckpointError> {
    let mut sink = JournalSink { journal, no, reader: journal.chunks(no)?, waiting: Vec::new(), bytes: 0, error: None };
    let manifest = write_snapshot(head.state(), head.state_root(), &mut sink);
    sink.finish()?;
    Ok(manifest)
}

/// Signs a snapshot and puts it after the ledger's last checkpoint. Whatever was kept before is durable afterwards.
///
/// # Errors
/// [`CheckpointError`]: another key attests the last of these receipts, the log cannot be read, or the journal.
pub fn sign(
    journal: &Journal,
    entry: &LedgerEntry,
    snapshot: &Snapshot,
    attester: &SigningKey,
) -> Result<StoredCheckpoint, CheckpointError> {
    let (no, ledger) = (entry.no, entry.id);
    if *journal.attesters(entry)?.of_log(snapshot.size) != attester.public() {
        return Err(CheckpointError::NotTheAttester);
    }
    // What is signed can be restored after a crash: the chunks become durable first.
    journal.put_chunks(no, &[], true)?;
    let before = journal.checkpoints(no)?;
    if let Some(same) = before.iter().find(|before| before.record.claim.size == snapshot.size) {
        let kept = StoredCheckpoint { restorable: true, ..same.clone() };
        journal.put_checkpoint(no, &kept)?;
        return Ok(kept);
    }
    let Snapshot { size, logical_time_ms, manifest } = *snapshot;
    let log_root = log_root_at(&journal.read(no)?, size)?;
    let claim =
        CheckpointClaim { format: CHECKPOINT_FORMAT, ledger, size, log_root, logical_time_ms, snapshot: manifest };
    let previous = before.last().map_or(ContinuityRoot::start(ledger), |last| last.record.continuity);
    let note = Checkpoint { ledger, size, log_root }.sign(attester);
    let checkpoint = StoredCheckpoint { record: claim.after(previous), note, restorable: true };
    journal.put_checkpoint(no, &checkpoint)?;
    tracing::info!(size, keys = manifest.keys, "checkpoint signed");
    Ok(checkpoint)
}

/// Root of the log of the first `size` receipts, from stored tiles.
///
/// # Errors
/// [`LogError`]: a tile is missing or too short.
pub fn log_root_at(reader: &LedgerReader, size: u64) -> Result<LogRoot, LogError> {
    Ok(log_tail_at(reader, size)?.root())
}

/// Right edge of the log of the first `size` receipts, from stored tiles of this log or of a longer one.
///
/// # Errors
/// [`LogError`]: a tile is missing or too short.
pub fn log_tail_at(reader: &impl TileSource, size: u64) -> Result<LogTail, LogError> {
    LogTail::load(size, |level, index| {
        let of_level = size.checked_shr(u32::from(TILE_HEIGHT) * u32::from(level)).unwrap_or(0);
        let hashes = of_level.saturating_sub(index << TILE_HEIGHT).min(1 << TILE_HEIGHT);
        // The right edge before the last receipt is asked for as well, which may be one hash shorter.
        let mut tile = reader.tile(level, index)?;
        tile.truncate(usize::try_from(hashes).expect("at most 256") * 32);
        Some(tile)
    })
}

/// The checkpoint of so many receipts.
///
/// # Errors
/// [`CheckpointError::Unknown`].
pub fn find(journal: &Journal, no: LedgerNo, size: u64) -> Result<StoredCheckpoint, CheckpointError> {
    let found = journal.checkpoints(no)?.into_iter().find(|checkpoint| checkpoint.record.claim.size == size);
    found.ok_or(CheckpointError::Unknown { size })
}

/// The state of a snapshot, each chunk checked as it comes.
///
/// # Errors
/// [`CheckpointError`]: a chunk is missing or does not hold.
pub fn restore_state(
    manifest: Manifest,
    mut chunk: impl FnMut(ChunkId) -> Result<Option<Vec<u8>>, JournalError>,
) -> Result<StateTrie, CheckpointError> {
    let mut restorer = Restorer::new(manifest);
    while let Some(wanted) = restorer.wanted() {
        let bytes = chunk(wanted)?.ok_or(CheckpointError::MissingChunk(wanted))?;
        restorer.accept(&bytes)?;
    }
    Ok(restorer.finish()?)
}

/// Writes chunks to the journal, a batch at a time; keeps the first error for the end.
struct JournalSink<'a> {
    journal: &'a Journal,
    no: LedgerNo,
    reader: ChunkReader,
    waiting: Vec<(ChunkId, Vec<u8>)>,
    bytes: usize,
    error: Option<JournalError>,
}

impl JournalSink<'_> {
    fn flush(&mut self) {
        self.bytes = 0;
        let chunks = std::mem::take(&mut self.waiting);
        if self.error.is_none() {
            self.error = self.journal.put_chunks(self.no, &chunks, false).err();
        }
    }

    fn finish(mut self) -> Result<(), JournalError> {
        self.flush();
        self.error.map_or(Ok(()), Err)
    }
}

impl ChunkSink for JournalSink<'_> {
    fn contains(&mut self, id: ChunkId) -> bool {
        match self.reader.contains(id) {
            Ok(contains) => contains,
            Err(error) => {
                self.error.get_or_insert(error);
                true
            }
        }
    }

    fn put(&mut self, id: ChunkId, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.waiting.push((id, bytes));
        if self.bytes >= BATCH_BYTES {
            self.flush();
        }
    }
}
