//! Chunks: runs of entries and indexes of chunks, their encoding and the rules that make it the only one.

use crate::{
    digest::{ChunkId, derive},
    trie::{
        STATE_KEY_BYTES_MAX, StateTrie,
        subtree::{POSITIONS_MAX, ShapeError},
    },
};
use reprise_abi::{Canonical, CodecError, decode_canonical, encode, limits::VALUE_BYTES_MAX};
use serde::{Deserialize, Serialize};

/// What an entry weighs beside its key and value.
pub const ENTRY_WEIGHT: u64 = 8;
/// Most weight of a run of more than one entry.
pub const RUN_WEIGHT_MAX: u64 = 256;
/// Branches of an index that have no branch below them in it: each weighs more than a quarter of what the index may.
const LOWEST_BRANCHES_MAX: usize = 3;
/// Most chunks below an index: its branches lie on the paths to at most three of them, each path as long as a key.
pub const INDEX_REFS_MAX: usize = LOWEST_BRANCHES_MAX * POSITIONS_MAX + 1;
/// Longest reference to a chunk: position, address, weight.
const REF_BYTES_MAX: usize = 3 + 32 + 10;
/// Longest chunk, in bytes: an index of the most chunks, which is more than a run of one entry of the largest kind.
pub const CHUNK_BYTES_MAX: usize = 1 + 3 + INDEX_REFS_MAX * REF_BYTES_MAX;

const _: () = assert!(CHUNK_BYTES_MAX > 16 + STATE_KEY_BYTES_MAX + VALUE_BYTES_MAX);

/// A piece of a snapshot: see [the module](super).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chunk {
    /// Entries, in key order.
    Run(Vec<SnapshotEntry>),
    /// Chunks, in key order.
    Index(Vec<ChunkRef>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// The key, namespace byte included.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Its value, at most 64 KiB.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// A chunk in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRef {
    /// The bit at which its keys part from those of the chunk before; 0 for the first of an index.
    pub position: u16,
    /// Its address.
    pub id: ChunkId,
    /// What its entries weigh.
    pub weight: u64,
}

/// Why bytes are not the chunk that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// They are not a chunk.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// They are another chunk.
    #[error("chunk {expected} has other contents, those of {found}")]
    OtherChunk {
        /// The one asked for.
        expected: ChunkId,
        /// What the bytes are.
        found: ChunkId,
    },
}

impl Chunk {
    /// Reads the chunk with that address.
    ///
    /// # Errors
    /// [`ChunkError`]: not a chunk, or another one.
    pub fn open(expected: ChunkId, bytes: &[u8]) -> Result<Self, ChunkError> {
        let chunk: Self = decode_canonical(bytes)?;
        let found = match &chunk {
            Self::Run(_) => chunk.id(),
            Self::Index(_) => index_id(bytes),
        };
        if found == expected { Ok(chunk) } else { Err(ChunkError::OtherChunk { expected, found }) }
    }

    /// Its address: of a run the hash of the subtree that it is, of an index the digest of its encoding.
    ///
    /// # Panics
    /// When the chunk breaks the rules of its kind.
    #[must_use]
    pub fn id(&self) -> ChunkId {
        match self {
            Self::Run(entries) => {
                let entries = entries.iter().map(|entry| (&entry.key, &entry.value));
                let mut subtree = StateTrie::from_sorted(entries).expect("the entries of a run are in order");
                ChunkId::from_bytes(*subtree.root().as_bytes())
            }
            Self::Index(_) => index_id(&encode(self)),
        }
    }

    /// What its entries weigh.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match self {
            Self::Run(entries) => entries.iter().map(|entry| entry_weight(&entry.key, &entry.value)).sum(),
            Self::Index(refs) => refs.iter().fold(0, |sum: u64, below| sum.saturating_add(below.weight)),
        }
    }
}

pub(super) fn entry_weight(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64 + ENTRY_WEIGHT
}

/// Level of a subtree of more than one entry.
pub(super) fn level(weight: u64) -> u32 {
    match weight.saturating_sub(1) / RUN_WEIGHT_MAX {
        0 => 0,
        times => times.ilog2() / 2 + 1,
    }
}

/// Address of an encoded index.
pub(super) fn index_id(bytes: &[u8]) -> ChunkId {
    ChunkId::from_bytes(derive("reprise 2026 snapshot index v1", bytes))
}

/// The least weight of a branch between chunks side by side; they make a trie.
fn least_branch(refs: &[ChunkRef]) -> Result<u64, ShapeError> {
    let (first, rest) = refs.split_first().ok_or(ShapeError)?;
    if first.position != 0 {
        return Err(ShapeError);
    }
    // Branches whose right side is open, root first, each with the weight of its left side.
    let mut open: Vec<(u16, u64)> = Vec::new();
    let (mut weight, mut least) = (first.weight, u64::MAX);
    let mut close = |open: &mut Vec<(u16, u64)>, end: u16, mut weight: u64| {
        while let Some((_, left)) = open.pop_if(|(position, _)| *position >= end) {
            weight = weight.saturating_add(left);
            least = least.min(weight);
        }
        weight
    };
    for next in rest {
        let twice = open.binary_search_by_key(&next.position, |(position, _)| *position).is_ok();
        if twice || usize::from(next.position) >= POSITIONS_MAX {
            return Err(ShapeError);
        }
        weight = close(&mut open, next.position, weight);
        open.push((next.position, weight));
        weight = next.weight;
    }
    close(&mut open, 0, weight);
    Ok(least)
}

impl Canonical for Chunk {
    const KIND: &'static str = "snapshot chunk";
    const BYTES_MAX: usize = CHUNK_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        match self {
            Self::Run(entries) => {
                rule(!entries.is_empty(), "a run is not empty")?;
                rule(entries.is_sorted_by(|a, b| a.key < b.key), "keys ascend strictly")?;
                rule(entries.iter().all(|e| e.key.len() <= STATE_KEY_BYTES_MAX), "keys are at most 257 bytes long")?;
                rule(entries.iter().all(|e| e.value.len() <= VALUE_BYTES_MAX), "values have at most 64 KiB")?;
                rule(entries.len() == 1 || level(self.weight()) == 0, "entries that weigh more than 256 are not a run")
            }
            Self::Index(refs) => {
                rule((2..=INDEX_REFS_MAX).contains(&refs.len()), "an index has 2 to 6943 chunks")?;
                let least = least_branch(refs).map_err(|_| CodecError::Invalid {
                    kind: Self::KIND,
                    rule: "the positions of an index are those of a trie",
                })?;
                rule(level(self.weight()) > 0, "entries that weigh at most 256 are a run")?;
                rule(level(least) == level(self.weight()), "all branches of an index are of its level")
            }
        }
    }
}
