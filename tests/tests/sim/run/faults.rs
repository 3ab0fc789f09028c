//! What goes wrong, and whether it may.

use super::{Later, NOBODY, Run, SLOW_MS};
use crate::{node::name, plan::Fault};
use std::time::Duration;

impl Run {
    /// One disk at a time loses what it had, and only while the others are whole: with more, a quorum is not enough.
    pub(super) fn may_be(&self, fault: &Fault) -> bool {
        let damaged = self.machines.iter().any(|machine| machine.is_damaged());
        if fault.machine().is_some_and(|node| self.plan.is_liar(node)) {
            return false;
        }
        // Whoever takes over asks a quorum for what it has: that must be there. And a member that has forgotten everything
        // is one fault, a liar another: where a quorum tolerates one, there are not both.
        let forgets = matches!(fault, Fault::LoseSyncs { .. });
        let counts = fault.damages().is_some_and(|node| node < self.plan.voting());
        let spare = self.plan.voting() - usize::from(self.plan.liar.is_some()) > self.plan.needed();
        if self.plan.takes && forgets || (self.plan.takes || self.plan.liar.is_some()) && counts && !spare {
            return false;
        }
        fault.damages().is_none_or(|node| !damaged && !self.is_down[node])
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        {
            let mut watch = self.watch.lock().unwrap();
            watch.note(NOBODY, &format!("{fault:?}"));
            watch.tell(|| format!("{fault:?}"));
            if !matches!(fault, Fault::Tamper { .. }) {
                watch.count(fault.name());
            }
        }
        match fault {
            Fault::Cut { a, b, for_ms } => self.happens(Later::Cut(a, b, for_ms)),
            Fault::CutOneWay { from, to, for_ms } => {
                self.sim.partition_oneway(name(from), name(to));
                self.at(for_ms, Later::RepairOneWay(from, to));
            }
            Fault::Flap { a, b, times, for_ms } => {
                (0..times).for_each(|time| self.at(time * 2 * for_ms, Later::Cut(a, b, for_ms)));
            }
            Fault::Isolate { node, for_ms } => {
                for other in (0..self.plan.nodes).filter(|other| *other != node) {
                    self.happens(Later::Cut(node, other, for_ms));
                }
            }
            Fault::Slow { a, b, for_ms } => {
                self.sim.set_link_max_message_latency(name(a), name(b), Duration::from_millis(SLOW_MS));
                self.at(for_ms, Later::Quick(a, b));
            }
            Fault::Lossy { node, lost_of_1000, doubled_of_1000, for_ms } => {
                self.machines[node].switch.set(lost_of_1000, doubled_of_1000);
                self.at(for_ms, Later::Calm(node));
            }
            Fault::Crash { node, for_ms } => self.crash(node, for_ms),
            Fault::CutPower { node, after, .. } => self.machines[node].disk.cut_power_after(after),
            Fault::Full { node, for_ms } => {
                self.machines[node].disk.set_full(true);
                self.at(for_ms, Later::Room(node));
            }
            Fault::LoseSyncs { node, for_ms } => {
                self.machines[node].loses();
                self.machines[node].disk.lose_syncs();
                self.at(for_ms, Later::CutPower(node));
            }
            Fault::Flip { node } => {
                self.machines[node].flips();
                self.machines[node].disk.flip();
                self.crash(node, 50);
            }
            Fault::Tamper { node }
                if self.random.below(2) == 1 && self.machines[node].tamper_live(&mut self.random) =>
            {
                self.machines[node].flips();
                self.watch.lock().unwrap().count("states changed under a running node");
            }
            Fault::Tamper { node } => {
                self.crash(node, 50);
                if self.machines[node].tamper(&mut self.random) {
                    self.machines[node].flips();
                    self.watch.lock().unwrap().count(fault.name());
                }
            }
            Fault::Wipe { node, for_ms } => {
                self.crash(node, for_ms);
                self.wipe(node);
            }
        }
    }
}
