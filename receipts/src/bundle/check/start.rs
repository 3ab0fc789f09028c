//! The state before a range: a snapshot chunk by chunk, or a witness, against the root that the base ends with.

use super::{decode, skim};
use crate::{
    bundle::{BundleError, Place, Section},
    digest::StateRoot,
    snapshot::{Chunk, ChunkError, ChunkOrder, Manifest, RestoreError, SnapshotEntry},
    trie::{
        STATE_KEY_BYTES_MAX, StateTrie,
        subtree::{join, parting},
    },
    witness::{Witness, WitnessError},
};
use reprise_abi::limits::STATE_BYTES_MAX;

/// Most bytes of a state that a witness may speak of: its limit, and room for what the ledger itself adds beyond it.
const WITNESSED_BYTES_MAX: u64 = 2 * STATE_BYTES_MAX;

/// The starting point, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Start {
    root: Option<StateRoot>,
    snapshot: Option<Snapshot>,
}

/// A snapshot on its way: its chunks, and the root of the entries in them.
#[derive(Debug)]
struct Snapshot {
    manifest: Manifest,
    order: ChunkOrder,
    chunks: u64,
    keys: u64,
    bytes: u64,
    fold: Fold,
}

/// The root of subtrees that come side by side, without keeping them.
#[derive(Debug, Default)]
struct Fold {
    /// Where a branch is whose right side is not complete, and the hash of its left side; positions ascend.
    open: Vec<(u16, [u8; 32])>,
    /// Hash of the last subtree, and the last key in it.
    last: Option<([u8; 32], Vec<u8>)>,
}

impl Start {
    /// The state has this root.
    pub(super) fn begin_with(&mut self, root: StateRoot) {
        self.root = Some(root);
    }

    /// The chunks are those of this snapshot, whose root is compared with the base's elsewhere.
    pub(super) fn expect_snapshot(&mut self, manifest: Manifest) {
        let order = ChunkOrder::new(&manifest);
        self.snapshot = Some(Snapshot { manifest, order, chunks: 0, keys: 0, bytes: 0, fold: Fold::default() });
    }

    pub(super) fn manifest(&mut self, manifest: Manifest) -> Result<(), BundleError> {
        let expected = self.root();
        if manifest.state_root != expected {
            return Err(BundleError::Manifest { expected, found: manifest.state_root });
        }
        self.expect_snapshot(manifest);
        Ok(())
    }

    pub(super) fn chunk(&mut self, place: Place, bytes: &[u8]) -> Result<(), BundleError> {
        let snapshot = self.snapshot.as_mut().expect("chunks come after what they are of");
        snapshot.chunk(bytes).map_err(|error| BundleError::Snapshot { place, error })
    }

    pub(super) fn witness(&self, place: Place, bytes: &[u8]) -> Result<StateTrie, BundleError> {
        skim::witness(bytes).ok_or(BundleError::TooMany(place))?;
        let witness: Witness = decode(place, bytes)?;
        let state = witnessed_state(&witness, self.root()).map_err(BundleError::Witness)?;
        state.map_err(|found| BundleError::WitnessSize { found })
    }

    /// No chunk is missing, and together they are the state.
    pub(super) fn end(&mut self) -> Result<(), BundleError> {
        let Some(mut snapshot) = self.snapshot.take() else { return Ok(()) };
        let place = Place { section: Section::Chunk, item: snapshot.chunks };
        snapshot.end().map_err(|error| BundleError::Snapshot { place, error })
    }

    fn root(&self) -> StateRoot {
        self.root.expect("the base comes before the state that it ends with")
    }
}

/// Opens a witness. The size that it gives the state is not under the root: it only has to be possible, so that
/// counting on from it cannot overflow. Otherwise it is the inner error.
pub(crate) fn witnessed_state(witness: &Witness, root: StateRoot) -> Result<Result<StateTrie, u64>, WitnessError> {
    let state = witness.open(root)?;
    let shown = state.scan(&[], None).filter(|(key, _)| key.len() <= STATE_KEY_BYTES_MAX);
    let shown: u64 = shown.map(|(key, value)| (key.len() + value.len()) as u64).sum();
    let possible = (shown..=WITNESSED_BYTES_MAX).contains(&state.bytes());
    Ok(if possible { Ok(state) } else { Err(state.bytes()) })
}

impl Snapshot {
    fn chunk(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let expected = self.order.wanted().ok_or(RestoreError::PastEnd)?;
        let chunk = Chunk::open(expected, bytes).map_err(|error: ChunkError| RestoreError::from(error))?;
        self.order.accept(&chunk)?;
        self.chunks += 1;
        let Chunk::Run(entries) = &chunk else { return Ok(()) };
        self.keys += entries.len() as u64;
        if self.keys > self.manifest.keys {
            return Err(RestoreError::Count { expected: self.manifest.keys, found: self.keys });
        }
        self.bytes += entries.iter().map(|entry| (entry.key.len() + entry.value.len()) as u64).sum::<u64>();
        // The address of a run is the hash of its subtree.
        let placed = self.fold.push(*expected.as_bytes(), entries);
        if placed { Ok(()) } else { Err(RestoreError::Misplaced(expected)) }
    }

    fn end(&mut self) -> Result<(), RestoreError> {
        if let Some(missing) = self.order.wanted() {
            return Err(RestoreError::Incomplete(missing));
        }
        let Manifest { state_root: expected, keys, bytes, .. } = self.manifest;
        if self.keys != keys || self.bytes != bytes {
            return Err(RestoreError::Count { expected: keys, found: self.keys });
        }
        let found = self.fold.root();
        if found == expected { Ok(()) } else { Err(RestoreError::OtherRoot { expected, found }) }
    }
}

impl Fold {
    /// Adds the subtree of these entries; false if they do not come after the ones before.
    fn push(&mut self, hash: [u8; 32], entries: &[SnapshotEntry]) -> bool {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return false };
        if let Some((left, before)) = self.last.take() {
            if before >= first.key {
                return false;
            }
            let position = parting(&before, &first.key).expect("different keys part");
            let left = self.close(position, left);
            self.open.push((position, left));
        }
        self.last = Some((hash, last.key.clone()));
        true
    }

    fn root(&mut self) -> StateRoot {
        let Some((hash, _)) = self.last.take() else { return StateTrie::new().root() };
        StateRoot::from_bytes(self.close(0, hash))
    }

    /// Completes the branches at or after `position`.
    fn close(&mut self, position: u16, mut hash: [u8; 32]) -> [u8; 32] {
        while let Some((at, left)) = self.open.pop_if(|(at, _)| *at >= position) {
            hash = join(at, &left, &hash);
        }
        hash
    }
}
