//! An epoch never goes back, and neither does what a node knows committed, has signed, or has seen final. Only operators
//! begin an epoch, and only the member to which they have granted it orders in it.

use reprise_federation::{NodeKey, Standing};
use std::collections::BTreeMap;

pub struct Epochs {
    kept: BTreeMap<usize, Standing>,
    /// Who owns the ledger in which epoch.
    owners: BTreeMap<u64, NodeKey>,
}

impl Epochs {
    /// The first epoch is this member's.
    pub fn new(first: NodeKey) -> Self {
        Self { kept: BTreeMap::new(), owners: BTreeMap::from([(1, first)]) }
    }

    /// Operators have granted this.
    pub fn granted(&mut self, epoch: u64, owner: NodeKey) {
        self.owners.insert(epoch, owner);
    }

    pub fn promised(&mut self, node: usize, standing: &Standing) -> Result<(), String> {
        if self.owners.get(&standing.promised) != Some(&standing.owner) {
            return Err(format!("node {node} promises epoch {} to somebody who was not granted it", standing.promised));
        }
        let Some(before) = self.kept.insert(node, standing.clone()) else { return Ok(()) };
        let of = |it: &Standing| [it.promised, it.log_epoch, it.committed, it.signed.size, it.last_final.size];
        let back = of(&before).iter().zip(of(standing)).any(|(before, now)| now < *before);
        if back || (before.promised == standing.promised && before.owner != standing.owner) {
            return Err(format!("node {node} goes from {:?} to {:?}", of(&before), of(standing)));
        }
        Ok(())
    }

    /// A node orders, or sends what it has ordered.
    pub fn orders(&self, node: usize, key: NodeKey, epoch: u64) -> Result<(), String> {
        let is_its_own = self.owners.get(&epoch) == Some(&key);
        if is_its_own { Ok(()) } else { Err(format!("node {node} orders in epoch {epoch}, which is not its own")) }
    }

    pub fn loses_everything(&mut self, node: usize) {
        self.kept.remove(&node);
    }
}
