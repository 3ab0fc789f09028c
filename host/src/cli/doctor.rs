//! `reprise doctor`: looks at every record, and repairs what other material proves.

use super::{
    args::DoctorOptions,
    error::{CliError, Exit},
    place::{Opened, Place},
    report::{Printer, Record},
};
use crate::{
    journal::{Journal, JournalError, LedgerEntry},
    node::{Access, EngineChoice, Node, NodeError},
    orderer::clock_ms,
    recovery::doctor::{self, Copies, Finding, Options, Outcome, Report},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) fn run(options: &DoctorOptions, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = open(place, options.repair)?;
    let asked = Options {
        repair: options.repair,
        attester: node.attester().ok().map(Arc::new),
        copies: Arc::new(options.archive.as_deref().map(Copies::in_dir).transpose()?.unwrap_or_default()),
        now_ms: clock_ms(),
    };
    let mut reports = vec![(None, doctor::examine_node(node.journal(), &node.publishers()?, &asked)?)];
    // A ledger whose genesis record is damaged cannot be opened; the report above says so.
    let ledgers = match &options.ledger {
        Some(ledger) => vec![node.find_ledger(ledger)?],
        None => node.journal().ledgers().unwrap_or_default(),
    };
    for entry in ledgers {
        if options.all {
            node.staleness(&entry)?;
        }
        let report = examine(&node, &entry, options.engine.into(), &asked)?;
        reports.push((Some(entry.genesis.name), report));
    }
    let is_open = reports.iter().any(|(_, report)| report.open().next().is_some());
    print.record(describe(&reports));
    if is_open { Ok(Exit::Refused) } else { Ok(Exit::Done) }
}

/// For a repair, a journal of a damaged format record is opened all the same.
fn open<'a>(place: &'a Place<'_>, repair: bool) -> Result<Opened<'a>, CliError> {
    match place.open(if repair { Access::Write } else { Access::Read }) {
        Err(CliError::Node(NodeError::Journal { error: JournalError::Format { .. }, .. })) if repair => {
            let journal = Journal::open_for_repair(&place.dir().join("journal.redb"))?;
            Ok(place.opened(Node::with_journal(place.dir(), journal)))
        }
        opened => opened,
    }
}

fn examine(node: &Node, entry: &LedgerEntry, engine: EngineChoice, asked: &Options) -> Result<Report, CliError> {
    Ok(doctor::examine(&node.site(entry, engine), asked)?)
}

fn describe(reports: &[(Option<String>, Report)]) -> Record {
    let total = |count: fn(&Report) -> u64| reports.iter().map(|(_, report)| count(report)).sum::<u64>();
    let with = |outcome: fn(&Outcome) -> bool| {
        let findings = reports.iter().flat_map(|(_, report)| &report.findings);
        findings.filter(|finding| outcome(&finding.outcome)).count()
    };
    let findings = reports.iter().flat_map(|(ledger, report)| report.findings.iter().map(move |f| finding(ledger, f)));
    Record::new()
        .with("records looked at", total(|report| report.records))
        .with("steps looked at", total(|report| report.steps))
        .with("damaged", total(|report| report.findings.len() as u64))
        .with("repaired", with(|outcome| matches!(outcome, Outcome::Repaired(_))))
        .with("provable, not repaired", with(|outcome| *outcome == Outcome::Found))
        .with("not provable here", with(|outcome| matches!(outcome, Outcome::Unproven(_))))
        .with("findings", findings.collect::<Vec<_>>())
}

fn finding(ledger: &Option<String>, finding: &Finding) -> Value {
    Record::new()
        .with("name", finding.subject.to_string())
        .with("ledger", ledger.clone())
        .with("reason", finding.reason.clone())
        .with("outcome", finding.outcome.describe())
        .into()
}
