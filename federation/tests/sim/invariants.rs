//! What must hold in every run: one file for each invariant. They see what honest nodes do, from outside.

mod acknowledged;
mod epochs;
mod final_windows;
mod replay;
mod signing;
mod suspended;

use crate::node::SimNode;
use reprise_federation::{Message, Roster, Standing, window::FinalWindow};
use reprise_receipts::LeafHash;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

pub struct Invariants {
    pub final_windows: final_windows::FinalWindows,
    pub acknowledged: acknowledged::Acknowledged,
    pub epochs: epochs::Epochs,
    pub suspended: suspended::Suspended,
    pub signing: signing::Signing,
    pub replay: replay::Replay,
    violation: Option<Violation>,
}

impl Invariants {
    pub fn new(roster: &Roster, liar: Option<usize>) -> Self {
        Self {
            final_windows: Default::default(),
            acknowledged: acknowledged::Acknowledged::new(roster.needed(), liar),
            epochs: Default::default(),
            suspended: Default::default(),
            signing: Default::default(),
            replay: Default::default(),
            violation: None,
        }
    }

    fn note(&mut self, invariant: &'static str, result: Result<(), String>) {
        if let (Err(what), None) = (result, &self.violation) {
            self.violation = Some(Violation { invariant, what });
        }
    }

    pub fn sent(&mut self, node: u8, message: &Message) {
        if let Message::Vote(vote) = message {
            let result = self.signing.voted(node, vote);
            self.note("an honest node never signs two bodies for one sequence number", result);
        }
    }

    pub fn persisted(&mut self, node: u8, standing: &Standing, memory_lost: bool) {
        let result = self.epochs.promised(node, standing, memory_lost);
        self.note("an epoch never goes back", result);
    }

    pub fn applies(&mut self, node: u8, standing: Option<&Standing>) {
        let result = self.suspended.applies(node, standing);
        self.note("a suspended ledger does not advance", result);
    }

    pub fn rolled_back(&mut self, node: u8, to: u64) {
        let result = self.final_windows.rolled_back(node, to);
        self.note("what is final is not taken back", result);
    }

    pub fn acknowledged(&mut self, inputs: Vec<(u64, LeafHash)>) {
        self.acknowledged.add(inputs);
    }

    pub fn finalised(&mut self, node: u8, window: &FinalWindow) {
        let result = self.final_windows.add(node, window);
        self.note("no two final windows differ at one sequence number", result);
    }

    /// After every event.
    pub fn check(&mut self, nodes: &[SimNode]) -> Result<(), Violation> {
        let result = self.epochs.check(nodes);
        self.note("an epoch never goes back", result);
        let result = self.acknowledged.check(nodes);
        self.note("nothing acknowledged is lost", result);
        let result = self.replay.check(nodes);
        self.note("every durable receipt replays", result);
        let result = self.suspended.check(nodes);
        self.note("a suspended ledger does not advance", result);
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// When everything has come to rest.
    pub fn check_end(&mut self, nodes: &[SimNode]) -> Result<(), Violation> {
        self.check(nodes)?;
        let result = self.acknowledged.check_end(nodes);
        self.note("nothing acknowledged is lost", result);
        self.violation.clone().map_or(Ok(()), Err)
    }
}
