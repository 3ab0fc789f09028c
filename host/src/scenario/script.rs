//! From the lines of a file to single events and faults, in the order of their times.

use super::file::{EventLine, FaultKind, Scenario};
use crate::effects::{Window, json};
use reprise_abi::{Event, EventError};
use serde_json::Value;
use std::collections::VecDeque;

/// Most events that a file may stand for, repeats counted.
pub(super) const EVENTS_MAX: u64 = 100_000;
/// Source of events that name none.
const SOURCE: &str = "scenario";

/// Something that happens to the node at a time that the file gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    pub(super) at_ms: u64,
    pub(super) what: What,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The parameters are submitted.
    Parameters(Event),
    /// An event is submitted; which line of the file it comes from.
    Event(usize, Event),
    /// The node is dropped and opened again.
    Crash,
    /// The last submitted event is submitted again.
    Repeat,
}

/// Why a file cannot be unfolded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Too many events.
    #[error("the events with their repeats are more than {EVENTS_MAX}")]
    TooMany,
    /// An event is over the bounds of the contract.
    #[error("{at}: {error}")]
    Event {
        /// Which member of the file.
        at: String,
        /// What is over its bounds.
        error: EventError,
    },
}

/// Everything that happens to the node, in order.
pub(super) fn unfold(scenario: &Scenario) -> Result<VecDeque<Cue>, ScriptError> {
    let mut cues = Vec::new();
    if let Some(parameters) = &scenario.parameters {
        let (id, source, kind) = ("parameters".to_owned(), SOURCE.to_owned(), "init".to_owned());
        let event = Event { id, source, kind, payload: json::compact(parameters) };
        let at_ms = scenario.events.first().map_or(0, |event| event.at_ms);
        cues.push(bounded(Cue { at_ms, what: What::Parameters(event) }, || "parameters".to_owned())?);
    }
    let times = scenario.events.iter().map(|line| line.repeat.map_or(1, |repeat| repeat.times));
    if times.fold(0, u64::saturating_add) > EVENTS_MAX {
        return Err(ScriptError::TooMany);
    }
    for (index, line) in scenario.events.iter().enumerate() {
        for i in 0..line.repeat.map_or(1, |repeat| repeat.times) {
            let every_ms = line.repeat.map_or(0, |repeat| repeat.every_ms);
            let at_ms = line.at_ms.saturating_add(i.saturating_mul(every_ms));
            let cue = Cue { at_ms, what: What::Event(index, line.event(index, i)) };
            cues.push(bounded(cue, || format!("events[{index}]"))?);
        }
    }
    for fault in &scenario.faults {
        let what = match fault.fault {
            FaultKind::Crash => What::Crash,
            FaultKind::Duplicate => What::Repeat,
            FaultKind::DriverDown => continue,
        };
        cues.push(Cue { at_ms: fault.at_ms, what });
    }
    // Stable: what has the same time keeps the order of the file, and faults come after events.
    cues.sort_by_key(|cue| cue.at_ms);
    Ok(cues.into())
}

/// The times in which drivers cannot be reached.
pub(super) fn windows(scenario: &Scenario) -> Vec<Window> {
    let window = |fault: &super::file::Fault| {
        let driver = fault.driver.clone()?;
        Some(Window { driver, from_ms: fault.at_ms, to_ms: fault.at_ms.saturating_add(fault.for_ms?) })
    };
    scenario.faults.iter().filter_map(window).collect()
}

impl EventLine {
    /// The event of repeat `i`.
    fn event(&self, index: usize, i: u64) -> Event {
        let repeated = self.repeat.is_some();
        let fill = |text: &str| if repeated { text.replace("{i}", &i.to_string()) } else { text.to_owned() };
        let fill_value = |value: &Value| {
            json::replace_strings(value, &|text| match text {
                "{i}" => Some(i.into()),
                _ => text.contains("{i}").then(|| fill(text).into()),
            })
        };
        let id = match &self.id {
            Some(id) if repeated && !id.contains("{i}") => format!("{id}-{i}"),
            Some(id) => fill(id),
            None if repeated => format!("event-{index}-{i}"),
            None => format!("event-{index}"),
        };
        let payload = match (&self.data, &self.data_text) {
            (Some(data), _) if repeated => json::compact(&fill_value(data)),
            (Some(data), _) => json::compact(data),
            (None, Some(text)) => fill(text).into_bytes(),
            (None, None) => Vec::new(),
        };
        let source = self.source.as_deref().map_or_else(|| SOURCE.to_owned(), fill);
        Event { id, source, kind: self.kind.clone(), payload }
    }
}

fn bounded(cue: Cue, at: impl Fn() -> String) -> Result<Cue, ScriptError> {
    if let What::Parameters(event) | What::Event(_, event) = &cue.what {
        event.bounds().map_err(|error| ScriptError::Event { at: at(), error })?;
    }
    Ok(cue)
}
