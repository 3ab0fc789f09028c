//! `reprise init` and `reprise status`.

use super::{
    error::{CliError, Exit},
    finality,
    report::{Printer, Record},
    text,
};
use crate::{
    engine::EngineProfile,
    journal::LedgerEntry,
    node::{Access, Node},
};
use reprise_receipts::system;
use serde_json::Value;
use std::path::Path;

pub(crate) fn init(dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let node = Node::init(dir)?;
    print.record(
        Record::new()
            .with("node", node.dir().display().to_string())
            .with("attester", node.attester()?.public().to_string())
            .with("operator", node.operator()?.public().to_string())
            .with("engine profile", EngineProfile::current().digest().to_string()),
    );
    Ok(Exit::Done)
}

pub(crate) fn run(dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let node = Node::open(dir, Access::Read)?;
    let ledgers = node.journal().ledgers()?;
    let mut rows = Vec::new();
    for entry in &ledgers {
        rows.push(Value::from(ledger(&node, entry)?));
    }
    let healthy = rows.iter().all(|row| row["can go on"] == true);
    print.record(
        Record::new()
            .with("node", node.dir().display().to_string())
            .with("attester", node.attester()?.public().to_string())
            .with("engine profile", EngineProfile::current().digest().to_string())
            .with("packages", node.journal().packages()?.len())
            .with("ledgers", rows),
    );
    if healthy { Ok(Exit::Done) } else { Ok(Exit::Refused) }
}

/// One ledger: where it is, and whether it takes the next input.
pub(crate) fn ledger(node: &Node, entry: &LedgerEntry) -> Result<Record, CliError> {
    let base = Record::new().with("name", entry.genesis.name.clone()).with("id", entry.id.to_string());
    let (open, start) = match node.start_ledger(entry) {
        Ok(started) => started,
        Err(error) => {
            return Ok(base.with("can go on", false).with("why not", error.to_string()));
        }
    };
    let why_not = system::halt(open.head.state())
        .map(|halt| format!("halted after receipt {}: {}", halt.seq, halt.class.name()))
        .or_else(|| {
            let here = EngineProfile::current().digest();
            let needs = open.head.engine_profile();
            (here != needs).then(|| format!("it needs engine profile {needs}, this build has {here}"))
        });
    let incidents = node.journal().read(entry.no)?.incidents()?;
    let checkpoints = node.journal().checkpoints(entry.no)?;
    let other_history = node.journal().rewinds(entry.no)?.into_iter().filter_map(|rewind| {
        let attested = rewind.attested?;
        Some(format!("receipts {}..{attested}, cut off at {}", rewind.size, text::time(rewind.at_ms)))
    });
    Ok(base
        .with("receipts", open.head.next_seq())
        .with("attested", open.attested)
        .with("epoch", open.head.epoch())
        .with("owner", open.head.term().owner.map(|owner| owner.to_string()))
        .with("logical time", text::time(open.head.logical_time_ms()))
        .with("state root", open.head.state_root().to_string())
        .with("log root", open.tail.root().to_string())
        .with("package", open.head.package().to_string())
        .with("state from", start.describe())
        .with("passed over", start.passed_over.iter().map(|(way, why)| format!("{way}: {why}")).collect::<Vec<_>>())
        .with("checkpoints", checkpoints.len())
        .with("last checkpoint", checkpoints.last().map(|checkpoint| checkpoint.record.claim.size))
        .with("final mark", finality::kept(node, entry)?)
        .with("another history was attested", other_history.collect::<Vec<_>>())
        .with("host faults on record", incidents.len())
        .with("can go on", why_not.is_none())
        .with("why not", why_not))
}
