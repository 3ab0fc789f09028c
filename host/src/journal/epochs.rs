//! The epochs of a ledger: they are entries of its state, and the stored state may be behind.

use super::{Journal, JournalError, LedgerEntry, LedgerReader, error::from_redb, read::decode_record};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Attesters, Genesis, Receipt,
    system::epochs::{self, EpochRecord},
};

impl Journal {
    /// Who attests which receipts of a ledger.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or a record is damaged.
    pub fn attesters(&self, entry: &LedgerEntry) -> Result<Attesters, JournalError> {
        self.read(entry.no)?.attesters(&entry.genesis)
    }
}

impl LedgerReader {
    /// Who attests which receipts of the ledger.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the last receipt is damaged.
    pub fn attesters(&self, genesis: &Genesis) -> Result<Attesters, JournalError> {
        Ok(self.epochs(genesis)?.0)
    }

    /// [`Self::attesters`], with the records that say so. What does not hold is left out: nobody signed it.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the last receipt is damaged.
    pub fn epochs(&self, genesis: &Genesis) -> Result<(Attesters, Vec<EpochRecord>), JournalError> {
        let mut found = (Attesters::of_genesis(genesis), Vec::new());
        if !genesis.has_succession() {
            return Ok(found);
        }
        let end = match self.last_receipt() {
            Ok(last) => last.map_or(genesis.epoch, |(last, _)| last.epoch),
            // Whoever verifies names it; here every step is asked.
            Err(JournalError::Damaged { .. }) => u64::MAX,
            Err(error) => return Err(error),
        };
        for record in self.stored_epochs()? {
            take(&mut found, genesis, record);
        }
        // What the stored state lacks is in the steps: after it, or anywhere if it is damaged.
        let begins = self.base().map_or(0, |base| base.size);
        for from in [self.state_at().unwrap_or(begins), begins] {
            if found.0.in_force().epoch == end {
                break;
            }
            self.epochs_since(genesis, from, &mut found)?;
        }
        Ok(found)
    }

    fn stored_epochs(&self) -> Result<Vec<EpochRecord>, JournalError> {
        let (first, after) = (epochs::key(0), epochs::key(u64::MAX));
        let rows = self.state_rows(first.as_slice()..=after.as_slice())?;
        let mut records = Vec::new();
        for row in rows {
            records.extend(decode_canonical::<EpochRecord>(row.map_err(from_redb)?.1.value()).ok());
        }
        Ok(records)
    }

    fn epochs_since(
        &self,
        genesis: &Genesis,
        from: u64,
        found: &mut (Attesters, Vec<EpochRecord>),
    ) -> Result<(), JournalError> {
        for step in self.steps(from..self.size()?)? {
            let Ok(step) = step? else { break };
            let Ok(receipt) = decode_canonical::<Receipt>(step.receipt()) else { continue };
            if receipt.epoch <= found.0.in_force().epoch {
                continue;
            }
            let record = decode_record(&step)?;
            let told = record.diff.changes().iter().filter(|change| epochs::is_told_by(&change.key));
            for value in told.filter_map(|change| change.after.as_deref()) {
                decode_canonical(value).into_iter().for_each(|record| take(found, genesis, record));
            }
        }
        Ok(())
    }
}

fn take(found: &mut (Attesters, Vec<EpochRecord>), genesis: &Genesis, record: EpochRecord) {
    if found.0.add(genesis, &record).is_ok() {
        found.1.push(record);
    }
}
