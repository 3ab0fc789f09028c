//! An epoch never goes back, and neither does what a node knows committed, has signed, or has seen final.

use reprise_federation::Standing;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Epochs {
    kept: BTreeMap<usize, Standing>,
}

impl Epochs {
    pub fn promised(&mut self, node: usize, standing: &Standing) -> Result<(), String> {
        let Some(before) = self.kept.insert(node, standing.clone()) else { return Ok(()) };
        let of = |it: &Standing| [it.promised, it.log_epoch, it.committed, it.signed.size, it.last_final.size];
        let back = of(&before).iter().zip(of(standing)).any(|(before, now)| now < *before);
        if back || (before.promised == standing.promised && before.owner != standing.owner) {
            return Err(format!("node {node} goes from {:?} to {:?}", of(&before), of(standing)));
        }
        Ok(())
    }

    pub fn loses_everything(&mut self, node: usize) {
        self.kept.remove(&node);
    }
}
