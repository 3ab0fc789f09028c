//! Rows of steps: what one row of the table `steps` holds, to the byte.
//!
//! ```text
//! row = count, then for each step the lengths of its input, receipt and step record, all u32 little-endian,
//!       then for each step its input, receipt and step record
//! ```
//!
//! The steps of a group are one row where they fit: one entry of the database instead of three for each step. A row is
//! filed under the sequence number of its first step; the next row begins where it ends.

use super::{JournalError, RecordKind};
use reprise_receipts::Sealed;
use std::{ops::Range, sync::Arc};

/// Bytes of a row that holds more than one step. With its key and the database's own bookkeeping, such a row just fits
/// a page of 64 KiB; the pages of redb are powers of two.
pub(super) const ROW_BYTES_MAX: usize = 63 * 1024;

const LENGTH_BYTES: usize = 4;
const STEP_HEADER_BYTES: usize = 3 * LENGTH_BYTES;

/// The encoded parts of one step: input, receipt, step record.
pub(super) type Parts<'a> = [&'a [u8]; 3];

/// Which part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Input = 0,
    Receipt = 1,
    Record = 2,
}

/// The parts of a sealed step.
pub(super) fn parts(step: &Sealed) -> Parts<'_> {
    [&step.input_bytes, &step.receipt_bytes, &step.record_bytes]
}

/// Cuts steps into rows: the first sequence number of each, and its bytes.
pub(super) fn rows<'a>(
    first: u64,
    steps: impl Iterator<Item = Parts<'a>> + Clone,
) -> impl Iterator<Item = (u64, Vec<u8>)> {
    let mut rest = steps.peekable();
    let mut next = first;
    std::iter::from_fn(move || {
        rest.peek()?;
        let mut taken: Vec<Parts<'a>> = Vec::new();
        let mut bytes = LENGTH_BYTES;
        while let Some(step) = rest.next_if(|step| taken.is_empty() || bytes + step_bytes(step) <= ROW_BYTES_MAX) {
            bytes += step_bytes(&step);
            taken.push(step);
        }
        let row = (next, encode(&taken, bytes));
        next += taken.len() as u64;
        Some(row)
    })
}

fn step_bytes(step: &Parts<'_>) -> usize {
    STEP_HEADER_BYTES + step.iter().map(|part| part.len()).sum::<usize>()
}

fn encode(steps: &[Parts<'_>], bytes: usize) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).expect("a step is far below 4 GiB").to_le_bytes();
    let mut row = Vec::with_capacity(bytes);
    row.extend_from_slice(&length(steps.len()));
    steps.iter().flatten().for_each(|part| row.extend_from_slice(&length(part.len())));
    steps.iter().flatten().for_each(|part| row.extend_from_slice(part));
    row
}

/// A row whose lengths were found to be right. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    first: u64,
    count: usize,
    bytes: Arc<[u8]>,
    /// Where each part ends, in the order they are stored.
    ends: Arc<[u32]>,
}

impl Row {
    /// Holds the lengths of a row against its bytes.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the row by its first step.
    pub(super) fn open(first: u64, bytes: &[u8]) -> Result<Self, JournalError> {
        let damaged = |reason: &str| JournalError::damaged(RecordKind::Steps, format_args!("from {first} on"), reason);
        let ends = ends(bytes).ok_or_else(|| damaged("its lengths do not add up"))?;
        if ends.is_empty() {
            return Err(damaged("it holds no step"));
        }
        Ok(Self { first, count: ends.len() / 3, bytes: bytes.into(), ends: ends.into() })
    }

    /// Sequence numbers of its steps.
    pub(super) fn range(&self) -> Range<u64> {
        self.first..self.first + self.count as u64
    }

    /// Where a part of a step is in the row; `None` if the step is not in it.
    pub(super) fn part_range(&self, seq: u64, part: Part) -> Option<Range<usize>> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok().filter(|index| *index < self.count)?;
        let at = 3 * index + part as usize;
        let start = match at.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => header_bytes(self.count),
        };
        Some(start..self.ends[at] as usize)
    }

    /// A part of a step.
    pub(super) fn part(&self, seq: u64, part: Part) -> Option<&[u8]> {
        self.part_range(seq, part).map(|range| &self.bytes[range])
    }

    /// All parts of the steps before `end`.
    pub(super) fn steps_before(&self, end: u64) -> impl Iterator<Item = Parts<'_>> + Clone {
        let part = |seq, part| self.part(seq, part).expect("the step is in the row");
        let all = [Part::Input, Part::Receipt, Part::Record];
        (self.first..end.min(self.range().end)).map(move |seq| all.map(|which| part(seq, which)))
    }
}

/// Bytes before the first step of a row.
pub(super) fn header_bytes(count: usize) -> usize {
    LENGTH_BYTES + count * STEP_HEADER_BYTES
}

/// `None`: the lengths do not add up to the bytes.
fn ends(bytes: &[u8]) -> Option<Vec<u32>> {
    let (count, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let lengths = rest.get(..count.checked_mul(STEP_HEADER_BYTES)?)?;
    let mut end = u32::try_from(header_bytes(count)).ok()?;
    let (lengths, _) = lengths.as_chunks::<LENGTH_BYTES>();
    let mut ends = Vec::with_capacity(lengths.len());
    for length in lengths {
        end = end.checked_add(u32::from_le_bytes(*length))?;
        ends.push(end);
    }
    (end as usize == bytes.len()).then_some(ends)
}

#[cfg(test)]
mod tests;
