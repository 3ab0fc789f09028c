//! `reprise quarantine`: what was cut off or replaced, and what peers sent and was rejected.

use super::{
    args::{QuarantineCommand, Which},
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
    text,
};
use crate::{
    daemon::rejected::{self, RejectedRecord},
    journal::{CaseKind, CaseNo, LedgerEntry, Quarantined},
    node::{Access, Node},
};
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

pub(crate) fn run(command: &QuarantineCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        QuarantineCommand::List { ledger: Some(ledger), .. } => list(place, ledger, print),
        QuarantineCommand::List { ledger: None, .. } => list_rejected(place.dir(), print),
        QuarantineCommand::Show { which, bytes } => match which.which() {
            Which::Case(ledger, case) => show(place, ledger, case, *bytes, print),
            Which::Record(number) => show_rejected(place.dir(), number, *bytes, print),
        },
        QuarantineCommand::Export { which, out } => match which.which() {
            Which::Case(ledger, case) => export(place, ledger, case, out, print),
            Which::Record(number) => export_rejected(place.dir(), number, out, print),
        },
        QuarantineCommand::Drop { which, dry_run } => match which.which() {
            Which::Case(ledger, case) => drop_case(place, ledger, case, *dry_run, print),
            Which::Record(number) => drop_rejected(place.dir(), number, *dry_run, print),
        },
    }
}

fn list(place: &Place<'_>, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
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

fn show(place: &Place<'_>, ledger: &str, case: CaseNo, bytes: bool, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
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

/// Every record as a file of its own, named by its kind and number.
fn export(place: &Place<'_>, ledger: &str, case: CaseNo, out: &Path, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    is_there(&node, &entry, case)?;
    let records = node.journal().quarantined(entry.no, case)?;
    let error = |error| CliError::File { path: out.to_owned(), error };
    fs::create_dir(out).map_err(error)?;
    for record in &records {
        let name = format!("{}-{}.bin", record.kind.name().replace(' ', "-"), record.seq);
        fs::write(out.join(name), &record.bytes).map_err(error)?;
    }
    print
        .record(Record::new().with("case", case).with("records", records.len()).with("out", out.display().to_string()));
    Ok(Exit::Done)
}

fn drop_case(place: &Place<'_>, ledger: &str, case: CaseNo, dry_run: bool, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
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

fn list_rejected(dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let rows = rejected::list(dir).map_err(rejected_error(dir))?.into_iter().map(row).collect();
    let dropped = rejected::dropped(dir).map_err(rejected_error(dir))?;
    if dropped.records > 0 {
        tracing::warn!(dropped.records, dropped.bytes, dropped.last, "older objects went to make room");
    }
    print.rows(rows);
    Ok(Exit::Done)
}

fn show_rejected(dir: &Path, number: u64, bytes: bool, print: &Printer) -> Result<Exit, CliError> {
    let (record, content) = find_rejected(dir, number)?;
    let shown = row(record).with("kept bytes", content.len());
    print.record(if bytes { shown.with("bytes", text::hex(&content)) } else { shown });
    Ok(Exit::Done)
}

fn export_rejected(dir: &Path, number: u64, out: &Path, print: &Printer) -> Result<Exit, CliError> {
    let (record, content) = find_rejected(dir, number)?;
    let error = |error| CliError::File { path: out.to_owned(), error };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(out).map_err(error)?;
    file.write_all(&content).map_err(error)?;
    print.record(row(record).with("out", out.display().to_string()));
    Ok(Exit::Done)
}

fn drop_rejected(dir: &Path, number: u64, dry_run: bool, print: &Printer) -> Result<Exit, CliError> {
    let (record, _) = find_rejected(dir, number)?;
    if !dry_run {
        rejected::remove(dir, number).map_err(rejected_error(dir))?;
    }
    print.record(row(record).with("object", if dry_run { "would be removed" } else { "removed" }));
    Ok(Exit::Done)
}

fn find_rejected(dir: &Path, number: u64) -> Result<(RejectedRecord, Vec<u8>), CliError> {
    let found = rejected::read(dir, number).map_err(rejected_error(dir))?;
    found
        .ok_or_else(|| CliError::Refusal(format!("there is no object {number}: see `reprise quarantine list --peers`")))
}

fn row(record: RejectedRecord) -> Record {
    Record::new()
        .with("record", record.number)
        .with("when", text::time(record.at_ms))
        .with("origin", record.origin)
        .with("ledger", record.ledger)
        .with("reason", record.reason)
        .with("length", record.length)
        .with("digest", record.digest)
}

fn rejected_error(dir: &Path) -> impl Fn(io::Error) -> CliError {
    let path = dir.join("federation").join("rejected");
    move |error| CliError::File { path: path.clone(), error }
}
