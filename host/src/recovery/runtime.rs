//! Faults of a running policy: what the ledger does about them by itself, and what is left for an operator.
//!
//! A guest that traps, runs out of fuel or goes over a limit costs its own step and nothing else: the step has a receipt
//! that says so. Enough of them in a row, or one broken invariant, halt the ledger by a rule that every node computes
//! alike. A halted ledger takes nothing but commands. A fault of the host never gets a receipt: the input stays first in
//! line, and the journal keeps an incident.

use reprise_abi::{OutcomeClass, limits::GUEST_FAULTS_MAX};
use reprise_receipts::{
    Head,
    command::Command,
    system::{self, Halt},
};

/// What a policy's faults have come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The ledger stands still since then.
    pub halt: Option<Halt>,
    /// Guest faults in a row.
    pub faults: u64,
    /// Guest faults in a row that halt a ledger.
    pub faults_max: u64,
    /// Host faults on record, for the next sequence number.
    pub host_faults: Vec<String>,
    /// What to do, one thing after the other.
    pub actions: Vec<Action>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the input and the outcome of a step.
    LookAt {
        /// Which step.
        seq: u64,
    },
    /// Run the step on another engine.
    Replay {
        /// Which step.
        seq: u64,
    },
    /// Put a mended package in force.
    Upgrade,
    /// Sign this command: as many operators as the ledger asks for.
    Sign(Command),
    /// Submit again: the input that failed is still first in line.
    SubmitAgain,
    /// Nothing.
    Nothing,
}

/// What to do about a ledger's faults.
#[must_use]
pub fn advise(head: &Head, incidents: &[(u64, String)]) -> Advice {
    let halt = system::halt(head.state());
    let here = incidents.iter().filter(|(seq, _)| *seq == head.next_seq());
    let host_faults: Vec<String> = here.map(|(_, what)| what.clone()).collect();
    let mut actions = Vec::new();
    if let Some(halt) = halt {
        actions.push(Action::LookAt { seq: halt.seq });
        actions.push(Action::Replay { seq: halt.seq });
        if halt.class == OutcomeClass::InvariantViolated {
            actions.push(Action::Upgrade);
        }
        actions.push(Action::Sign(Command::Resume { halted_at: halt.seq }));
    }
    if !host_faults.is_empty() {
        actions.push(Action::SubmitAgain);
    }
    if actions.is_empty() {
        actions.push(Action::Nothing);
    }
    let faults = system::guest_faults(head.state());
    Advice { halt, faults, faults_max: GUEST_FAULTS_MAX, host_faults, actions }
}

impl Action {
    /// The command line that does it.
    #[must_use]
    pub fn command_line(&self, ledger: &str) -> String {
        match self {
            Self::LookAt { seq } => format!("reprise receipts show {ledger} {seq}"),
            Self::Replay { seq } => format!("reprise replay {ledger} {seq}..{} --engine pulley --changes", seq + 1),
            Self::Upgrade => format!("reprise ledger upgrade {ledger} --package NAME@VERSION"),
            Self::Sign(_) => format!("reprise ledger resume {ledger}"),
            Self::SubmitAgain => format!("reprise submit {ledger} FILE"),
            Self::Nothing => "nothing: the policy runs".to_owned(),
        }
    }
}
