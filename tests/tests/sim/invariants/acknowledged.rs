//! Nothing acknowledged is lost: what a submitter was answered is durable on a quorum and, in the end, on every honest
//! node; what a member has said that it has, it has after a crash; and an event has one answer, however often it is
//! submitted.

use crate::{
    node::Machine,
    plan::Plan,
    workload::{Answered, Workload},
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::LeafHash;
use std::{collections::BTreeMap, rc::Rc};

pub struct Acknowledged {
    needed: usize,
    liar: Option<usize>,
    /// Members whose word counts: the first ones.
    voting: usize,
    /// Leaf hashes of the inputs that were answered, by sequence number.
    inputs: BTreeMap<u64, String>,
    nodes: Vec<Seen>,
    recount: bool,
}

/// What was seen of a node.
#[derive(Clone, Default)]
struct Seen {
    /// Leaf hashes of its receipts.
    leaves: Vec<String>,
    /// It has said that it has so many receipts.
    told: u64,
    /// It said so before its disk was lost, and others may still count on it.
    owed: u64,
    /// It was started, and nobody has looked at its journal since.
    is_new: bool,
}

impl Acknowledged {
    pub fn new(plan: &Plan) -> Self {
        Self {
            needed: plan.needed(),
            liar: plan.liar.map(|(liar, _)| liar),
            voting: plan.voting(),
            inputs: BTreeMap::new(),
            nodes: vec![Seen::default(); plan.nodes],
            recount: false,
        }
    }

    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    /// Receipts of a node, as they were seen last.
    pub fn size(&self, node: usize) -> u64 {
        self.nodes[node].leaves.len() as u64
    }

    /// Leaf hash of a receipt of a node, as it was seen last.
    pub fn leaf(&self, node: usize, seq: u64) -> Option<&String> {
        self.nodes[node].leaves.get(seq as usize)
    }

    pub fn told(&mut self, node: usize, size: u64) {
        let told = &mut self.nodes[node].told;
        *told = size.max(*told);
    }

    pub fn rolls_back(&mut self, node: usize, size: u64) {
        let seen = &mut self.nodes[node];
        (seen.told, seen.owed) = (size.min(seen.told), size.min(seen.owed));
    }

    pub fn restarts(&mut self, node: usize) {
        self.nodes[node].is_new = true;
    }

    pub fn loses_everything(&mut self, node: usize) {
        let seen = &mut self.nodes[node];
        *seen = Seen { is_new: true, owed: seen.told.max(seen.owed), ..Seen::default() };
    }

    /// `counts`: a member has its memory, and its word counts.
    pub fn check(
        &mut self,
        machines: &[Rc<Machine>],
        work: &mut Workload,
        counts: impl Fn(usize) -> bool,
    ) -> Result<(), String> {
        for machine in machines {
            self.look_at(machine)?;
        }
        for (event, answer, duplicate) in std::mem::take(&mut work.fresh) {
            self.is_about(machines, &answer, event, work)?;
            self.answered(event, answer, duplicate, work)?;
        }
        if std::mem::take(&mut self.recount) {
            for (seq, leaf) in &self.inputs {
                let (count, needed) = self.holders(machines, *seq, leaf);
                if count < needed {
                    return Err(format!("input {seq} is acknowledged and on {count} nodes"));
                }
            }
        }
        for machine in machines {
            let seen = &self.nodes[machine.number];
            let is_back = !seen.is_new && seen.leaves.len() as u64 >= seen.told.max(seen.owed);
            if is_back && counts(machine.number) && self.has_all(machine.number) {
                machine.has_all();
            }
        }
        Ok(())
    }

    /// On how many of the voting members a receipt is, and on how many it has to be.
    pub fn holders(&self, machines: &[Rc<Machine>], seq: u64, leaf: &String) -> (usize, usize) {
        let has = |node: &&Rc<Machine>| {
            // What a liar has nobody knows, and a damaged disk is not the fault of the nodes.
            let seen = &self.nodes[node.number];
            // Of one that went down it is checked when it comes back.
            let says_so = node.node().is_none() && seen.told > seq;
            self.liar == Some(node.number)
                || node.is_damaged()
                || says_so
                || seen.leaves.get(seq as usize) == Some(leaf)
        };
        (machines[..self.voting].iter().filter(has).count(), self.needed)
    }

    pub fn check_end(&self) -> Result<(), String> {
        for (number, _) in self.nodes.iter().enumerate().filter(|(number, _)| self.liar != Some(*number)) {
            if !self.has_all(number) {
                return Err(format!("something that was acknowledged is not on node {number}"));
            }
        }
        Ok(())
    }

    fn has_all(&self, node: usize) -> bool {
        let leaves = &self.nodes[node].leaves;
        !leaves.is_empty() && self.inputs.iter().all(|(seq, leaf)| leaves.get(*seq as usize) == Some(leaf))
    }

    /// Sees what is in a node's journal now.
    fn look_at(&mut self, machine: &Machine) -> Result<(), String> {
        let Some((node, entry)) = machine.ledger() else { return Ok(()) };
        let Ok(reader) = node.journal().read(entry.no) else { return Ok(()) };
        let Ok(size) = reader.size() else { return Ok(()) };
        let leaf = |seq: u64| reader.receipt(seq).ok().flatten().map(|bytes| LeafHash::of(&bytes).to_string());
        let seen = &mut self.nodes[machine.number];
        let last = seen.leaves.len().min(size as usize);
        let changed = last > 0 && leaf(last as u64 - 1).as_ref() != seen.leaves.get(last - 1);
        if seen.is_new || changed || (size as usize) < seen.leaves.len() {
            seen.leaves.clear();
            self.recount = true;
        }
        for seq in seen.leaves.len() as u64..size {
            let Some(leaf) = leaf(seq) else { break };
            seen.leaves.push(leaf);
        }
        if std::mem::take(&mut seen.is_new) && size < seen.told && !machine.is_damaged() {
            let (node, told) = (machine.number, seen.told);
            return Err(format!("node {node} has said that it has {told} receipts, and has {size} after a crash"));
        }
        Ok(())
    }

    fn answered(&mut self, event: usize, answer: Answered, duplicate: bool, work: &mut Workload) -> Result<(), String> {
        if let Some(first) = work.answers.insert(event, answer.clone())
            && (first != answer || !duplicate)
        {
            return Err(format!("event {event} was answered with {first:?}, and then with {answer:?}"));
        }
        let (seq, leaf) = answer;
        let known = self.inputs.entry(seq).or_insert_with(|| leaf.clone());
        if *known != leaf {
            return Err(format!("receipt {seq} is {known} in one answer and {leaf} in another"));
        }
        self.recount = true;
        Ok(())
    }

    /// The receipt that somebody was given is that of the event.
    fn is_about(
        &self,
        machines: &[Rc<Machine>],
        (seq, leaf): &Answered,
        event: usize,
        work: &Workload,
    ) -> Result<(), String> {
        let has = |machine: &&Rc<Machine>| self.leaf(machine.number, *seq) == Some(leaf);
        let input = machines.iter().filter(has).find_map(|machine| {
            let (node, entry) = machine.ledger()?;
            node.journal().read(entry.no).ok()?.input(*seq).ok()?
        });
        let Some(input) = input.and_then(|bytes| decode_canonical::<Input>(&bytes).ok()) else { return Ok(()) };
        // Its id may be what is wrong, and that is another invariant's.
        let submitted = work.event(event);
        let same = input.event.kind == submitted.kind && input.event.payload == submitted.payload;
        if same {
            Ok(())
        } else {
            Err(format!("event {event} was answered with receipt {seq}, which is another event's"))
        }
    }
}
