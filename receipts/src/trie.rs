//! The state trie: an ordered map from bytes to bytes whose root depends on the contents alone.
//!
//! It is a binary Patricia trie over the bits of the keys. Each byte of a key is nine bits: a one, then the byte, most
//! significant bit first; a zero ends the key. A node with two sides sits exactly where the keys below it first part, so
//! that the set of keys decides the shape and no history is left in it:
//!
//! ```text
//! root {}        = derive_key("reprise 2026 state empty v1", "")
//! root {(k, v)}  = derive_key("reprise 2026 state leaf v1", derive_key("reprise 2026 state value v1", v) || k)
//! root of more   = keyed_hash(node_key(d), root of those with a 0 at d || root of those with a 1 at d)
//!                  where d is the first bit in which not all keys agree
//! node_key(d)    = derive_key("reprise 2026 state node v1", d as u32, little-endian)
//! ```
//!
//! All of these are BLAKE3. Since those bits keep the order of the keys, keys with a common prefix are one subtree:
//! that is what makes scans cheap and lets [`proof`] show that a scan is complete.
//!
//! Changes only mark the path to the changed leaf; [`StateTrie::root`] hashes what is marked and nothing else.

mod arena;
mod bits;
mod build;
mod hash;
pub mod proof;
mod scan;
pub(crate) mod subtree;

pub use self::{
    bits::STATE_KEY_BYTES_MAX,
    build::{BuildError, TrieBuilder},
    proof::{AbsenceProof, PrefixProof, PresenceProof, ProofError},
    scan::{Entries, EntryRef},
};

use self::{
    arena::{Child, Inner, Leaf, Node, Slab},
    bits::{bit, end_bit, first_difference},
};
use crate::digest::StateRoot;
use core::fmt;
use reprise_abi::Diff;

/// Where a node hangs: on a side of an inner node, or, if `None`, at the root.
type Place = Option<(u32, usize)>;

/// An ordered map from keys to values with a Merkle root.
///
/// Keys are at most [`STATE_KEY_BYTES_MAX`] bytes long; the empty key is a key. Values have no bound of their own.
#[derive(Clone, Default)]
pub struct StateTrie {
    inners: Slab<Inner>,
    leaves: Slab<Leaf>,
    root: Option<Child>,
    bytes: u64,
}

/// Why a diff cannot be applied; nothing has been changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The state does not hold what the diff says was there.
    #[error("change {index}: the state holds another value than the diff was made against")]
    OtherValue {
        /// Position of the change in the diff.
        index: usize,
    },
    /// The key is longer than a state key can be.
    #[error("change {index}: the key is {len} bytes long, at most {STATE_KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// Position of the change in the diff.
        index: usize,
        /// Bytes of the key.
        len: usize,
    },
}

impl StateTrie {
    /// Without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let mut node = self.root?.node();
        while let Node::Inner(index) = node {
            let inner = &self.inners[index];
            // Two keys or more that agree in every bit of `key`, the closing zero included: none of them is `key`.
            if usize::from(inner.position) > end_bit(key.len()) {
                return None;
            }
            node = inner.children[bit(key, inner.position)].node();
        }
        let Node::Leaf(index) = node else { unreachable!("the walk ends at a leaf") };
        let leaf = &self.leaves[index];
        (leaf.key() == key).then(|| leaf.value())
    }

    /// Entries whose key begins with `prefix` and, if given, comes after `after`, in key order.
    #[must_use]
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>) -> Entries<'_> {
        Entries::new(self, prefix, after)
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// There is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Bytes of all keys and values together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Root of the contents. Costs the hashes of what changed since the last call.
    #[must_use]
    pub fn root(&mut self) -> StateRoot {
        self.refresh();
        StateRoot::from_bytes(self.root.map_or_else(hash::empty_root, |root| *root.hash()))
    }

    /// Sets the value of `key`. Setting the value it has costs no hashing.
    ///
    /// # Panics
    /// When the key is longer than [`STATE_KEY_BYTES_MAX`].
    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        assert!(key.len() <= STATE_KEY_BYTES_MAX, "a state key is at most {STATE_KEY_BYTES_MAX} bytes long");
        let Some(root) = self.root else {
            self.root = Some(self.new_leaf(key, value));
            return;
        };
        let nearest = self.nearest(root.node(), key);
        match first_difference(key, self.leaves[nearest].key()) {
            None => self.replace(nearest, key, value),
            Some(position) => self.branch(position, key, value),
        }
    }

    /// Removes `key`; tells whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some(root) = self.root else { return false };
        let leaf = self.nearest(root.node(), key);
        if self.leaves[leaf].key() != key {
            return false;
        }
        self.bytes -= self.leaves.take(leaf).entry_bytes();
        let (mut place, mut parent_place) = (None, None);
        while let Node::Inner(index) = self.mark(place) {
            let side = bit(key, self.inners[index].position);
            (place, parent_place) = (Some((index, side)), place);
        }
        match place {
            None => self.root = None,
            Some((parent, side)) => *self.child(parent_place) = self.inners.take(parent).children[1 - side],
        }
        true
    }

    /// Applies a diff: every change, or none and an error.
    ///
    /// The diff's inverse undoes it: afterwards the root is what it was before.
    ///
    /// # Errors
    /// [`ApplyError`] with the index of the first change that does not fit.
    pub fn apply(&mut self, diff: &Diff) -> Result<(), ApplyError> {
        for (index, change) in diff.changes().iter().enumerate() {
            if change.key.len() > STATE_KEY_BYTES_MAX {
                return Err(ApplyError::KeyTooLong { index, len: change.key.len() });
            }
            if self.get(&change.key) != change.before.as_deref() {
                return Err(ApplyError::OtherValue { index });
            }
        }
        // What goes comes last: until then the leaves that were there lead every new key to its place, so that in a
        // trie with subtrees left out a diff looks at no other leaves than `get` does.
        for change in diff.changes() {
            if let Some(value) = &change.after {
                self.insert(&change.key, value);
            }
        }
        for change in diff.changes().iter().filter(|change| change.after.is_none()) {
            assert!(self.remove(&change.key), "a change without value after it has one before it");
        }
        Ok(())
    }

    /// The leaf that the bits of `key` lead to from `node`: the leaf of `key`, if it is below `node` at all.
    fn nearest(&self, mut node: Node, key: &[u8]) -> u32 {
        loop {
            match node {
                Node::Leaf(index) => return index,
                Node::Inner(index) => {
                    let inner = &self.inners[index];
                    node = inner.children[bit(key, inner.position)].node();
                }
            }
        }
    }

    fn replace(&mut self, leaf: u32, key: &[u8], value: &[u8]) {
        let old = self.leaves[leaf].value();
        if old == value {
            return;
        }
        self.bytes = self.bytes - old.len() as u64 + value.len() as u64;
        self.leaves[leaf].set_value(value);
        let mut place = None;
        while let Node::Inner(index) = self.mark(place) {
            place = Some((index, bit(key, self.inners[index].position)));
        }
    }

    /// Adds the leaf of a new key, which parts at `position` from the keys that are nearest to it.
    fn branch(&mut self, position: u16, key: &[u8], value: &[u8]) {
        let mut place = None;
        while let Node::Inner(index) = self.child(place).node()
            && self.inners[index].position < position
        {
            self.mark(place);
            place = Some((index, bit(key, self.inners[index].position)));
        }
        let (leaf, sibling) = (self.new_leaf(key, value), *self.child(place));
        let children = if bit(key, position) == 0 { [leaf, sibling] } else { [sibling, leaf] };
        let inner = self.inners.put(Inner { children, position });
        *self.child(place) = Child::new(Node::Inner(inner));
    }

    fn new_leaf(&mut self, key: &[u8], value: &[u8]) -> Child {
        let leaf = Leaf::new(key, value);
        self.bytes += leaf.entry_bytes();
        Child::new(Node::Leaf(self.leaves.put(leaf)))
    }

    fn child(&mut self, place: Place) -> &mut Child {
        match place {
            Some((index, side)) => &mut self.inners[index].children[side],
            None => self.root.as_mut().expect("only a trie with keys is walked"),
        }
    }

    /// Makes the hash of a node stale; returns the node.
    fn mark(&mut self, place: Place) -> Node {
        let child = self.child(place);
        child.mark_stale();
        child.node()
    }

    /// Hashes everything that is stale, children before parents. A list, not recursion: keys can make a trie deep.
    fn refresh(&mut self) {
        if !self.root.is_some_and(|root| root.is_stale()) {
            return;
        }
        let mut stale: Vec<Place> = vec![None];
        let mut next = 0;
        while let Some(&place) = stale.get(next) {
            next += 1;
            if let Node::Inner(index) = self.child(place).node() {
                let children = &self.inners[index].children;
                let sides = (0..2).filter(|side| children[*side].is_stale());
                stale.extend(sides.map(|side| Some((index, side))));
            }
        }
        for place in stale.into_iter().rev() {
            let node = self.child(place).node();
            let hash = self.hash(node);
            self.child(place).set_hash(hash);
        }
    }

    /// Computes the hash of a node whose children are not stale.
    fn hash(&self, node: Node) -> hash::Hash {
        match node {
            Node::Leaf(index) => self.leaves[index].hash(),
            Node::Inner(index) => self.inners[index].hash(),
        }
    }
}

impl fmt::Debug for StateTrie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateTrie").field("len", &self.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
