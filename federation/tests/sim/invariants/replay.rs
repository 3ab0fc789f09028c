//! Every durable receipt of an honest node replays.

use crate::{
    node::SimNode,
    support::{ledger::End, ledger_id},
};
use reprise_receipts::{LeafHash, Receipt};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Replay {
    /// By node: how far it was checked, and the last leaf then.
    checked: BTreeMap<u8, (usize, Option<LeafHash>, Option<End>)>,
}

impl Replay {
    pub fn check(&mut self, nodes: &[SimNode]) -> Result<(), String> {
        for node in nodes.iter().filter(|node| node.is_honest()) {
            let ledger = &node.disk.ledger;
            let (mut from, last, end) = self.checked.remove(&node.number).unwrap_or((0, None, None));
            let mut end = end.unwrap_or(End::START);
            if from > ledger.leaves.len() || (from > 0 && ledger.leaves.get(from - 1).copied() != last) {
                (from, end) = (0, End::START);
            }
            for step in &ledger.steps[from..] {
                let receipt: Receipt =
                    reprise_abi::decode_canonical(&step.receipt).map_err(|error| error.to_string())?;
                let seq = end.seq;
                if end.execute(ledger_id(), &step.input, receipt.epoch) != *step {
                    return Err(format!("node {}: receipt {seq} does not replay", node.number));
                }
            }
            self.checked.insert(node.number, (ledger.leaves.len(), ledger.leaves.last().copied(), Some(end)));
        }
        Ok(())
    }
}
