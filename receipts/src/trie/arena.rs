//! Where the nodes live: two arrays with free lists, and 32-bit references into them.
//!
//! A trie of a million keys is a million leaves and one inner node less, so what a node weighs is what a key costs:
//! 80 bytes for an inner node, 24 for a leaf, one allocation for a key and its value together. The hash of a node is
//! kept beside the reference to it, where its parent needs it: hashing a path touches the nodes on the path and no
//! other, and what a large trie's root costs is mostly such visits to memory.

use super::hash::{self, Hash};
use std::ops::{Index, IndexMut};

/// What a [`Child`] refers to: an index into one of the two arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Inner(u32),
    Leaf(u32),
}

/// A reference to a node together with the node's hash, which may be stale.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Child {
    hash: Hash,
    /// An index and two flags.
    link: u32,
}

const LEAF_FLAG: u32 = 1 << 31;
const STALE_FLAG: u32 = 1 << 30;
const NODES_MAX: usize = STALE_FLAG as usize;

impl Child {
    /// A node whose hash is not known yet.
    pub(super) fn new(node: Node) -> Self {
        let link = match node {
            Node::Inner(index) => index,
            Node::Leaf(index) => index | LEAF_FLAG,
        };
        Self { hash: [0; 32], link: link | STALE_FLAG }
    }

    pub(super) fn node(&self) -> Node {
        let index = self.link & !(LEAF_FLAG | STALE_FLAG);
        if self.link & LEAF_FLAG == 0 { Node::Inner(index) } else { Node::Leaf(index) }
    }

    /// The hash, unless [`Self::is_stale`].
    pub(super) fn hash(&self) -> &Hash {
        debug_assert!(!self.is_stale());
        &self.hash
    }

    pub(super) fn set_hash(&mut self, hash: Hash) {
        self.hash = hash;
        self.link &= !STALE_FLAG;
    }

    /// The hash is out of date; then so is that of every node above.
    pub(super) fn is_stale(&self) -> bool {
        self.link & STALE_FLAG != 0
    }

    pub(super) fn mark_stale(&mut self) {
        self.link |= STALE_FLAG;
    }
}

/// A branch: every key on the left has a 0 at `position`, every key on the right a 1, and before it they all agree.
///
/// Aligned so that it never lies on more than two cache lines.
#[derive(Clone, Debug, Default)]
#[repr(align(16))]
pub(super) struct Inner {
    pub(super) children: [Child; 2],
    pub(super) position: u16,
}

impl Inner {
    /// Its hash, when neither child is stale.
    pub(super) fn hash(&self) -> Hash {
        let [left, right] = &self.children;
        hash::node_hash(self.position, left.hash(), right.hash())
    }
}

/// A key and its value.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    /// The key and, right behind it, the value.
    entry: Box<[u8]>,
    key_len: u16,
}

impl Leaf {
    /// The key is at most [`STATE_KEY_BYTES_MAX`](super::STATE_KEY_BYTES_MAX) bytes long.
    pub(super) fn new(key: &[u8], value: &[u8]) -> Self {
        let key_len = u16::try_from(key.len()).expect("keys are at most 257 bytes long");
        Self { entry: [key, value].concat().into_boxed_slice(), key_len }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.entry[..usize::from(self.key_len)]
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.entry[usize::from(self.key_len)..]
    }

    /// Bytes of key and value.
    pub(super) fn entry_bytes(&self) -> u64 {
        self.entry.len() as u64
    }

    pub(super) fn set_value(&mut self, value: &[u8]) {
        if self.value().len() == value.len() {
            self.entry[usize::from(self.key_len)..].copy_from_slice(value);
        } else {
            self.entry = [self.key(), value].concat().into_boxed_slice();
        }
    }

    pub(super) fn hash(&self) -> Hash {
        hash::leaf_hash(self.key(), &hash::value_digest(self.value()))
    }
}

/// An array whose places are given out again after use.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab<T> {
    places: Vec<T>,
    free: Vec<u32>,
}

impl<T: Default> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// # Panics
    /// Beyond 2^30 nodes.
    pub(super) fn put(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self[index] = item;
            return index;
        }
        let index = self.places.len();
        assert!(index < NODES_MAX, "a trie has at most 2^30 keys");
        if index == self.places.capacity() {
            // Doubling would leave up to half of a large array unused.
            self.places.reserve_exact((index / 8).max(64));
        }
        self.places.push(item);
        index as u32
    }

    pub(super) fn take(&mut self, index: u32) -> T {
        self.free.push(index);
        std::mem::take(&mut self[index])
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.places[index as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.places[index as usize]
    }
}
