//! `reprise state`: keys of the policy, and its projections. Nothing here can write.

use super::{
    args::StateCommand,
    error::{CliError, Exit},
    place::{Opened, Place},
    report::{Printer, Record},
    text,
};
use crate::{
    engine::on_engine_thread,
    journal::LedgerEntry,
    node::{Access, EngineChoice, Node, PackageExecutors, read_bounded},
    projection::{self, Checked, ProjectionError},
    runner::Runner,
};
use reprise_abi::{Canonical, decode_canonical, encode};
use reprise_receipts::{
    Head,
    projection::{Projection, ProjectionFile},
    system::POLICY_NAMESPACE,
};
use std::{fs::OpenOptions, io::Write, path::Path};

pub(crate) fn run(command: &StateCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    match command {
        StateCommand::Get { ledger, key } => get(&node, &node.find_ledger(ledger)?, key, print),
        StateCommand::Scan { ledger, prefix, limit } => scan(&node, &node.find_ledger(ledger)?, prefix, *limit, print),
        StateCommand::View { ledger, view, args, out } => {
            let entry = node.find_ledger(ledger)?;
            match view {
                Some(name) => view_one(&node, &entry, (name, args), out.as_deref(), print),
                None => view_names(&node, &entry, print),
            }
        }
        StateCommand::CheckProjection { file } => check_projection(&node, file, print),
    }
}

fn get(node: &Node, entry: &LedgerEntry, key: &str, print: &Printer) -> Result<Exit, CliError> {
    let head = node.open_ledger(entry)?.head;
    let Some(value) = head.state().get(&policy_key(key)?) else {
        return Err(CliError::Refusal(format!("there is no key `{key}` at receipt count {}", head.next_seq())));
    };
    print.record(at(&head).with("key", key).with("value", text::bytes(value)));
    Ok(Exit::Done)
}

fn scan(node: &Node, entry: &LedgerEntry, prefix: &str, limit: usize, print: &Printer) -> Result<Exit, CliError> {
    let head = node.open_ledger(entry)?.head;
    let prefix = policy_key(prefix)?;
    let row = |(key, value): (&[u8], &[u8])| {
        Record::new().with("key", text::state_key(key)).with("value", text::bytes(value))
    };
    print.rows(head.state().scan(&prefix, None).take(limit).map(row).collect());
    Ok(Exit::Done)
}

fn view_one(
    node: &Node,
    entry: &LedgerEntry,
    (name, args): (&str, &str),
    out: Option<&Path>,
    print: &Printer,
) -> Result<Exit, CliError> {
    let mut head = node.open_ledger(entry)?.head;
    let shown = at(&head).with("view", name);
    let mut runner = runner(node);
    let (name, args) = (name.to_owned(), text::parse_bytes(args)?);
    let thread = on_engine_thread("reprise-view", move || projection::project(&mut runner, &mut head, &name, &args));
    let viewed = thread.map_err(|error| CliError::Fault(error.to_string()))?;
    let viewed = viewed.join().map_err(|_| CliError::Fault("the engine thread panicked".to_owned()))?;
    let projection = viewed.map_err(projection_error)?;
    let file = projection.into_file();
    if let Some(path) = out {
        write_new(path, &encode(&file))?;
    }
    let bytes = &file.projection.answer;
    if print.is_json() {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_else(|_| text::bytes(bytes).into());
        print.record(shown.with("projection root", file.root.to_string()).with("value", value));
    } else {
        print.say(text::bytes(bytes));
    }
    Ok(Exit::Done)
}

pub(super) fn check_projection(node: &Opened<'_>, path: &Path, print: &Printer) -> Result<Exit, CliError> {
    let bytes = read_bounded(path, ProjectionFile::BYTES_MAX as u64)?;
    let file: ProjectionFile = decode_canonical(&bytes)
        .map_err(|error| CliError::Refusal(format!("{} is no projection: {error}", path.display())))?;
    let Projection { ledger, size, state_root, view, .. } = &file.projection;
    let entry = node.find_ledger(&ledger.to_string())?;
    let checked = projection::check(&node.site(&entry, EngineChoice::Cranelift), &file.projection);
    let (verdict, why, exit) = match checked.map_err(projection_error)? {
        Checked::Match => ("match", None, Exit::Done),
        Checked::OtherState { expected } => ("divergent", Some(format!("the state here is {expected}")), Exit::Refused),
        Checked::OtherPackage { expected } => {
            ("divergent", Some(format!("package {expected} was in force")), Exit::Refused)
        }
        Checked::OtherAnswer { expected } => {
            ("divergent", Some(format!("the view says {}", text::bytes(&expected))), Exit::Refused)
        }
        Checked::Incomparable(missing) => ("incomparable", Some(missing.to_string()), Exit::Incomparable),
    };
    let record = Record::new().with("ledger", entry.genesis.name.clone()).with("receipts", *size);
    let record = record.with("state root", state_root.to_string()).with("view", view.clone());
    print.record(record.with("projection root", file.root.to_string()).with("verdict", verdict).with("why", why));
    Ok(exit)
}

fn projection_error(error: ProjectionError) -> CliError {
    match error {
        ProjectionError::View(_) | ProjectionError::Bounds(_) => CliError::Refusal(error.to_string()),
        ProjectionError::Run(error) => error.into(),
        ProjectionError::Recovery(error) => error.into(),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let file_error = |error| CliError::File { path: path.to_owned(), error };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(file_error)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(file_error)
}

fn view_names(node: &Node, entry: &LedgerEntry, print: &Printer) -> Result<Exit, CliError> {
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
