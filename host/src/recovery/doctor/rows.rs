//! Rows whose lengths do not add up.
//!
//! The bytes of a row are as many as its lengths say, so one wrong byte of one length is wrong by a known amount, and
//! only a few bytes can be the one. Of those the right one is where the steps of the row decode and fit their receipts.

use crate::journal::{MendedStep, RawRow};
use reprise_abi::decode_canonical;
use reprise_receipts::{InputDigest, Receipt, StepRecord};

const LENGTH_BYTES: usize = 4;

/// The row with one byte of its lengths changed so that its steps fit best, and how well the others fit. `next` is the
/// first step of the row after it.
pub(super) fn mend_lengths(row: &RawRow, next: Option<u64>) -> Option<RawRow> {
    let mut candidates = Vec::new();
    let (count, _) = row.bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let count = u32::from_le_bytes(*count);
    let counts: Vec<u32> = match next {
        Some(next) => u32::try_from(next.checked_sub(row.first)?).into_iter().collect(),
        None => (0..LENGTH_BYTES).flat_map(|at| (1..=255_u32).map(move |mask| count ^ (mask << (8 * at)))).collect(),
    };
    for other in counts.into_iter().filter(|other| *other != count) {
        let mut bytes = row.bytes.clone();
        bytes[..LENGTH_BYTES].copy_from_slice(&other.to_le_bytes());
        candidates.push(bytes);
    }
    candidates.extend(other_lengths(&row.bytes, count));
    let mut best: Option<(usize, RawRow)> = None;
    let mut is_tie = false;
    for bytes in candidates {
        let candidate = RawRow { first: row.first, bytes };
        let Ok(steps) = candidate.open() else { continue };
        if next.is_some_and(|next| row.first + steps.len() as u64 != next) {
            continue;
        }
        let fit = steps.iter().filter(|step| fits(step)).count();
        match &best {
            Some((most, _)) if *most > fit => {}
            Some((most, _)) if *most == fit => is_tie = true,
            _ => (best, is_tie) = (Some((fit, candidate)), false),
        }
    }
    best.filter(|(fit, _)| *fit > 0 && !is_tie).map(|(_, row)| row)
}

/// The row's bytes with one byte of one length changed by what is missing or too much.
fn other_lengths(bytes: &[u8], count: u32) -> Vec<Vec<u8>> {
    let Some(header) = usize::try_from(count).ok().and_then(|count| count.checked_mul(3 * LENGTH_BYTES)) else {
        return Vec::new();
    };
    let header = LENGTH_BYTES + header;
    let Some(lengths) = bytes.get(LENGTH_BYTES..header) else { return Vec::new() };
    let (lengths, _) = lengths.as_chunks::<LENGTH_BYTES>();
    let said: i128 = lengths.iter().map(|length| i128::from(u32::from_le_bytes(*length))).sum();
    let missing = bytes.len() as i128 - header as i128 - said;
    let mut found = Vec::new();
    for at in 0..lengths.len() * LENGTH_BYTES {
        let unit = 1_i128 << (8 * (at % LENGTH_BYTES));
        let old = i128::from(bytes[LENGTH_BYTES + at]);
        if missing % unit != 0 || missing == 0 {
            continue;
        }
        if let Ok(new) = u8::try_from(old + missing / unit) {
            let mut bytes = bytes.to_vec();
            bytes[LENGTH_BYTES + at] = new;
            found.push(bytes);
        }
    }
    found
}

/// A step whose input and record are those that its receipt names.
fn fits(step: &MendedStep) -> bool {
    let Ok(receipt) = decode_canonical::<Receipt>(&step.receipt) else { return false };
    let record = decode_canonical::<StepRecord>(&step.record).map(|record| record.digests());
    receipt.seq == step.seq
        && receipt.input == InputDigest::of(&step.input)
        && record.is_ok_and(|digests| digests == (receipt.diff, receipt.output))
}

#[cfg(test)]
mod tests;
