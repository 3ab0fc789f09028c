//! Scenarios as data: run them in memory, compare with what they expect, or write down what happened.
//!
//! The files are those of `reprise scenario`; this runs the policy alone, without a ledger around it. Only what this
//! policy's scenarios use is read: events, their expectations, and views at the end.

mod pretty;

pub use pretty::pretty;

use reprise_guest::{
    StepInput,
    abi::{Compensator, Effect, Outcome},
    testing::MemoryHost,
};
use reprise_lease::Lease;
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};

/// Views that a scenario shows at its end.
const VIEWS: [&str; 4] = ["report", "plan", "cluster", "trace"];
/// What is longer is not written into a scenario; golden traces hold it by its root.
const SHOWN_BYTES_MAX: usize = 32 * 1024;

/// The folder of the scenarios.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/scenarios/lease")
}

/// Reads one scenario.
pub fn load(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("the scenario is there");
    serde_json::from_str(&text).expect("the scenario is JSON")
}

/// Runs a scenario: it comes back with everything filled in that happened. Also the host, as it is at the end.
pub fn run(mut scenario: Value) -> (Value, MemoryHost) {
    let mut host = MemoryHost::new();
    for (seq, event) in (0..).zip(scenario["events"].as_array_mut().expect("a scenario has events")) {
        let before = host.state.clone();
        let outcome = host.step::<Lease>(&StepInput {
            seq,
            epoch: 1,
            logical_time_ms: event["at_ms"].as_u64().expect("an event has a time"),
            id: format!("event-{seq}"),
            source: "scenario".into(),
            kind: event["kind"].as_str().expect("an event has a kind").into(),
            payload: payload(event),
            seed: [0; 4],
        });
        if !outcome.is_accepted() {
            assert_eq!(host.state, before, "only an accepted step leaves anything");
        }
        event["expect"] = expectation(&outcome, &host.effects);
    }
    let shown = VIEWS.map(|name| (String::from(name), view(&mut host, name)));
    let shown = shown.into_iter().filter(|(_, view)| bytes(view) <= SHOWN_BYTES_MAX);
    scenario["expect"] = json!({ "views": shown.collect::<Map<_, _>>() });
    (scenario, host)
}

/// What the report says at the end of a run.
pub fn report(host: &mut MemoryHost) -> Value {
    view(host, "report")
}

/// A view as JSON, or its rejection.
fn view(host: &mut MemoryHost, name: &str) -> Value {
    match host.view::<Lease>(name, b"") {
        Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("views are JSON"),
        Outcome::Rejected(no) => json!({ "rejected": no.code, "detail": no.detail }),
        other => panic!("a view never answers {other:?}"),
    }
}

/// The bytes that an event submits: compact JSON with sorted keys, or a text as it stands.
fn payload(event: &Value) -> Vec<u8> {
    match event.get("data_text") {
        Some(text) => text.as_str().expect("a text").into(),
        None => sorted(&event["data"]).to_string().into_bytes(),
    }
}

/// Object members in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn expectation(outcome: &Outcome, effects: &[Effect]) -> Value {
    let mut expected = match outcome {
        Outcome::Accepted { answer } if answer.is_empty() => json!({ "outcome": "accepted" }),
        Outcome::Accepted { answer } => {
            let answer: Value = serde_json::from_slice(answer).expect("answers are JSON");
            json!({ "outcome": "accepted", "answer": answer })
        }
        Outcome::Rejected(no) => json!({ "outcome": "rejected", "code": no.code, "detail": no.detail }),
        other => panic!("a policy never answers {other:?}"),
    };
    let effects: Value = effects.iter().map(effect).collect();
    if effects != json!([]) && bytes(&effects) <= SHOWN_BYTES_MAX {
        expected["effects"] = effects;
    }
    match expected.as_object() {
        Some(members) if members.len() == 1 => members["outcome"].clone(),
        _ => expected,
    }
}

fn effect(effect: &Effect) -> Value {
    let read = |payload: &[u8]| serde_json::from_slice::<Value>(payload).expect("effects are JSON");
    let undo = |undo: &Compensator| json!({ "driver": undo.driver, "payload": read(&undo.payload) });
    json!({
        "key": effect.idempotency_key,
        "driver": effect.driver,
        "deadline_ms": effect.deadline_ms,
        "payload": read(&effect.payload),
        "compensator": effect.compensator.as_ref().map(undo),
    })
}

fn bytes(value: &Value) -> usize {
    value.to_string().len()
}
