//! Which chunks of a peer's snapshot are missing here: from the first chunk down, only where addresses differ.

use crate::{limits::CHUNK_IDS_MAX, list::List};
use reprise_receipts::{
    digest::ChunkId,
    snapshot::{Chunk, ChunkError, Manifest},
};
use std::collections::{BTreeSet, VecDeque};

/// Most chunks that may be wanted at once. Beyond it, the peer's indexes are not those of any state.
const WANTED_MAX: usize = 1 << 22;

/// A search for the chunks of a snapshot that are not there.
///
/// Addresses are those of contents, so a chunk that is there stands for everything below it.
#[derive(Clone, Debug)]
pub struct ChunkSearch {
    wanted: VecDeque<ChunkId>,
    known: BTreeSet<ChunkId>,
}

/// Why a chunk is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkSearchError {
    /// Nobody asked for it.
    #[error("chunk {0} was not asked for")]
    NotWanted(ChunkId),
    /// It is not a chunk, or another one.
    #[error("{0}")]
    Chunk(#[from] ChunkError),
    /// More chunks than a state can have.
    #[error("the snapshot claims more chunks than a state can have")]
    TooMany,
}

impl ChunkSearch {
    /// Of the state of a manifest.
    #[must_use]
    pub fn new(manifest: &Manifest, has: impl Fn(ChunkId) -> bool) -> Self {
        let mut search = Self { wanted: VecDeque::new(), known: BTreeSet::new() };
        search.want(manifest.first, &has);
        search
    }

    /// Chunks to ask for next; none when nothing is missing.
    #[must_use]
    pub fn next_ids(&self) -> List<ChunkId, CHUNK_IDS_MAX> {
        List::first(self.wanted.iter().copied())
    }

    /// Nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Takes a chunk that was asked for; the caller stores it. The order does not matter.
    ///
    /// # Errors
    /// [`ChunkSearchError`]; the chunk is still wanted then.
    pub fn accept(&mut self, id: ChunkId, bytes: &[u8], has: impl Fn(ChunkId) -> bool) -> Result<(), ChunkSearchError> {
        let at = self.wanted.iter().take(CHUNK_IDS_MAX).position(|wanted| *wanted == id);
        let at = at.ok_or(ChunkSearchError::NotWanted(id))?;
        let chunk = Chunk::open(id, bytes)?;
        self.wanted.remove(at);
        if let Chunk::Index(refs) = chunk {
            self.want(refs.iter().map(|below| below.id), &has);
        }
        if self.wanted.len() > WANTED_MAX { Err(ChunkSearchError::TooMany) } else { Ok(()) }
    }

    fn want(&mut self, ids: impl IntoIterator<Item = ChunkId>, has: &impl Fn(ChunkId) -> bool) {
        for id in ids {
            if !has(id) && self.known.insert(id) {
                self.wanted.push_back(id);
            }
        }
    }
}
