//! Letting archived steps leave the journal: only behind a checkpoint that the ledger can begin with here, and only
//! when the archive was read back.
//!
//! An event that comes again is answered with the receipt it had. So receipts stay as long as their events are
//! remembered: [`IDEMPOTENCY_RETENTION_MS`] of logical time.

use super::{ArchiveError, Store, Verified, verify};
use crate::{
    checkpoints,
    journal::{Base, Journal, JournalError, LedgerEntry, RecordKind},
};
use reprise_abi::limits::IDEMPOTENCY_RETENTION_MS;
use reprise_receipts::trust_policy::TrustPolicy;

/// What would leave the journal. Whoever has one has verified the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunePlan {
    /// First receipt in the journal now.
    pub first: u64,
    /// Where the ledger would begin.
    pub base: Base,
    /// Receipts of the ledger.
    pub size: u64,
    /// The archive.
    pub archive: Verified,
}

/// Finds the newest checkpoint that leaves at least `keep` receipts, has its snapshot and is in the archive, and reads
/// all of the archive back.
///
/// # Errors
/// [`ArchiveError`]: there is no such checkpoint, or the archive does not hold or is of another history.
pub fn plan_prune(
    journal: &Journal,
    entry: &LedgerEntry,
    store: &dyn Store,
    keep: u64,
) -> Result<PrunePlan, ArchiveError> {
    let reader = journal.read(entry.no)?;
    let size = reader.size()?;
    let first = reader.base().map_or(0, |base| base.size);
    let attesters = reader.attesters(&entry.genesis)?;
    let reaches = super::ArchiveReader::open(store)?.checkpoint().size;
    let archive = verify(store, &TrustPolicy::of_attester(entry.id, *attesters.of_log(reaches)))?;
    let archived = archive.checkpoint.size;
    if !archive.with_steps {
        return Err(ArchiveError::ReceiptsOnly);
    }
    if archived > size {
        return Err(ArchiveError::Longer { archived, size });
    }
    let now_ms = reader.last_receipt()?.map_or(0, |(last, _)| last.logical_time_ms);
    let may_begin = |at: u64| at > first && at <= archived && at.saturating_add(keep.max(1)) <= size;
    let is_forgotten = |at_ms: u64| at_ms.saturating_add(IDEMPOTENCY_RETENTION_MS) < now_ms;
    let mut checkpoints = journal.checkpoints(entry.no)?.into_iter();
    let found = checkpoints.rfind(|kept| {
        let claim = &kept.record.claim;
        kept.restorable && may_begin(claim.size) && is_forgotten(claim.logical_time_ms)
    });
    let begin = found.ok_or(ArchiveError::NothingToPrune { keep })?;
    let signed = begin.note.verify(attesters.of_log(begin.record.claim.size))?;
    let roots = [(archived, archive.checkpoint.log_root), (signed.size, signed.log_root)];
    for (at, root) in roots {
        if checkpoints::log_root_at(&reader, at)? != root {
            return Err(ArchiveError::Fork { size: at });
        }
    }
    let missing = || JournalError::damaged(RecordKind::Receipt, signed.size - 1, "it is missing");
    let last_receipt = reader.receipt(signed.size - 1)?.ok_or_else(missing)?;
    let base = Base::of_log(&reader, signed.size, last_receipt)?;
    Ok(PrunePlan { first, base, size, archive })
}

/// Carries a plan out: in one transaction, everything before its base leaves the journal.
///
/// # Errors
/// [`ArchiveError::Journal`].
pub fn prune(journal: &Journal, entry: &LedgerEntry, plan: &PrunePlan) -> Result<(), ArchiveError> {
    // Nothing that the stored state lacks may leave.
    if journal.read(entry.no)?.state_at()? < plan.base.size {
        journal.bring_state_forward(entry.no)?;
    }
    Ok(journal.begin_later(entry.no, &plan.base)?)
}
