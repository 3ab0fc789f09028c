//! What must hold in every run: one file for each invariant. They see what honest nodes do, and what is on their disks.

mod acknowledged;
mod epochs;
mod final_windows;
mod replay;
mod signing;
mod suspended;

use crate::{node::Machine, workload::Workload};
use reprise_federation::{Action, Message, Standing};
use reprise_receipts::Package;
use std::rc::Rc;

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
    epochs: epochs::Epochs,
    signing: signing::Signing,
    suspended: suspended::Suspended,
    /// A node that lies: what it does is not held against anybody.
    liar: Option<usize>,
    standings: Vec<Option<Standing>>,
    violation: Option<Violation>,
}

impl Invariants {
    /// Of so many nodes, of which a quorum is `needed`.
    pub fn new(nodes: usize, needed: usize, package: &Package, liar: Option<usize>) -> Self {
        Self {
            acknowledged: acknowledged::Acknowledged::new(nodes, needed, liar),
            final_windows: Default::default(),
            replay: replay::Replay::new(package),
            epochs: Default::default(),
            signing: Default::default(),
            suspended: Default::default(),
            liar,
            standings: vec![None; nodes],
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
            Action::Send { message: Message::Ack(ack), .. } => self.acknowledged.told(node, ack.have.size),
            Action::Acknowledge { size, .. } => self.acknowledged.told(node, *size),
            Action::RollBack { to, .. } => {
                let result = self.final_windows.rolled_back(node, to.size);
                self.note("what is final is not taken back", result);
                self.acknowledged.rolls_back(node, to.size);
            }
            Action::Final { window, .. } => {
                let result = self.final_windows.add(node, window);
                self.note("no two final windows differ at one sequence number", result);
                self.replay.is_final(node, window.mark);
            }
            _ => {}
        }
    }

    /// A node has made this durable.
    pub fn persisted(&mut self, node: usize, now_ms: u64, standing: &Standing) {
        if self.liar != Some(node) {
            let result = self.epochs.promised(node, standing);
            self.note("an epoch never goes back, nor what is signed", result);
            self.suspended.stands(node, now_ms, standing.suspended.is_some());
        }
        self.standings[node] = Some(standing.clone());
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
        self.standings[node] = None;
    }

    /// Now and then.
    pub fn check(&mut self, now_ms: u64, machines: &[Rc<Machine>], work: &mut Workload) -> Result<(), Violation> {
        let result = self.acknowledged.check(machines, work);
        self.note("nothing acknowledged is lost", result);
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
    pub fn check_end(&mut self) -> Result<(), Violation> {
        let result = self.acknowledged.check_end();
        self.note("nothing acknowledged is lost", result);
        self.violation.clone().map_or(Ok(()), Err)
    }

    fn note(&mut self, invariant: &'static str, result: Result<(), String>) {
        if let (Err(what), None) = (result, &self.violation) {
            self.violation = Some(Violation { invariant, what });
        }
    }
}
