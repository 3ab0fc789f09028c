//! Receipts against the log: which of the two is damaged when they differ, and whether the whole log holds.

use super::{Found, diverges};
use crate::journal::{JournalError, LedgerReader};
use reprise_abi::decode_canonical;
use reprise_receipts::{Attestation, Attesters, LeafHash, Receipt, log::LogTail, verdict::Claim};

const HASHES_PER_TILE: u64 = 256;

/// Leaf hashes as the log stores them, one tile at a time. The last ones, in a tile that is not complete, are not
/// stored.
pub(super) struct StoredLeaves {
    /// Whose attestations count.
    attesters: Attesters,
    tile: Option<(u64, Vec<u8>)>,
}

impl StoredLeaves {
    pub(super) fn new(attesters: Attesters) -> Self {
        Self { attesters, tile: None }
    }

    /// The log has this leaf hash for a receipt, or none because its tile is not complete.
    pub(super) fn agrees(&mut self, reader: &LedgerReader, seq: u64, leaf: LeafHash) -> Result<bool, JournalError> {
        match self.leaf(reader, seq)? {
            Some(stored) => Ok(stored == leaf),
            None => Ok(!is_stored(reader, seq)?),
        }
    }

    /// As [`Self::agrees`], and if the log has none, what comes after the receipt agrees.
    pub(super) fn vouch(&mut self, reader: &LedgerReader, seq: u64, leaf: LeafHash) -> Result<bool, JournalError> {
        match self.leaf(reader, seq)? {
            Some(stored) => Ok(stored == leaf),
            None => Ok(!is_stored(reader, seq)? && self.vouched(reader, seq)?.is_none_or(|vouched| vouched == leaf)),
        }
    }

    /// The stored receipt has the leaf hash that others have for it: the log, or else whatever comes after it.
    pub(super) fn check(&mut self, reader: &LedgerReader, seq: u64, receipt: &[u8]) -> Result<Found<()>, JournalError> {
        let leaf = LeafHash::of(receipt);
        let stored = self.leaf(reader, seq)?;
        if stored == Some(leaf) {
            return Ok(Ok(()));
        }
        let vouched = self.vouched(reader, seq)?;
        let expected = match (stored, vouched) {
            (_, Some(vouched)) if is_stored(reader, seq)? && vouched == leaf => {
                let stored = stored.map_or_else(|| "nothing".to_owned(), |leaf| leaf.to_string());
                return Ok(Err(diverges(seq, Claim::LogNode, leaf, stored)));
            }
            (Some(stored), _) => stored,
            (None, Some(vouched)) if vouched != leaf => vouched,
            (None, _) => return Ok(Ok(())),
        };
        let (expected, found) = (format!("leaf hash {expected}"), format!("leaf hash {leaf}"));
        Ok(Err(diverges(seq, Claim::ReceiptBytes, expected, found)))
    }

    fn leaf(&mut self, reader: &LedgerReader, seq: u64) -> Result<Option<LeafHash>, JournalError> {
        let index = seq / HASHES_PER_TILE;
        if self.tile.as_ref().is_none_or(|(at, _)| *at != index) {
            self.tile = Some((index, reader.stored_tile(0, index)?.unwrap_or_default()));
        }
        let (_, tile) = self.tile.as_ref().expect("it was just read");
        let at = usize::try_from(seq % HASHES_PER_TILE).expect("below 256");
        Ok(tile.as_chunks().0.get(at).copied().map(LeafHash::from_bytes))
    }

    /// The leaf hash that comes after a receipt, unless that is damaged itself.
    fn vouched(&self, reader: &LedgerReader, seq: u64) -> Result<Option<LeafHash>, JournalError> {
        let named = self.named(reader, seq)?;
        let Some(next) = reader.receipt(seq + 1)? else { return Ok(named) };
        let next_is_damaged = self.named(reader, seq + 1)?.is_some_and(|expected| expected != LeafHash::of(&next));
        Ok(named.filter(|_| !next_is_damaged))
    }

    /// The leaf hash that the next receipt names or, after the last one, its attestation.
    fn named(&self, reader: &LedgerReader, seq: u64) -> Result<Option<LeafHash>, JournalError> {
        if let Some(next) = reader.receipt(seq + 1)? {
            return Ok(decode_canonical::<Receipt>(&next).ok().map(|next| next.previous));
        }
        let Some(entry) = reader.attestations(seq..seq + 1)?.next() else { return Ok(None) };
        let attestation = decode_canonical::<Attestation>(&entry?.1).ok();
        let signed = attestation.filter(|attestation| self.attesters.verify(attestation).is_ok());
        Ok(signed.map(|attestation| attestation.body.leaf))
    }
}

/// The tile that a receipt's leaf hash is in is complete, so that it should be stored.
fn is_stored(reader: &LedgerReader, seq: u64) -> Result<bool, JournalError> {
    Ok(seq / HASHES_PER_TILE < reader.size()? / HASHES_PER_TILE)
}

/// Every complete tile over a range is what its leaves make it, if the log before the range is known.
pub(super) fn check_log(
    reader: &LedgerReader,
    log: Option<LogTail>,
    leaves: &[LeafHash],
) -> Result<Found<()>, JournalError> {
    let Some(mut tail) = log else { return Ok(Ok(())) };
    for (seq, leaf) in (tail.size()..).zip(leaves) {
        tail.append(*leaf);
        for tile in tail.take_complete_tiles() {
            let stored = reader.stored_tile(tile.level, tile.index)?.unwrap_or_default();
            if stored != tile.hashes {
                let name = |hashes: &[u8]| {
                    format!("level {} tile {}: {}", tile.level, tile.index, blake3::hash(hashes).to_hex())
                };
                return Ok(Err(diverges(seq, Claim::LogNode, name(&tile.hashes), name(&stored))));
            }
        }
    }
    Ok(Ok(()))
}
