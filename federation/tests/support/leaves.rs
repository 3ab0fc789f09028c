//! Logs as long as a node's after months, for questions that need nothing but hashes.

use reprise_federation::{LedgerHead, Ledgers, LocalHead, Mark, ledgers::EpochStart, message::Step};
use reprise_receipts::{
    LeafHash, LedgerId, StateRoot, attestation::Attestation, checkpoint::CheckpointRecord, digest::ChunkId,
    log::LogTail,
};
use std::collections::BTreeMap;

/// A log of which only the leaves exist: `leaf(seq)` before the fork, another one from there on.
pub struct Leaves {
    pub head: Mark,
    pub tiles: BTreeMap<(u8, u64), Vec<u8>>,
    pub epochs: Vec<EpochStart>,
}

impl Leaves {
    /// Epochs begin at these receipts; after `fork` the leaves are those of another history.
    pub fn new(size: u64, fork: u64, starts: &[(u64, u64)]) -> Self {
        let (mut tail, mut tiles, mut epochs) = (LogTail::new(), BTreeMap::new(), Vec::new());
        for seq in 0..size {
            let mut bytes = [0_u8; 32];
            bytes[..8].copy_from_slice(&seq.to_le_bytes());
            bytes[8] = u8::from(seq >= fork);
            let leaf = LeafHash::from_bytes(bytes);
            if let Some((epoch, first)) = starts.iter().find(|(_, first)| *first == seq) {
                epochs.push(EpochStart { epoch: *epoch, first: *first, leaf });
            }
            tail.append(leaf);
            for tile in tail.take_complete_tiles() {
                tiles.insert((tile.level, tile.index), tile.hashes);
            }
        }
        for tile in tail.take_dirty_tiles() {
            tiles.insert((tile.level, tile.index), tile.hashes);
        }
        Self { head: Mark { size, log_root: tail.root() }, tiles, epochs }
    }

    pub fn ledger_head(&self, ledger: LedgerId) -> LedgerHead {
        let Mark { size, log_root } = self.head;
        LedgerHead { ledger, epoch: 1, size, log_root, state_root: StateRoot::from_bytes([1; 32]) }
    }
}

impl Ledgers for Leaves {
    fn head(&self, _: LedgerId) -> Option<LocalHead> {
        Some(LocalHead { log: self.head, state_root: StateRoot::from_bytes([1; 32]) })
    }

    fn tile(&self, _: LedgerId, level: u8, index: u64) -> Option<Vec<u8>> {
        self.tiles.get(&(level, index)).cloned()
    }

    fn epochs(&self, _: LedgerId) -> Vec<EpochStart> {
        self.epochs.clone()
    }

    fn receipt(&self, _: LedgerId, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn attestation(&self, _: LedgerId, _: u64) -> Option<Attestation> {
        None
    }

    fn steps(&self, _: LedgerId, _: u64, _: u64, _: usize) -> Vec<Step> {
        Vec::new()
    }

    fn stream(&self, _: LedgerId, _: u64, _: u64, _: u64) -> Option<(u64, u64)> {
        None
    }

    fn snapshot(&self, _: LedgerId) -> Option<CheckpointRecord> {
        None
    }

    fn chunk(&self, _: LedgerId, _: ChunkId) -> Option<u64> {
        None
    }
}
