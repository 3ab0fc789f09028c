//! Building a trie from keys that are already in order.
//!
//! Only the rightmost path is open at any time. A new key closes the part of it that branches after the new key parts
//! from the last one, and what is closed is hashed at once, while it is still in the processor's cache.

use super::{
    StateTrie,
    arena::{Child, Inner, Node},
    bits::{STATE_KEY_BYTES_MAX, first_difference},
};

/// Builds a [`StateTrie`] from ascending keys in linear time.
#[derive(Debug, Default)]
pub struct TrieBuilder {
    trie: StateTrie,
    /// Inner nodes of the rightmost path, root first; positions ascend. Their right sides are still open.
    spine: Vec<u32>,
    /// The rightmost leaf.
    last: Option<Child>,
}

/// Why entries do not make a trie. Indices count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A key does not come after the one before it.
    #[error("entry {index}: keys must be strictly ascending")]
    Order {
        /// Position of the offending entry.
        index: usize,
    },
    /// A key is longer than a state key can be.
    #[error("entry {index}: the key is {len} bytes long, at most {STATE_KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// Position of the offending entry.
        index: usize,
        /// Bytes of the key.
        len: usize,
    },
}

impl TrieBuilder {
    /// Without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// [`BuildError`] when the key is too long or out of order; the builder is as it was before.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), BuildError> {
        let index = self.trie.len();
        if key.len() > STATE_KEY_BYTES_MAX {
            return Err(BuildError::KeyTooLong { index, len: key.len() });
        }
        let Some((last_key, last)) = self.last() else {
            self.last = Some(self.new_leaf(key, value));
            return Ok(());
        };
        if last_key >= key {
            return Err(BuildError::Order { index });
        }
        let position = first_difference(last_key, key).expect("different keys part");
        let left = self.close(position, last);
        // The right side hangs there for good once the node is closed.
        let children = [left, Child::default()];
        self.spine.push(self.trie.inners.put(Inner { children, position }));
        self.last = Some(self.new_leaf(key, value));
        Ok(())
    }

    /// The trie of all entries; its root costs nothing any more.
    #[must_use]
    pub fn finish(mut self) -> StateTrie {
        if let Some(last) = self.last {
            self.trie.root = Some(self.close(0, last));
        }
        self.trie
    }

    /// Closes what branches at `position` or later; returns the subtree that this makes of the rightmost `child`.
    fn close(&mut self, position: u16, mut child: Child) -> Child {
        while let Some(&top) = self.spine.last()
            && self.trie.inners[top].position >= position
        {
            self.spine.pop();
            self.trie.inners[top].children[1] = child;
            child = self.hashed(Child::new(Node::Inner(top)));
        }
        child
    }

    fn last(&self) -> Option<(&[u8], Child)> {
        let last = self.last?;
        let Node::Leaf(index) = last.node() else { unreachable!("the last child is a leaf") };
        Some((self.trie.leaves[index].key(), last))
    }

    fn new_leaf(&mut self, key: &[u8], value: &[u8]) -> Child {
        let leaf = self.trie.new_leaf(key, value);
        self.hashed(leaf)
    }

    fn hashed(&self, mut child: Child) -> Child {
        child.set_hash(self.trie.hash(child.node()));
        child
    }
}

impl StateTrie {
    /// The trie of entries that ascend by key, in linear time and faster than by insertion.
    ///
    /// # Errors
    /// [`BuildError`] with the index of the first entry that is out of order or whose key is too long.
    pub fn from_sorted<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, BuildError> {
        let mut builder = TrieBuilder::new();
        for (key, value) in entries {
            builder.push(key.as_ref(), value.as_ref())?;
        }
        Ok(builder.finish())
    }
}
