//! The part of the state that says what a ledger owes the world: a few keys, read without the rest.

use super::{JournalError, LedgerReader, RecordKind, error::from_redb, read::decode_record};
use reprise_abi::Diff;
use reprise_receipts::{StateTrie, system};
use std::ops::Range;

impl LedgerReader {
    /// The keys of [`system::OWED_PREFIXES`] as they are stored: after [`Self::state_at`] receipts.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the keys do not ascend.
    pub fn stored_owed(&self) -> Result<StateTrie, JournalError> {
        let mut entries = Vec::new();
        for prefix in system::OWED_PREFIXES {
            let (kind, before) = prefix.split_last().expect("a prefix has its namespace and a letter");
            let after = [before, &[kind + 1]].concat();
            for row in self.state_rows(prefix..=after.as_slice())? {
                let (key, value) = row.map_err(from_redb)?;
                let key = key.value().1;
                if key.starts_with(prefix) {
                    entries.push((key.to_vec(), value.value().to_vec()));
                }
            }
        }
        StateTrie::from_sorted(entries)
            .map_err(|error| JournalError::damaged(RecordKind::State, "of the ledger", error))
    }

    /// Applies what the steps of a range did to those keys.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, a step is missing, or a diff does not fit.
    pub fn apply_owed(&self, state: &mut StateTrie, steps: Range<u64>) -> Result<(), JournalError> {
        for step in self.steps(steps)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
            let record = decode_record(&step)?;
            let changes = record.diff.changes().iter().filter(|change| system::tells_what_is_owed(&change.key));
            let diff = Diff::new(changes.cloned().collect()).expect("a part of a diff is in its order");
            let misfit = |error| format!("the diff of step {} does not fit it: {error}", step.seq());
            let applied = state.apply(&diff).map_err(misfit);
            applied.map_err(|reason| JournalError::damaged(RecordKind::State, "of the ledger", reason))?;
        }
        Ok(())
    }
}
