//! The end of a run: faults stop, and everything comes to rest.

use super::{LATENCY_MS, Later, Run};
use crate::{
    invariants::Violation,
    node::{Machine, name},
};
use reprise_abi::{Input, Outcome, decode_canonical};
use reprise_receipts::StepRecord;
use std::{rc::Rc, time::Duration};

impl Run {
    pub(super) fn make_peace(&mut self) {
        self.is_peace.set(true);
        self.later.retain(|_, what| matches!(what, Later::Restart(_) | Later::Tell));
        for a in 0..self.plan.nodes {
            let machine = &self.machines[a];
            machine.switch.set(0, 0);
            machine.disk.is_left_alone();
            for b in 0..a {
                self.sim.repair(name(a), name(b));
                self.sim.set_link_max_message_latency(name(a), name(b), Duration::from_millis(LATENCY_MS.1));
            }
        }
        if let Some((liar, _)) = self.plan.liar {
            // Whoever has found it out cuts it off.
            self.is_down[liar] = true;
            self.hosts(liar).into_iter().for_each(|host| self.sim.crash(host));
        }
        self.work.borrow_mut().is_over = true;
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.now_ms.is_multiple_of(100) && self.converged().is_ok()
    }

    pub(super) fn converged(&self) -> Result<(), Violation> {
        let invariant = "when faults stop, all honest nodes come to the same log, and it is final";
        let watch = self.watch.lock().unwrap();
        let honest = || self.machines.iter().filter(|machine| !self.plan.is_liar(machine.number));
        let heads: Vec<_> = honest().map(|machine| machine.head()).collect();
        let size = heads[0].as_ref().map_or(0, |head| head.0);
        let same = size > 0 && heads.iter().all(|head| *head == heads[0]);
        let standing = |node| watch.invariants.standing(node);
        let has_final = |machine: &Rc<Machine>| standing(machine.number).is_some_and(|it| it.last_final.size == size);
        let is_final = honest().all(has_final);
        if same && is_final && self.work.borrow().is_answered() {
            return Ok(());
        }
        let describe = |machine: &Rc<Machine>| {
            let standing = standing(machine.number)
                .map(|it| (it.committed, it.signed.size, it.last_final.size, it.suspended, it.rejoining));
            let head = machine.head().map(|head| head.0);
            let ailment = machine.ailment.borrow().clone();
            let decided = if head.is_none_or(|head| head < size) { last_decisions(machine) } else { Vec::new() };
            format!(
                "{}: {head:?} receipts, {standing:?} {} {decided:?}",
                name(machine.number),
                ailment.unwrap_or_default()
            )
        };
        let nodes = honest().map(describe).collect::<Vec<_>>().join("; ");
        let waiting = self.work.borrow().waiting();
        Err(Violation { invariant, what: format!("{nodes}; {waiting} events without an answer") })
    }
}

/// What a node has decided last: for whoever looks into a violation.
fn last_decisions(machine: &Machine) -> Vec<String> {
    let Some((node, entry)) = machine.own_ledger() else { return Vec::new() };
    let Ok(reader) = node.journal().read(entry.no) else { return Vec::new() };
    let size = reader.size().unwrap_or(0);
    let step = |seq| {
        let input: Input = decode_canonical(&reader.input(seq).ok()??).ok()?;
        let record: StepRecord = decode_canonical(&reader.record(seq).ok()??).ok()?;
        let answer = match &record.output.outcome {
            Outcome::Accepted { answer } => String::from_utf8_lossy(answer).into_owned(),
            other => format!("{other:?}"),
        };
        let (time_ms, kind) = (input.logical_time_ms, input.event.kind);
        Some(format!("{seq} at {time_ms}: {kind}: {answer}, {} orders", record.output.effects.len()))
    };
    (size.saturating_sub(6)..size).filter_map(step).collect()
}
