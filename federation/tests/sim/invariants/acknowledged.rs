//! Nothing acknowledged is lost: it is durable on a quorum when it is acknowledged, and on every honest node in the end.

use crate::node::SimNode;
use reprise_receipts::LeafHash;

pub struct Acknowledged {
    inputs: Vec<(u64, LeafHash)>,
    checked: usize,
    needed: usize,
    liar: Option<usize>,
}

impl Acknowledged {
    pub fn new(needed: usize, liar: Option<usize>) -> Self {
        Self { inputs: Vec::new(), checked: 0, needed, liar }
    }

    pub fn add(&mut self, inputs: Vec<(u64, LeafHash)>) {
        self.inputs.extend(inputs);
    }

    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    pub fn check(&mut self, nodes: &[SimNode]) -> Result<(), String> {
        for (seq, leaf) in &self.inputs[self.checked..] {
            // What a liar has nobody knows: it is given the benefit of the doubt.
            let has = |(number, node): (usize, &SimNode)| {
                self.liar == Some(number) || node.disk.ledger.leaves.get(*seq as usize) == Some(leaf)
            };
            let count = nodes.iter().enumerate().filter(|(number, node)| has((*number, node))).count();
            // A disk that is lost between the acknowledgement of a member and that of the owner is not the owner's fault.
            let lost = nodes.iter().filter(|node| !node.is_whole()).count();
            if count + lost < self.needed {
                return Err(format!("input {seq} is acknowledged and durable on {count} nodes"));
            }
        }
        self.checked = self.inputs.len();
        Ok(())
    }

    pub fn check_end(&self, nodes: &[SimNode]) -> Result<(), String> {
        for node in nodes.iter().filter(|node| node.is_honest()) {
            for (seq, leaf) in &self.inputs {
                if node.disk.ledger.leaves.get(*seq as usize) != Some(leaf) {
                    return Err(format!("input {seq} was acknowledged and is not on node {}", node.number));
                }
            }
        }
        Ok(())
    }
}
