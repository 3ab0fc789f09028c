//! Checkpoints that came from elsewhere, and what they came after.
//!
//! A checkpoint's continuity root stands for all checkpoints before it. On the node that made them they are all there;
//! one that came with a bundle or from another node's directory brings their digests along, and they stay beside it:
//! without them nobody could take the checkpoint from here.

use super::{
    Journal, JournalError, LedgerNo, RecordKind, StoredCheckpoint,
    checkpoints::{CHECKPOINT_NOTES, CHECKPOINTS, SNAPSHOTS},
    error::from_redb,
    guarded::{guard, open_guarded},
};
use redb::{TableDefinition, WriteTransaction};
use reprise_abi::encode;
use reprise_receipts::{
    checkpoint::{Ancestry, Link},
    digest::ContinuityRoot,
};

/// (ledger, receipts) of a checkpoint that came from elsewhere to the [`Ancestry`] that it came with, guarded.
pub(super) const ANCESTRIES: TableDefinition<'static, (u32, u64), &[u8]> = TableDefinition::new("ancestries");

impl Journal {
    /// Keeps a checkpoint that came from elsewhere, with what it came after.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_foreign_checkpoint(
        &self,
        ledger: LedgerNo,
        checkpoint: &StoredCheckpoint,
        ancestry: &Ancestry,
    ) -> Result<(), JournalError> {
        self.write(|transaction| write_foreign_checkpoint(transaction, ledger, checkpoint, ancestry))
    }

    /// The checkpoints from the ledger's first one to the one before the checkpoint over `size` receipts, as far as
    /// they are kept here, or came with a checkpoint from elsewhere. `None`: some of them are not known.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the checkpoint.
    pub fn ancestry(&self, ledger: LedgerNo, size: u64) -> Result<Option<Ancestry>, JournalError> {
        let mut kept = self.checkpoints(ledger)?;
        kept.retain(|checkpoint| checkpoint.record.claim.size <= size);
        let Some(mut at) = kept.pop().filter(|last| last.record.claim.size == size) else { return Ok(None) };
        let mut links = Vec::new();
        while at.record.previous != ContinuityRoot::start(at.record.claim.ledger) {
            if let Some(came) = self.stored_ancestry(ledger, at.record.claim.size)? {
                links.extend(came.links.into_iter().rev());
                break;
            }
            match kept.pop() {
                Some(before) if before.record.continuity == at.record.previous => {
                    links.push(Link::Claim(before.record.claim.digest()));
                    at = before;
                }
                // Another checkpoint that came from elsewhere, or one that came later.
                Some(_) => {}
                None => return Ok(None),
            }
        }
        links.reverse();
        Ok(Some(Ancestry { links }))
    }

    fn stored_ancestry(&self, ledger: LedgerNo, size: u64) -> Result<Option<Ancestry>, JournalError> {
        let Some(table) = self.open_if_there(ANCESTRIES)? else { return Ok(None) };
        let Some(stored) = table.get((ledger, size)).map_err(from_redb)? else { return Ok(None) };
        let came = open_guarded(stored.value());
        came.map(Some).map_err(|error| JournalError::damaged(RecordKind::Ancestry, size, error))
    }
}

/// Writes a checkpoint that came from elsewhere. Its chunks are there, or come in the same transaction.
pub(super) fn write_foreign_checkpoint(
    transaction: &WriteTransaction,
    ledger: LedgerNo,
    checkpoint: &StoredCheckpoint,
    ancestry: &Ancestry,
) -> Result<(), redb::Error> {
    let key = (ledger, checkpoint.record.claim.size);
    transaction.open_table(CHECKPOINTS)?.insert(key, encode(&checkpoint.record).as_slice())?;
    transaction.open_table(CHECKPOINT_NOTES)?.insert(key, checkpoint.note.text().as_bytes())?;
    transaction.open_table(SNAPSHOTS)?.insert(key, ())?;
    if !ancestry.links.is_empty() {
        transaction.open_table(ANCESTRIES)?.insert(key, guard(&encode(ancestry)).as_slice())?;
    }
    Ok(())
}
