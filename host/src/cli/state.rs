//! `reprise state`: keys of the policy, and its projections. Nothing here can write.

use super::{
    args::StateCommand,
    error::{CliError, Exit},
    report::{Printer, Record, say},
    text,
};
use crate::{
    engine::on_engine_thread,
    journal::LedgerEntry,
    node::{Access, EngineChoice, Node, PackageExecutors},
    runner::Runner,
};
use reprise_receipts::{Head, system::POLICY_NAMESPACE};
use std::path::Path;

pub(crate) fn run(command: &StateCommand, dir: &Path, print: Printer) -> Result<Exit, CliError> {
    let node = Node::open(dir, Access::Read)?;
    match command {
        StateCommand::Get { ledger, key } => get(&node, &node.find_ledger(ledger)?, key, print),
        StateCommand::Scan { ledger, prefix, limit } => scan(&node, &node.find_ledger(ledger)?, prefix, *limit, print),
        StateCommand::View { ledger, view, args } => {
            let entry = node.find_ledger(ledger)?;
            match view {
                Some(name) => view_one(&node, &entry, name, args, print),
                None => view_names(&node, &entry, print),
            }
        }
    }
}

fn get(node: &Node, entry: &LedgerEntry, key: &str, print: Printer) -> Result<Exit, CliError> {
    let head = node.open_ledger(entry)?.head;
    let Some(value) = head.state().get(&policy_key(key)?) else {
        return Err(CliError::Refusal(format!("there is no key `{key}` at receipt count {}", head.next_seq())));
    };
    print.record(at(&head).with("key", key).with("value", text::bytes(value)));
    Ok(Exit::Done)
}

fn scan(node: &Node, entry: &LedgerEntry, prefix: &str, limit: usize, print: Printer) -> Result<Exit, CliError> {
    let head = node.open_ledger(entry)?.head;
    let prefix = policy_key(prefix)?;
    let row = |(key, value): (&[u8], &[u8])| {
        Record::new().with("key", text::state_key(key)).with("value", text::bytes(value))
    };
    print.rows(head.state().scan(&prefix, None).take(limit).map(row).collect());
    Ok(Exit::Done)
}

fn view_one(node: &Node, entry: &LedgerEntry, name: &str, args: &str, print: Printer) -> Result<Exit, CliError> {
    let mut head = node.open_ledger(entry)?.head;
    let shown = at(&head).with("view", name);
    let mut runner = runner(node);
    let (name, args) = (name.to_owned(), text::parse_bytes(args)?);
    let thread = on_engine_thread("reprise-view", move || {
        let seq = head.next_seq();
        let loaded = runner.in_force(&head)?;
        let view = loaded.executor.view(head.lend_state(), &name, &args);
        view.map_err(|error| CliError::Fault(format!("view at receipt count {seq}: {error}")))
    });
    let viewed = thread.map_err(|error| CliError::Fault(error.to_string()))?;
    let viewed = viewed.join().map_err(|_| CliError::Fault("the engine thread panicked".to_owned()))??;
    let bytes = viewed.map_err(|error| CliError::Refusal(error.to_string()))?;
    if print.is_json() {
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| text::bytes(&bytes).into());
        print.record(shown.with("value", value));
    } else {
        say(text::bytes(&bytes));
    }
    Ok(Exit::Done)
}

fn view_names(node: &Node, entry: &LedgerEntry, print: Printer) -> Result<Exit, CliError> {
    let head = node.open_ledger(entry)?.head;
    let (_, package) = node.find_package(&head.package().to_string())?;
    let row = |name: &String| Record::new().with("view", name.clone());
    print.rows(package.manifest.description.views.iter().map(row).collect());
    Ok(Exit::Done)
}

fn runner(node: &Node) -> Runner {
    Runner::new(Box::new(PackageExecutors::new(node.journal().clone(), EngineChoice::Cranelift, node.dir())))
}

fn at(head: &Head) -> Record {
    Record::new()
        .with("ledger", head.genesis_record().name.clone())
        .with("receipts", head.next_seq())
        .with("state root", head.state_root().to_string())
}

fn policy_key(text: &str) -> Result<Vec<u8>, CliError> {
    let mut key = vec![POLICY_NAMESPACE];
    key.extend_from_slice(&text::parse_bytes(text)?);
    Ok(key)
}
