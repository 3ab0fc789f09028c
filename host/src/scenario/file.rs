//! Scenario files: one JSON object, read strictly. What is misspelt or out of order is named with its place.

mod words;

pub use words::{ExpectedOutcome, Halted, StepExpect};

use crate::effects::Rule;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use words::{halted, present};

/// Longest scenario file, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A scenario as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, and what would fail without it.
    pub about: String,
    /// Rows of the coverage table that it proves.
    pub rows: Vec<String>,
    /// Name of the policy.
    pub policy: String,
    /// Submitted first, as kind `init`, at the time of the first event.
    #[serde(default, deserialize_with = "present")]
    pub parameters: Option<Value>,
    /// The outside world: the first rule that matches holds.
    #[serde(default)]
    pub world: Vec<Rule>,
    /// What goes wrong with the node.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What is submitted. Times never decrease.
    pub events: Vec<EventLine>,
    /// Time goes on to here after the last event.
    pub until_ms: Option<u64>,
    /// What must have happened.
    #[serde(default)]
    pub expect: Expect,
}

/// A fault of the node. At the same time as an event, a crash or a repeat comes after it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// What goes wrong.
    pub fault: FaultKind,
    /// For `driver_down`: which driver.
    pub driver: Option<String>,
    /// For `driver_down`: for how long.
    pub for_ms: Option<u64>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The node is dropped, and opened again from its journal.
    Crash,
    /// The last submitted event is submitted again.
    Duplicate,
    /// A driver cannot be reached for a while.
    DriverDown,
}

/// One event, or several of the same form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// What it is.
    pub kind: String,
    /// The payload, as compact JSON with sorted members. Without it and `data_text` the payload is empty.
    #[serde(default, deserialize_with = "present")]
    pub data: Option<Value>,
    /// The payload as text, for what is not JSON.
    pub data_text: Option<String>,
    /// Idempotency key; `event-<index>` when absent, `event-<index>-<i>` of a repeated one.
    pub id: Option<String>,
    /// Who submits; `scenario` when absent.
    pub source: Option<String>,
    /// Several times.
    pub repeat: Option<Repeat>,
    /// What must come of it.
    pub expect: Option<StepExpect>,
}

/// How often an event is submitted. `{i}` in its strings becomes 0, 1, 2; `"{i}"` alone becomes the number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How many times.
    pub times: u64,
    /// How far apart, in milliseconds. Events in between keep their times.
    #[serde(default)]
    pub every_ms: u64,
}

/// What must have happened at the end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// How many of the run's events, timers and results included, ended in which way.
    pub outcome_counts: Option<BTreeMap<ExpectedOutcome, u64>>,
    /// Every effect of the run, in order, each a subset of what a run shows of it.
    pub effects: Option<Vec<Map<String, Value>>>,
    /// Every timer that fired, in order.
    pub timers: Option<Vec<Map<String, Value>>>,
    /// Views at the end: what the answer must contain, or `{"args": ..., "is": ...}`, or a list of such.
    #[serde(default)]
    pub views: BTreeMap<String, Value>,
    /// Numbers in views at the end, by `view/json/pointer`.
    #[serde(default)]
    pub figures: BTreeMap<String, Value>,
    /// What must have happened in time.
    #[serde(default)]
    pub deadlines: Vec<Deadline>,
    /// Timers, expiries, results and events of the outside world that may end in another way than accepted. Any other
    /// that does is a difference.
    #[serde(default)]
    pub not_accepted: Vec<Exception>,
    /// The step that halts the ledger; it must not be halted when absent or `false`.
    #[serde(default, deserialize_with = "halted")]
    pub halted: Option<Halted>,
}

/// What may end in another way than accepted, though the file does not send it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// How it may end.
    pub outcome: ExpectedOutcome,
    /// Only with this code.
    pub code: Option<u32>,
    /// Only inputs of this kind.
    pub kind: Option<String>,
    /// Only inputs of this id, or of one that begins with what stands before the `*`.
    pub id: Option<String>,
}

/// Something that must have happened by a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// An effect of this key, or of a key that begins with what stands before the `*`.
    pub effect: Option<String>,
    /// Its status by then; it must at least have been emitted when absent.
    pub status: Option<String>,
    /// A view that must contain `is` after some step.
    pub view_holds: Option<String>,
    /// Arguments of the view.
    pub args: Option<Value>,
    /// What it must contain.
    pub is: Option<Value>,
    /// The last moment, in milliseconds.
    pub by_ms: u64,
}

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is too long.
    #[error("{0}: longer than {FILE_BYTES_MAX} bytes")]
    TooLong(PathBuf),
    /// It is not such an object.
    #[error("{path}:{}:{}: {}", .error.line(), .error.column(), without_place(.error))]
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and where.
        error: serde_json::Error,
    },
    /// A rule of the format is broken.
    #[error("{path}: {at}: {rule}")]
    Rule {
        /// Which file.
        path: PathBuf,
        /// Which member, such as `events[3].at_ms`.
        at: String,
        /// What the rule is.
        rule: &'static str,
    },
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let read = |error| FileError::Read { path: path.to_owned(), error };
        let mut text = Vec::new();
        let file = fs::File::open(path).map_err(read)?;
        io::Read::read_to_end(&mut io::Read::take(file, FILE_BYTES_MAX + 1), &mut text).map_err(read)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(FileError::TooLong(path.to_owned()));
        }
        Self::parse(path, &text)
    }

    /// Reads the text of a file; `path` is for errors.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, FileError> {
        let scenario: Self =
            serde_json::from_slice(text).map_err(|error| FileError::Json { path: path.to_owned(), error })?;
        scenario.check().map_err(|(at, rule)| FileError::Rule { path: path.to_owned(), at, rule })?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), (String, &'static str)> {
        if self.events.is_empty() {
            return Err(("events".to_owned(), "there is at least one"));
        }
        let mut last_ms = 0;
        for (index, event) in self.events.iter().enumerate() {
            if event.at_ms < last_ms {
                return Err((format!("events[{index}].at_ms"), "times never decrease"));
            }
            if event.data.is_some() && event.data_text.is_some() {
                return Err((format!("events[{index}].data_text"), "an event has `data` or `data_text`, not both"));
            }
            last_ms = event.at_ms;
        }
        if self.until_ms.is_some_and(|until_ms| until_ms < last_ms) {
            return Err(("until_ms".to_owned(), "it is not before the last event"));
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let window = (fault.driver.is_some(), fault.for_ms.is_some());
            let needs = fault.fault == FaultKind::DriverDown;
            if window != (needs, needs) {
                return Err((format!("faults[{index}]"), "`driver_down`, and nothing else, has `driver` and `for_ms`"));
            }
        }
        self.expect.check()
    }
}

impl Expect {
    fn check(&self) -> Result<(), (String, &'static str)> {
        for (index, deadline) in self.deadlines.iter().enumerate() {
            let effect = deadline.effect.is_some() && deadline.args.is_none() && deadline.is.is_none();
            let view = deadline.view_holds.is_some() && deadline.status.is_none() && deadline.is.is_some();
            if effect == view {
                return Err((
                    format!("expect.deadlines[{index}]"),
                    "it has `effect` and perhaps `status`, or `view_holds`, `is` and perhaps `args`",
                ));
            }
        }
        Ok(())
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}
