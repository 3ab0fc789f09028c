//! What a ledger owes the world, read from its journal while somebody else orders its inputs.
//!
//! Everything here is durable, and of one moment: each look is one view of the journal. Of the state only the keys that
//! matter are kept, and of the steps only what is new is read.

use super::View;
use crate::journal::{Journal, JournalError, LedgerEntry, LedgerReader};
use reprise_receipts::{Genesis, LeafHash, LedgerId, StateRoot, StateTrie, system};

/// What a ledger owes after some receipts.
#[derive(Debug)]
pub struct Owed {
    ledger: LedgerId,
    genesis: Genesis,
    size: u64,
    last: LeafHash,
    logical_time_ms: u64,
    state_root: Option<StateRoot>,
    state: StateTrie,
}

impl Owed {
    /// What a ledger owes after its last durable receipt.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or a record is damaged.
    pub fn read(journal: &Journal, entry: &LedgerEntry) -> Result<Self, JournalError> {
        Self::of(&journal.read(entry.no)?, entry.id, &entry.genesis)
    }

    /// Takes in what has become durable since. After a rollback everything is read anew.
    ///
    /// # Errors
    /// [`JournalError`], as for [`Self::read`]; it must then be read anew.
    pub fn refresh(&mut self, journal: &Journal, entry: &LedgerEntry) -> Result<(), JournalError> {
        let reader = journal.read(entry.no)?;
        if reader.size()? < self.size || leaf_before(&reader, self.size)? != self.last {
            *self = Self::of(&reader, self.ledger, &self.genesis)?;
            return Ok(());
        }
        self.grow(&reader)
    }

    fn of(reader: &LedgerReader, ledger: LedgerId, genesis: &Genesis) -> Result<Self, JournalError> {
        let (size, state) = (reader.state_at()?, reader.stored_owed()?);
        let (genesis, last) = (genesis.clone(), LeafHash::NONE);
        let mut owed = Self { ledger, genesis, size, last, logical_time_ms: 0, state_root: None, state };
        owed.grow(reader)?;
        Ok(owed)
    }

    fn grow(&mut self, reader: &LedgerReader) -> Result<(), JournalError> {
        let size = reader.size()?;
        reader.apply_owed(&mut self.state, self.size..size)?;
        self.size = size;
        if let Some((receipt, leaf)) = reader.last_receipt()? {
            (self.last, self.logical_time_ms) = (leaf, receipt.logical_time_ms);
            self.state_root = Some(receipt.next_state);
        }
        Ok(())
    }

    /// Receipts of which this is the end.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Logical time of the last of them in milliseconds, 0 before the first.
    #[must_use]
    pub fn logical_time_ms(&self) -> u64 {
        self.logical_time_ms
    }

    /// Root of the whole state after the last of them; none before the first.
    #[must_use]
    pub fn state_root(&self) -> Option<StateRoot> {
        self.state_root
    }

    /// What the pump looks at: effects, breakers, the halt, the epoch.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let epoch = system::epochs::in_force(&self.genesis, &self.state).epoch;
        View { ledger: self.ledger, epoch, state: &self.state }
    }
}

/// Leaf hash of the last of so many receipts.
fn leaf_before(reader: &LedgerReader, size: u64) -> Result<LeafHash, JournalError> {
    let Some(last) = size.checked_sub(1) else { return Ok(LeafHash::NONE) };
    Ok(reader.receipt(last)?.map_or(LeafHash::NONE, |receipt| LeafHash::of(&receipt)))
}
