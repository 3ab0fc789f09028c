//! The right edge of the log: all that appending needs.
//!
//! Two views of the same hashes are kept. The *peaks* are the roots of the complete subtrees that the log is made of,
//! one for each bit of its size; they make an append one hash on average and a root one per peak. The *edge* of each
//! level is its incomplete tile, which is what will be stored.

use super::{LOG_SIZE_MAX, LogError, TILE_BYTES_MAX, TILE_HEIGHT, hashes_at, incomplete_tile};
use crate::digest::{LeafHash, LogRoot};
use tlog_tiles::{HASH_SIZE, Hash, Tile, node_hash};

/// The right edge of a receipt log, in memory.
#[derive(Clone, Debug, Default)]
pub struct LogTail {
    size: u64,
    last: Option<LeafHash>,
    /// Roots of complete subtrees, largest first.
    peaks: Vec<Hash>,
    /// By level.
    edges: Vec<Edge>,
    /// Tiles that became complete since they were last taken.
    complete: Vec<TileWrite>,
}

/// The incomplete tile of a level.
#[derive(Clone, Debug, Default)]
struct Edge {
    hashes: Vec<u8>,
    dirty: bool,
}

/// A tile to store under `(level, index)`, in place of a shorter one if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileWrite {
    /// Level of the tile; 0 holds leaf hashes.
    pub level: u8,
    /// Position in its level, from 0.
    pub index: u64,
    /// 1 to 256 hashes of 32 bytes in a row.
    pub hashes: Vec<u8>,
}

impl LogTail {
    /// Of the empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores the tail of a log of `size` receipts from its stored tiles: the incomplete one of each level, and the
    /// last one of level 0 in any case.
    ///
    /// Nothing says yet that the tiles are the right ones; compare [`Self::root`] with an attested root.
    ///
    /// # Errors
    /// [`LogError`], naming the tile that is missing or of the wrong length; or the size is out of bounds.
    pub fn load(size: u64, mut read: impl FnMut(u8, u64) -> Option<Vec<u8>>) -> Result<Self, LogError> {
        if size > LOG_SIZE_MAX {
            return Err(LogError::TooLarge { size });
        }
        let mut tile = |level, index, count| {
            let hashes = read(level, index).ok_or(LogError::MissingTile { level, index })?;
            let (expected, found) = (count * HASH_SIZE, hashes.len());
            if found == expected { Ok(hashes) } else { Err(LogError::TileLength { level, index, expected, found }) }
        };
        let mut tail = Self { size, ..Self::default() };
        for level in (0..).take_while(|level| hashes_at(*level, size) > 0) {
            let (index, count) = incomplete_tile(level, size);
            let hashes = if count == 0 { Vec::new() } else { tile(level, index, count)? };
            tail.edges.push(Edge { hashes, dirty: false });
        }
        if let Some(before_last) = size.checked_sub(1) {
            let (index, count) = incomplete_tile(0, before_last);
            tail.last = tile(0, index, count + 1)?.last_chunk().copied().map(LeafHash::from_bytes);
        }
        tail.peaks = tail.edges.iter().rev().flat_map(|edge| peaks_of(&edge.hashes)).collect();
        Ok(tail)
    }

    /// Adds a receipt.
    ///
    /// # Panics
    /// Beyond [`LOG_SIZE_MAX`] receipts.
    pub fn append(&mut self, leaf: LeafHash) {
        assert!(self.size < LOG_SIZE_MAX, "a log has at most 2^48 receipts");
        let mut hash = Hash(*leaf.as_bytes());
        self.extend_edge(0, &hash);
        // Each one at the end of the size is a complete subtree that the new leaf makes part of a larger one.
        for height in 1..=self.size.trailing_ones() as u8 {
            let left = self.peaks.pop().expect("there is a peak for each bit of the size");
            hash = node_hash(left, hash);
            if height % TILE_HEIGHT == 0 {
                self.extend_edge(height / TILE_HEIGHT, &hash);
            }
        }
        self.peaks.push(hash);
        self.last = Some(leaf);
        self.size += 1;
    }

    /// Number of receipts.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Leaf hash of the last receipt.
    #[must_use]
    pub fn last_leaf(&self) -> Option<LeafHash> {
        self.last
    }

    /// RFC 6962 tree head.
    #[must_use]
    pub fn root(&self) -> LogRoot {
        let joined = self.peaks.iter().copied().rev().reduce(|right, left| node_hash(left, right));
        joined.map_or(LogRoot::EMPTY, |root| LogRoot::from_bytes(root.0))
    }

    /// Tiles that changed since the last call: complete ones first, then the incomplete one of each level.
    #[must_use = "what is taken is not given again"]
    pub fn take_dirty_tiles(&mut self) -> Vec<TileWrite> {
        let mut tiles = self.take_complete_tiles();
        for (level, edge) in (0..).zip(&mut self.edges) {
            if std::mem::take(&mut edge.dirty) {
                let (index, _) = incomplete_tile(level, self.size);
                tiles.push(TileWrite { level, index, hashes: edge.hashes.clone() });
            }
        }
        tiles
    }

    /// The complete tiles of [`Self::take_dirty_tiles`] only: what will never change again.
    #[must_use = "what is taken is not given again"]
    pub fn take_complete_tiles(&mut self) -> Vec<TileWrite> {
        std::mem::take(&mut self.complete)
    }

    /// Adds a hash to the incomplete tile of a level. `self.size` does not count the new leaf yet.
    fn extend_edge(&mut self, level: u8, hash: &Hash) {
        if self.edges.len() == usize::from(level) {
            self.edges.push(Edge::default());
        }
        let edge = &mut self.edges[usize::from(level)];
        edge.hashes.extend_from_slice(&hash.0);
        edge.dirty = edge.hashes.len() < TILE_BYTES_MAX;
        if !edge.dirty {
            let (index, _) = incomplete_tile(level, self.size);
            self.complete.push(TileWrite { level, index, hashes: std::mem::take(&mut edge.hashes) });
        }
    }
}

/// Roots of the complete subtrees that the hashes of an incomplete tile make, largest first.
fn peaks_of(mut hashes: &[u8]) -> Vec<Hash> {
    let mut peaks = Vec::new();
    while !hashes.is_empty() {
        let count = hashes.len() / HASH_SIZE;
        let (subtree, rest) = hashes.split_at(HASH_SIZE << count.ilog2());
        peaks.push(Tile::subtree_hash(subtree));
        hashes = rest;
    }
    peaks
}
