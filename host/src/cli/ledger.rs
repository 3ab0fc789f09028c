//! `reprise ledger`: create, list, show; and the operators' commands resume and upgrade.

use super::{
    args::LedgerCommand,
    checkpoint, drivers,
    error::{CliError, Exit},
    grant,
    place::Place,
    report::{Printer, Record},
    status, submit, text,
};
use crate::{
    journal::LedgerEntry,
    node::{Access, Node},
    orderer::{Origin, Proposal},
    pipeline::Answer,
};
use reprise_abi::{Event, OutcomeClass, encode};
use reprise_receipts::{
    command::{COMMAND_KIND, Command},
    system::{self, epochs::Term},
};

pub(crate) fn run(command: &LedgerCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        LedgerCommand::Create { name, package } => create(place, name, package, print),
        LedgerCommand::List => list(place, print),
        LedgerCommand::Show { ledger } => show(place, ledger, print),
        LedgerCommand::Drivers { ledger, set, unset } => drivers::run(place, ledger, set, unset, print),
        LedgerCommand::Set(options) => checkpoint::set(options, place, print),
        LedgerCommand::Resume { ledger } => resume(place, ledger, print),
        LedgerCommand::Upgrade { ledger, package } => upgrade(place, ledger, package, print),
        LedgerCommand::Grant(options) => grant::sign(options, place.dir(), print),
    }
}

fn create(place: &Place<'_>, name: &str, package: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Write)?;
    let (digest, _) = node.find_package(package)?;
    if node.find_ledger(name).is_ok() {
        return Err(CliError::Refusal(format!("there is a ledger `{name}` already: choose another name")));
    }
    let entry = node.create_ledger(name, digest)?;
    print.record(describe(&entry));
    Ok(Exit::Done)
}

fn list(place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let mut rows = Vec::new();
    for entry in node.journal().ledgers()? {
        let reader = node.journal().read(entry.no)?;
        let row = Record::new()
            .with("name", entry.genesis.name.clone())
            .with("receipts", reader.size()?)
            .with("id", entry.id.to_string())
            .with("package", text::digest(entry.genesis.package));
        rows.push(match node.staleness(&entry)? {
            Some(stale) if print.is_json() => row.with("stale", stale),
            _ => row,
        });
    }
    print.rows(rows);
    Ok(Exit::Done)
}

fn show(place: &Place<'_>, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let operators: Vec<_> = entry.genesis.operators.iter().map(ToString::to_string).collect();
    let incidents = node.journal().read(entry.no)?.incidents()?;
    let attesters = node.journal().attesters(&entry)?;
    let epoch = |term: &Term| {
        let owner = term.owner.map(|owner| format!(", owned by {owner}")).unwrap_or_default();
        format!("{} from receipt {}, attested by {}{owner}", term.epoch, term.first_seq, term.attester)
    };
    let epochs: Vec<_> = attesters.terms().iter().map(epoch).collect();
    let incident = |(seq, what): (u64, String)| {
        serde_json::Value::from(Record::new().with("sequence number", seq).with("what", what))
    };
    print.record(
        status::ledger(&node, &entry)?
            .with("attester", attesters.in_force().attester.to_string())
            .with("epochs", epochs)
            .with("operators", operators)
            .with("operators that must sign", entry.genesis.operator_threshold)
            .with("host faults", incidents.into_iter().map(incident).collect::<Vec<_>>()),
    );
    Ok(Exit::Done)
}

fn resume(place: &Place<'_>, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Write)?;
    let entry = node.find_ledger(ledger)?;
    let open = node.open_ledger(&entry)?;
    let Some(halt) = system::halt(open.head.state()) else {
        return Err(CliError::Refusal(format!("ledger `{ledger}` is not halted")));
    };
    let command = Command::Resume { halted_at: halt.seq };
    carry_out(&node, &entry, command, &format!("resume-{}", halt.seq), print)
}

fn upgrade(place: &Place<'_>, ledger: &str, package: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Write)?;
    let entry = node.find_ledger(ledger)?;
    let head = node.open_ledger(&entry)?.head;
    let (to, new) = node.find_package(package)?;
    let (from, old) = node.find_package(&head.package().to_string())?;
    new.manifest.check_successor_of(&old.manifest).map_err(|error| {
        let name = |package: &reprise_receipts::Package| {
            format!("{}@{}", package.manifest.description.name, package.manifest.description.version)
        };
        CliError::Refusal(format!("{} may not take over from {}: {error}", name(&new), name(&old)))
    })?;
    let at = head.next_seq();
    carry_out(&node, &entry, Command::Upgrade { from, to, at }, &format!("upgrade-{at}"), print)
}

/// Signs a command with this node's operator key and submits it like any other event.
fn carry_out(node: &Node, entry: &LedgerEntry, command: Command, id: &str, print: &Printer) -> Result<Exit, CliError> {
    let operator = node.operator()?;
    let source = format!("operator/{}", operator.public());
    let payload = encode(&command.sign(entry.id, &operator));
    let event = Event { id: id.to_owned(), source, kind: COMMAND_KIND.to_owned(), payload };
    let answer = submit::submit_one(node, entry, Proposal { tag: 0, event, time_ms: None, origin: Origin::Submitted })?;
    let Answer::Receipt { seq, class, code, .. } = answer else {
        return Err(CliError::Fault("a command was answered without a receipt".to_owned()));
    };
    print.record(Record::new().with("receipt", seq).with("outcome", class.name()).with("code", code));
    if class == OutcomeClass::Accepted { Ok(Exit::Done) } else { Ok(Exit::Refused) }
}

fn describe(entry: &LedgerEntry) -> Record {
    Record::new()
        .with("name", entry.genesis.name.clone())
        .with("id", entry.id.to_string())
        .with("package", entry.genesis.package.to_string())
        .with("engine profile", entry.genesis.engine_profile.to_string())
        .with("attester", entry.genesis.attester.to_string())
}
