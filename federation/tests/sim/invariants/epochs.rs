//! An epoch never goes back: neither the one that a node promises, nor the ones in a log.

use crate::node::SimNode;
use reprise_federation::{NodeKey, Standing};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Epochs {
    promised: BTreeMap<u8, (u64, NodeKey)>,
}

impl Epochs {
    pub fn promised(&mut self, node: u8, standing: &Standing, memory_lost: bool) -> Result<(), String> {
        let (epoch, owner) = (standing.promised, standing.owner);
        let before = self.promised.insert(node, (epoch, owner));
        match before {
            Some(_) if memory_lost => Ok(()),
            Some((before, _)) if epoch < before => Err(format!("node {node} goes from epoch {before} to {epoch}")),
            Some((before, to)) if epoch == before && to != owner => {
                Err(format!("node {node} promises epoch {epoch} to two owners"))
            }
            _ => Ok(()),
        }
    }

    pub fn check(&mut self, nodes: &[SimNode]) -> Result<(), String> {
        for node in nodes.iter().filter(|node| node.is_honest()) {
            let epochs = &node.disk.ledger.epochs;
            if !epochs.is_sorted_by(|a, b| a.epoch < b.epoch) {
                return Err(format!("node {}: epochs in the log go back", node.number));
            }
        }
        Ok(())
    }
}
