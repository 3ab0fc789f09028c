//! Reading a snapshot: which chunk comes next, and a state out of them.

use super::{
    Manifest,
    chunk::{Chunk, ChunkError, ChunkRef, index_id, level},
    run::RunView,
};
use crate::{
    digest::{ChunkId, StateRoot},
    trie::{
        StateTrie,
        subtree::{Assembler, ShapeError},
    },
};
use reprise_abi::decode_canonical;

/// Why chunks do not make the state of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The bytes are not the chunk that comes next.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A chunk weighs something else than the index above it says, has keys that part elsewhere, or is of a level that
    /// does not belong there.
    #[error("chunk {0} is not what the chunk above it says")]
    Misplaced(ChunkId),
    /// The manifest counts other keys or bytes than there are.
    #[error("the manifest speaks of {expected} keys, the chunks so far have {found}, or their bytes differ")]
    Count {
        /// Keys of the manifest.
        expected: u64,
        /// Keys so far.
        found: u64,
    },
    /// Everything was in its place, but for another root.
    #[error("the chunks make the state {found}, expected {expected}")]
    OtherRoot {
        /// Root of the manifest.
        expected: StateRoot,
        /// Root of what the chunks make.
        found: StateRoot,
    },
    /// A chunk comes after the last one.
    #[error("the snapshot has no more chunks")]
    PastEnd,
    /// The snapshot is not complete.
    #[error("chunk {0} is missing")]
    Incomplete(ChunkId),
}

/// Goes through the chunks of a snapshot in their order: an index before the chunks below it, in key order.
///
/// Its memory is the references that are still to come on the way down: a few for each level.
#[derive(Clone, Debug)]
pub struct ChunkOrder {
    /// The next one last, each with the level that an index must stay below. The first chunk of an index parts from what
    /// is before it where the index does.
    pending: Vec<(ChunkRef, u32)>,
}

impl ChunkOrder {
    /// From the first chunk of a snapshot on.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Self {
        let first = |id| (ChunkRef { position: 0, id, weight: manifest.weight() }, u32::MAX);
        Self { pending: manifest.first.map(first).into_iter().collect() }
    }

    /// The chunk that comes next.
    #[must_use]
    pub fn wanted(&self) -> Option<ChunkId> {
        self.pending.last().map(|(next, _)| next.id)
    }

    /// Takes the chunk that comes next, which was opened as such, and moves on.
    ///
    /// # Errors
    /// [`RestoreError::PastEnd`], [`RestoreError::Misplaced`].
    pub fn accept(&mut self, chunk: &Chunk) -> Result<(), RestoreError> {
        match chunk {
            Chunk::Run(_) => self.accept_run(chunk.weight()),
            Chunk::Index(refs) => {
                let level = level(chunk.weight());
                let (place, level_end) = self.place(chunk.weight())?;
                if level >= level_end {
                    return Err(RestoreError::Misplaced(place.id));
                }
                self.pending.extend(refs.iter().rev().map(|below| (*below, level)));
                if let Some((first, _)) = self.pending.last_mut() {
                    first.position = place.position;
                }
                Ok(())
            }
        }
    }

    /// A run stands below any index.
    fn accept_run(&mut self, weight: u64) -> Result<(), RestoreError> {
        self.place(weight).map(|_| ())
    }

    /// The place of a chunk of that weight, and the level that an index there must stay below.
    fn place(&mut self, weight: u64) -> Result<(ChunkRef, u32), RestoreError> {
        let (next, level_end) = self.pending.pop().ok_or(RestoreError::PastEnd)?;
        if weight == next.weight { Ok((next, level_end)) } else { Err(RestoreError::Misplaced(next.id)) }
    }
}

/// Builds the state of a manifest from its chunks, each of which is checked when it comes.
#[derive(Debug)]
pub struct Restorer {
    manifest: Manifest,
    order: ChunkOrder,
    assembler: Assembler,
    /// Entries so far: a manifest that counts too few is not followed further.
    keys: u64,
}

impl Restorer {
    /// Of the state that `manifest` names. The caller compares its state root with a receipt that it trusts.
    #[must_use]
    pub fn new(manifest: Manifest) -> Self {
        Self { order: ChunkOrder::new(&manifest), manifest, assembler: Assembler::new(), keys: 0 }
    }

    /// The chunk that comes next; none when the snapshot is complete.
    #[must_use]
    pub fn wanted(&self) -> Option<ChunkId> {
        self.order.wanted()
    }

    /// Takes the encoding of the chunk that comes next. After an error nothing more can be done with it.
    ///
    /// # Errors
    /// [`RestoreError`]: not that chunk, or one that does not belong there.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let &(ChunkRef { position, id: expected, .. }, _) = self.order.pending.last().ok_or(RestoreError::PastEnd)?;
        let same = |found| match found == expected {
            true => Ok(()),
            false => Err(RestoreError::from(ChunkError::OtherChunk { expected, found })),
        };
        if let Some(run) = RunView::parse(bytes).map_err(ChunkError::from)? {
            self.keys += run.count();
            if self.keys > self.manifest.keys {
                return Err(RestoreError::Count { expected: self.manifest.keys, found: self.keys });
            }
            same(self.push_run(position, &run).map_err(|_| RestoreError::Misplaced(expected))?)?;
            return self.order.accept_run(run.weight());
        }
        same(index_id(bytes))?;
        self.order.accept(&decode_canonical(bytes).map_err(ChunkError::from)?)
    }

    /// The state, once all chunks are there.
    ///
    /// # Errors
    /// [`RestoreError`]: chunks are missing, or they make another state.
    pub fn finish(self) -> Result<StateTrie, RestoreError> {
        if let Some(missing) = self.wanted() {
            return Err(RestoreError::Incomplete(missing));
        }
        let (state, found) = self.assembler.finish(None);
        let Manifest { state_root: expected, keys, bytes, .. } = self.manifest;
        if found != expected {
            return Err(RestoreError::OtherRoot { expected, found });
        }
        if state.len() as u64 != keys || state.bytes() != bytes {
            return Err(RestoreError::Count { expected: keys, found: state.len() as u64 });
        }
        Ok(state)
    }

    /// Adds the entries of a run, which part from those before at `position`. They make one subtree, whose hash is the
    /// run's address.
    fn push_run(&mut self, position: u16, run: &RunView<'_>) -> Result<ChunkId, ShapeError> {
        let mut beginning = None;
        for (key, value) in run.entries() {
            let parts_at = self.assembler.push(key, value)?;
            let fits = match beginning {
                None => parts_at == position,
                // The first run of all has nothing before it to part from.
                Some(_) => parts_at > position || self.keys == run.count(),
            };
            if !fits {
                return Err(ShapeError);
            }
            beginning.get_or_insert_with(|| self.assembler.begin());
        }
        let hash = self.assembler.complete(beginning.ok_or(ShapeError)?)?;
        Ok(ChunkId::from_bytes(hash))
    }
}
