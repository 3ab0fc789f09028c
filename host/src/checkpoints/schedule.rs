//! When a running ledger makes a checkpoint, and the walk through its state between steps.

use super::Snapshot;
use crate::journal::{CheckpointSettings, ChunkReader, Journal, JournalError, LedgerNo};
use reprise_abi::{Diff, decode_canonical};
use reprise_receipts::{
    Head, Receipt,
    digest::ChunkId,
    snapshot::{ChunkSink, SnapshotWalk},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Keys that are read after a step, when the next one waits already: a fraction of a millisecond.
pub(crate) const BUSY_KEYS: u32 = 128;
/// Keys that are read when no step waits: what the next one may have to wait for, a few milliseconds.
pub(crate) const IDLE_KEYS: u32 = 512;
/// Bytes of chunks that may wait for the commit thread, at least and at most. They become durable with the next group
/// of steps, and since addresses are random, each of them is a page of the database that the group has to wait for.
const WAITING_BYTES: [usize; 2] = [4 * 1024, 256 * 1024];
/// How long keeping chunks may take before fewer of them are kept at a time.
const KEEPING_TIME: Duration = Duration::from_millis(3);

/// What decides how much of a checkpoint is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The time that it takes. Old snapshots are swept on a thread of their own.
    Measured,
    /// Nothing that differs between runs: the least is done at once, and everything by whoever asks for it.
    Fixed,
}

/// What engine thread and commit thread know of each other's part of a checkpoint.
#[derive(Debug)]
pub(crate) struct Gate {
    pace: Pace,
    /// From the beginning of a walk until the old snapshots are swept.
    busy: AtomicBool,
    waiting_bytes: AtomicUsize,
    /// Bytes that may wait: what this disk and processor take in [`KEEPING_TIME`].
    waiting_bytes_max: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(pace: Pace) -> Self {
        let [least, _] = WAITING_BYTES;
        let (busy, waiting_bytes) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { pace, busy, waiting_bytes, waiting_bytes_max: least.into() }
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    pub(crate) fn chunks_kept(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Keeping some chunks took so long.
    pub(crate) fn keeping_took(&self, time: Duration) {
        if self.pace == Pace::Fixed {
            return;
        }
        let [least, most] = WAITING_BYTES;
        let now = self.waiting_bytes_max.load(Ordering::Acquire);
        let next = if time > KEEPING_TIME {
            now / 2
        } else if time < KEEPING_TIME / 2 {
            now * 2
        } else {
            now
        };
        self.waiting_bytes_max.store(next.clamp(least, most), Ordering::Release);
    }

    pub(crate) fn open(&self) {
        self.busy.store(false, Ordering::Release);
    }

    fn has_room(&self) -> bool {
        self.waiting_bytes.load(Ordering::Acquire) < self.waiting_bytes_max.load(Ordering::Acquire)
    }

    fn enter(&self) -> bool {
        self.busy.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Chunks on their way to the journal; with the last ones, what they are a snapshot of.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) chunks: Vec<(ChunkId, Vec<u8>)>,
    pub(crate) bytes: usize,
    pub(crate) end: End,
}

/// What comes after chunks.
#[derive(Debug)]
pub(crate) enum End {
    /// More of them.
    More,
    /// Nothing: this is the snapshot.
    Of(Snapshot),
    /// Nothing: the walk failed, and no snapshot comes of it.
    Failed,
}

/// The engine thread's part: begins walks, tells them of changes, and moves them on.
pub(crate) struct Checkpointer {
    journal: Arc<Journal>,
    no: LedgerNo,
    settings: CheckpointSettings,
    gate: Arc<Gate>,
    /// Receipts and logical time of the last checkpoint, or of the beginning.
    last: Option<(u64, u64)>,
    /// Somebody wants one now.
    wanted: bool,
    walk: Option<Walk>,
}

struct Walk {
    walk: SnapshotWalk,
    size: u64,
    logical_time_ms: u64,
    stored: ChunkReader,
}

impl Checkpointer {
    /// For a ledger that was just opened.
    pub(crate) fn new(journal: Arc<Journal>, no: LedgerNo, gate: Arc<Gate>) -> Result<Self, JournalError> {
        let settings = journal.checkpoint_settings(no)?;
        let checkpoint = journal.checkpoints(no)?.pop().map(|c| (c.record.claim.size, c.record.claim.logical_time_ms));
        let last = match checkpoint {
            Some(last) => Some(last),
            None => first_time(&journal, no)?.map(|ms| (0, ms)),
        };
        Ok(Self { journal, no, settings, gate, last, wanted: false, walk: None })
    }

    /// A snapshot is in the making.
    pub(crate) fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Somebody wants a checkpoint now. While one is in the making, the next one waits for it.
    pub(crate) fn want(&mut self, head: &Head) -> Result<(), JournalError> {
        self.wanted = head.next_seq() > 0;
        if self.walk.is_none() {
            self.begin_if(self.wanted, head)?;
        }
        Ok(())
    }

    /// A step was applied. Begins a walk if one is due.
    pub(crate) fn after_step(&mut self, head: &Head, diff: &Diff) -> Result<(), JournalError> {
        if let Some(walk) = &mut self.walk {
            walk.walk.observe(diff);
            return Ok(());
        }
        let (size, now_ms) = (head.next_seq(), head.logical_time_ms());
        let (last_size, last_ms) = *self.last.get_or_insert((0, now_ms));
        // A checkpoint that came late does not make the ones after it late.
        let passed =
            |interval: u64, last: u64, now: u64| now.checked_div(interval).is_some_and(|now| now > last / interval);
        let due = passed(self.settings.receipts, last_size, size) || passed(self.settings.logical_ms, last_ms, now_ms);
        self.begin_if(due || self.wanted, head)
    }

    /// Begins a walk, unless what the last one led to is not done with.
    fn begin_if(&mut self, due: bool, head: &Head) -> Result<(), JournalError> {
        if due && self.gate.enter() {
            let (size, now_ms) = (head.next_seq(), head.logical_time_ms());
            self.wanted = false;
            self.last = Some((size, now_ms));
            let walk = SnapshotWalk::begin(head.state(), head.state_root());
            self.walk = Some(Walk { walk, size, logical_time_ms: now_ms, stored: self.journal.chunks(self.no)? });
        }
        Ok(())
    }

    /// Moves the walk on by up to `keys` keys; nothing if there is none, or if the commit thread is behind.
    pub(crate) fn advance(&mut self, head: &Head, keys: u32) -> Option<Handed> {
        if !self.gate.has_room() {
            return None;
        }
        self.advance_anyway(head, keys)
    }

    /// [`Self::advance`], however far the commit thread is behind.
    pub(crate) fn advance_anyway(&mut self, head: &Head, keys: u32) -> Option<Handed> {
        let walk = self.walk.as_mut()?;
        let mut sink = Sink { stored: &walk.stored, chunks: Vec::new(), bytes: 0 };
        let advanced = walk.walk.advance(head.state(), keys, &mut sink);
        let Sink { chunks, bytes, .. } = sink;
        self.gate.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let end = match advanced {
            Ok(None) => End::More,
            Ok(Some(manifest)) => {
                let Walk { size, logical_time_ms, .. } = self.walk.take()?;
                End::Of(Snapshot { size, logical_time_ms, manifest })
            }
            Err(error) => {
                self.walk = None;
                tracing::error!(%error, "no checkpoint comes of this walk");
                End::Failed
            }
        };
        Some(Handed { chunks, bytes, end })
    }
}

/// Logical time of the first step.
fn first_time(journal: &Journal, no: LedgerNo) -> Result<Option<u64>, JournalError> {
    let first = journal.read(no)?.receipt(0)?;
    Ok(first.and_then(|bytes| decode_canonical::<Receipt>(&bytes).ok()).map(|receipt| receipt.logical_time_ms))
}

struct Sink<'a> {
    stored: &'a ChunkReader,
    chunks: Vec<(ChunkId, Vec<u8>)>,
    bytes: usize,
}

impl ChunkSink for Sink<'_> {
    /// A disk that refuses to say is asked to keep the chunk, and refuses that with its reason.
    fn contains(&mut self, id: ChunkId) -> bool {
        self.stored.contains(id).unwrap_or(false)
    }

    fn put(&mut self, id: ChunkId, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.chunks.push((id, bytes));
    }
}
