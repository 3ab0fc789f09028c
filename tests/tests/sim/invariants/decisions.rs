//! Every decision replays: each node's own ledger is done again from its inputs, and gives the receipts and the root that the
//! node has signed.

use super::replay::Replay;
use crate::node::Machine;
use reprise_abi::decode_canonical;
use reprise_federation::Mark;
use reprise_receipts::{Package, StepRecord};
use std::collections::BTreeMap;

pub struct Decisions {
    package: Package,
    /// Decisions that were done again.
    pub replayed: u64,
    /// What was ordered, and how often.
    pub orders: BTreeMap<&'static str, u64>,
}

/// What the policy can order.
const ORDERS: [(&str, &str); 9] = [
    ("fetch", "ordered: fetch"),
    ("roll_back", "ordered: roll back"),
    ("suspend", "ordered: suspend"),
    ("verify", "ordered: verify"),
    ("restore", "ordered: restore from a peer"),
    ("rebuild", "ordered: rebuild"),
    ("resume", "ordered: resume"),
    ("quarantine", "ordered: peer into quarantine"),
    ("release", "ordered: peer out of quarantine"),
];

impl Decisions {
    pub fn new(package: &Package) -> Self {
        Self { package: package.clone(), replayed: 0, orders: BTreeMap::new() }
    }

    /// When everything has come to rest.
    pub fn check_end(&mut self, machine: &Machine) -> Result<(), String> {
        let Some((node, entry)) = machine.own_ledger() else { return Ok(()) };
        let text = |error: &dyn std::fmt::Display| format!("node {}: {error}", machine.number);
        let reader = node.journal().read(entry.no).map_err(|error| text(&error))?;
        let Some((seq, attestation)) = reader.last_attestation().map_err(|error| text(&error))? else { return Ok(()) };
        let mark = Mark { size: seq + 1, log_root: attestation.body.log_root };
        let mut replay = Replay::new(&self.package);
        replay.replay(&reader, &entry.genesis, mark).map_err(|what| text(&what))?;
        self.replayed += replay.replayed;
        for seq in 0..mark.size {
            let record = reader.record(seq).map_err(|error| text(&error))?.unwrap_or_default();
            let record: StepRecord = decode_canonical(&record).map_err(|error| text(&error))?;
            for effect in &record.output.effects {
                let payload: serde_json::Value = serde_json::from_slice(&effect.payload).unwrap_or_default();
                let order = ORDERS.iter().find(|(name, _)| payload["do"] == *name);
                let (_, order) = order.ok_or_else(|| text(&format!("step {seq} orders {payload}")))?;
                *self.orders.entry(order).or_default() += 1;
            }
        }
        Ok(())
    }
}
