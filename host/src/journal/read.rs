//! Reading one ledger: a consistent view, whatever is committed meanwhile.

use super::{
    JournalError, LedgerNo, RecordKind,
    error::from_redb,
    tables::{ATTESTATIONS, INCIDENTS, INPUTS, LOG, RECEIPTS, RECORDS, STATE},
};
use redb::{ReadOnlyTable, ReadTransaction};
use reprise_abi::decode_canonical;
use reprise_receipts::{Attestation, LeafHash, Missing, Receipt, StateTrie, log::TileSource};
use std::ops::Range;

type Steps = ReadOnlyTable<(u32, u64), &'static [u8]>;
type StepsRange = redb::Range<'static, (u32, u64), &'static [u8]>;

/// A view of one ledger as it was when the view was made.
pub struct LedgerReader {
    ledger: LedgerNo,
    inputs: Steps,
    receipts: Steps,
    records: Steps,
    attestations: Steps,
    incidents: Steps,
    state: ReadOnlyTable<(u32, &'static [u8]), &'static [u8]>,
    log: ReadOnlyTable<(u32, u8, u64), &'static [u8]>,
}

/// The stored bytes of one step, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStep {
    /// Which step.
    pub seq: u64,
    /// Encoded input.
    pub input: Vec<u8>,
    /// Encoded receipt.
    pub receipt: Vec<u8>,
    /// Encoded step record.
    pub record: Vec<u8>,
}

impl LedgerReader {
    pub(super) fn new(transaction: &ReadTransaction, ledger: LedgerNo) -> Result<Self, JournalError> {
        Ok(Self {
            ledger,
            inputs: transaction.open_table(INPUTS).map_err(from_redb)?,
            receipts: transaction.open_table(RECEIPTS).map_err(from_redb)?,
            records: transaction.open_table(RECORDS).map_err(from_redb)?,
            attestations: transaction.open_table(ATTESTATIONS).map_err(from_redb)?,
            incidents: transaction.open_table(INCIDENTS).map_err(from_redb)?,
            state: transaction.open_table(STATE).map_err(from_redb)?,
            log: transaction.open_table(LOG).map_err(from_redb)?,
        })
    }

    /// The last receipt with its leaf hash; none in a new ledger.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: the record does not decode, or carries another sequence number.
    pub fn last_receipt(&self) -> Result<Option<(Receipt, LeafHash)>, JournalError> {
        let Some(entry) = self.range(&self.receipts, 0..u64::MAX)?.next_back() else { return Ok(None) };
        let (key, value) = entry.map_err(from_redb)?;
        let seq = key.value().1;
        let damaged = |reason: String| JournalError::damaged(RecordKind::Receipt, seq, reason);
        let receipt: Receipt = decode_canonical(value.value()).map_err(|e| damaged(e.to_string()))?;
        if receipt.seq != seq {
            return Err(damaged(format!("it carries sequence number {}", receipt.seq)));
        }
        let leaf = LeafHash::of(value.value());
        Ok(Some((receipt, leaf)))
    }

    /// Receipts in the ledger, judged by the last one.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn size(&self) -> Result<u64, JournalError> {
        let last = self.range(&self.receipts, 0..u64::MAX)?.next_back().transpose().map_err(from_redb)?;
        Ok(last.map_or(0, |(key, _)| key.value().1 + 1))
    }

    /// Encoded receipt of one step.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn receipt(&self, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.get(&self.receipts, seq)
    }

    /// Encoded input of one step.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn input(&self, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.get(&self.inputs, seq)
    }

    /// Encoded step record of one step.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.get(&self.records, seq)
    }

    /// Encoded step records of a range, in order.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn records(
        &self,
        range: Range<u64>,
    ) -> Result<impl Iterator<Item = Result<(u64, Vec<u8>), JournalError>>, JournalError> {
        Ok(entries(self.range(&self.records, range)?))
    }

    /// The steps of a range, in order. A record that is missing is an item of its own.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn steps(&self, range: Range<u64>) -> Result<StepIterator, JournalError> {
        Ok(StepIterator {
            inputs: self.range(&self.inputs, range.clone())?,
            receipts: self.range(&self.receipts, range.clone())?,
            records: self.range(&self.records, range.clone())?,
            range,
        })
    }

    /// Encoded attestations over receipts of a range, with the sequence number that each is filed under.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn attestations(
        &self,
        range: Range<u64>,
    ) -> Result<impl Iterator<Item = Result<(u64, Vec<u8>), JournalError>>, JournalError> {
        Ok(entries(self.range(&self.attestations, range)?))
    }

    /// The last attestation.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: it does not decode.
    pub fn last_attestation(&self) -> Result<Option<(u64, Attestation)>, JournalError> {
        let Some(entry) = self.range(&self.attestations, 0..u64::MAX)?.next_back() else { return Ok(None) };
        let (key, value) = entry.map_err(from_redb)?;
        let seq = key.value().1;
        let decoded = decode_canonical(value.value());
        Ok(Some((seq, decoded.map_err(|e| JournalError::damaged(RecordKind::Attestation, seq, e))?)))
    }

    /// The stored state.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn state(&self) -> Result<StateTrie, JournalError> {
        let first: (u32, &[u8]) = (self.ledger, &[]);
        let next: (u32, &[u8]) = (self.ledger + 1, &[]);
        let mut failed = None;
        let entries = self.state.range(first..next).map_err(from_redb)?.map_while(|entry| match entry {
            Ok((key, value)) => Some((key.value().1.to_vec(), value.value().to_vec())),
            Err(error) => {
                failed = Some(from_redb(error));
                None
            }
        });
        let state = StateTrie::from_sorted(entries);
        match failed {
            Some(error) => Err(error),
            None => state.map_err(|error| JournalError::damaged(RecordKind::State, "of the ledger", error)),
        }
    }

    /// Host faults: sequence number that could not be executed, and what happened.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn incidents(&self) -> Result<Vec<(u64, String)>, JournalError> {
        self.range(&self.incidents, 0..u64::MAX)?
            .map(|entry| {
                let (key, value) = entry.map_err(from_redb)?;
                Ok((key.value().1, String::from_utf8_lossy(value.value()).into_owned()))
            })
            .collect()
    }

    /// The first record of a step at or after `size`, where there should be none: its kind and sequence number.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn beyond(&self, size: u64) -> Result<Option<(&'static str, u64)>, JournalError> {
        let tables = [("input", &self.inputs), ("step record", &self.records), ("attestation", &self.attestations)];
        for (kind, table) in tables {
            if let Some(entry) = self.range(table, size..u64::MAX)?.next() {
                return Ok(Some((kind, entry.map_err(from_redb)?.0.value().1)));
            }
        }
        Ok(None)
    }

    fn get(&self, table: &Steps, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let stored = table.get((self.ledger, seq)).map_err(from_redb)?;
        Ok(stored.map(|value| value.value().to_vec()))
    }

    fn range(&self, table: &Steps, range: Range<u64>) -> Result<StepsRange, JournalError> {
        table.range((self.ledger, range.start)..(self.ledger, range.end)).map_err(from_redb)
    }
}

impl TileSource for LedgerReader {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<u8>> {
        let stored = self.log.get((self.ledger, level, index)).ok()?;
        stored.map(|value| value.value().to_vec())
    }
}

/// The steps of a range. Ends after the first record that is missing.
pub struct StepIterator {
    range: Range<u64>,
    inputs: StepsRange,
    receipts: StepsRange,
    records: StepsRange,
}

impl Iterator for StepIterator {
    type Item = Result<Result<StoredStep, Missing>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let seq = self.range.start;
        let step = self.step(seq);
        self.range.start = if matches!(step, Ok(Ok(_))) { seq + 1 } else { self.range.end };
        Some(step)
    }
}

impl StepIterator {
    fn step(&mut self, seq: u64) -> Result<Result<StoredStep, Missing>, JournalError> {
        let Some(receipt) = next_at(&mut self.receipts, seq)? else { return Ok(Err(missing("receipt", seq))) };
        let Some(input) = next_at(&mut self.inputs, seq)? else { return Ok(Err(missing("input", seq))) };
        let Some(record) = next_at(&mut self.records, seq)? else { return Ok(Err(missing("step record", seq))) };
        Ok(Ok(StoredStep { seq, input, receipt, record }))
    }
}

fn entries(range: StepsRange) -> impl Iterator<Item = Result<(u64, Vec<u8>), JournalError>> {
    range.map(|entry| {
        let (key, value) = entry.map_err(from_redb)?;
        Ok((key.value().1, value.value().to_vec()))
    })
}

fn next_at(table: &mut StepsRange, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
    let Some(entry) = table.next() else { return Ok(None) };
    let (key, value) = entry.map_err(from_redb)?;
    Ok((key.value().1 == seq).then(|| value.value().to_vec()))
}

fn missing(kind: &'static str, seq: u64) -> Missing {
    Missing::Record { kind, seq }
}
