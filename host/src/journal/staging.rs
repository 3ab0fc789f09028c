//! Imports: steps that come from elsewhere, filed where nobody looks until all of them are there and hold.
//!
//! An import is named by the digest of what is imported and has a ledger number of its own, which no ledger has. Its
//! groups are committed under that number like any other; how far it got is how far its steps reach. The end is one
//! transaction: the number becomes that of a new ledger, or the rows move behind those of the ledger that they continue.

use super::{
    Base, Journal, JournalError, LedgerEntry, LedgerNo, StoredCheckpoint,
    base::BASES,
    checkpoints::{CHECKPOINT_NOTES, CHECKPOINTS, CHUNKS, SNAPSHOTS},
    error::from_redb,
    guarded::guard,
    state::write_state_at,
    tables::{ATTESTATIONS, LEDGERS, LOG, STATE, STATE_AT, STEPS},
};
use redb::{Durability, ReadableTable, TableDefinition, WriteTransaction};
use reprise_abi::encode;
use reprise_receipts::{Genesis, digest::BundleDigest};

/// Digest of what is imported to the number that it is filed under.
const IMPORTS: TableDefinition<'static, &[u8; 32], u32> = TableDefinition::new("imports");

/// The number of the next ledger or import.
pub(super) fn next_no(transaction: &WriteTransaction) -> Result<LedgerNo, redb::Error> {
    let ledgers = transaction.open_table(LEDGERS)?.last()?.map_or(0, |(no, _)| no.value() + 1);
    let mut end = ledgers;
    for import in transaction.open_table(IMPORTS)?.iter()? {
        end = end.max(import?.1.value() + 1);
    }
    Ok(end)
}

impl Journal {
    /// The number that an import is filed under, if it was begun.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn import(&self, digest: BundleDigest) -> Result<Option<LedgerNo>, JournalError> {
        let Some(table) = self.open_if_there(IMPORTS)? else { return Ok(None) };
        Ok(table.get(digest.as_bytes()).map_err(from_redb)?.map(|no| no.value()))
    }

    /// Begins an import, or finds the one that was begun.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn begin_import(&self, digest: BundleDigest) -> Result<LedgerNo, JournalError> {
        if let Some(no) = self.import(digest)? {
            return Ok(no);
        }
        self.write(|transaction| {
            let no = next_no(transaction)?;
            transaction.open_table(IMPORTS)?.insert(digest.as_bytes(), no)?;
            Ok(no)
        })
    }

    /// Makes an import that begins with its ledger a ledger of this journal.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn publish_import(&self, digest: BundleDigest, genesis: &Genesis) -> Result<LedgerEntry, JournalError> {
        let no = self.begin_import(digest)?;
        let id = genesis.ledger_id();
        self.write(|transaction| {
            transaction.open_table(LEDGERS)?.insert(no, (*id.as_bytes(), encode(genesis).as_slice()))?;
            transaction.open_table(IMPORTS)?.remove(digest.as_bytes())?;
            Ok(())
        })?;
        Ok(LedgerEntry { no, id, genesis: genesis.clone() })
    }

    /// Files keys and values under the number of an import. Not durable until the import ends.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn stage_state(&self, no: LedgerNo, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write_with(Durability::None, |transaction| {
            let mut table = transaction.open_table(STATE)?;
            for (key, value) in entries {
                table.insert((no, key.as_slice()), value.as_slice())?;
            }
            Ok(())
        })
    }

    /// Makes an import of chunks and state a ledger that begins with a checkpoint.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn publish_checkpoint_import(
        &self,
        digest: BundleDigest,
        genesis: &Genesis,
        base: &Base,
        checkpoint: &StoredCheckpoint,
    ) -> Result<LedgerEntry, JournalError> {
        let no = self.begin_import(digest)?;
        let id = genesis.ledger_id();
        self.write(|transaction| {
            transaction.open_table(LEDGERS)?.insert(no, (*id.as_bytes(), encode(genesis).as_slice()))?;
            transaction.open_table(BASES)?.insert(no, guard(&encode(base)).as_slice())?;
            let key = (no, base.size);
            transaction.open_table(CHECKPOINTS)?.insert(key, encode(&checkpoint.record).as_slice())?;
            transaction.open_table(CHECKPOINT_NOTES)?.insert(key, checkpoint.note.text().as_bytes())?;
            transaction.open_table(SNAPSHOTS)?.insert(key, ())?;
            transaction.open_table(IMPORTS)?.remove(digest.as_bytes())?;
            write_state_at(transaction, no, base.size)
        })?;
        Ok(LedgerEntry { no, id, genesis: genesis.clone() })
    }

    /// Moves the steps of an import behind those of the ledger that they continue.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn append_import(&self, digest: BundleDigest, ledger: LedgerNo) -> Result<(), JournalError> {
        let no = self.begin_import(digest)?;
        self.write(|transaction| {
            for table in [STEPS, ATTESTATIONS] {
                let mut table = transaction.open_table(table)?;
                let mut from = 0;
                while let Some((seq, bytes)) = first_row(&table, no, from)? {
                    table.insert((ledger, seq), bytes.as_slice())?;
                    table.remove((no, seq))?;
                    from = seq + 1;
                }
            }
            let mut log = transaction.open_table(LOG)?;
            let tiles = log.range((no, 0, 0)..=(no, u8::MAX, u64::MAX))?;
            let tiles: Result<Vec<_>, _> = tiles.map(|tile| tile.map(|(key, _)| key.value())).collect();
            for (_, level, index) in tiles? {
                let hashes = log.remove((no, level, index))?.map(|hashes| hashes.value().to_vec());
                log.insert((ledger, level, index), hashes.unwrap_or_default().as_slice())?;
            }
            transaction.open_table(IMPORTS)?.remove(digest.as_bytes())?;
            Ok(())
        })
    }

    /// Removes everything that an import has filed.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn abandon_import(&self, digest: BundleDigest) -> Result<(), JournalError> {
        let Some(no) = self.import(digest)? else { return Ok(()) };
        self.write(|transaction| {
            for table in [STEPS, ATTESTATIONS] {
                transaction.open_table(table)?.retain_in((no, 0)..=(no, u64::MAX), |_, _| false)?;
            }
            let tiles = (no, 0, 0)..=(no, u8::MAX, u64::MAX);
            transaction.open_table(LOG)?.retain_in(tiles, |_, _| false)?;
            let of = |no| -> (u32, &[u8]) { (no, &[]) };
            transaction.open_table(STATE)?.retain_in(of(no)..of(no + 1), |_, _| false)?;
            transaction.open_table(STATE_AT)?.remove(no)?;
            let of_import = (no, &[0; 32])..=(no, &[0xff; 32]);
            transaction.open_table(CHUNKS)?.retain_in(of_import, |_, _| false)?;
            transaction.open_table(IMPORTS)?.remove(digest.as_bytes())?;
            Ok(())
        })
    }
}

/// The first row of an import at or after a sequence number.
fn first_row(
    table: &impl ReadableTable<(u32, u64), &'static [u8]>,
    no: LedgerNo,
    from: u64,
) -> Result<Option<(u64, Vec<u8>)>, redb::Error> {
    let row = table.range((no, from)..=(no, u64::MAX))?.next().transpose()?;
    Ok(row.map(|(key, bytes)| (key.value().1, bytes.value().to_vec())))
}
