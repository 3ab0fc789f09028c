//! Faults of what the node stores: a byte of the journal flips, or all of it is lost. The clock runs from the fault to
//! the moment at which the ledger verifies again, or takes new events again.

use super::{Drilled, LEDGER, lease_node};
use crate::cli::{
    child::{Reprise, number_of, packaged_node, text_of},
    demo,
    error::CliError,
};
use serde_json::Value;
use std::{
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};

/// Which step's record is damaged.
const DAMAGED_SEQ: u64 = 700;
/// Exit code of a verdict that is not a match.
const DIVERGENT: i32 = 1;
/// Lines of the incident that are submitted before the checkpoint.
const LINES_BEFORE: usize = 1_500;

pub(super) fn corrupt_page(work: &Path) -> Result<Drilled, CliError> {
    let reprise = lease_node(&work.join("node"))?;
    let (events, archive) = (write(work, "events.jsonl", demo::INCIDENT)?, path_text(&work.join("archive")));
    reprise.run(0, &["submit", LEDGER, &events])?;
    reprise.run(0, &["archive", "write", LEDGER, "--archive", &archive])?;
    let before = reprise.run(0, &["ledger", "show", LEDGER])?;
    let receipt = reprise.run(0, &["receipts", "show", LEDGER, &DAMAGED_SEQ.to_string()])?;
    flip(&work.join("node/journal.redb"), text_of(&receipt, "id").as_bytes())?;
    let started = Instant::now();
    let found = reprise.run(DIVERGENT, &["verify", LEDGER])?;
    reprise.run(0, &["doctor", LEDGER, "--repair", "--archive", &archive])?;
    let verdict = reprise.run(0, &["verify", LEDGER])?;
    let recovery_ms = elapsed_ms(started);
    let after = reprise.run(0, &["ledger", "show", LEDGER])?;
    let inconsistent = if number_of(&found, "sequence number") != DAMAGED_SEQ {
        Some(format!("receipt {DAMAGED_SEQ} was damaged, and verification named another place: {found}"))
    } else if text_of(&verdict, "verdict") != "match" {
        Some(verdict.to_string())
    } else {
        differs(&before, &after)
    };
    Ok(drilled(&before, &after, recovery_ms, inconsistent))
}

pub(super) fn full_restore(work: &Path) -> Result<Drilled, CliError> {
    let (old_dir, new_dir) = (work.join("node"), work.join("new-node"));
    let old = lease_node(&old_dir)?;
    let split = demo::INCIDENT.match_indices('\n').nth(LINES_BEFORE - 1).map_or(0, |(at, _)| at + 1);
    let (before, after) = demo::INCIDENT.split_at(split);
    let (before, after) = (write(work, "before.jsonl", before)?, write(work, "after.jsonl", after)?);
    old.run(0, &["submit", LEDGER, &before])?;
    let checkpoint = old.run(0, &["checkpoint", "create", LEDGER])?;
    let bundle = path_text(&work.join("checkpoint.bundle"));
    old.run(0, &["bundle", "export", LEDGER, "--kind", "checkpoint", "--out", &bundle])?;
    old.run(0, &["submit", LEDGER, &after])?;
    let lost = old.run(0, &["ledger", "show", LEDGER])?;
    let journal = old_dir.join("journal.redb");
    fs::remove_file(&journal).map_err(|error| CliError::File { path: journal, error })?;

    let started = Instant::now();
    drop(packaged_node(&new_dir, demo::PACKAGE)?);
    for key in ["attester", "operator"] {
        let name = format!("keys/{key}.key");
        // The mode is copied too.
        let copied = fs::copy(old_dir.join(&name), new_dir.join(&name));
        copied.map_err(|error| CliError::File { path: new_dir.join(&name), error })?;
    }
    let new = Reprise::at(&new_dir)?;
    new.run(0, &["bundle", "import", &bundle, "--key", &text_of(&lost, "attester")])?;
    let restored = new.run(0, &["ledger", "show", LEDGER])?;
    let recovery_ms = elapsed_ms(started);
    new.run(0, &["submit", LEDGER, &after])?;
    let verdict = new.run(0, &["verify", LEDGER])?;
    let end = new.run(0, &["ledger", "show", LEDGER])?;
    let inconsistent = if text_of(&restored, "state root") != text_of(&checkpoint, "state root") {
        Some("the restored state is not the checkpoint's".to_owned())
    } else if text_of(&verdict, "verdict") != "match" {
        Some(verdict.to_string())
    } else {
        differs(&lost, &end)
    };
    Ok(drilled(&lost, &end, recovery_ms, inconsistent))
}

fn drilled(start: &Value, end: &Value, recovery_ms: u64, inconsistent: Option<String>) -> Drilled {
    Drilled {
        start_root: text_of(start, "state root"),
        end_root: text_of(end, "state root"),
        receipts: number_of(end, "receipts"),
        recovery_ms: Some(recovery_ms),
        inconsistent,
    }
}

/// What of two reports on one ledger is not the same.
fn differs(before: &Value, after: &Value) -> Option<String> {
    let names = ["receipts", "state root", "log root"];
    let name = names.iter().find(|name| before.get(**name) != after.get(**name))?;
    Some(format!("{name}: {} before, {} after", before[*name], after[*name]))
}

/// Flips one bit of every copy of `text` in a file: the pages that hold it are not what they were.
fn flip(path: &Path, text: &[u8]) -> Result<(), CliError> {
    let error = |error: io::Error| CliError::File { path: path.to_owned(), error };
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).map_err(error)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(error)?;
    for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text)) {
        file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.write_all(&[bytes[at] ^ 1])).map_err(error)?;
    }
    file.sync_all().map_err(error)
}

fn write(work: &Path, name: &str, text: &str) -> Result<String, CliError> {
    let path = work.join(name);
    fs::write(&path, text).map_err(|error| CliError::File { path: path.clone(), error })?;
    Ok(path_text(&path))
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
