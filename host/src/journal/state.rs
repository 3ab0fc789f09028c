//! The stored state, which may be behind the receipts.
//!
//! A step's diff is durable with its receipt, in the same row. So the table of keys and values need not change with
//! every step: it is kept as of some receipt and brought forward now and then, when many diffs that touch the same
//! leaves of the database, and often the same keys, become one sorted pass. Whoever reads the state applies the diffs
//! after it, through the same `apply` as ever, and holds the root against the last receipt.

use super::{
    Journal, JournalError, LedgerNo, RecordKind,
    read::decode_record,
    rows,
    tables::{ATTESTATIONS, LOG, STATE, STATE_AT, STEPS},
};
use redb::WriteTransaction;
use reprise_receipts::{Sealed, StateTrie, log::TILE_HEIGHT, system::epochs};
use std::collections::BTreeMap;

/// Steps after which the stored state is brought forward: what a start-up has to apply, some 100 ms of work.
pub const STATE_LAG_STEPS_MAX: u64 = 32_768;
/// Bytes of step records after which it is brought forward, however few steps they are.
pub const STATE_LAG_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How far the stored state is behind the receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateLag {
    steps: u64,
    bytes: u64,
}

impl StateLag {
    /// One more step, whose record has so many bytes.
    pub fn add(&mut self, record_bytes: usize) {
        self.steps += 1;
        self.bytes += record_bytes as u64;
    }

    /// A step that was made durable. What begins an epoch is stored at once: who attests is asked for often.
    pub fn note(&mut self, step: &Sealed) {
        self.add(step.record_bytes.len());
        if step.record.diff.changes().iter().any(|change| epochs::is_told_by(&change.key)) {
            self.steps = self.steps.max(STATE_LAG_STEPS_MAX);
        }
    }

    /// It is time to bring the state forward.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.steps >= STATE_LAG_STEPS_MAX || self.bytes >= STATE_LAG_BYTES_MAX
    }

    /// Steps that the stored state lacks.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// Keys with the values that they are left with.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Journal {
    /// Brings the stored state up to the last receipt. Each key is written once, in key order.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or a step record is damaged.
    pub fn bring_state_forward(&self, ledger: LedgerNo) -> Result<(), JournalError> {
        let (changes, size) = self.changes_to_store(ledger)?;
        self.write(|transaction| {
            let mut state = transaction.open_table(STATE)?;
            for (key, value) in &changes {
                match value {
                    Some(value) => drop(state.insert((ledger, key.as_slice()), value.as_slice())?),
                    None => drop(state.remove((ledger, key.as_slice()))?),
                }
            }
            write_state_at(transaction, ledger, size)
        })
    }

    fn changes_to_store(&self, ledger: LedgerNo) -> Result<(Changes, u64), JournalError> {
        let reader = self.read(ledger)?;
        let size = reader.size()?;
        let mut changes = Changes::new();
        for step in reader.steps(reader.state_at()?..size)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
            for change in decode_record(&step)?.diff.changes() {
                changes.insert(change.key.clone(), change.after.clone());
            }
        }
        Ok((changes, size))
    }

    /// Cuts a ledger back to its first `size` receipts, whose state is `state`: all of it or nothing.
    ///
    /// Attestations and log tiles over later receipts go as well. Whoever calls holds the root of `state` against the
    /// last receipt that stays, and keeps what is to be kept of the receipts that go.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row that is cut is damaged.
    pub fn cut(&self, ledger: LedgerNo, size: u64, state: &StateTrie) -> Result<(), JournalError> {
        let kept = self.read(ledger)?.row_of(size)?.filter(|row| row.range().start < size);
        self.write(|transaction| {
            let mut steps = transaction.open_table(STEPS)?;
            steps.retain_in((ledger, size)..(ledger, u64::MAX), |_, _| false)?;
            if let Some(row) = &kept {
                for (first, bytes) in rows::rows(row.range().start, row.steps_before(size)) {
                    steps.insert((ledger, first), bytes.as_slice())?;
                }
            }
            let mut attestations = transaction.open_table(ATTESTATIONS)?;
            attestations.retain_in((ledger, size)..(ledger, u64::MAX), |_, _| false)?;
            let stays = |level: u8, index: u64| {
                let end = u128::from(index + 1) << (u32::from(TILE_HEIGHT) * (u32::from(level) + 1)).min(64);
                end <= u128::from(size)
            };
            let mut log = transaction.open_table(LOG)?;
            log.retain_in((ledger, 0, 0)..(ledger + 1, 0, 0), |(_, level, index), _| stays(level, index))?;
            write_whole_state(transaction, ledger, state)?;
            write_state_at(transaction, ledger, size)
        })
    }
}

impl Journal {
    /// Stores the state of the first `size` receipts in the place of what is stored; receipts stay as they are. All of it
    /// or nothing.
    ///
    /// Whoever calls holds the root of `state` against the receipt at its end.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn store_state(&self, ledger: LedgerNo, size: u64, state: &StateTrie) -> Result<(), JournalError> {
        self.write(|transaction| {
            write_whole_state(transaction, ledger, state)?;
            write_state_at(transaction, ledger, size)
        })
    }
}

pub(super) fn write_whole_state(
    transaction: &WriteTransaction,
    ledger: LedgerNo,
    state: &StateTrie,
) -> Result<(), redb::Error> {
    let of = |ledger| -> (u32, &[u8]) { (ledger, &[]) };
    let mut table = transaction.open_table(STATE)?;
    table.retain_in(of(ledger)..of(ledger + 1), |_, _| false)?;
    for (key, value) in state.scan(&[], None) {
        table.insert((ledger, key), value)?;
    }
    Ok(())
}

pub(super) fn write_state_at(transaction: &WriteTransaction, ledger: LedgerNo, size: u64) -> Result<(), redb::Error> {
    transaction.open_table(STATE_AT)?.insert(ledger, size.to_le_bytes().as_slice())?;
    Ok(())
}

#[cfg(test)]
mod tests;
