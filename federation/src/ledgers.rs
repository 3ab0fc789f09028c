//! What the protocol asks of local data. The host answers from its journal, tests from memory.
//!
//! Everything told here must be durable: a step that a crash could still take away is not there yet.

use crate::message::{Mark, Step};
use reprise_receipts::{
    LeafHash, LedgerId, LogRoot, StateRoot,
    attestation::Attestation,
    bundle::LogEdge,
    checkpoint::CheckpointRecord,
    digest::ChunkId,
    log::{ConsistencyProof, InclusionProof, LogTail, TILE_HEIGHT, prove_consistency, prove_inclusion},
};
use serde::{Deserialize, Serialize};
use tlog_tiles::{HASH_SIZE, Tile};

/// Where a ledger stands, as nodes tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Which ledger.
    pub ledger: LedgerId,
    /// The highest epoch that the node knows of.
    pub epoch: u64,
    /// Number of receipts.
    pub size: u64,
    /// RFC 6962 root of them.
    pub log_root: LogRoot,
    /// Root of the state after the last one.
    pub state_root: StateRoot,
}

/// Where a ledger stands in this node's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalHead {
    /// The log.
    pub log: Mark,
    /// Root of the state, computed from the state; not copied from the last receipt.
    pub state_root: StateRoot,
}

/// The first receipt of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: u64,
    /// Sequence number of its first receipt.
    pub first: u64,
    /// Leaf hash of that receipt.
    pub leaf: LeafHash,
}

/// Durable facts about local ledgers.
pub trait Ledgers {
    /// The end of a ledger; `None` if there is no such ledger.
    fn head(&self, ledger: LedgerId) -> Option<LocalHead>;

    /// Hashes of a tile of the log, as many as there are: C2SP tlog-tiles, height 8, the right edge included.
    fn tile(&self, ledger: LedgerId, level: u8, index: u64) -> Option<Vec<u8>>;

    /// The first receipts of the last [`EPOCHS_MAX`](crate::limits::EPOCHS_MAX) epochs, oldest first.
    fn epochs(&self, ledger: LedgerId) -> Vec<EpochStart>;

    /// An encoded receipt; `None` beyond the end, or if it is not kept.
    fn receipt(&self, ledger: LedgerId, seq: u64) -> Option<Vec<u8>>;

    /// The first attestation that covers a receipt, if any does.
    fn attestation(&self, ledger: LedgerId, seq: u64) -> Option<Attestation>;

    /// Steps from `first` on, before `end`, at most `bytes_max` bytes of inputs and receipts; none if the first one is
    /// longer than that, or not kept.
    fn steps(&self, ledger: LedgerId, first: u64, end: u64, bytes_max: usize) -> Vec<Step>;

    /// End and encoded length of the longest run of steps from `first` that a stream of `bytes_max` can carry, not beyond
    /// `end`; `None` if the first one is not kept.
    fn stream(&self, ledger: LedgerId, first: u64, end: u64, bytes_max: u64) -> Option<(u64, u64)>;

    /// The newest checkpoint that has a snapshot.
    fn snapshot(&self, ledger: LedgerId) -> Option<CheckpointRecord>;

    /// Length of a snapshot chunk, if it is there.
    fn chunk(&self, ledger: LedgerId, id: ChunkId) -> Option<u64>;
}

/// The log at `size` receipts, from its tiles; `None` beyond the end.
#[must_use]
pub fn mark_at(facts: &dyn Ledgers, ledger: LedgerId, size: u64) -> Option<Mark> {
    let head = facts.head(ledger)?.log;
    if size == head.size {
        return Some(head);
    }
    if size > head.size {
        return None;
    }
    let edge = LogEdge::of(size, &|level, index| facts.tile(ledger, level, index)).ok()?;
    Some(Mark { size, log_root: edge.root() })
}

/// The log at `mark` is the beginning of the local one.
#[must_use]
pub fn contains(facts: &dyn Ledgers, ledger: LedgerId, mark: &Mark) -> bool {
    mark_at(facts, ledger, mark.size) == Some(*mark)
}

/// The right edge of the local log, to append to.
#[must_use]
pub fn tail(facts: &dyn Ledgers, ledger: LedgerId) -> Option<LogTail> {
    let size = facts.head(ledger)?.log.size;
    LogTail::load(size, |level, index| facts.tile(ledger, level, index)).ok()
}

/// That the log of `from` receipts is the beginning of that of `to`.
pub(crate) fn continuity(facts: &dyn Ledgers, ledger: LedgerId, from: u64, to: u64) -> Option<ConsistencyProof> {
    prove_consistency(&|level, index| facts.tile(ledger, level, index), from, to).ok()
}

/// That a receipt is in the log of `size` receipts.
pub(crate) fn place(facts: &dyn Ledgers, ledger: LedgerId, seq: u64, size: u64) -> Option<InclusionProof> {
    prove_inclusion(&|level, index| facts.tile(ledger, level, index), size, seq).ok()
}

/// Roots of the complete subtrees of `16^level` leaves with these indexes; `None` if the log does not have them all.
///
/// A tile has 256 hashes, so a subtree root is one of its hashes or made of 16 of them.
#[must_use]
pub fn subtree_roots(
    facts: &dyn Ledgers,
    ledger: LedgerId,
    level: u8,
    first: u64,
    count: u64,
) -> Option<Vec<[u8; HASH_SIZE]>> {
    let bits = 4 * level;
    let (tile_level, width) = (bits / TILE_HEIGHT, 1_u64 << (bits % TILE_HEIGHT));
    let mut tile: Option<(u64, Vec<u8>)> = None;
    let root = |index: u64| {
        let at = index.checked_mul(width)?;
        let (tile_index, start) = (at >> TILE_HEIGHT, (at % (1 << TILE_HEIGHT)) as usize * HASH_SIZE);
        if tile.as_ref().is_none_or(|(have, _)| *have != tile_index) {
            tile = Some((tile_index, facts.tile(ledger, tile_level, tile_index)?));
        }
        let (_, hashes) = tile.as_ref()?;
        Some(Tile::subtree_hash(hashes.get(start..start + width as usize * HASH_SIZE)?).0)
    };
    (first..first.checked_add(count)?).map(root).collect()
}
