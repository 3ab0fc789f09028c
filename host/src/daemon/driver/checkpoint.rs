//! A checkpoint that an operator wants now, out of its turn.

use super::{Driver, Part};
use crate::journal::LedgerNo;
use reprise_federation::node::Service;

impl Driver {
    /// Lets the pipeline of a ledger make a checkpoint: the ledger's number here, and the receipts that the checkpoint is over
    /// at least. `Err`: why this node makes none, for people.
    pub(super) fn checkpoint(&mut self, now_ms: u64, selector: &str) -> Result<(LedgerNo, u64), String> {
        let entry = self.node.find_ledger(selector).map_err(|error| error.to_string())?;
        let size = self.size(entry.id);
        let owner = self.federation.seat(entry.id).map(|seat| self.name(seat.standing.owner));
        let service = self.federation.service(now_ms, entry.id);
        let served =
            self.ledgers.get_mut(&entry.id).ok_or("this node does not serve the ledger: see its configuration")?;
        if let Some(fault) = &served.fault {
            return Err(format!("the ledger does not advance here: {fault}"));
        }
        match (service, &mut served.part) {
            (Some(Service::Suspended(why)), _) => Err(format!("the ledger is suspended here: {why}")),
            _ if size == 0 => Err("a ledger without receipts has no checkpoint".to_owned()),
            (_, Part::Owner(owner)) if !owner.is_closing() => {
                owner.checkpoint();
                Ok((entry.no, size))
            }
            _ => Err(format!(
                "only the owner of a ledger signs its checkpoints: ask {}",
                owner.unwrap_or_else(|| "the node that is".to_owned())
            )),
        }
    }
}
