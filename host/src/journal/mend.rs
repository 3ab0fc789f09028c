//! Writing in the place of records that do not hold: what recovery does, and nothing else.
//!
//! Whoever calls has a proof that the new bytes are the right ones, and keeps the old ones in quarantine first.

use super::{
    FORMAT, FORMAT_KEY, Journal, JournalError, LedgerNo,
    error::from_redb,
    rows::{self, Part, Row},
    tables::{ATTESTATIONS, LEDGERS, LOG, META, STEPS},
};
use redb::{ReadableTable, WriteTransaction};
use reprise_receipts::{LedgerId, log::TileWrite};
use std::collections::BTreeMap;

/// The bytes that a step must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MendedStep {
    /// Which step.
    pub seq: u64,
    /// Encoded input.
    pub input: Vec<u8>,
    /// Encoded receipt.
    pub receipt: Vec<u8>,
    /// Encoded step record.
    pub record: Vec<u8>,
}

/// A row of steps as it is stored, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRow {
    /// The step that it is filed under.
    pub first: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl RawRow {
    /// Its steps, if its lengths add up.
    ///
    /// # Errors
    /// [`JournalError::Damaged`].
    pub fn open(&self) -> Result<Vec<MendedStep>, JournalError> {
        let row = Row::open(self.first, &self.bytes)?;
        let part = |seq, part| row.part(seq, part).expect("the step is in the row").to_vec();
        let step = |seq| MendedStep {
            seq,
            input: part(seq, Part::Input),
            receipt: part(seq, Part::Receipt),
            record: part(seq, Part::Record),
        };
        Ok(row.range().map(step).collect())
    }

    /// Bytes of its lengths, if it holds so many steps.
    #[must_use]
    pub fn header_bytes(steps: usize) -> usize {
        rows::header_bytes(steps)
    }
}

impl Journal {
    /// The rows of steps of a ledger as they are stored, those that begin with `from` or later, in order.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn raw_rows(
        &self,
        ledger: LedgerNo,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<RawRow, JournalError>>, JournalError> {
        let table = self.begin_read()?.open_table(STEPS).map_err(from_redb)?;
        let rows = table.range((ledger, from)..=(ledger, u64::MAX)).map_err(from_redb)?;
        Ok(rows.map(|entry| {
            let (key, bytes) = entry.map_err(from_redb)?;
            Ok(RawRow { first: key.value().1, bytes: bytes.value().to_vec() })
        }))
    }

    /// Ledgers as they are stored, unchecked: number, id, genesis record.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn raw_ledgers(&self) -> Result<Vec<(LedgerNo, LedgerId, Vec<u8>)>, JournalError> {
        let table = self.begin_read()?.open_table(LEDGERS).map_err(from_redb)?;
        let mut ledgers = Vec::new();
        for entry in table.iter().map_err(from_redb)? {
            let (key, value) = entry.map_err(from_redb)?;
            let (id, genesis) = value.value();
            ledgers.push((key.value(), LedgerId::from_bytes(id), genesis.to_vec()));
        }
        Ok(ledgers)
    }

    /// Packages as they are stored, unchecked: digest and bytes.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn raw_packages(&self) -> Result<Vec<(reprise_receipts::PackageDigest, Vec<u8>)>, JournalError> {
        let table = self.begin_read()?.open_table(super::tables::PACKAGES).map_err(from_redb)?;
        let mut packages = Vec::new();
        for entry in table.iter().map_err(from_redb)? {
            let (key, value) = entry.map_err(from_redb)?;
            packages.push((reprise_receipts::PackageDigest::from_bytes(*key.value()), value.value().to_vec()));
        }
        Ok(packages)
    }

    /// The number of receipts that the stored state is after, as it is stored.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn raw_state_at(&self, ledger: LedgerNo) -> Result<Vec<u8>, JournalError> {
        let table = self.begin_read()?.open_table(super::tables::STATE_AT).map_err(from_redb)?;
        let stored = table.get(ledger).map_err(from_redb)?;
        Ok(stored.map(|bytes| bytes.value().to_vec()).unwrap_or_default())
    }

    /// Writes the bytes of a whole row.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_row(&self, ledger: LedgerNo, row: &RawRow) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(STEPS)?.insert((ledger, row.first), row.bytes.as_slice())?;
            Ok(())
        })
    }

    /// Removes a row that begins within the row before it, which ends at `end`. Its steps from `end` on stay, as a row
    /// of their own, unless another row begins there.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row is damaged.
    pub fn mend_overlap(&self, ledger: LedgerNo, row: &RawRow, end: u64) -> Result<(), JournalError> {
        let open = Row::open(row.first, &row.bytes)?;
        self.write(|transaction| {
            let mut table = transaction.open_table(STEPS)?;
            table.remove((ledger, row.first))?;
            if table.get((ledger, end))?.is_none() {
                let skipped = usize::try_from(end.saturating_sub(row.first)).unwrap_or(usize::MAX);
                let rest: Vec<_> = open.steps_before(u64::MAX).skip(skipped).collect();
                for (first, bytes) in rows::rows(end, rest.iter().copied()) {
                    table.insert((ledger, first), bytes.as_slice())?;
                }
            }
            Ok(())
        })
    }

    /// Writes steps in the place of stored ones, all of them or none. Their rows must open.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or a row is damaged.
    pub fn mend_steps(&self, ledger: LedgerNo, steps: &[MendedStep]) -> Result<(), JournalError> {
        let mut rows: BTreeMap<u64, (Row, BTreeMap<u64, &MendedStep>)> = BTreeMap::new();
        let reader = self.read(ledger)?;
        for step in steps {
            let Some(row) = reader.row_of(step.seq)? else { continue };
            rows.entry(row.range().start).or_insert_with(|| (row, BTreeMap::new())).1.insert(step.seq, step);
        }
        self.write(|transaction| {
            let mut table = transaction.open_table(STEPS)?;
            for (first, (row, mended)) in &rows {
                table.remove((ledger, *first))?;
                let parts: Vec<rows::Parts<'_>> = (row.range())
                    .zip(row.steps_before(u64::MAX))
                    .map(|(seq, stored)| match mended.get(&seq) {
                        Some(step) => [step.input.as_slice(), &step.receipt, &step.record],
                        None => stored,
                    })
                    .collect();
                for (first, bytes) in rows::rows(*first, parts.iter().copied()) {
                    table.insert((ledger, first), bytes.as_slice())?;
                }
            }
            Ok(())
        })
    }

    /// Writes complete tiles of the log.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_tiles(&self, ledger: LedgerNo, tiles: &[TileWrite]) -> Result<(), JournalError> {
        self.write(|transaction| {
            let mut log = transaction.open_table(LOG)?;
            for tile in tiles {
                log.insert((ledger, tile.level, tile.index), tile.hashes.as_slice())?;
            }
            Ok(())
        })
    }

    /// Writes an attestation in the place of a stored one, or removes it.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_attestation(&self, ledger: LedgerNo, seq: u64, bytes: Option<&[u8]>) -> Result<(), JournalError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(ATTESTATIONS)?;
            match bytes {
                Some(bytes) => drop(table.insert((ledger, seq), bytes)?),
                None => drop(table.remove((ledger, seq))?),
            }
            Ok(())
        })
    }

    /// Writes a genesis record in the place of the stored one.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_genesis(&self, ledger: LedgerNo, id: LedgerId, bytes: &[u8]) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(LEDGERS)?.insert(ledger, (*id.as_bytes(), bytes))?;
            Ok(())
        })
    }

    /// The journal says of itself what this version writes. Only a journal that was opened for repair may not.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn has_known_format(&self) -> Result<bool, JournalError> {
        let meta = self.begin_read()?.open_table(META).map_err(from_redb)?;
        Ok(meta.get(FORMAT_KEY).map_err(from_redb)?.is_some_and(|found| found.value() == FORMAT))
    }

    /// Opens a journal for writing, whatever it says of its format: for the doctor. The tables must be those of this
    /// version.
    ///
    /// # Errors
    /// [`JournalError`]: not there, locked, damaged, or with other tables.
    pub fn open_for_repair(path: &std::path::Path) -> Result<Self, JournalError> {
        let database = super::builder().open(path).map_err(from_redb)?;
        let journal = Self { database: super::Access::Write(database) };
        let transaction = journal.begin_read()?;
        transaction.open_table(STEPS).map_err(from_redb)?;
        transaction.open_table(super::tables::STATE_AT).map_err(from_redb)?;
        Ok(journal)
    }

    /// Writes what this version says of its journals. Everything else must have been found to be of that format.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_format(&self) -> Result<(), JournalError> {
        self.write(|transaction: &WriteTransaction| {
            transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
            Ok(())
        })
    }
}
