//! `reprise quarantine`: what was cut off or replaced.

use super::{
    args::QuarantineCommand,
    error::{CliError, Exit},
    report::{Printer, Record},
    text,
};
use crate::{
    journal::{CaseKind, CaseNo, LedgerEntry, Quarantined},
    node::{Access, Node},
};
use std::path::Path;

pub(crate) fn run(command: &QuarantineCommand, dir: &Path, print: Printer) -> Result<Exit, CliError> {
    match command {
        QuarantineCommand::List { ledger } => list(dir, ledger, print),
        QuarantineCommand::Show { ledger, case, bytes } => show(dir, ledger, *case, *bytes, print),
        QuarantineCommand::Drop { ledger, case, dry_run } => drop_case(dir, ledger, *case, *dry_run, print),
    }
}

fn list(dir: &Path, ledger: &str, print: Printer) -> Result<Exit, CliError> {
    let node = Node::open(dir, Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let mut rows = Vec::new();
    for (no, case) in node.journal().cases(entry.no)? {
        let kind = match case.kind {
            CaseKind::CutOff => "cut off",
            CaseKind::Damaged => "damaged",
        };
        rows.push(
            Record::new()
                .with("case", no)
                .with("what", kind)
                .with("from", case.from)
                .with("to", case.to)
                .with("records", node.journal().quarantined(entry.no, no)?.len())
                .with("when", text::time(case.at_ms))
                .with("reason", case.reason),
        );
    }
    print.rows(rows);
    Ok(Exit::Done)
}

fn show(dir: &Path, ledger: &str, case: CaseNo, bytes: bool, print: Printer) -> Result<Exit, CliError> {
    let node = Node::open(dir, Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let row = |record: Quarantined| {
        let row = Record::new().with("record", record.kind.name()).with("sequence number", record.seq);
        let length = record.bytes.len();
        if bytes { row.with("bytes", text::hex(&record.bytes)) } else { row.with("bytes", length) }
    };
    is_there(&node, &entry, case)?;
    print.rows(node.journal().quarantined(entry.no, case)?.into_iter().map(row).collect());
    Ok(Exit::Done)
}

fn drop_case(dir: &Path, ledger: &str, case: CaseNo, dry_run: bool, print: Printer) -> Result<Exit, CliError> {
    let node = Node::open(dir, if dry_run { Access::Read } else { Access::Write })?;
    let entry = node.find_ledger(ledger)?;
    let records = node.journal().quarantined(entry.no, case)?.len();
    is_there(&node, &entry, case)?;
    if node.journal().running_plan(entry.no)?.is_some() {
        return Err(CliError::Refusal(format!(
            "a recovery plan of ledger `{ledger}` is not done and may need this case: `reprise recover resume {ledger}` first"
        )));
    }
    if !dry_run {
        node.journal().drop_case(entry.no, case)?;
    }
    let done = if dry_run { "would be removed" } else { "removed" };
    print.record(Record::new().with("case", case).with("records", records).with("case and records", done));
    Ok(Exit::Done)
}

fn is_there(node: &Node, entry: &LedgerEntry, case: CaseNo) -> Result<(), CliError> {
    if node.journal().cases(entry.no)?.iter().any(|(no, _)| *no == case) {
        return Ok(());
    }
    let ledger = &entry.genesis.name;
    Err(CliError::Refusal(format!("there is no case {case}: see `reprise quarantine list {ledger}`")))
}
