//! The receipt log: an RFC 6962 Merkle tree whose leaves are receipts.
//!
//! Hashes are stored as C2SP tlog-tiles, at height 8: a tile of level `l` holds up to 256 hashes, each the root of a
//! complete subtree of `256^l` leaves. Tiles only ever grow at their end, and only one tile of a level is incomplete.
//! [`LogTail`] is that right edge in memory: it appends, and says which tiles are to be stored. Proofs are computed
//! from stored tiles alone, by the `tlog_tiles` crate, and checked by the same rules as any other CT tool's.

mod check;
mod proof;
mod proof_file;
mod tail;

pub use self::{
    check::check_tiles,
    proof::{ConsistencyProof, InclusionProof, LogProofError, prove_consistency, prove_inclusion},
    proof_file::{PROOF_FILE_BYTES_MAX, PROOF_FILE_EXTRA_BYTES_MAX, ProofFile, ProofFileError},
    tail::{LogTail, TileWrite},
};

use crate::digest::LogRoot;
use tlog_tiles::{EMPTY_HASH, HASH_SIZE, Tile};

/// Bits of a tile index within a tile: a complete tile has `2^8` hashes.
pub const TILE_HEIGHT: u8 = 8;
/// Bytes of a complete tile.
pub const TILE_BYTES_MAX: usize = HASH_SIZE << TILE_HEIGHT;
/// Most receipts of a log: far more than will ever be, and small enough that no index overflows.
pub const LOG_SIZE_MAX: u64 = 1 << 48;

impl LogRoot {
    /// Root of the log without receipts: SHA-256 of nothing (RFC 6962 section 2.1).
    pub const EMPTY: Self = Self::from_bytes(EMPTY_HASH.0);
}

/// Where stored tiles are read from.
pub trait TileSource {
    /// The hashes of a tile in a row; those of the incomplete tile as far as there are any. `None`: no such tile.
    fn tile(&self, level: u8, index: u64) -> Option<Vec<u8>>;
}

impl<F: Fn(u8, u64) -> Option<Vec<u8>>> TileSource for F {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<u8>> {
        self(level, index)
    }
}

/// What is wrong with stored tiles, or with what is asked of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A tile is not there.
    #[error("tile {index} of level {level} is missing")]
    MissingTile {
        /// Level of the tile; 0 holds leaf hashes.
        level: u8,
        /// Position in its level, from 0.
        index: u64,
    },
    /// A tile has too many or too few hashes, or a broken one.
    #[error("tile {index} of level {level} has {found} bytes instead of {expected}")]
    TileLength {
        /// Level of the tile; 0 holds leaf hashes.
        level: u8,
        /// Position in its level, from 0.
        index: u64,
        /// Bytes that a log of this size needs.
        expected: usize,
        /// Bytes stored.
        found: usize,
    },
    /// A tile holds other hashes than the receipts give.
    #[error("tile {index} of level {level} does not hold the hashes of the receipts")]
    WrongTile {
        /// Level of the tile; 0 holds leaf hashes.
        level: u8,
        /// Position in its level, from 0.
        index: u64,
    },
    /// There are more or fewer leaves than the log is said to have.
    #[error("the log is said to have {expected} receipts, but there are {found}")]
    LeafCount {
        /// Size of the log.
        expected: u64,
        /// Leaves given; counting stops at the first that is too many.
        found: u64,
    },
    /// A proof is asked about something beyond the log.
    #[error("the log of {size} receipts does not reach to {wanted}")]
    BeyondEnd {
        /// Size of the log.
        size: u64,
        /// Sequence number, or size of the older log.
        wanted: u64,
    },
    /// Larger than any log can be.
    #[error("a log has at most {LOG_SIZE_MAX} receipts, not {size}")]
    TooLarge {
        /// Size given.
        size: u64,
    },
}

/// Root of the subtree that a complete tile is: the hash that stands for it in the tile above.
#[must_use]
pub fn tile_root(hashes: &[u8; TILE_BYTES_MAX]) -> [u8; HASH_SIZE] {
    Tile::subtree_hash(hashes).0
}

/// Complete subtrees of a tile's level in a log of `size` leaves.
fn hashes_at(level: u8, size: u64) -> u64 {
    size >> (u32::from(TILE_HEIGHT) * u32::from(level))
}

/// Index and number of hashes of the incomplete tile of a level; the number may be 0.
fn incomplete_tile(level: u8, size: u64) -> (u64, usize) {
    let hashes = hashes_at(level, size);
    (hashes >> TILE_HEIGHT, (hashes % (1 << TILE_HEIGHT)) as usize)
}

#[cfg(test)]
mod tests;
