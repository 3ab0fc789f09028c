//! No honest node is convicted: evidence that anybody believes is about the node that lies.

use super::Signers;
use reprise_receipts::evidence::Evidence;

pub struct Convicted {
    honest: Signers,
}

impl Convicted {
    pub fn new(honest: Signers) -> Self {
        Self { honest }
    }

    pub fn shown(&self, node: usize, evidence: &Evidence) -> Result<(), String> {
        let convicts = |key: &&_| match evidence {
            Evidence::Equivocation(equivocation) => equivocation.verify(key).is_ok(),
            Evidence::Fork(fork) => fork.verify(key).is_ok(),
            Evidence::ExecutionFault(_) => false,
        };
        match self.honest.keys().find(convicts) {
            Some(key) => Err(format!("node {node} has evidence against node {}", self.honest[key])),
            None => Ok(()),
        }
    }
}
