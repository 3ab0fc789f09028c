//! Opening a ledger: from the journal's records to a head that the next input can follow.

use super::{Node, NodeError};
use crate::{
    journal::{Journal, JournalError, LedgerEntry, RecordKind},
    pipeline::OpenLedger,
};
use reprise_receipts::{
    Head, LeafHash, Receipt,
    log::{LogTail, TileSource},
};

impl Node {
    /// Opens a ledger, holding its state against the last receipt and its log against the last attestation.
    ///
    /// # Errors
    /// [`NodeError::Journal`] names the record that is damaged.
    pub fn open_ledger(&self, entry: &LedgerEntry) -> Result<OpenLedger, NodeError> {
        open_ledger(&self.journal, entry).map_err(|error| self.journal_error(error))
    }
}

/// See [`Node::open_ledger`].
pub(crate) fn open_ledger(journal: &Journal, entry: &LedgerEntry) -> Result<OpenLedger, JournalError> {
    let reader = journal.read(entry.no)?;
    let last = reader.last_receipt()?;
    let size = last.as_ref().map_or(0, |(receipt, _)| receipt.seq + 1);
    let head = Head::at(entry.genesis.clone(), last.as_ref().map(|(receipt, leaf)| (receipt, *leaf)), reader.state()?);
    check_state(&head, last.as_ref())?;
    let tail = LogTail::load(size, |level, index| reader.tile(level, index))
        .map_err(|error| JournalError::damaged(RecordKind::LogNode, "of the log's right edge", error))?;
    if tail.last_leaf() != last.as_ref().map(|(_, leaf)| *leaf) {
        return Err(JournalError::damaged(
            RecordKind::LogNode,
            "of level 0",
            "its last hash is not the last receipt's",
        ));
    }
    let attested = check_attestation(&reader.last_attestation()?, entry, &tail)?;
    Ok(OpenLedger { no: entry.no, head, tail, attested })
}

fn check_state(head: &Head, last: Option<&(Receipt, LeafHash)>) -> Result<(), JournalError> {
    let expected =
        last.map_or_else(|| Head::genesis(head.genesis_record().clone()).state_root(), |(r, _)| r.next_state);
    if head.state_root() == expected {
        return Ok(());
    }
    let reason =
        format!("its root is {}, the last receipt says {expected}: `reprise verify` names the keys", head.state_root());
    Err(JournalError::damaged(RecordKind::State, "of the ledger", reason))
}

fn check_attestation(
    last: &Option<(u64, reprise_receipts::Attestation)>,
    entry: &LedgerEntry,
    tail: &LogTail,
) -> Result<u64, JournalError> {
    let Some((seq, attestation)) = last else { return Ok(0) };
    let damaged = |reason: String| JournalError::damaged(RecordKind::Attestation, seq, reason);
    attestation.verify(&entry.genesis.attester).map_err(|error| damaged(error.to_string()))?;
    if attestation.body.seq != *seq || attestation.body.ledger != entry.id || *seq >= tail.size() {
        return Err(damaged("it is about another receipt".to_owned()));
    }
    if *seq + 1 == tail.size() && attestation.body.log_root != tail.root() {
        return Err(damaged(format!("it signs log root {}, the log has {}", attestation.body.log_root, tail.root())));
    }
    Ok(seq + 1)
}
