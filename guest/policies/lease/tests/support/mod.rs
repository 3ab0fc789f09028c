//! Scenarios as data: run them in memory, compare with what they expect, or write down what happened.

use reprise_guest::{
    StepInput,
    abi::{Effect, Outcome},
    testing::MemoryHost,
};
use reprise_lease::{
    Lease,
    digest::{self, Digest},
};
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};

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
    for (seq, step) in (0..).zip(scenario["steps"].as_array_mut().expect("a scenario has steps")) {
        let step = step.as_object_mut().expect("a step is an object");
        let payload = payload(step, &mut host);
        let before = host.state.clone();
        let outcome = host.step::<Lease>(&StepInput {
            seq,
            epoch: 1,
            logical_time_ms: step["at_ms"].as_u64().expect("a step has a time"),
            id: format!("step-{seq}"),
            source: "scenario".into(),
            kind: step["kind"].as_str().expect("a step has a kind").into(),
            payload,
            seed: [0; 4],
        });
        if !outcome.is_accepted() {
            assert_eq!(host.state, before, "only an accepted step leaves anything");
        }
        step.insert("expect".into(), expectation(&outcome, &host.effects));
    }
    let views = ["report", "plan", "cluster", "trace"];
    let last = views.map(|name| (String::from(name), shortened(view(&mut host, name))));
    scenario["final"] = Value::Object(last.into_iter().collect());
    (scenario, host)
}

/// The bytes that a step submits: compact JSON with sorted keys, or a text as it stands. A string that begins with `$`
/// is looked up (`plan`: the pending plan; otherwise a field of the view `checkpoint`, after a colon that of another
/// scenario's end), and the payload as it was sent is written down beside.
fn payload(step: &mut Map<String, Value>, host: &mut MemoryHost) -> Vec<u8> {
    if let Some(text) = step.get("payload_text") {
        return text.as_str().expect("a text").into();
    }
    let mut payload = step["payload"].clone();
    let template = payload.clone();
    resolve(&mut payload, host);
    if payload != template {
        step.insert("sent".into(), payload.clone());
    }
    sorted(payload).to_string().into_bytes()
}

fn resolve(value: &mut Value, host: &mut MemoryHost) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| resolve(member, host)),
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, host)),
        Value::String(text) => {
            let Some(name) = text.strip_prefix('$') else { return };
            *value = match name.split_once(':') {
                Some((other, field)) => view(&mut run(load(other)).1, "checkpoint")[field].clone(),
                None if name == "plan" => view(host, "plan")["hash"].clone(),
                None => view(host, "checkpoint")[name].clone(),
            };
        }
        _ => {}
    }
}

/// Object members in the order of their names.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// A view as JSON, or its rejection.
pub fn view(host: &mut MemoryHost, name: &str) -> Value {
    match host.view::<Lease>(name, b"") {
        Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("views are JSON"),
        other => expectation(&other, &[]),
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
    if !effects.is_empty() {
        expected["effects"] = shortened(effects.iter().map(effect).collect());
    }
    expected
}

/// A value of more than 32 KiB stands in a scenario by its digest.
fn shortened(value: Value) -> Value {
    let text = sorted(value.clone()).to_string();
    if text.len() <= 32 * 1024 {
        return value;
    }
    json!({ "bytes": text.len(), "digest": Digest::of(digest::FINAL_STATE, text.as_bytes()).to_string() })
}

fn effect(effect: &Effect) -> Value {
    let read = |payload: &[u8]| serde_json::from_slice::<Value>(payload).expect("effects are JSON");
    json!({
        "key": effect.idempotency_key,
        "driver": effect.driver,
        "deadline_ms": effect.deadline_ms,
        "payload": read(&effect.payload),
        "compensator": effect.compensator.as_ref().map(|undo| read(&undo.payload)),
    })
}
