//! Inclusion and consistency proofs, RFC 6962 sections 2.1.1 and 2.1.2.

use super::{LOG_SIZE_MAX, LogError, TILE_HEIGHT, TileSource};
use crate::digest::{LeafHash, LogRoot};
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};
use std::{
    cell::Cell,
    collections::{BTreeMap, btree_map::Entry},
};
use tlog_tiles::{HASH_SIZE, Hash, HashReader, Tile};

/// Most hashes of a proof: one for each level of the largest log, and one more for a subtree of its own.
pub const PROOF_HASHES_MAX: usize = LOG_SIZE_MAX.ilog2() as usize + 2;

/// That a receipt is in a log: its audit path, leaf to root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof(Vec<[u8; HASH_SIZE]>);

/// That one log is the beginning of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof(Vec<[u8; HASH_SIZE]>);

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// The sizes or the sequence number make no sense together.
    #[error("a log of {size} receipts does not reach to {wanted}, or is too large")]
    BeyondEnd {
        /// Size of the (newer) log.
        size: u64,
        /// Sequence number, or size of the older log.
        wanted: u64,
    },
    /// It does not lead to the root.
    #[error("the proof does not hold for these roots")]
    Refused,
}

/// Proves that receipt `seq` is in the log of `size` receipts, from stored tiles of that log or of a longer one.
///
/// # Errors
/// [`LogError`]: `seq` is not in the log, or a tile is missing or too short.
pub fn prove_inclusion(source: &(impl TileSource + ?Sized), size: u64, seq: u64) -> Result<InclusionProof, LogError> {
    check_range(size, seq, size)?;
    let hashes = Reader::run(source, |reader| tlog_tiles::prove_record(size, seq, reader))?;
    Ok(InclusionProof(hashes.into_iter().map(|hash| hash.0).collect()))
}

/// Proves that the log of `old_size` receipts is the beginning of that of `new_size`, from stored tiles of the newer
/// log or of a longer one. The empty log is the beginning of every log, and the proof of it is empty.
///
/// # Errors
/// [`LogError`]: the newer log is the shorter one, or a tile is missing or too short.
pub fn prove_consistency(
    source: &(impl TileSource + ?Sized),
    old_size: u64,
    new_size: u64,
) -> Result<ConsistencyProof, LogError> {
    check_range(new_size, old_size, new_size.saturating_add(1))?;
    if old_size == 0 {
        return Ok(ConsistencyProof(Vec::new()));
    }
    let hashes = Reader::run(source, |reader| tlog_tiles::prove_tree(new_size, old_size, reader))?;
    Ok(ConsistencyProof(hashes.into_iter().map(|hash| hash.0).collect()))
}

impl InclusionProof {
    /// Of siblings that were read from elsewhere; `None` if they are more than [`PROOF_HASHES_MAX`].
    pub(super) fn from_hashes(hashes: Vec<[u8; HASH_SIZE]>) -> Option<Self> {
        (hashes.len() <= PROOF_HASHES_MAX).then_some(Self(hashes))
    }

    /// The siblings on the way from the leaf to the root.
    #[must_use]
    pub fn hashes(&self) -> &[[u8; HASH_SIZE]] {
        &self.0
    }

    /// The log of `size` receipts with `root` has `leaf` at `seq`.
    ///
    /// # Errors
    /// [`LogProofError`]: `seq` is not in a log of that size, or the proof does not hold.
    pub fn verify(&self, root: &LogRoot, size: u64, seq: u64, leaf: &LeafHash) -> Result<(), LogProofError> {
        check_range(size, seq, size).map_err(|_| LogProofError::BeyondEnd { size, wanted: seq })?;
        let path = path_of(&self.0)?;
        tlog_tiles::check_record(&path, size, Hash(*root.as_bytes()), seq, Hash(*leaf.as_bytes()))
            .map_err(|_| LogProofError::Refused)
    }
}

impl ConsistencyProof {
    /// The log of `old_size` receipts with `old_root` is the beginning of that of `new_size` with `new_root`.
    ///
    /// # Errors
    /// [`LogProofError`]: the newer log is the shorter one, or the proof does not hold.
    pub fn verify(
        &self,
        old_size: u64,
        old_root: &LogRoot,
        new_size: u64,
        new_root: &LogRoot,
    ) -> Result<(), LogProofError> {
        check_range(new_size, old_size, new_size.saturating_add(1))
            .map_err(|_| LogProofError::BeyondEnd { size: new_size, wanted: old_size })?;
        if old_size == 0 {
            // Of the newer root nothing is claimed, except that an empty log has the empty root.
            let holds = self.0.is_empty() && *old_root == LogRoot::EMPTY && (new_size > 0 || old_root == new_root);
            return if holds { Ok(()) } else { Err(LogProofError::Refused) };
        }
        let path = path_of(&self.0)?;
        tlog_tiles::check_tree(&path, new_size, Hash(*new_root.as_bytes()), old_size, Hash(*old_root.as_bytes()))
            .map_err(|_| LogProofError::Refused)
    }
}

fn check_range(size: u64, wanted: u64, end: u64) -> Result<(), LogError> {
    if size > LOG_SIZE_MAX {
        return Err(LogError::TooLarge { size });
    }
    if wanted >= end {
        return Err(LogError::BeyondEnd { size, wanted });
    }
    Ok(())
}

fn path_of(hashes: &[[u8; HASH_SIZE]]) -> Result<Vec<Hash>, LogProofError> {
    if hashes.len() > PROOF_HASHES_MAX {
        return Err(LogProofError::Refused);
    }
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// Finds the hashes that `tlog_tiles` asks for in tiles, and remembers what was wrong with one.
struct Reader<'a, S: ?Sized> {
    source: &'a S,
    broken: Cell<Option<LogError>>,
}

impl<'a, S: TileSource + ?Sized> Reader<'a, S> {
    fn run<T>(source: &'a S, prove: impl FnOnce(&Self) -> Result<T, tlog_tiles::Error>) -> Result<T, LogError> {
        let reader = Self { source, broken: Cell::new(None) };
        prove(&reader).map_err(|_| reader.broken.take().expect("ranges are checked, so only a tile can be wrong"))
    }

    /// The hash with a storage index of `tlog_tiles`, from its tile, which is read unless `tiles` has it.
    fn hash(&self, index: u64, tiles: &mut BTreeMap<(u8, u64), Vec<u8>>) -> Result<Hash, LogError> {
        let needed = Tile::from_index(TILE_HEIGHT, index);
        let (level, index_in_level) = (needed.level(), needed.level_index());
        let hashes = match tiles.entry((level, index_in_level)) {
            Entry::Occupied(tile) => tile.into_mut(),
            Entry::Vacant(place) => {
                let read = self.source.tile(level, index_in_level);
                place.insert(read.ok_or(LogError::MissingTile { level, index: index_in_level })?)
            }
        };
        let (expected, found) = (needed.width() as usize * HASH_SIZE, hashes.len());
        needed.hash_at_index(hashes, index).map_err(|_| LogError::TileLength {
            level,
            index: index_in_level,
            expected,
            found,
        })
    }
}

impl<S: TileSource + ?Sized> HashReader for Reader<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let mut tiles = BTreeMap::new();
        let hashes: Result<Vec<Hash>, LogError> = indexes.iter().map(|index| self.hash(*index, &mut tiles)).collect();
        hashes.map_err(|broken| {
            self.broken.set(Some(broken));
            tlog_tiles::Error::InvalidTile
        })
    }
}

impl Canonical for InclusionProof {
    const KIND: &'static str = "inclusion proof";
    const BYTES_MAX: usize = 1 + PROOF_HASHES_MAX * HASH_SIZE;

    fn validate(&self) -> Result<(), CodecError> {
        bounded(&self.0, Self::KIND)
    }
}

impl Canonical for ConsistencyProof {
    const KIND: &'static str = "consistency proof";
    const BYTES_MAX: usize = 1 + PROOF_HASHES_MAX * HASH_SIZE;

    fn validate(&self) -> Result<(), CodecError> {
        bounded(&self.0, Self::KIND)
    }
}

fn bounded(hashes: &[[u8; HASH_SIZE]], kind: &'static str) -> Result<(), CodecError> {
    if hashes.len() <= PROOF_HASHES_MAX {
        return Ok(());
    }
    Err(CodecError::Invalid { kind, rule: "a proof has at most 50 hashes" })
}
