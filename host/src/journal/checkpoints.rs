//! Checkpoints: records, signed notes, chunks of their snapshots, and how often they are made.
//!
//! Chunks are filed under their ledger and their own address, so that snapshots of one ledger share them. A snapshot
//! is written children first and swept root first: whatever a crash leaves, a chunk that is there has everything below
//! it. Records and notes stay when a snapshot is dropped; they are what ancestry needs.

use super::{
    Journal, JournalError, LedgerNo, RecordKind,
    ancestry::ANCESTRIES,
    error::from_redb,
    guarded::{guard, open_guarded},
};
use redb::{Durability, ReadOnlyTable, ReadableTable, TableDefinition, TableError};
use reprise_abi::{Canonical, CodecError, decode_canonical, encode};
use reprise_receipts::{
    checkpoint::{CheckpointRecord, SignedCheckpoint},
    digest::ChunkId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Ledger to its [`CheckpointSettings`], guarded.
pub(super) const CHECKPOINT_SETTINGS: TableDefinition<'static, u32, &[u8]> =
    TableDefinition::new("checkpoint_settings");
/// (ledger, receipts) to checkpoint record.
pub(super) const CHECKPOINTS: TableDefinition<'static, (u32, u64), &[u8]> = TableDefinition::new("checkpoints");
/// (ledger, receipts) to the checkpoint's signed note.
pub(super) const CHECKPOINT_NOTES: TableDefinition<'static, (u32, u64), &[u8]> =
    TableDefinition::new("checkpoint_notes");
/// (ledger, receipts) of the checkpoints whose snapshots are kept.
pub(super) const SNAPSHOTS: TableDefinition<'static, (u32, u64), ()> = TableDefinition::new("snapshots");
/// (ledger, address) to a chunk of snapshots.
pub(super) const CHUNKS: TableDefinition<'static, (u32, &[u8; 32]), &[u8]> = TableDefinition::new("chunks");

/// Receipts from one checkpoint to the next, unless the ledger says otherwise.
pub const CHECKPOINT_RECEIPTS: u64 = 1_000_000;
/// Logical time from one checkpoint to the next in milliseconds, unless the ledger says otherwise.
pub const CHECKPOINT_LOGICAL_MS: u64 = 60_000;
/// Snapshots that are kept, unless the ledger says otherwise.
pub const SNAPSHOTS_KEPT: u32 = 8;
/// Chunks that one transaction sweeps: what a group of steps may have to wait for.
const SWEPT_AT_ONCE: usize = 256;

/// When a ledger makes checkpoints, and how many snapshots it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointSettings {
    /// After so many receipts; 0 for never.
    pub receipts: u64,
    /// After so much logical time, in milliseconds; 0 for never.
    pub logical_ms: u64,
    /// Snapshots that can be restored; the oldest ones go. At least 1.
    pub keep: u32,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self { receipts: CHECKPOINT_RECEIPTS, logical_ms: CHECKPOINT_LOGICAL_MS, keep: SNAPSHOTS_KEPT }
    }
}

impl Canonical for CheckpointSettings {
    const KIND: &'static str = "checkpoint settings";
    const BYTES_MAX: usize = 32;

    fn validate(&self) -> Result<(), CodecError> {
        if self.keep > 0 {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "at least one snapshot is kept" })
    }
}

/// A checkpoint as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// What it says, in its place among the ledger's checkpoints.
    pub record: CheckpointRecord,
    /// The signed note.
    pub note: SignedCheckpoint,
    /// Its snapshot is kept.
    pub restorable: bool,
}

/// Chunks of a ledger, as they were when the view was made.
pub struct ChunkReader {
    ledger: LedgerNo,
    table: Option<ChunkTable>,
}

type ChunkTable = ReadOnlyTable<(u32, &'static [u8; 32]), &'static [u8]>;

impl ChunkReader {
    /// The bytes that are filed under an address, unchecked.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn chunk(&self, id: ChunkId) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(table) = &self.table else { return Ok(None) };
        let stored = table.get((self.ledger, id.as_bytes())).map_err(from_redb)?;
        Ok(stored.map(|bytes| bytes.value().to_vec()))
    }

    /// Something is filed under an address.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn contains(&self, id: ChunkId) -> Result<bool, JournalError> {
        let Some(table) = &self.table else { return Ok(false) };
        Ok(table.get((self.ledger, id.as_bytes())).map_err(from_redb)?.is_some())
    }

    /// Every address of the ledger with its bytes, in order of the addresses.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn all(&self) -> Result<impl Iterator<Item = Result<(ChunkId, Vec<u8>), JournalError>>, JournalError> {
        let of_ledger = (self.ledger, &[0; 32])..=(self.ledger, &[0xff; 32]);
        let range = self.table.as_ref().map(|table| table.range(of_ledger)).transpose().map_err(from_redb)?;
        Ok(range.into_iter().flatten().map(|entry| {
            let (key, bytes) = entry.map_err(from_redb)?;
            Ok((ChunkId::from_bytes(*key.value().1), bytes.value().to_vec()))
        }))
    }
}

impl Journal {
    /// When a ledger makes checkpoints.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: what is stored does not hold.
    pub fn checkpoint_settings(&self, ledger: LedgerNo) -> Result<CheckpointSettings, JournalError> {
        let Some(table) = self.open_if_there(CHECKPOINT_SETTINGS)? else { return Ok(CheckpointSettings::default()) };
        let Some(stored) = table.get(ledger).map_err(from_redb)? else { return Ok(CheckpointSettings::default()) };
        open_guarded(stored.value()).map_err(|error| JournalError::damaged(RecordKind::Settings, ledger, error))
    }

    /// Changes when a ledger makes checkpoints.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn set_checkpoint_settings(&self, ledger: LedgerNo, settings: &CheckpointSettings) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(CHECKPOINT_SETTINGS)?.insert(ledger, guard(&encode(settings)).as_slice())?;
            Ok(())
        })
    }

    /// The checkpoints of a ledger, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the checkpoint by its number of receipts.
    pub fn checkpoints(&self, ledger: LedgerNo) -> Result<Vec<StoredCheckpoint>, JournalError> {
        self.raw_checkpoints(ledger)?
            .into_iter()
            .map(|raw| {
                let damaged = |reason: String| JournalError::damaged(RecordKind::Checkpoint, raw.size, reason);
                let record: CheckpointRecord =
                    decode_canonical(&raw.record).map_err(|error| damaged(error.to_string()))?;
                let note = SignedCheckpoint::parse(&raw.note).map_err(|error| damaged(error.to_string()))?;
                if record.claim.size != raw.size || note.checkpoint().size != raw.size {
                    return Err(damaged("it is about another number of receipts".to_owned()));
                }
                Ok(StoredCheckpoint { record, note, restorable: raw.restorable })
            })
            .collect()
    }

    /// The checkpoints of a ledger as they are stored, unchecked, oldest first.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn raw_checkpoints(&self, ledger: LedgerNo) -> Result<Vec<RawCheckpoint>, JournalError> {
        let (Some(records), Some(notes), Some(snapshots)) =
            (self.open_if_there(CHECKPOINTS)?, self.open_if_there(CHECKPOINT_NOTES)?, self.open_if_there(SNAPSHOTS)?)
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in records.range((ledger, 0)..=(ledger, u64::MAX)).map_err(from_redb)? {
            let (key, record) = entry.map_err(from_redb)?;
            let key = key.value();
            let note = notes.get(key).map_err(from_redb)?;
            found.push(RawCheckpoint {
                size: key.1,
                record: record.value().to_vec(),
                note: note.map(|note| note.value().to_vec()).unwrap_or_default(),
                restorable: snapshots.get(key).map_err(from_redb)?.is_some(),
            });
        }
        Ok(found)
    }

    /// Keeps a checkpoint whose chunks are there already.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_checkpoint(&self, ledger: LedgerNo, checkpoint: &StoredCheckpoint) -> Result<(), JournalError> {
        let key = (ledger, checkpoint.record.claim.size);
        self.write(|transaction| {
            transaction.open_table(CHECKPOINTS)?.insert(key, encode(&checkpoint.record).as_slice())?;
            transaction.open_table(CHECKPOINT_NOTES)?.insert(key, checkpoint.note.text().as_bytes())?;
            let mut snapshots = transaction.open_table(SNAPSHOTS)?;
            if checkpoint.restorable {
                snapshots.insert(key, ())?;
            } else {
                snapshots.remove(key)?;
            }
            Ok(())
        })
    }

    /// Removes the checkpoints over more than `size` receipts. Their chunks stay until they are swept.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn remove_checkpoints_over(&self, ledger: LedgerNo, size: u64) -> Result<(), JournalError> {
        let Some(first) = size.checked_add(1) else { return Ok(()) };
        let over = (ledger, first)..=(ledger, u64::MAX);
        self.write(|transaction| {
            transaction.open_table(CHECKPOINTS)?.retain_in(over.clone(), |_, _| false)?;
            transaction.open_table(CHECKPOINT_NOTES)?.retain_in(over.clone(), |_, _| false)?;
            transaction.open_table(SNAPSHOTS)?.retain_in(over.clone(), |_, ()| false)?;
            transaction.open_table(ANCESTRIES)?.retain_in(over, |_, _| false)?;
            Ok(())
        })
    }

    /// Writes bytes in the place of a checkpoint's record or note: a repair.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_checkpoint(&self, ledger: LedgerNo, raw: &RawCheckpoint) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(CHECKPOINTS)?.insert((ledger, raw.size), raw.record.as_slice())?;
            transaction.open_table(CHECKPOINT_NOTES)?.insert((ledger, raw.size), raw.note.as_slice())?;
            Ok(())
        })
    }

    /// Keeps chunks. With `durable` they, and all that were kept before, outlive a crash.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_chunks(
        &self,
        ledger: LedgerNo,
        chunks: &[(ChunkId, Vec<u8>)],
        durable: bool,
    ) -> Result<(), JournalError> {
        let durability = if durable { Durability::Immediate } else { Durability::None };
        self.write_with(durability, |transaction| {
            let mut table = transaction.open_table(CHUNKS)?;
            for (id, bytes) in chunks {
                table.insert((ledger, id.as_bytes()), bytes.as_slice())?;
            }
            Ok(())
        })
    }

    /// A consistent view of the chunks of a ledger.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn chunks(&self, ledger: LedgerNo) -> Result<ChunkReader, JournalError> {
        Ok(ChunkReader { ledger, table: self.open_if_there(CHUNKS)? })
    }

    /// Lets the snapshots of these checkpoints go: nothing may restore them from now on. Their chunks stay until they
    /// are swept.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn forget_snapshots(&self, ledger: LedgerNo, sizes: &[u64]) -> Result<(), JournalError> {
        self.write(|transaction| {
            let mut snapshots = transaction.open_table(SNAPSHOTS)?;
            for size in sizes {
                snapshots.remove((ledger, *size))?;
            }
            Ok(())
        })
    }

    /// Removes the chunks that are not in `kept`, some at a time, and says how many those were.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn sweep_chunks(&self, ledger: LedgerNo, kept: &BTreeSet<ChunkId>) -> Result<u64, JournalError> {
        let mut swept = 0;
        let mut next = Some([0; 32]);
        while let Some(from) = next {
            next = self.write_with(Durability::None, |transaction| {
                let mut table = transaction.open_table(CHUNKS)?;
                let mut gone = Vec::new();
                let mut last = None;
                for entry in table.range((ledger, &from)..=(ledger, &[0xff; 32]))?.take(SWEPT_AT_ONCE) {
                    let id = *entry?.0.value().1;
                    last = Some(id);
                    if !kept.contains(&ChunkId::from_bytes(id)) {
                        gone.push(id);
                    }
                }
                for id in &gone {
                    table.remove((ledger, id))?;
                }
                swept += gone.len() as u64;
                Ok(last.and_then(after))
            })?;
        }
        Ok(swept)
    }

    /// A table, if anything was ever written to it.
    pub(super) fn open_if_there<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: redb::TableDefinition<'static, K, V>,
    ) -> Result<Option<ReadOnlyTable<K, V>>, JournalError> {
        match self.begin_read()?.open_table(table) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(from_redb(error)),
        }
    }
}

/// A checkpoint as it is stored, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCheckpoint {
    /// Receipts that it is over: what it is filed under.
    pub size: u64,
    /// Encoded record.
    pub record: Vec<u8>,
    /// Signed note; empty if there is none.
    pub note: Vec<u8>,
    /// Its snapshot is kept.
    pub restorable: bool,
}

/// The address after this one.
fn after(mut id: [u8; 32]) -> Option<[u8; 32]> {
    for byte in id.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(id);
        }
    }
    None
}
