//! Retention: which snapshots go, and which chunks nobody needs any more.
//!
//! Records and notes stay for ever, so that ancestry is never broken: what goes are chunks. A chunk stays as long as
//! a snapshot that is kept reaches it.

use super::CheckpointError;
use crate::journal::{ChunkReader, Journal, LedgerNo, StoredCheckpoint};
use reprise_receipts::{
    digest::ChunkId,
    snapshot::{Chunk, RestoreError},
};
use std::collections::BTreeSet;

/// Sizes of the checkpoints whose snapshots are over `keep`, oldest first.
#[must_use]
pub fn excess(checkpoints: &[StoredCheckpoint], keep: u32) -> Vec<u64> {
    let kept: Vec<u64> = checkpoints.iter().filter(|c| c.restorable).map(|c| c.record.claim.size).collect();
    let excess = kept.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    kept[..excess].to_vec()
}

/// Drops the snapshots of these checkpoints, and sweeps the chunks that no other one reaches. Says how many were swept.
///
/// No snapshot of the ledger may be in the making.
///
/// # Errors
/// [`CheckpointError`]: the journal, or a chunk that is kept does not hold; then nothing is swept.
pub fn drop_snapshots(journal: &Journal, no: LedgerNo, sizes: &[u64]) -> Result<u64, CheckpointError> {
    journal.forget_snapshots(no, sizes)?;
    sweep(journal, no)
}

/// Removes the chunks that no snapshot reaches that is kept.
///
/// # Errors
/// [`CheckpointError`], as for [`drop_snapshots`].
pub fn sweep(journal: &Journal, no: LedgerNo) -> Result<u64, CheckpointError> {
    let kept = reachable(&journal.chunks(no)?, &journal.checkpoints(no)?)?;
    Ok(journal.sweep_chunks(no, &kept)?)
}

/// Addresses of the chunks that the snapshots which are kept are made of.
///
/// # Errors
/// [`CheckpointError`]: a chunk is missing or does not hold. What is below it cannot be known then.
pub fn reachable(chunks: &ChunkReader, checkpoints: &[StoredCheckpoint]) -> Result<BTreeSet<ChunkId>, CheckpointError> {
    let kept = checkpoints.iter().filter(|checkpoint| checkpoint.restorable);
    let mut open: Vec<ChunkId> = kept.filter_map(|kept| kept.record.claim.snapshot.first).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !reached.insert(id) {
            continue;
        }
        let bytes = chunks.chunk(id)?.ok_or(CheckpointError::MissingChunk(id))?;
        if let Chunk::Index(below) = Chunk::open(id, &bytes).map_err(RestoreError::from)? {
            open.extend(below.iter().map(|below| below.id));
        }
    }
    Ok(reached)
}
