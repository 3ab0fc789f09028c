//! What a node holds for committed is on a quorum of the voting members.

use super::acknowledged::Acknowledged;
use crate::node::Machine;
use std::{collections::BTreeMap, rc::Rc};

#[derive(Default)]
pub struct Committed {
    /// So many receipts a node holds for committed, and nobody has looked.
    claims: BTreeMap<usize, u64>,
    /// So many were looked at.
    seen: BTreeMap<usize, u64>,
}

impl Committed {
    pub fn claims(&mut self, node: usize, size: u64) {
        if size > self.seen.get(&node).copied().unwrap_or(0) {
            self.claims.insert(node, size);
        }
    }

    pub fn loses_everything(&mut self, node: usize) {
        self.claims.remove(&node);
        self.seen.remove(&node);
    }

    pub fn check(&mut self, acknowledged: &Acknowledged, machines: &[Rc<Machine>]) -> Result<(), String> {
        for (node, size) in std::mem::take(&mut self.claims) {
            // What is not there is looked at when it is.
            let Some(leaf) = acknowledged.leaf(node, size - 1) else {
                self.claims.insert(node, size);
                continue;
            };
            let (count, needed) = acknowledged.holders(machines, size - 1, leaf);
            if count < needed {
                return Err(format!("node {node} holds {size} receipts for committed, which are on {count} nodes"));
            }
            self.seen.insert(node, size);
        }
        Ok(())
    }
}
