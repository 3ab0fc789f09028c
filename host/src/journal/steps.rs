//! Stored steps, one after the other, without more than one row of them in memory.

use super::{
    JournalError,
    error::from_redb,
    read::SeqRange,
    rows::{Part, Row},
};
use redb::{AccessGuard, StorageError};
use reprise_receipts::Missing;
use std::ops::Range;

/// The stored bytes of one step, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStep {
    seq: u64,
    row: Row,
}

impl StoredStep {
    /// Which step.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Encoded input.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        self.part(Part::Input)
    }

    /// Encoded receipt.
    #[must_use]
    pub fn receipt(&self) -> &[u8] {
        self.part(Part::Receipt)
    }

    /// Encoded step record: diff and output.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        self.part(Part::Record)
    }

    fn part(&self, part: Part) -> &[u8] {
        self.row.part(self.seq, part).expect("the iterator found the step in the row")
    }
}

/// The steps of a range: see [`LedgerReader::steps`](super::LedgerReader::steps).
pub struct StepIterator {
    rows: SeqRange,
    row: Option<Row>,
    range: Range<u64>,
}

impl StepIterator {
    pub(super) fn new(rows: SeqRange, range: Range<u64>) -> Self {
        Self { rows, row: None, range }
    }

    fn row_with(&mut self, seq: u64) -> Result<Option<&Row>, JournalError> {
        if self.row.as_ref().is_none_or(|row| !row.range().contains(&seq)) {
            self.row = self.rows.next().map(open_row).transpose()?;
        }
        Ok(self.row.as_ref().filter(|row| row.range().contains(&seq)))
    }
}

impl Iterator for StepIterator {
    type Item = Result<Result<StoredStep, Missing>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let seq = self.range.start;
        let step = match self.row_with(seq) {
            Ok(Some(row)) => {
                let row = row.clone();
                self.range.start += 1;
                return Some(Ok(Ok(StoredStep { seq, row })));
            }
            Ok(None) => Ok(Err(Missing::Record { kind: "receipt", seq })),
            Err(error) => Err(error),
        };
        self.range.start = self.range.end;
        Some(step)
    }
}

type Entry = Result<(AccessGuard<'static, (u32, u64)>, AccessGuard<'static, &'static [u8]>), StorageError>;

/// Opens a row as it comes from the database.
///
/// # Errors
/// [`JournalError`]: the disk refuses, or the row is damaged.
pub(super) fn open_row(entry: Entry) -> Result<Row, JournalError> {
    let (key, value) = entry.map_err(from_redb)?;
    Row::open(key.value().1, value.value())
}
