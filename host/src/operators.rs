//! Operators' commands: what they rest on, and the events that carry them. The same whether the ledger is open in this
//! process or a running node has it.

use crate::{
    effects::Owed,
    journal::LedgerEntry,
    node::{Node, NodeError},
};
use reprise_abi::{Event, encode};
use reprise_receipts::{
    LedgerId, PackageDigest, SigningKey, StateRoot,
    command::{COMMAND_KIND, Command},
    system,
};

/// Where a ledger stands, as far as its commands go. Everything of it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Receipts in it.
    pub size: u64,
    /// State root after the last one.
    pub state_root: Option<StateRoot>,
    /// The step after which it stands still, if it does.
    pub halted_at: Option<u64>,
    /// The package in force.
    pub package: PackageDigest,
    /// The package that may take over, if one was asked for.
    pub successor: Option<PackageDigest>,
}

impl Stand {
    /// Reads where a ledger stands, and finds the package that is to take over.
    ///
    /// # Errors
    /// [`NodeError`]: the journal cannot be read, or the package is not there or may not take over.
    pub fn read(node: &Node, entry: &LedgerEntry, package: Option<&str>) -> Result<Self, NodeError> {
        let owed = Owed::read(node.journal(), entry).map_err(|error| node.journal_error(error))?;
        let state = owed.view().state;
        let in_force = system::package_in_force(state).unwrap_or(entry.genesis.package);
        let successor = package.map(|selector| node.find_successor(&in_force, selector)).transpose()?;
        Ok(Self {
            ledger: entry.id,
            size: owed.size(),
            state_root: owed.state_root(),
            halted_at: system::halt(state).map(|halt| halt.seq),
            package: in_force,
            successor,
        })
    }

    /// The command that lifts the halt; `None` when there is none.
    #[must_use]
    pub fn resume(&self) -> Option<(String, Command)> {
        self.halted_at.map(|halted_at| (format!("resume-{halted_at}"), Command::Resume { halted_at }))
    }

    /// The command that puts the successor in force, in the next place; `None` when none was asked for.
    #[must_use]
    pub fn upgrade(&self) -> Option<(String, Command)> {
        let (from, at) = (self.package, self.size);
        self.successor.map(|to| (format!("upgrade-{at}"), Command::Upgrade { from, to, at }))
    }
}

/// The event that carries a command, signed by one operator.
#[must_use]
pub fn event(ledger: LedgerId, id: String, command: Command, operator: &SigningKey) -> Event {
    let source = format!("operator/{}", operator.public());
    Event { id, source, kind: COMMAND_KIND.to_owned(), payload: encode(&command.sign(ledger, operator)) }
}
