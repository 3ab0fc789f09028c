//! `reprise ledger resume` and `upgrade`: operators' commands, signed here, ordered by the running node if there is one.

use super::{
    error::{CliError, Exit},
    node::{client, gone, running},
    report::{Printer, Record},
    submit,
};
use crate::{
    daemon::control::Wanted,
    journal::LedgerEntry,
    keys,
    node::{Access, Node},
    operators::{self, Stand},
    orderer::{Origin, Proposal},
    pipeline::Answer,
    succession,
};
use reprise_abi::OutcomeClass;
use reprise_receipts::command::{Command, CommandError};
use serde_json::Value;
use std::path::Path;

/// How often an upgrade is signed for the next place in the ledger, when an event was ordered there first.
const PLACES_MAX: u32 = 8;

/// Lifts the halt of a ledger.
pub(super) fn resume(dir: &Path, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let desk = Desk::open(dir, ledger)?;
    let stand = desk.stand(None)?;
    let (id, command) = stand.resume().ok_or_else(|| CliError::Refusal(format!("ledger `{ledger}` is not halted")))?;
    Ok(desk.order(&stand, id, command)?.print(print))
}

/// Puts another package in force.
pub(super) fn upgrade(dir: &Path, ledger: &str, package: &str, print: &Printer) -> Result<Exit, CliError> {
    let desk = Desk::open(dir, ledger)?;
    let mut places = 1;
    loop {
        let stand = desk.stand(Some(package))?;
        let (id, command) = stand.upgrade().expect("a package was asked for");
        let ordered = desk.order(&stand, id, command)?;
        if ordered.is_elsewhere() && places < PLACES_MAX {
            places += 1;
            continue;
        }
        return Ok(ordered.print(print));
    }
}

/// Where commands are handed in.
enum Desk<'a> {
    /// No node runs: the ledger is opened here.
    Here { node: Box<Node>, entry: Box<LedgerEntry> },
    /// A node runs in this directory, and has the ledger.
    Running { dir: &'a Path, ledger: &'a str },
}

/// What became of a command.
struct Ordered {
    seq: u64,
    class: String,
    code: u64,
}

impl<'a> Desk<'a> {
    fn open(dir: &'a Path, ledger: &'a str) -> Result<Self, CliError> {
        if client(dir)?.is_some() {
            return Ok(Self::Running { dir, ledger });
        }
        let node = Node::open(dir, Access::Write)?;
        let entry = node.find_ledger(ledger)?;
        // What is wrong with the ledger is said before anything is signed.
        node.open_ledger(&entry)?;
        Ok(Self::Here { node: Box::new(node), entry: Box::new(entry) })
    }

    fn stand(&self, package: Option<&str>) -> Result<Stand, CliError> {
        match self {
            Self::Here { node, entry } => Ok(Stand::read(node, entry, package)?),
            Self::Running { dir, ledger } => {
                let stand = running(dir)?.stands(ledger, package).map_err(gone)?;
                stand.map_err(CliError::Refusal)
            }
        }
    }

    /// Signs a command with the operator key of the node's directory, and has it ordered.
    fn order(&self, stand: &Stand, id: String, command: Command) -> Result<Ordered, CliError> {
        match self {
            Self::Here { node, entry } => {
                let event = operators::event(stand.ledger, id, command, &node.operator()?);
                let proposal = Proposal { tag: 0, event, time_ms: None, origin: Origin::Submitted };
                match submit::submit_one(node, entry, proposal)? {
                    Answer::Receipt { seq, class, code, .. } => {
                        Ok(Ordered { seq, class: class.name().to_owned(), code: code.into() })
                    }
                    _ => Err(CliError::Fault("a command was answered without a receipt".to_owned())),
                }
            }
            Self::Running { dir, ledger } => {
                let operator = keys::read_signing(&dir.join("keys").join("operator.key"))?;
                let event = operators::event(stand.ledger, id, command, &operator);
                let (ledger, id) = ((*ledger).to_owned(), event.id);
                let wanted = Wanted::Order { ledger, id, command: succession::hex(&event.payload) };
                Ordered::of(&running(dir)?.ask(&wanted).map_err(gone)?)
            }
        }
    }
}

impl Ordered {
    fn of(answer: &Value) -> Result<Self, CliError> {
        if let Some(why) = answer["error"].as_str() {
            return Err(CliError::Refusal(why.to_owned()));
        }
        match (answer["seq"].as_u64(), answer["outcome"].as_str(), answer["code"].as_u64()) {
            (Some(seq), Some(class), Some(code)) => Ok(Self { seq, class: class.to_owned(), code }),
            _ => Err(CliError::Fault(format!("the running node gave no receipt: {answer}"))),
        }
    }

    /// An event was ordered in the place that the command was signed for.
    fn is_elsewhere(&self) -> bool {
        self.class == OutcomeClass::Rejected.name() && self.code == u64::from(CommandError::OtherPlace as u32)
    }

    fn print(&self, print: &Printer) -> Exit {
        print.record(
            Record::new().with("receipt", self.seq).with("outcome", self.class.clone()).with("code", self.code),
        );
        if self.class == OutcomeClass::Accepted.name() { Exit::Done } else { Exit::Refused }
    }
}
