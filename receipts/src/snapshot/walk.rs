//! Making a snapshot in slices, while the ledger goes on.
//!
//! A walk is of the state at the moment it began. Steps that are applied later change the trie under it; each change
//! says what was there before, so the walk keeps for every key ahead of it that is changed the value that it had, and
//! reads that in place of the trie's. What is behind is written, or waits to be, and needs nothing.

use super::{
    Manifest, SNAPSHOT_FORMAT,
    chunk::ENTRY_WEIGHT,
    shape::{Output, Shaper, Written},
};
use crate::{
    digest::{ChunkId, StateRoot},
    trie::{StateTrie, subtree::parting},
};
use reprise_abi::Diff;
use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

/// Where a snapshot is written to.
pub trait ChunkSink {
    /// The chunk is there already: from an earlier snapshot, from this one, or from anywhere else.
    fn contains(&mut self, id: ChunkId) -> bool;
    /// Stores a chunk.
    fn put(&mut self, id: ChunkId, bytes: Vec<u8>);
}

impl ChunkSink for BTreeMap<ChunkId, Vec<u8>> {
    fn contains(&mut self, id: ChunkId) -> bool {
        self.contains_key(&id)
    }

    fn put(&mut self, id: ChunkId, bytes: Vec<u8>) {
        self.insert(id, bytes);
    }
}

/// The walk saw another state than the one that it began with: a diff was not given to [`SnapshotWalk::observe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot of state {expected} came out as one of another state: its walk was not told of every change")]
pub struct WalkError {
    /// Root of the state that the walk is of.
    pub expected: StateRoot,
}

/// A snapshot in the making.
#[derive(Debug)]
pub struct SnapshotWalk {
    state_root: StateRoot,
    keys: u64,
    bytes: u64,
    shaper: Shaper,
    /// The last key that was read.
    cursor: Option<Vec<u8>>,
    /// Keys that changed since the beginning, with the value that they had, as far as runs are not yet written.
    before: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl SnapshotWalk {
    /// Of the state as it is now, which has that root.
    #[must_use]
    pub fn begin(state: &StateTrie, state_root: StateRoot) -> Self {
        let (keys, bytes) = (state.len() as u64, state.bytes());
        Self { state_root, keys, bytes, shaper: Shaper::default(), cursor: None, before: BTreeMap::new() }
    }

    /// Root of the state that the snapshot is of.
    #[must_use]
    pub fn state_root(&self) -> StateRoot {
        self.state_root
    }

    /// How many keys were read, and how many there are.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.shaper.count().0, self.keys)
    }

    /// A step was or is about to be applied to the state. Every one, in order, from the beginning to the end of the
    /// walk.
    pub fn observe(&mut self, diff: &Diff) {
        for change in diff.changes() {
            let written = self.shaper.written_to().is_some_and(|written| change.key.as_slice() <= written);
            if !written && !self.before.contains_key(&change.key) {
                self.before.insert(change.key.clone(), change.before.clone());
            }
        }
    }

    /// Reads up to `keys` more keys of the state as it is now, and writes the chunks that are complete. At the end of the
    /// state it returns the manifest, and the walk is over.
    ///
    /// # Errors
    /// [`WalkError`]: at the end, if the walk was not told of every change. What was written are chunks, but not of
    /// this snapshot.
    pub fn advance(
        &mut self,
        state: &StateTrie,
        keys: u32,
        sink: &mut impl ChunkSink,
    ) -> Result<Option<Manifest>, WalkError> {
        let mut output = Store { state, before: &self.before, sink };
        let mut last = None;
        let mut read = 0;
        for (key, value) in frozen(state, &self.before, self.cursor.as_deref()).take(keys as usize) {
            if let Some(value) = value {
                self.shaper.push(key, value, &mut output);
            }
            (last, read) = (Some(key), read + 1);
        }
        if let Some(last) = last {
            self.cursor = Some(last.to_vec());
        }
        if read < keys {
            let first = self.shaper.finish(&mut output);
            return self.manifest(first).map(Some);
        }
        self.forget_written();
        Ok(None)
    }

    /// Changes of keys whose run is written make no difference any more.
    fn forget_written(&mut self) {
        let Some(written) = self.shaper.written_to() else { return };
        if self.before.first_key_value().is_some_and(|(key, _)| key.as_slice() <= written) {
            self.before = self.before.split_off(written);
            self.before.remove(written);
        }
    }

    fn manifest(&self, first: Option<Written>) -> Result<Manifest, WalkError> {
        let Self { state_root, keys, bytes, .. } = *self;
        let counted = self.shaper.count() == (keys, bytes + keys * ENTRY_WEIGHT);
        if counted && first.is_none_or(|first| first.hash == *state_root.as_bytes()) {
            return Ok(Manifest {
                format: SNAPSHOT_FORMAT,
                state_root,
                keys,
                bytes,
                first: first.map(|first| first.id),
            });
        }
        Err(WalkError { expected: state_root })
    }
}

/// Writes the snapshot of a state in one go: its chunks that are not in `sink`.
///
/// # Panics
/// When `state_root` is not the root of `state`.
pub fn write_snapshot(state: &StateTrie, state_root: StateRoot, sink: &mut impl ChunkSink) -> Manifest {
    let whole = SnapshotWalk::begin(state, state_root).advance(state, u32::MAX, sink);
    whole.expect("nothing changes in between").expect("a state has less than 2^32 keys")
}

/// The state at the beginning of a walk, after some key: keys, with the values that they had then, if any.
fn frozen<'a>(
    state: &'a StateTrie,
    before: &'a BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    after: Option<&[u8]>,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    let mut kept = state.scan(&[], after).peekable();
    let mut changed = before.range::<[u8], _>((after.map_or(Unbounded, Excluded), Unbounded)).peekable();
    std::iter::from_fn(move || {
        let now = kept.peek().map(|(key, _)| *key);
        let Some((key, value)) = changed.next_if(|(key, _)| now.is_none_or(|now| key.as_slice() <= now)) else {
            return kept.next().map(|(key, value)| (key, Some(value)));
        };
        if now == Some(key.as_slice()) {
            kept.next();
        }
        Some((key.as_slice(), value.as_deref()))
    })
}

/// The sink, and the trie, whose hashes hold for whatever has not changed since the beginning.
struct Store<'a, S> {
    state: &'a StateTrie,
    before: &'a BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    sink: &'a mut S,
}

impl<S> Store<'_, S> {
    /// No key changed that has or had its place in the smallest subtree with both keys.
    fn is_unchanged(&self, first: &[u8], last: &[u8]) -> bool {
        if self.before.is_empty() {
            return true;
        }
        let top = parting(first, last);
        let inside = |key: &[u8]| match (parting(first, key), top) {
            (None, _) => true,
            (Some(position), Some(top)) => position >= top,
            (Some(_), None) => false,
        };
        // The keys of a subtree stand side by side, so that its nearest neighbours speak for all others.
        let after = self.before.range::<[u8], _>((Included(first), Unbounded)).next();
        let before = self.before.range::<[u8], _>((Unbounded, Excluded(first))).next_back();
        ![after, before].into_iter().flatten().any(|(key, _)| inside(key))
    }
}

impl<S: ChunkSink> Output for Store<'_, S> {
    fn run_id(&mut self, first: &[u8], last: &[u8]) -> Option<ChunkId> {
        let hash = self.is_unchanged(first, last).then(|| self.state.hash_between(first, last)).flatten();
        hash.map(ChunkId::from_bytes)
    }

    fn chunk(&mut self, id: ChunkId, encode: impl FnOnce() -> Vec<u8>) {
        if !self.sink.contains(id) {
            self.sink.put(id, encode());
        }
    }
}
