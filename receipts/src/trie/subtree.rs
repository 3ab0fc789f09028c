//! Subtrees from the outside: their hashes, tries that are put together from them, and tries of which some are missing.
//!
//! Snapshots and witnesses are made of subtrees: the first store them one by one, the second leave out those that
//! nobody looks at. What they need of the trie is here, and nothing else of it is known outside.
//!
//! A subtree that is left out is **opaque**: its hash is known, its contents are not. In a [`StateTrie`] it is a leaf
//! with that hash and with a key that no state has, as it is one byte too long. Whoever reads must therefore ask
//! [`StateTrie::reach_by_get`] or [`StateTrie::reach_by_scan`] whether an opaque leaf was among those looked at.

use super::{
    StateTrie,
    arena::{Child, Inner, Leaf, Node},
    bits::{POSITIONS, STATE_KEY_BYTES_MAX, bit, end_bit, first_difference},
    hash::{self, Hash},
};
use crate::digest::StateRoot;

/// Branch positions are below this.
pub(crate) const POSITIONS_MAX: usize = POSITIONS;

const OPAQUE_KEY: [u8; STATE_KEY_BYTES_MAX + 1] = [0xff; STATE_KEY_BYTES_MAX + 1];

/// The first bit in which two keys differ, `None` if they are the same. One of them is a state key.
pub(crate) fn parting(a: &[u8], b: &[u8]) -> Option<u16> {
    first_difference(a, b)
}

/// Hash of the subtree whose sides part at `position`.
pub(crate) fn join(position: u16, left: &Hash, right: &Hash) -> Hash {
    hash::node_hash(position, left, right)
}

/// Subtrees side by side do not make a trie: a position is past the longest key or occurs twice in a branch, or a
/// subtree does not end where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShapeError;

/// A leaf that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached<'a> {
    /// The leaf of this key.
    Entry(&'a [u8]),
    /// A subtree that is left out.
    Opaque,
}

/// A part of a trie of which subtrees are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pruned<'a> {
    /// A key and its value.
    Entry(&'a [u8], &'a [u8]),
    /// The hash of a subtree.
    Opaque(Hash),
}

impl StateTrie {
    /// Hash of the smallest subtree that has both keys, if both are there and the hash is not stale.
    pub(crate) fn hash_between(&self, first: &[u8], last: &[u8]) -> Option<Hash> {
        let top = first_difference(first, last).unwrap_or(u16::MAX);
        let mut child = self.root.as_ref()?;
        let root_is_stale = child.is_stale();
        while let Node::Inner(index) = child.node() {
            let inner = &self.inners[index];
            if inner.position >= top {
                break;
            }
            child = &inner.children[bit(first, inner.position)];
        }
        let fits = match child.node() {
            Node::Leaf(index) => self.leaves[index].key() == first && first == last,
            Node::Inner(index) => self.inners[index].position == top,
        };
        (fits && !root_is_stale).then(|| *child.hash())
    }

    /// The leaf that [`StateTrie::get`] looks at, and also a change of `key`; `None` in an empty trie.
    pub(crate) fn reach_by_get(&self, key: &[u8]) -> Option<Reached<'_>> {
        Some(self.reached(self.nearest(self.root?.node(), key)))
    }

    /// Visits the leaves that [`StateTrie::scan`] looks at when `next` is called on it `pulls` times. Ends at the first
    /// that is opaque, as nothing is known of what the scan would look at after it.
    pub(crate) fn reach_by_scan<'a>(
        &'a self,
        prefix: &[u8],
        after: Option<&[u8]>,
        pulls: u32,
        mut visit: impl FnMut(Reached<'a>),
    ) {
        let Some(root) = self.root else { return };
        let mut node = root.node();
        while let Node::Inner(index) = node
            && usize::from(self.inners[index].position) < end_bit(prefix.len())
        {
            let inner = &self.inners[index];
            node = inner.children[bit(prefix, inner.position)].node();
        }
        let after = after.filter(|after| *after >= prefix);
        for key in [prefix, after.unwrap_or(prefix)] {
            let reached = self.reached(self.nearest(node, key));
            visit(reached);
            if !matches!(reached, Reached::Entry(key) if key.starts_with(prefix)) {
                return;
            }
        }
        for (key, _) in self.scan(prefix, after).take(pulls as usize) {
            let reached = reached(key);
            visit(reached);
            if reached == Reached::Opaque {
                return;
            }
        }
    }

    /// The trie in key order with everything left out that holds none of the keys `shown`, which ascend and are there.
    /// Each part comes with the position at which it parts from the one before, 0 for the first.
    pub(crate) fn prune<'a>(&'a mut self, shown: &[&[u8]], mut emit: impl FnMut(u16, Pruned<'a>)) {
        self.refresh();
        let Some(root) = &self.root else { return };
        let mut pending = vec![(0, root, shown)];
        while let Some((position, child, shown)) = pending.pop() {
            match child.node() {
                _ if shown.is_empty() => emit(position, Pruned::Opaque(*child.hash())),
                Node::Leaf(index) => {
                    let leaf = &self.leaves[index];
                    emit(position, Pruned::Entry(leaf.key(), leaf.value()));
                }
                Node::Inner(index) => {
                    let inner = &self.inners[index];
                    let right = shown.partition_point(|key| bit(key, inner.position) == 0);
                    pending.push((inner.position, &inner.children[1], &shown[right..]));
                    pending.push((position, &inner.children[0], &shown[..right]));
                }
            }
        }
    }

    fn reached(&self, leaf: u32) -> Reached<'_> {
        reached(self.leaves[leaf].key())
    }
}

fn reached(key: &[u8]) -> Reached<'_> {
    if key.len() > STATE_KEY_BYTES_MAX { Reached::Opaque } else { Reached::Entry(key) }
}

/// Puts a trie together from left to right, out of entries and of subtrees that are left out.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    trie: StateTrie,
    /// Inner nodes of the rightmost path, root first; positions ascend. Their right sides are still open.
    spine: Vec<u32>,
    /// The rightmost subtree.
    last: Option<Child>,
    /// Where it branches first: it is complete, so that nothing may part from it there or later.
    last_position: Option<u16>,
    /// The last leaf that is an entry.
    last_entry: Option<u32>,
    /// The one leaf that stands for everything left out.
    opaque: Option<u32>,
}

/// The beginning of a subtree: see [`Assembler::complete`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning(usize);

impl Assembler {
    /// Without anything.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, which parts from the entry before where their keys do; returns that position, 0 for the first.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<u16, ShapeError> {
        let position = match self.last_entry {
            Some(last) => {
                let last = self.trie.leaves[last].key();
                if last >= key {
                    return Err(ShapeError);
                }
                first_difference(last, key).expect("different keys part")
            }
            None => 0,
        };
        self.push_at(position, key, value).map(|()| position)
    }

    /// Adds an entry, which parts from what is before it at `position`.
    pub(crate) fn push_at(&mut self, position: u16, key: &[u8], value: &[u8]) -> Result<(), ShapeError> {
        if key.len() > STATE_KEY_BYTES_MAX {
            return Err(ShapeError);
        }
        self.part(position)?;
        let mut leaf = self.trie.new_leaf(key, value);
        leaf.set_hash(self.trie.hash(leaf.node()));
        if let Node::Leaf(index) = leaf.node() {
            self.last_entry = Some(index);
        }
        (self.last, self.last_position) = (Some(leaf), None);
        Ok(())
    }

    /// Adds a subtree of which only the hash is known.
    pub(crate) fn push_opaque_at(&mut self, position: u16, hash: Hash) -> Result<(), ShapeError> {
        self.part(position)?;
        let leaf = match self.opaque {
            Some(leaf) => leaf,
            None => *self.opaque.insert(self.trie.leaves.put(Leaf::new(&OPAQUE_KEY, &[]))),
        };
        let mut opaque = Child::new(Node::Leaf(leaf));
        opaque.set_hash(hash);
        (self.last, self.last_position) = (Some(opaque), None);
        Ok(())
    }

    /// With the entry just added, a subtree begins that will be completed.
    pub(crate) fn begin(&self) -> Beginning {
        Beginning(self.spine.len())
    }

    /// Everything since the beginning is one subtree; returns its hash.
    pub(crate) fn complete(&mut self, beginning: Beginning) -> Result<Hash, ShapeError> {
        let (Some(last), true) = (self.last, self.spine.len() >= beginning.0) else { return Err(ShapeError) };
        let top = self.spine.get(beginning.0).map(|top| self.trie.inners[*top].position);
        let subtree = self.close(beginning.0, last);
        self.last = Some(subtree);
        self.last_position = top.or(self.last_position);
        Ok(*subtree.hash())
    }

    /// The trie and its root. Of a trie with opaque subtrees `bytes` says how many the entries of all of it have.
    pub(crate) fn finish(mut self, bytes: Option<u64>) -> (StateTrie, StateRoot) {
        if let Some(last) = self.last {
            self.trie.root = Some(self.close(0, last));
        }
        self.trie.bytes = bytes.unwrap_or(self.trie.bytes);
        let root = self.trie.root();
        (self.trie, root)
    }

    /// Opens a branch at `position`: what is there already becomes its left side.
    fn part(&mut self, position: u16) -> Result<(), ShapeError> {
        let Some(last) = self.last else {
            return if position == 0 { Ok(()) } else { Err(ShapeError) };
        };
        let complete = self.last_position.is_some_and(|top| position >= top);
        if complete || usize::from(position) >= POSITIONS {
            return Err(ShapeError);
        }
        let open = self.spine.partition_point(|index| self.trie.inners[*index].position < position);
        if self.spine.get(open).is_some_and(|index| self.trie.inners[*index].position == position) {
            return Err(ShapeError);
        }
        let left = self.close(open, last);
        // The right side hangs there for good once the node is closed.
        let children = [left, Child::default()];
        self.spine.push(self.trie.inners.put(Inner { children, position }));
        Ok(())
    }

    /// Closes all but the first `open` nodes of the spine; returns the subtree that this makes of the rightmost `child`.
    fn close(&mut self, open: usize, mut child: Child) -> Child {
        while self.spine.len() > open
            && let Some(top) = self.spine.pop()
        {
            self.trie.inners[top].children[1] = child;
            child = Child::new(Node::Inner(top));
            child.set_hash(self.trie.hash(child.node()));
        }
        child
    }
}
