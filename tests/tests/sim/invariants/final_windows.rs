//! No two final windows differ at one sequence number, on whatever nodes, and none is taken back.

use reprise_federation::window::FinalWindow;
use reprise_receipts::{LeafHash, LogRoot};
use std::collections::BTreeMap;

pub struct FinalWindows {
    /// Votes that make a quorum.
    needed: usize,
    by_size: BTreeMap<u64, (LogRoot, LeafHash)>,
    last: BTreeMap<usize, u64>,
}

impl FinalWindows {
    pub fn new(needed: usize) -> Self {
        Self { needed, by_size: BTreeMap::new(), last: BTreeMap::new() }
    }

    pub fn add(&mut self, node: usize, window: &FinalWindow) -> Result<(), String> {
        let found = (window.mark.log_root, window.votes[0].leaf);
        let size = window.mark.size;
        self.last.insert(node, size);
        if window.votes.len() < self.needed {
            return Err(format!("node {node}: {} votes make the window of {size} receipts final", window.votes.len()));
        }
        let known = self.by_size.entry(size).or_insert(found);
        if *known == found { Ok(()) } else { Err(format!("node {node}: another log of {size} receipts is final")) }
    }

    pub fn rolled_back(&mut self, node: usize, to: u64) -> Result<(), String> {
        let last = self.last.get(&node).copied().unwrap_or(0);
        if to < last { Err(format!("node {node} goes back to {to}, {last} is final")) } else { Ok(()) }
    }

    pub fn loses_everything(&mut self, node: usize) {
        self.last.remove(&node);
    }

    pub fn count(&self) -> usize {
        self.by_size.len()
    }
}
