//! Scans: the entries of one subtree in key order, from any point on.

use super::{
    StateTrie,
    arena::Node,
    bits::{bit, end_bit, first_difference},
};

/// A key and its value.
pub type EntryRef<'a> = (&'a [u8], &'a [u8]);

/// Entries of a [`StateTrie`] in key order: see [`StateTrie::scan`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    trie: &'a StateTrie,
    /// Subtrees that are still to come, the next one last.
    pending: Vec<Node>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(trie: &'a StateTrie, prefix: &[u8], after: Option<&[u8]>) -> Self {
        let mut entries = Self { trie, pending: Vec::new() };
        if let Some(subtree) = trie.subtree(prefix) {
            match after {
                Some(after) if after >= prefix => entries.seek(subtree, after),
                _ => entries.pending.push(subtree),
            }
        }
        entries
    }

    /// Leaves pending what comes after `key` in `subtree`.
    fn seek(&mut self, subtree: Node, key: &[u8]) {
        let leaf = &self.trie.leaves[self.trie.nearest(subtree, key)];
        let passed = leaf.key() <= key;
        let parts_at = first_difference(key, leaf.key());
        let mut node = subtree;
        while let Node::Inner(index) = node {
            let inner = &self.trie.inners[index];
            if parts_at.is_some_and(|position| inner.position > position) {
                break;
            }
            let side = bit(key, inner.position);
            if side == 0 {
                self.pending.push(inner.children[1].node());
            }
            node = inner.children[side].node();
        }
        // All of what is left parts from `key` at the same bit, hence lies on the same side of it.
        if !passed {
            self.pending.push(node);
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut node = self.pending.pop()?;
        loop {
            match node {
                Node::Leaf(index) => {
                    let leaf = &self.trie.leaves[index];
                    return Some((leaf.key(), leaf.value()));
                }
                Node::Inner(index) => {
                    let [left, right] = &self.trie.inners[index].children;
                    self.pending.push(right.node());
                    node = left.node();
                }
            }
        }
    }
}

impl StateTrie {
    /// The subtree that is all keys with `prefix`; `None` if there is no such key.
    pub(super) fn subtree(&self, prefix: &[u8]) -> Option<Node> {
        let mut node = self.root?.node();
        while let Node::Inner(index) = node {
            let inner = &self.inners[index];
            if usize::from(inner.position) >= end_bit(prefix.len()) {
                break;
            }
            node = inner.children[bit(prefix, inner.position)].node();
        }
        // What is below agrees in every bit of the prefix, so that one key speaks for all.
        self.leaves[self.nearest(node, prefix)].key().starts_with(prefix).then_some(node)
    }
}
