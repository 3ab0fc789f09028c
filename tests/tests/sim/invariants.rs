//! What must hold in every run: one file for each invariant. They see what honest nodes do, and what is on their disks.

mod acknowledged;
mod committed;
mod convicted;
mod decisions;
mod epochs;
mod final_windows;
mod once;
mod replay;
mod signing;
mod suspended;

use crate::{
    node::{Machine, Packages, key},
    plan::Plan,
    workload::Workload,
};
use reprise_federation::{Action, Message, NodeKey, Standing, message::Standpoint};
use reprise_receipts::PublicKey;
use std::{collections::BTreeMap, rc::Rc};

/// The keys that honest nodes sign with.
pub type Signers = BTreeMap<PublicKey, usize>;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

pub struct Invariants {
    pub acknowledged: acknowledged::Acknowledged,
    pub final_windows: final_windows::FinalWindows,
    pub replay: replay::Replay,
    committed: committed::Committed,
    convicted: convicted::Convicted,
    pub decisions: decisions::Decisions,
    epochs: epochs::Epochs,
    once: once::Once,
    signing: signing::Signing,
    suspended: suspended::Suspended,
    /// A node that lies: what it does is not held against anybody.
    liar: Option<usize>,
    /// What is durable.
    standings: Vec<Option<Standing>>,
    violation: Option<Violation>,
}

impl Invariants {
    pub fn new(plan: &Plan, packages: &Packages) -> Self {
        let honest = (0..plan.nodes).filter(|node| !plan.is_liar(*node));
        let signers: Signers = honest.map(|node| (key(node, 1).public(), node)).collect();
        Self {
            acknowledged: acknowledged::Acknowledged::new(plan),
            final_windows: final_windows::FinalWindows::new(plan.needed()),
            replay: replay::Replay::new(&packages.lease),
            committed: Default::default(),
            convicted: convicted::Convicted::new(signers.clone()),
            decisions: decisions::Decisions::new(&packages.reconcile),
            epochs: epochs::Epochs::new(NodeKey(key(0, 0).public())),
            once: Default::default(),
            signing: signing::Signing::new(signers),
            suspended: Default::default(),
            liar: plan.liar.map(|(liar, _)| liar),
            standings: vec![None; plan.nodes],
            violation: None,
        }
    }

    /// What a node has promised and signed, as it was written last.
    pub fn standing(&self, node: usize) -> Option<&Standing> {
        self.standings[node].as_ref()
    }

    /// A node is about to do this.
    pub fn action(&mut self, node: usize, action: &Action) {
        if self.liar == Some(node) {
            return;
        }
        match action {
            Action::Send { message: Message::Vote(vote), .. } => {
                let result = self.signing.voted(node, vote, self.standings[node].as_ref());
                self.note("an honest node never signs two bodies for one sequence number", result);
            }
            // What it has while it takes something back is no promise.
            Action::Send { message: Message::Ack(ack), .. } if ack.standpoint == Standpoint::Agrees => {
                self.acknowledged.told(node, ack.have.size);
            }
            Action::Send { message: Message::Promise(promise), .. } => self.acknowledged.told(node, promise.log.size),
            Action::Send { message: Message::Append(append), .. } => self.orders(node, append.epoch),
            Action::Lead { epoch, .. } => self.orders(node, *epoch),
            Action::Acknowledge { size, .. } => self.acknowledged.told(node, *size),
            Action::RollBack { to, .. } => {
                let result = self.final_windows.rolled_back(node, to.size);
                self.note("what is final is not taken back", result);
                self.acknowledged.rolls_back(node, to.size);
            }
            Action::Final { window, .. } => {
                let result = self.final_windows.add(node, window);
                self.note("no two final windows differ at one sequence number", result);
                let result = self.signing.counted(node, window);
                self.note("a final window has only votes that were cast", result);
                self.replay.is_final(node, window.mark);
            }
            Action::Evidence(evidence) => {
                let result = self.convicted.shown(node, evidence);
                self.note("no honest node is convicted", result);
            }
            _ => {}
        }
    }

    /// Operators have granted an epoch to a member.
    pub fn granted(&mut self, epoch: u64, owner: usize) {
        self.epochs.granted(epoch, NodeKey(key(owner, 0).public()));
    }

    fn orders(&mut self, node: usize, epoch: u64) {
        let result = self.epochs.orders(node, NodeKey(key(node, 0).public()), epoch);
        self.note("only the member to which it was granted orders in an epoch", result);
    }

    /// A node has made this durable, as far as it knows; `kept` is what the disk has of it.
    pub fn persisted(&mut self, node: usize, now_ms: u64, standing: &Standing, kept: Option<&Standing>) {
        if self.liar != Some(node) {
            let result = self.epochs.promised(node, standing);
            self.note("an epoch never goes back, nor what is signed", result);
            self.suspended.stands(node, now_ms, standing.suspended.is_some());
            self.committed.claims(node, standing.committed);
        }
        self.standings[node] = kept.cloned();
    }

    /// A node is started again.
    pub fn restarts(&mut self, node: usize) {
        self.acknowledged.restarts(node);
    }

    /// A node has lost all that it had.
    pub fn loses_everything(&mut self, node: usize) {
        self.epochs.loses_everything(node);
        self.suspended.loses_everything(node);
        self.acknowledged.loses_everything(node);
        self.final_windows.loses_everything(node);
        self.committed.loses_everything(node);
        self.standings[node] = None;
    }

    /// Now and then.
    pub fn check(&mut self, now_ms: u64, machines: &[Rc<Machine>], work: &mut Workload) -> Result<(), Violation> {
        let standings = &self.standings;
        let counts = |node: usize| standings[node].as_ref().is_some_and(|standing| !standing.rejoining);
        let result = self.acknowledged.check(machines, work, counts);
        self.note("nothing acknowledged is lost", result);
        let result = self.committed.check(&self.acknowledged, machines);
        self.note("what is committed is on a quorum", result);
        let result = self.replay.check(machines);
        self.note("every final receipt replays", result);
        let liar = self.liar;
        for node in (0..machines.len()).filter(|node| Some(*node) != liar) {
            let result = self.suspended.check(node, now_ms, self.acknowledged.size(node));
            self.note("a suspended ledger does not advance", result);
        }
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// When everything has come to rest.
    pub fn check_end(&mut self, machines: &[Rc<Machine>], work: &Workload) -> Result<(), Violation> {
        let result = self.acknowledged.check_end();
        self.note("nothing acknowledged is lost", result);
        let honest = machines.iter().find(|machine| Some(machine.number) != self.liar);
        let result = honest.map_or(Ok(()), |machine| self.once.check_end(machine, work));
        self.note("every event is in the log once", result);
        let liar = self.liar;
        for machine in machines.iter().filter(|machine| Some(machine.number) != liar) {
            let result = self.decisions.check_end(machine);
            self.note("every decision on a node's own ledger replays", result);
        }
        self.violation.clone().map_or(Ok(()), Err)
    }

    fn note(&mut self, invariant: &'static str, result: Result<(), String>) {
        if let (Err(what), None) = (result, &self.violation) {
            self.violation = Some(Violation { invariant, what });
        }
    }
}
