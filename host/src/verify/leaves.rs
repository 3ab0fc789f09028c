//! Receipts against the log: which of the two is damaged when they differ, and whether the whole log holds.

use super::{Found, diverges};
use crate::journal::{JournalError, LedgerReader};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Attestation, LeafHash, Receipt,
    log::{LogTail, TileSource},
    verdict::Claim,
};
use std::ops::Range;

const HASHES_PER_TILE: u64 = 256;
const HASH_BYTES: usize = 32;

/// Leaf hashes as the log stores them, one tile at a time.
#[derive(Default)]
pub(super) struct StoredLeaves {
    tile: Option<(u64, Vec<u8>)>,
}

impl StoredLeaves {
    /// The stored receipt has the leaf hash that the log has for it.
    pub(super) fn check(&mut self, reader: &LedgerReader, seq: u64, receipt: &[u8]) -> Result<Found<()>, JournalError> {
        let leaf = LeafHash::of(receipt);
        let stored = self.leaf(reader, seq);
        if stored == Some(leaf) {
            return Ok(Ok(()));
        }
        let stored = stored.map_or_else(|| "nothing".to_owned(), |leaf| leaf.to_string());
        if vouched_for(reader, seq, leaf)? {
            return Ok(Err(diverges(seq, Claim::LogNode, leaf, stored)));
        }
        Ok(Err(diverges(seq, Claim::ReceiptBytes, format!("leaf hash {stored}"), format!("leaf hash {leaf}"))))
    }

    fn leaf(&mut self, reader: &LedgerReader, seq: u64) -> Option<LeafHash> {
        let index = seq / HASHES_PER_TILE;
        if self.tile.as_ref().is_none_or(|(at, _)| *at != index) {
            self.tile = reader.tile(0, index).map(|tile| (index, tile));
        }
        let (_, tile) = self.tile.as_ref()?;
        let start = usize::try_from(seq % HASHES_PER_TILE).ok()? * HASH_BYTES;
        let hash = tile.get(start..start + HASH_BYTES)?;
        Some(LeafHash::from_bytes(hash.try_into().ok()?))
    }
}

/// Somebody else than the log names this leaf: the next receipt, or an attestation.
fn vouched_for(reader: &LedgerReader, seq: u64, leaf: LeafHash) -> Result<bool, JournalError> {
    if let Some(next) = reader.receipt(seq + 1)? {
        return Ok(decode_canonical::<Receipt>(&next).is_ok_and(|next| next.previous == leaf));
    }
    let Some(entry) = reader.attestations(seq..seq + 1)?.next() else { return Ok(false) };
    let (_, attestation) = entry?;
    Ok(decode_canonical::<Attestation>(&attestation).is_ok_and(|attestation| attestation.body.leaf == leaf))
}

/// Every stored tile over a range that begins with the ledger is what its leaves make it.
pub(super) fn check_log(
    reader: &LedgerReader,
    range: &Range<u64>,
    leaves: &[LeafHash],
) -> Result<Found<()>, JournalError> {
    if range.start != 0 {
        return Ok(Ok(()));
    }
    let mut tail = LogTail::default();
    for (seq, leaf) in (0..).zip(leaves) {
        tail.append(*leaf);
        let complete = tail.size().is_multiple_of(HASHES_PER_TILE) || tail.size() == range.end;
        if complete && let Err(verdict) = check_tiles(reader, &mut tail, seq) {
            return Ok(Err(verdict));
        }
    }
    Ok(Ok(()))
}

/// A stored tile may hold more hashes than the range has leaves: they are not looked at.
fn check_tiles(reader: &LedgerReader, tail: &mut LogTail, seq: u64) -> Found<()> {
    for tile in tail.take_dirty_tiles() {
        let stored = reader.tile(tile.level, tile.index).unwrap_or_default();
        if !stored.starts_with(&tile.hashes) {
            let name =
                |hashes: &[u8]| format!("level {} tile {}: {}", tile.level, tile.index, blake3::hash(hashes).to_hex());
            return Err(diverges(seq, Claim::LogNode, name(&tile.hashes), name(&stored)));
        }
    }
    Ok(())
}
