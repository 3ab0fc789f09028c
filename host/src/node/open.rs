//! Opening a ledger: what was begun is brought to its end, then the ledger starts as [`crate::recovery::host`] says.

use super::{EngineChoice, Node, NodeError};
use crate::{
    journal::{Journal, JournalError, LedgerEntry},
    pipeline::OpenLedger,
    recovery::{self, NoWatch, Site, host::StartUp},
};

impl Node {
    /// Opens a ledger, holding its state against the last receipt and its log against the last attestation.
    ///
    /// # Errors
    /// [`NodeError::Journal`] names the record that is damaged; [`NodeError::Stuck`]: a plan was begun and cannot be
    /// brought to its end.
    pub fn open_ledger(&self, entry: &LedgerEntry) -> Result<OpenLedger, NodeError> {
        Ok(self.start_ledger(entry)?.0)
    }

    /// [`Self::open_ledger`], and which way that took.
    ///
    /// # Errors
    /// [`NodeError`], as for [`Self::open_ledger`].
    pub fn start_ledger(&self, entry: &LedgerEntry) -> Result<(OpenLedger, StartUp), NodeError> {
        let recovery = |error| NodeError::Recovery(Box::new(error));
        let begun = self.journal.running_plan(entry.no).map_err(|error| self.journal_error(error))?;
        if begun.is_some() {
            if !self.journal.is_writable() {
                return Err(recovery(recovery::RecoveryError::Unfinished));
            }
            let stuck = |error| NodeError::Stuck(Box::new(error));
            recovery::resume(&self.site(entry, EngineChoice::default()), &mut NoWatch).map_err(stuck)?;
        }
        recovery::host::start(&self.journal, entry).map_err(|error| self.journal_error(error))
    }

    /// A ledger and what this node has at hand to recover it.
    #[must_use]
    pub fn site<'a>(&'a self, entry: &'a LedgerEntry, engine: EngineChoice) -> Site<'a> {
        Site { journal: &self.journal, entry, dir: &self.dir, engine }
    }
}

/// See [`Node::open_ledger`].
pub(crate) fn open_ledger(journal: &Journal, entry: &LedgerEntry) -> Result<OpenLedger, JournalError> {
    Ok(recovery::host::start(journal, entry)?.0)
}
