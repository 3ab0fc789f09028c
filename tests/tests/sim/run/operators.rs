//! What operators do to the machines, and with the ledger.

use super::{Later, Run, TELL_MS, UNSERVED_MS};
use crate::node::Wish;

impl Run {
    /// Operators grant the ledger to another member that can take it, as far as they know.
    pub(super) fn grant(&mut self) {
        let can = |node: usize| {
            let watch = self.watch.lock().unwrap();
            let standing = watch.invariants.standing(node);
            let stands = standing.is_none_or(|it| !it.rejoining && it.suspended.is_none());
            stands && node != self.owner() && !self.plan.is_liar(node) && !self.machines[node].is_damaged()
        };
        let able: Vec<usize> = (0..self.plan.voting()).filter(|node| can(*node)).collect();
        if able.is_empty() {
            return;
        }
        let owner = able[self.random.below(able.len() as u64) as usize];
        let epoch = self.office.borrow_mut().grant(owner);
        self.unserved_ms = 0;
        let tell_ms = 1 + self.random.below(TELL_MS);
        self.at(tell_ms, Later::Tell);
        let mut watch = self.watch.lock().unwrap();
        watch.note(owner, "is granted the ledger");
        watch.tell(|| format!("epoch {epoch} is granted to {owner}"));
        watch.count("grants");
        watch.invariants.granted(epoch, owner);
    }

    /// An owner that does not order is replaced after some time.
    pub(super) fn look_after_owner(&mut self) {
        let orders = self.machines[self.owner()].orders.get() && !self.is_down[self.owner()];
        self.unserved_ms = if orders { 0 } else { self.unserved_ms + 1 };
        if self.plan.takes && self.unserved_ms >= UNSERVED_MS {
            self.grant();
        }
    }

    /// What operators want done.
    pub(super) fn look_after_nodes(&mut self) {
        for node in 0..self.machines.len() {
            let wish = self.machines[node].wish.take().filter(|_| !self.is_down[node]);
            let Some(wish) = wish else { continue };
            // Whoever lost only the node's own ledger waits until enough of the others are whole.
            let others = self.machines.iter().enumerate().filter(|(other, _)| *other != node);
            let whole = others.filter(|(_, other)| !other.is_damaged()).count();
            if wish == Wish::NewDisk && !self.machines[node].is_damaged() && whole + 1 < self.plan.needed() {
                continue;
            }
            let what = match wish {
                Wish::Restart => "nodes started again by an operator",
                Wish::NewDisk => "disks replaced by an operator",
            };
            self.watch.lock().unwrap().count(what);
            self.crash(node, 200);
            if wish == Wish::NewDisk {
                self.wipe(node);
            }
        }
    }
}
