//! The checkpoint to publish: one that is kept, or a new signature over the same log.

use super::ArchiveError;
use crate::{
    checkpoints,
    journal::{Journal, LedgerEntry, LedgerReader},
};
use reprise_receipts::{
    Attesters, LogRoot, SigningKey,
    checkpoint::{Checkpoint, SignedCheckpoint},
    log::prove_consistency,
};

/// The signed checkpoint over the first `size` receipts: the one in the journal, with its cosignatures, or one that
/// `signer` signs now, if it is the ledger's attester.
///
/// What is signed now is first held against the last attestation: a log that does not continue it is damaged, and
/// signing it would be evidence against this node.
///
/// # Errors
/// [`ArchiveError`]: not so many receipts, nobody to sign, or the log does not hold.
pub fn checkpoint_of(
    journal: &Journal,
    entry: &LedgerEntry,
    size: u64,
    signer: Option<&SigningKey>,
) -> Result<SignedCheckpoint, ArchiveError> {
    let kept = journal.checkpoints(entry.no)?.into_iter().find(|kept| kept.note.checkpoint().size == size);
    let reader = journal.read(entry.no)?;
    let attesters = reader.attesters(&entry.genesis)?;
    if let Some(kept) = kept {
        kept.note.verify(attesters.of_log(size))?;
        return Ok(kept.note);
    }
    let has = reader.size()?;
    if size == 0 || size > has {
        return Err(ArchiveError::Beyond { size: has, wanted: size });
    }
    let signer = signer.filter(|signer| signer.public() == *attesters.of_log(size));
    let signer = signer.ok_or(ArchiveError::NoSigner { size })?;
    let log_root = checkpoints::log_root_at(&reader, size)?;
    check_attested(&reader, (entry, &attesters), size, log_root)?;
    Ok(Checkpoint { ledger: entry.id, size, log_root }.sign(signer))
}

/// The log and the last attested one are one history.
fn check_attested(
    reader: &LedgerReader,
    (entry, attesters): (&LedgerEntry, &Attesters),
    size: u64,
    log_root: LogRoot,
) -> Result<(), ArchiveError> {
    let (seq, attestation) = reader.last_attestation()?.ok_or(ArchiveError::Unattested)?;
    let body = &attestation.body;
    let attested = (seq + 1, body.log_root);
    let (old, new) = if size <= attested.0 { ((size, log_root), attested) } else { (attested, (size, log_root)) };
    let proof = prove_consistency(reader, old.0, new.0)?;
    let holds = body.seq == seq
        && body.ledger == entry.id
        && attesters.verify(&attestation).is_ok()
        && proof.verify(old.0, &old.1, new.0, &new.1).is_ok();
    if holds { Ok(()) } else { Err(ArchiveError::NotAttested { size, seq }) }
}
