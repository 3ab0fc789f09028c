//! Ledgers that begin here with a checkpoint: what was before it is somewhere else.
//!
//! A node that takes a ledger over from a checkpoint has its state, but not the steps that led there. What the next
//! step needs of them is the last receipt and the right edge of the log.

use super::{
    Journal, JournalError, LedgerEntry, LedgerNo, RecordKind, StoredCheckpoint,
    ancestry::write_foreign_checkpoint,
    checkpoints::CHUNKS,
    error::from_redb,
    guarded::{guard, open_guarded},
    read::complete_tiles,
    staging::next_no,
    state::{write_state_at, write_whole_state},
    tables::LEDGERS,
};
use redb::{ReadTransaction, TableDefinition, TableError};
use reprise_abi::{Canonical, CodecError, encode, limits::RECEIPT_BYTES_MAX};
use reprise_receipts::{
    Genesis, StateTrie,
    checkpoint::Ancestry,
    digest::ChunkId,
    log::{TILE_BYTES_MAX, TILE_HEIGHT},
};
use serde::{Deserialize, Serialize};

/// Ledger to its [`Base`], guarded.
pub(super) const BASES: TableDefinition<'static, u32, &[u8]> = TableDefinition::new("bases");
/// Levels of the largest log.
const LEVELS_MAX: usize = 7;

/// Where a ledger begins on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Receipts before it, at least 1.
    pub size: u64,
    /// The last of those, encoded.
    pub last_receipt: Vec<u8>,
    /// The hashes of the last tile of each level of their log, from level 0 on. That of level 0 may be complete: it
    /// has the last leaf.
    pub edge: Vec<Vec<u8>>,
}

impl Base {
    /// What it knows of a tile of the log.
    #[must_use]
    pub fn tile(&self, level: u8, index: u64) -> Option<&[u8]> {
        let at = if level == 0 { (self.size - 1) >> TILE_HEIGHT } else { complete_tiles(level, self.size) };
        let tile = self.edge.get(usize::from(level)).filter(|_| index == at);
        tile.map(Vec::as_slice)
    }
}

impl Canonical for Base {
    const KIND: &'static str = "base of a ledger";
    const BYTES_MAX: usize = 64 + RECEIPT_BYTES_MAX + LEVELS_MAX * (TILE_BYTES_MAX + 4);

    fn validate(&self) -> Result<(), CodecError> {
        let bounded = self.edge.len() <= LEVELS_MAX && self.edge.iter().all(|tile| tile.len() <= TILE_BYTES_MAX);
        if self.size > 0 && bounded {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "it has receipts, and at most 6 tiles of 8 KiB" })
    }
}

impl Journal {
    /// Creates a ledger that begins with a checkpoint: everything of it, or nothing.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_ledger_at(
        &self,
        genesis: &Genesis,
        base: &Base,
        state: &StateTrie,
        (checkpoint, ancestry): (&StoredCheckpoint, &Ancestry),
        chunks: impl IntoIterator<Item = (ChunkId, Vec<u8>)>,
    ) -> Result<LedgerEntry, JournalError> {
        let id = genesis.ledger_id();
        let no = self.write(|transaction| {
            let no: LedgerNo = next_no(transaction)?;
            let mut table = transaction.open_table(LEDGERS)?;
            table.insert(no, (*id.as_bytes(), encode(genesis).as_slice()))?;
            transaction.open_table(BASES)?.insert(no, guard(&encode(base)).as_slice())?;
            write_foreign_checkpoint(transaction, no, checkpoint, ancestry)?;
            let mut table = transaction.open_table(CHUNKS)?;
            for (id, bytes) in chunks {
                table.insert((no, id.as_bytes()), bytes.as_slice())?;
            }
            write_whole_state(transaction, no, state)?;
            write_state_at(transaction, no, base.size)?;
            Ok(no)
        })?;
        Ok(LedgerEntry { no, id, genesis: genesis.clone() })
    }
}

/// Where a ledger begins; `None` for its first receipt.
pub(super) fn base_of(transaction: &ReadTransaction, ledger: LedgerNo) -> Result<Option<Base>, JournalError> {
    let table = match transaction.open_table(BASES) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(from_redb(error)),
    };
    let Some(stored) = table.get(ledger).map_err(from_redb)? else { return Ok(None) };
    let base = open_guarded(stored.value());
    base.map(Some).map_err(|error| JournalError::damaged(RecordKind::Base, ledger, error))
}
