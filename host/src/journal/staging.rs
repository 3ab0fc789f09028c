//! Imports: steps that come from elsewhere, filed where nobody looks until all of them are there and hold.
//!
//! An import is named by the digest of what is imported and has a ledger number of its own, which no ledger has. Its
//! groups are committed under that number like any other; how far it got is how far its steps reach. With it is written
//! down how many receipts the ledger had when it was begun: rows that were staged for another size are thrown away. The
//! end is one transaction: the number becomes that of a new ledger, or the rows move behind those of the ledger that
//! they continue, if that still ends where they begin.

use super::{
    Base, Journal, JournalError, LedgerEntry, LedgerNo, StoredCheckpoint,
    ancestry::write_foreign_checkpoint,
    base::BASES,
    checkpoints::CHUNKS,
    error::from_redb,
    guarded::{guard, open_guarded},
    rows::Row,
    state::write_state_at,
    tables::{ATTESTATIONS, LEDGERS, LOG, STATE, STATE_AT, STEPS},
};
use redb::{Durability, ReadableTable, TableDefinition, WriteTransaction};
use reprise_abi::encode;
use reprise_receipts::{Genesis, checkpoint::Ancestry, digest::BundleDigest};

/// Digest of what is imported to the number that it is filed under.
const IMPORTS: TableDefinition<'static, &[u8; 32], u32> = TableDefinition::new("imports");
/// Digest of what is imported to the receipts that its ledger had when the import was begun; none for a new ledger.
const IMPORT_STARTS: TableDefinition<'static, &[u8; 32], Option<u64>> = TableDefinition::new("import_starts");

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

    /// Begins an import into a ledger of `start` receipts, or into a new one; or finds the one that was begun. What was
    /// staged for another start is thrown away.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn begin_import(&self, digest: BundleDigest, start: Option<u64>) -> Result<LedgerNo, JournalError> {
        if let Some(no) = self.import(digest)? {
            if self.import_start(digest)? == Some(start) {
                return Ok(no);
            }
            self.abandon_import(digest)?;
        }
        self.write(|transaction| {
            let no = next_no(transaction)?;
            transaction.open_table(IMPORTS)?.insert(digest.as_bytes(), no)?;
            transaction.open_table(IMPORT_STARTS)?.insert(digest.as_bytes(), start)?;
            Ok(no)
        })
    }

    /// What an import was begun for; `None` if that was not written down.
    fn import_start(&self, digest: BundleDigest) -> Result<Option<Option<u64>>, JournalError> {
        let Some(table) = self.open_if_there(IMPORT_STARTS)? else { return Ok(None) };
        Ok(table.get(digest.as_bytes()).map_err(from_redb)?.map(|start| start.value()))
    }

    fn staged(&self, digest: BundleDigest) -> Result<LedgerNo, JournalError> {
        self.import(digest)?.ok_or(JournalError::NotStaged)
    }

    /// Makes an import that begins with its ledger a ledger of this journal.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn publish_import(&self, digest: BundleDigest, genesis: &Genesis) -> Result<LedgerEntry, JournalError> {
        let no = self.staged(digest)?;
        let id = genesis.ledger_id();
        self.write(|transaction| {
            transaction.open_table(LEDGERS)?.insert(no, (*id.as_bytes(), encode(genesis).as_slice()))?;
            end(transaction, digest)
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
        (checkpoint, ancestry): (&StoredCheckpoint, &Ancestry),
    ) -> Result<LedgerEntry, JournalError> {
        let no = self.staged(digest)?;
        let id = genesis.ledger_id();
        self.write(|transaction| {
            transaction.open_table(LEDGERS)?.insert(no, (*id.as_bytes(), encode(genesis).as_slice()))?;
            transaction.open_table(BASES)?.insert(no, guard(&encode(base)).as_slice())?;
            write_foreign_checkpoint(transaction, no, checkpoint, ancestry)?;
            end(transaction, digest)?;
            write_state_at(transaction, no, base.size)
        })?;
        Ok(LedgerEntry { no, id, genesis: genesis.clone() })
    }

    /// Moves the steps of an import behind those of the ledger that they continue.
    ///
    /// # Errors
    /// [`JournalError::Meets`]: the ledger does not end where they begin; then nothing is moved. Or the disk refuses.
    pub fn append_import(&self, digest: BundleDigest, ledger: LedgerNo) -> Result<(), JournalError> {
        let no = self.staged(digest)?;
        self.write(|transaction| {
            let size = size_of(transaction, ledger)?;
            let first = first_row(&transaction.open_table(STEPS)?, no, 0)?;
            if let Some((staged, _)) = first.filter(|(staged, _)| size != Some(*staged)) {
                return Ok(Err(JournalError::Meets { staged, size: size.unwrap_or(0) }));
            }
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
            end(transaction, digest).map(Ok)
        })?
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
            end(transaction, digest)
        })
    }
}

/// The import is over.
fn end(transaction: &WriteTransaction, digest: BundleDigest) -> Result<(), redb::Error> {
    transaction.open_table(IMPORTS)?.remove(digest.as_bytes())?;
    transaction.open_table(IMPORT_STARTS)?.remove(digest.as_bytes())?;
    Ok(())
}

/// Receipts of a ledger, by its last row; `None` if that is damaged.
fn size_of(transaction: &WriteTransaction, ledger: LedgerNo) -> Result<Option<u64>, redb::Error> {
    let steps = transaction.open_table(STEPS)?;
    if let Some(entry) = steps.range((ledger, 0)..=(ledger, u64::MAX))?.next_back() {
        let (key, bytes) = entry?;
        return Ok(Row::open(key.value().1, bytes.value()).ok().map(|row| row.range().end));
    }
    let bases = transaction.open_table(BASES)?;
    let base = bases.get(ledger)?;
    Ok(base.map_or(Some(0), |stored| open_guarded::<Base>(stored.value()).ok().map(|base| base.size)))
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
