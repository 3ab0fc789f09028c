//! `reprise demo`: a recorded incident from its first event to a verified ledger, and to a damaged copy; then the same
//! incident on three nodes, of which one is cut off, one killed and one damaged.

mod three;

use super::{
    args::DemoOptions,
    error::{CliError, Exit},
    package, receipts,
    report::Printer,
    session, text, verify,
};
use crate::{
    engine::on_engine_thread,
    events::EventLines,
    journal::{LedgerEntry, tamper::Record},
    node::{Access, EngineChoice, Node, PackageExecutors, code_cache},
    orderer::TimeSource,
    pipeline::{Answer, Request},
    runner::Runner,
    verify::VerifyOptions,
};
use reprise_abi::{OutcomeClass, decode_canonical};
use reprise_receipts::{NoteKey, Package, Verdict};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

/// The policy that the demonstration runs.
pub(crate) const PACKAGE: &[u8] = include_bytes!("../../../fixtures/packages/lease-1.0.0.reprise");
/// The key of its publisher.
pub(crate) const PUBLISHER: &str = include_str!("../../../fixtures/packages/example-publisher.pub");
/// The recorded incident.
pub(crate) const INCIDENT: &str = include_str!("../../../fixtures/incidents/rank-loss-and-split.jsonl");

pub(crate) fn run(options: &DemoOptions) -> Result<Exit, CliError> {
    let temporary = tempfile::tempdir().map_err(|error| CliError::File { path: std::env::temp_dir(), error })?;
    let dir = options.keep.clone().unwrap_or_else(|| temporary.path().join("node"));
    let (node, entry) = set_up(&dir)?;
    introduce(&node, &entry)?;
    submit(&node, &entry)?;
    what_was_decided(&node, &entry)?;
    one_receipt(&node, &entry)?;
    verify_everywhere(&node, &entry)?;
    drop(node);
    let blamed = damaged_copy(&dir, &temporary.path().join("copy"))?;
    three::run(temporary.path())?;
    where_to_go(options.keep.as_ref());
    if blamed { Ok(Exit::Done) } else { Err(CliError::Fault("the damage was not found".to_owned())) }
}

/// A node with the built-in package and a ledger under it.
pub(crate) fn set_up(dir: &Path) -> Result<(Node, LedgerEntry), CliError> {
    let node = Node::init(dir)?;
    let package: Package =
        decode_canonical(PACKAGE).map_err(|error| CliError::Fault(format!("the built-in package: {error}")))?;
    let publisher = NoteKey::parse(PUBLISHER.trim())
        .map_err(|error| CliError::Fault(format!("the built-in publisher's key: {error}")))?;
    package::admit(&package, code_cache(dir)).map_err(CliError::Refusal)?;
    node.trust_publisher(&publisher)?;
    let digest = node.add_package(&package)?;
    let entry = node.create_ledger("incident", digest)?;
    Ok((node, entry))
}

fn introduce(node: &Node, entry: &LedgerEntry) -> Result<(), CliError> {
    chapter("A node, a policy, a ledger");
    let (digest, package) = node.find_package(&entry.genesis.package.to_string())?;
    let description = &package.manifest.description;
    println!("node      {} (attester {})", node.dir().display(), text::digest(node.attester()?.public()));
    println!(
        "policy    {} {}, {} bytes of WebAssembly signed by {}, package {}",
        description.name,
        description.version,
        text::count(package.component.len() as u64),
        package.manifest.publisher,
        text::digest(digest)
    );
    println!("ledger    {}", text::digest(entry.id));
    Ok(())
}

fn submit(node: &Node, entry: &LedgerEntry) -> Result<(), CliError> {
    chapter("The recorded incident goes through the sandbox");
    let started = Instant::now();
    let lines = EventLines::new(INCIDENT.as_bytes()).map(|line| {
        line.map(Request::from).map_err(|error| CliError::Line {
            file: "the built-in incident".to_owned(),
            error,
            advice: String::new(),
        })
    });
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let committed = session::run(node, entry, TimeSource::Event, lines, |answer| {
        let what = match &answer {
            Answer::Receipt { duplicate: true, .. } => "duplicates, answered as the first time",
            Answer::Receipt { class: OutcomeClass::Accepted, .. } => "accepted",
            Answer::Receipt { class: OutcomeClass::Rejected, .. } => "rejected by the policy",
            Answer::Receipt { .. } => "guest faults",
            Answer::Refused { .. } => "refused",
            Answer::Advanced { .. } => "timers and deadlines that were due",
        };
        *outcomes.entry(what).or_default() += 1;
    })?;
    let outcomes: Vec<_> = outcomes.iter().map(|(what, n)| format!("{} {what}", text::count(*n))).collect();
    println!("events    {}", outcomes.join(", "));
    println!(
        "receipts  {} durable and signed in {} ({} commits)",
        text::count(committed.size),
        seconds(started.elapsed()),
        committed.groups
    );
    Ok(())
}

fn what_was_decided(node: &Node, entry: &LedgerEntry) -> Result<(), CliError> {
    chapter("What was decided, and why");
    let report = view(node, entry, "report")?;
    let report: serde_json::Value =
        serde_json::from_slice(&report).map_err(|error| CliError::Fault(format!("view `report`: {error}")))?;
    print_tree(&report, 0);
    println!("\nThe timeline of the recovery, from the receipts alone:");
    let reader = node.journal().read(entry.no)?;
    for seq in decisive(node, entry)? {
        let step = receipts::Step::read(&reader, seq)?;
        println!("  {}", step.line());
    }
    Ok(())
}

/// Steps with effects: what the policy told the outside world to do.
fn decisive(node: &Node, entry: &LedgerEntry) -> Result<Vec<u64>, CliError> {
    let reader = node.journal().read(entry.no)?;
    let mut steps = Vec::new();
    for seq in 0..reader.size()? {
        if receipts::Step::read(&reader, seq)?.has_effects() {
            steps.push(seq);
        }
    }
    Ok(steps)
}

fn one_receipt(node: &Node, entry: &LedgerEntry) -> Result<(), CliError> {
    let Some(seq) = decisive(node, entry)?.first().copied() else { return Ok(()) };
    chapter(&format!("Receipt {seq}, as `reprise receipts show incident {seq}` prints it"));
    receipts::show(node, entry, seq, &Printer::new(false))?;
    Ok(())
}

fn verify_everywhere(node: &Node, entry: &LedgerEntry) -> Result<(), CliError> {
    chapter("Every step again: compiled, interpreted, and native");
    for engine in [EngineChoice::Cranelift, EngineChoice::Pulley, EngineChoice::Native] {
        let started = Instant::now();
        let verdict = verdict(node, entry, engine)?;
        let Verdict::Match(range) = &verdict else {
            Printer::new(false).record(verify::report(&entry.genesis.name, &verdict, engine));
            return Err(CliError::Fault("the ledger of the demonstration does not verify".to_owned()));
        };
        println!(
            "{:<10}match: receipts {}..{}, state root {}, attested, in {}",
            engine.name(),
            range.from,
            range.to,
            text::digest(range.state_root),
            seconds(started.elapsed())
        );
    }
    Ok(())
}

/// Flips one byte of one step record in a copy of the journal. True: verification names that record.
fn damaged_copy(dir: &Path, copy: &Path) -> Result<bool, CliError> {
    chapter("One byte flipped in a copy");
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |error| CliError::File { path, error }
    };
    fs::create_dir(copy).map_err(file_error(copy))?;
    fs::copy(dir.join("journal.redb"), copy.join("journal.redb")).map_err(file_error(copy))?;
    let node = Node::open(copy, Access::Write)?;
    let entry = node.find_ledger("incident")?;
    let (record, position) = flip_one_byte(&node, &entry)?;
    println!("flipped   bit 0 of {position} in {record}\n");
    let verdict = verdict(&node, &entry, EngineChoice::Cranelift)?;
    Printer::new(false).record(verify::report(&entry.genesis.name, &verdict, EngineChoice::Cranelift));
    Ok(matches!(&verdict, Verdict::Divergent(divergence) if record == Record::StepRecord(divergence.seq)))
}

/// Flips a bit in the middle of the step record in the middle. Which one, and where in it.
fn flip_one_byte(node: &Node, entry: &LedgerEntry) -> Result<(Record, String), CliError> {
    let mut steps = node.journal().records(entry.no)?;
    steps.retain(|(record, _)| matches!(record, Record::StepRecord(_)));
    let middle = steps.len() / 2;
    let Some((record, length)) = steps.into_iter().nth(middle) else {
        return Err(CliError::Fault("the ledger has no steps".to_owned()));
    };
    node.journal().tamper(entry.no, &record, length / 2, 0x01)?;
    Ok((record, format!("byte {} of {length}", length / 2)))
}

fn verdict(node: &Node, entry: &LedgerEntry, engine: EngineChoice) -> Result<Verdict, CliError> {
    let options = VerifyOptions { range: None, engine, jobs: 2 };
    Ok(crate::verify::verify(node.journal(), entry, node.dir(), &options, &Arc::new(AtomicU64::new(0)))?)
}

fn view(node: &Node, entry: &LedgerEntry, name: &'static str) -> Result<Vec<u8>, CliError> {
    let mut head = node.open_ledger(entry)?.head;
    let executors = PackageExecutors::new(node.journal().clone(), EngineChoice::Cranelift, node.dir());
    let mut runner = Runner::new(Box::new(executors));
    let thread = on_engine_thread("reprise-view", move || {
        let loaded = runner.in_force(&head)?;
        Ok::<_, CliError>(loaded.executor.view(head.lend_state(), name, &[])?)
    });
    let viewed = thread.map_err(|error| CliError::Fault(error.to_string()))?.join();
    let viewed = viewed.map_err(|_| CliError::Fault("the engine thread panicked".to_owned()))??;
    viewed.map_err(|error| CliError::Refusal(error.to_string()))
}

fn where_to_go(kept: Option<&PathBuf>) {
    chapter("Where to go next");
    match kept {
        Some(dir) => println!("look around    reprise --dir {} status", dir.display()),
        None => println!("look around    cargo run --release -- demo --keep NODE, then reprise --dir NODE status"),
    }
    println!("operators      README.md, \"Operators\": your own node, your own events");
    println!("verifiers      README.md, \"Verifiers\": replay a range of receipts and trust nobody");
    println!("authors        guest/README.md: a policy of your own in a page of Rust");
}

fn chapter(title: &str) {
    println!("\n=== {title}\n");
}

fn print_tree(value: &serde_json::Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let serde_json::Value::Object(fields) = value else {
        println!("{indent}{value}");
        return;
    };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in fields {
        match value {
            serde_json::Value::Object(_) => {
                println!("{indent}{name}");
                print_tree(value, depth + 1);
            }
            serde_json::Value::String(text) => println!("{indent}{name:width$}  {text}"),
            value => println!("{indent}{name:width$}  {}", text::short(&value.to_string())),
        }
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.2} s", elapsed.as_secs_f64())
}
