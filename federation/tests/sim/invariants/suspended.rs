//! A suspended ledger does not advance.

use crate::node::SimNode;
use reprise_federation::Standing;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Suspended {
    /// Size with everything written, when the suspension was seen first.
    sizes: BTreeMap<u8, u64>,
}

impl Suspended {
    pub fn applies(&mut self, node: u8, standing: Option<&Standing>) -> Result<(), String> {
        match standing.and_then(|standing| standing.suspended) {
            Some(why) => Err(format!("node {node} applies steps, suspended because {why}")),
            None => Ok(()),
        }
    }

    pub fn check(&mut self, nodes: &[SimNode]) -> Result<(), String> {
        for node in nodes.iter().filter(|node| node.is_honest()) {
            let suspended = node.disk.standing.as_ref().is_some_and(|standing| standing.suspended.is_some());
            if !suspended {
                self.sizes.remove(&node.number);
                continue;
            }
            let size = node.disk.ledger.size() + node.unsynced.len() as u64;
            let before = *self.sizes.entry(node.number).or_insert(size);
            if size > before {
                return Err(format!("node {} grows from {before} to {size} while suspended", node.number));
            }
            self.sizes.insert(node.number, size);
        }
        Ok(())
    }
}
