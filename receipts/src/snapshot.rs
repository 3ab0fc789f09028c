//! Snapshots: a state as content-addressed chunks that later snapshots share.
//!
//! **Chunks are subtrees of the state.** A chunk is either a *run*, the entries of a small subtree in key order, or an
//! *index*, the chunks that a larger one is made of, in key order, with the bits at which they part. The address of a run
//! is the hash of its subtree, so that a run checks itself with the very hashes that the state needs and nothing is
//! hashed twice; the address of an index is the digest of its encoding. Equal subtrees are equal chunks, in whatever
//! snapshot and on whatever node, and a chunk that is there already is not written again.
//!
//! **Where a chunk begins** is decided by the contents alone. The *weight* of an entry is the bytes of its key and value
//! and [`ENTRY_WEIGHT`], that of a subtree the sum. The *level* of a subtree is 0 if it is one entry or weighs at most
//! 256, else the least `k` with weight at most `256 * 4^k`. A subtree is a chunk if it is the whole state, or the
//! subtree one branch above it has a higher level. A chunk of level 0 is a run, every other one an index.
//!
//! **Why so small.** If 1 % of the keys change and are spread evenly, a chunk of `n` keys is rewritten with probability
//! `1 - 0.99^n`, and so is every index above it. The step from one level to the next is small for the same reason: an
//! index of four small chunks is mostly spared, one of a hundred never. Runs of about four entries of 50 bytes and
//! indexes of about four chunks keep what is written below a tenth of the whole. An entry that is itself larger
//! than a run is a run of its own.
//!
//! **Making one** does not stop the ledger: [`SnapshotWalk`] goes through the state in slices while steps are applied,
//! and undoes for itself what they change. **Restoring** is [`Restorer`]: chunks from the root down, in key order,
//! hashed once, as they become the trie.

mod chunk;
mod restore;
mod run;
mod shape;
mod walk;

pub use self::{
    chunk::{
        CHUNK_BYTES_MAX, Chunk, ChunkError, ChunkRef, ENTRY_WEIGHT, INDEX_REFS_MAX, RUN_WEIGHT_MAX, SnapshotEntry,
    },
    restore::{ChunkOrder, RestoreError, Restorer},
    walk::{ChunkSink, SnapshotWalk, WalkError, write_snapshot},
};

use crate::digest::{ChunkId, StateRoot};
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};

/// Version of the snapshot format that this code writes.
pub const SNAPSHOT_FORMAT: u16 = 1;

/// Most keys of a state: more do not fit one trie.
pub const SNAPSHOT_KEYS_MAX: u64 = 1 << 30;

/// What a snapshot is of, and where it begins. Two nodes with the same state have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SNAPSHOT_FORMAT`].
    pub format: u16,
    /// Root of the state.
    pub state_root: StateRoot,
    /// Number of its keys.
    pub keys: u64,
    /// Bytes of its keys and values together.
    pub bytes: u64,
    /// Address of the chunk that is the whole state; none of a state without keys.
    pub first: Option<ChunkId>,
}

impl Manifest {
    /// Weight of the whole state.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.bytes.saturating_add(self.keys.saturating_mul(ENTRY_WEIGHT))
    }
}

impl Canonical for Manifest {
    const KIND: &'static str = "snapshot manifest";
    const BYTES_MAX: usize = 96;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.format == SNAPSHOT_FORMAT, "the format version is 1")?;
        rule(self.keys <= SNAPSHOT_KEYS_MAX, "a state has at most 2^30 keys")?;
        rule(self.keys > 0 || self.bytes == 0, "a state without keys has no bytes")?;
        rule(self.first.is_some() == (self.keys > 0), "a state has a first chunk exactly if it has keys")
    }
}

#[cfg(test)]
mod tests;
