//! The log before a range: its right edge, which is all that its root and further appends take.

use crate::{
    digest::{LeafHash, LogRoot},
    log::{LOG_SIZE_MAX, LogError, TILE_BYTES_MAX, TILE_HEIGHT, TileSource},
};
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};
use tlog_tiles::{HASH_SIZE, Hash, Tile, node_hash};

/// Levels of the tiles of the largest log.
const LEVELS_MAX: usize = LOG_SIZE_MAX.ilog2() as usize / TILE_HEIGHT as usize + 1;

/// A receipt log of which only the incomplete tiles are known: C2SP tlog-tiles, height 8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEdge {
    size: u64,
    /// The hashes of the incomplete tile of each level in a row, from level 0 on; none where the last tile is complete.
    tiles: Vec<Vec<u8>>,
}

impl LogEdge {
    /// The edge that a log had when it had `size` receipts, from its tiles or those of a longer one.
    ///
    /// # Errors
    /// [`LogError`]: the size is out of bounds, or a tile is missing or too short.
    pub fn of(size: u64, source: &(impl TileSource + ?Sized)) -> Result<Self, LogError> {
        if size > LOG_SIZE_MAX {
            return Err(LogError::TooLarge { size });
        }
        let mut tiles = Vec::new();
        for (level, expected) in (0..).zip(tile_lengths(size)) {
            let index = size >> (u32::from(TILE_HEIGHT) * (u32::from(level) + 1));
            let mut hashes = Vec::new();
            if expected > 0 {
                hashes = source.tile(level, index).ok_or(LogError::MissingTile { level, index })?;
            }
            if hashes.len() < expected {
                return Err(LogError::TileLength { level, index, expected, found: hashes.len() });
            }
            hashes.truncate(expected);
            tiles.push(hashes);
        }
        Ok(Self { size, tiles })
    }

    /// Number of receipts.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the incomplete tile of each level, from level 0 on.
    #[must_use]
    pub fn tiles(&self) -> &[Vec<u8>] {
        &self.tiles
    }

    /// RFC 6962 tree head.
    #[must_use]
    pub fn root(&self) -> LogRoot {
        Peaks::of(self).root()
    }
}

/// Bytes of the incomplete tile of each level of a log.
fn tile_lengths(size: u64) -> impl Iterator<Item = usize> {
    let at_level = move |level: u32| size.checked_shr(u32::from(TILE_HEIGHT) * level).unwrap_or(0);
    let hashes = (0..).map(at_level).take_while(|hashes| *hashes > 0);
    hashes.map(|hashes| (hashes % (1 << TILE_HEIGHT)) as usize * HASH_SIZE)
}

/// Roots of the complete subtrees that a log is made of, largest first: one for each bit of its size.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    size: u64,
    hashes: Vec<Hash>,
}

impl Peaks {
    pub(super) fn of(edge: &LogEdge) -> Self {
        let mut hashes = Vec::new();
        for mut tile in edge.tiles.iter().rev().map(Vec::as_slice) {
            while let Some(count) = (tile.len() / HASH_SIZE).checked_ilog2() {
                let (subtree, rest) = tile.split_at(HASH_SIZE << count);
                hashes.push(Tile::subtree_hash(subtree));
                tile = rest;
            }
        }
        Self { size: edge.size, hashes }
    }

    /// Adds a receipt. The caller bounds their number.
    pub(super) fn append(&mut self, leaf: LeafHash) {
        let mut hash = Hash(*leaf.as_bytes());
        for _ in 0..self.size.trailing_ones() {
            let left = self.hashes.pop().expect("there is a peak for each bit of the size");
            hash = node_hash(left, hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    pub(super) fn root(&self) -> LogRoot {
        let joined = self.hashes.iter().copied().rev().reduce(|right, left| node_hash(left, right));
        joined.map_or(LogRoot::EMPTY, |root| LogRoot::from_bytes(root.0))
    }
}

impl Canonical for LogEdge {
    const KIND: &'static str = "log edge";
    const BYTES_MAX: usize = 16 + LEVELS_MAX * (TILE_BYTES_MAX + 3);

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.size <= LOG_SIZE_MAX, "a log has at most 2^48 receipts")?;
        let fits = self.tiles.iter().map(Vec::len).eq(tile_lengths(self.size));
        rule(fits, "there is a tile for each level, with the hashes that the size leaves in it")
    }
}
