//! A suspended ledger does not advance, once what was under way when it was suspended is done.

use std::collections::BTreeMap;

/// What was handed to a pipeline or a follower before the suspension is done by then, in milliseconds.
const UNDER_WAY_MS: u64 = 500;

#[derive(Default)]
pub struct Suspended {
    /// Since when, and the size after what was under way.
    since: BTreeMap<usize, (u64, Option<u64>)>,
}

impl Suspended {
    pub fn stands(&mut self, node: usize, now_ms: u64, suspended: bool) {
        if suspended {
            self.since.entry(node).or_insert((now_ms, None));
        } else {
            self.since.remove(&node);
        }
    }

    pub fn check(&mut self, node: usize, now_ms: u64, size: u64) -> Result<(), String> {
        let Some((since_ms, then)) = self.since.get_mut(&node) else { return Ok(()) };
        if now_ms < *since_ms + UNDER_WAY_MS {
            return Ok(());
        }
        let then = *then.get_or_insert(size);
        if size > then {
            Err(format!("node {node} is suspended and goes from {then} receipts to {size}"))
        } else {
            Ok(())
        }
    }

    pub fn loses_everything(&mut self, node: usize) {
        self.since.remove(&node);
    }
}
