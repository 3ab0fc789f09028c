//! Faults of the node's own process: it is killed, or it cannot write any more. The clock runs from the moment of the
//! kill, or from the moment at which there is room again, to the first new receipt.

use super::{Drilled, LEDGER, lease_node};
use crate::cli::{
    child::{Reprise, message, number_of, text_of},
    demo,
    error::CliError,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout},
    time::Instant,
};

/// Receipts that are there when the process is killed.
const RECEIPTS_BEFORE: usize = 1_000;
/// Room that the full disk still has, in bytes.
const ROOM_BYTES: u64 = 256 * 1024;
/// Exit code of a host fault.
const FAULT: i32 = 70;

/// Leaf hashes that were acknowledged, by sequence number.
type Acknowledged = BTreeMap<u64, String>;

pub(super) fn killed(work: &Path) -> Result<Drilled, CliError> {
    let reprise = lease_node(&work.join("node"))?;
    let events = incident(work)?;
    let mut first = Submission::start(&reprise, &events, None)?;
    while first.acknowledged.len() < RECEIPTS_BEFORE && first.next()?.is_some() {}
    first.child.kill().map_err(|error| CliError::Fault(format!("the process cannot be killed: {error}")))?;
    let started = Instant::now();
    // What it still had said is acknowledged too.
    while first.next()?.is_some() {}
    first.end(None)?;
    resumed(&reprise, &events, started, &first.acknowledged)
}

pub(super) fn disk_full(work: &Path) -> Result<Drilled, CliError> {
    let reprise = lease_node(&work.join("node"))?;
    let events = incident(work)?;
    let journal = work.join("node/journal.redb");
    let bytes = fs::metadata(&journal).map_err(|error| CliError::File { path: journal, error })?.len();
    let mut first = Submission::start(&reprise, &events, Some(bytes + ROOM_BYTES))?;
    while first.next()?.is_some() {}
    first.end(Some(FAULT))?;
    resumed(&reprise, &events, Instant::now(), &first.acknowledged)
}

/// Submits everything again: what was acknowledged gets its first answer, the rest a receipt.
fn resumed(
    reprise: &Reprise,
    events: &Path,
    started: Instant,
    acknowledged: &Acknowledged,
) -> Result<Drilled, CliError> {
    let mut second = Submission::start(reprise, events, None)?;
    let mut recovery_ms = None;
    while let Some(new) = second.next()? {
        if new && recovery_ms.is_none() {
            recovery_ms = Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
    }
    second.end(Some(0))?;
    let lost = acknowledged.iter().find(|(seq, leaf)| second.acknowledged.get(seq) != Some(leaf));
    let shown = reprise.run(0, &["ledger", "show", LEDGER])?;
    let verdict = reprise.run(0, &["verify", LEDGER])?;
    let inconsistent = match lost {
        Some((seq, _)) => Some(format!("receipt {seq} was acknowledged and is not what it was")),
        None if text_of(&verdict, "verdict") != "match" => Some(verdict.to_string()),
        None => None,
    };
    Ok(Drilled {
        start_root: root_after(reprise, acknowledged)?,
        end_root: text_of(&shown, "state root"),
        receipts: number_of(&shown, "receipts"),
        recovery_ms,
        inconsistent,
    })
}

/// The state root after the last receipt that was acknowledged.
fn root_after(reprise: &Reprise, acknowledged: &Acknowledged) -> Result<String, CliError> {
    let Some((seq, _)) = acknowledged.last_key_value() else { return Ok(String::new()) };
    let receipt = reprise.run(0, &["receipts", "show", LEDGER, &seq.to_string()])?;
    Ok(text_of(&receipt, "next state root"))
}

/// The recorded incident as a file.
fn incident(work: &Path) -> Result<PathBuf, CliError> {
    let path = work.join("events.jsonl");
    fs::write(&path, demo::INCIDENT).map_err(|error| CliError::File { path: path.clone(), error })?;
    Ok(path)
}

/// A running `submit`, and what it has acknowledged.
struct Submission {
    child: Child,
    lines: BufReader<ChildStdout>,
    acknowledged: Acknowledged,
}

impl Submission {
    fn start(reprise: &Reprise, events: &Path, file_bytes: Option<u64>) -> Result<Self, CliError> {
        let events = events.display().to_string();
        let arguments = ["submit", LEDGER, &events, "--each"];
        let mut command = match file_bytes {
            Some(bytes) => reprise.command_with_file_size(bytes, &arguments),
            None => reprise.command(&arguments),
        };
        let failed = |error: std::io::Error| CliError::Fault(format!("`reprise submit` cannot be started: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, lines, acknowledged: Acknowledged::new() })
    }

    /// Takes the next answer: whether it is a new receipt. `None` when there are no more.
    fn next(&mut self) -> Result<Option<bool>, CliError> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        read.map_err(|error| CliError::Fault(format!("`reprise submit` cannot be read: {error}")))?;
        // A process that is killed may leave half a line: nobody was told anything by it.
        let Ok(answer) = serde_json::from_str::<Value>(&line) else { return Ok(None) };
        let Some(leaf) = answer.get("leaf").and_then(Value::as_str) else { return Ok(Some(false)) };
        self.acknowledged.insert(number_of(&answer, "seq"), leaf.to_owned());
        Ok(Some(answer.get("duplicate") == Some(&Value::Bool(false))))
    }

    /// Waits for the end, which has to have this exit code; `None` for a process that was killed.
    fn end(&mut self, exit: Option<i32>) -> Result<(), CliError> {
        let failed = |why: String| CliError::Fault(format!("`reprise submit`: {why}"));
        let mut said = Vec::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_end(&mut said).map_err(|error| failed(error.to_string()))?;
        }
        let status = self.child.wait().map_err(|error| failed(error.to_string()))?;
        if status.code() == exit { Ok(()) } else { Err(failed(format!("{status}, {}", message(&said)))) }
    }
}
