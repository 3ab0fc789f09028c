//! How small a recovery policy is: a whole one and a scenario that proves it, together in at most 100 lines.
//!
//! The policy restarts what is reported down. A restart that fails or expires is tried again after 1 s, 2 s and 4 s;
//! then the service is given up and an operator is paged. A report `up` clears it. It runs natively, from this file, on
//! the real ledger: only time and the outside world are those of the scenario. Two marks bound the lines that count.

use reprise::scenario::{Difference, Scenario, Stage, difference};
use reprise_guest::{
    Host, HostEvent, NativePolicy, Policy, StepInput,
    abi::{Description, EFFECT_KIND, Effect, EffectStatus, Rejection, TIMER_KIND, Timer},
    rejection::{Code, SdkCode},
    typed::{self, Map},
};
use serde::{Deserialize, Serialize};
use std::fs;

// The policy and its scenario: begin.

/// What is known of a service from `down` to `up`.
#[derive(Serialize, Deserialize)]
struct Outage {
    failures: u8,
    /// Key of the latest effect: a restart or, at last, the page.
    effect: String,
    /// It was done; if the service is reported down once more, that restart has failed all the same.
    done: bool,
}
const OUTAGES: Map<String, Outage> = Map::new(b"outage/");
/// How long to wait after each failure. After one more the service is given up.
const WAITS_MS: [u64; 3] = [1_000, 2_000, 4_000];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    service: String,
}

struct Restart;
impl Policy for Restart {
    fn describe() -> Description {
        let input_kinds = ["down", EFFECT_KIND, TIMER_KIND, "up"].map(String::from).into();
        let (name, version) = ("restart".into(), "1.0.0".into());
        Description { name, version, input_kinds, views: vec![], rejections: SdkCode::own(), governed: vec![] }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        let event = HostEvent::of(input)?;
        let service: String = match &event {
            HostEvent::Timer { id, .. } => (*id).into(),
            HostEvent::Effect(result) => result.idempotency_key.rsplit_once('.').unwrap_or_default().0.into(),
            HostEvent::Submitted => typed::payload::<Report>(input)?.service,
        };
        if service.is_empty() || service.len() > 64 {
            return Err(SdkCode::MalformedPayload.because("a service has a name of 1 to 64 bytes"));
        }
        match (event, input.kind.as_str(), OUTAGES.get(host, &service)?) {
            (HostEvent::Submitted, "up", _) => {
                host.cancel_timer(&service);
                OUTAGES.delete(host, &service);
            }
            (HostEvent::Submitted, kind, _) if kind != "down" => return Err(SdkCode::UnknownKind.because(kind)),
            (HostEvent::Submitted, _, None) => act(host, input, "restart", &service, 0),
            (HostEvent::Submitted, _, Some(outage)) if outage.done => failed(host, input, &service, outage),
            (HostEvent::Timer { .. }, _, Some(outage)) => act(host, input, "restart", &service, outage.failures),
            (HostEvent::Effect(result), _, Some(outage)) if outage.effect == input.id => match result.status {
                EffectStatus::Done { .. } => OUTAGES.put(host, &service, &Outage { done: true, ..outage }),
                _ => failed(host, input, &service, outage),
            },
            _ => {} // Down while something is done about it, or the result of an effect before the last `up`.
        }
        Ok(vec![])
    }
}

fn act(host: &mut dyn Host, input: &StepInput, driver: &str, service: &String, failures: u8) {
    let (effect, deadline_ms) = (format!("{service}.{}", input.seq), input.logical_time_ms.saturating_add(10_000));
    let (idempotency_key, driver, payload) = (effect.clone(), driver.into(), service.as_str().into());
    host.emit(Effect { idempotency_key, driver, deadline_ms, payload, compensator: None });
    OUTAGES.put(host, service, &Outage { failures, effect, done: false });
}

/// Waits for the next restart, or gives up and pages; after that, `up` alone begins anew.
fn failed(host: &mut dyn Host, input: &StepInput, service: &String, outage: Outage) {
    let failures = outage.failures.saturating_add(1);
    if let Some(wait_ms) = WAITS_MS.get(usize::from(outage.failures)) {
        let due_ms = input.logical_time_ms.saturating_add(*wait_ms);
        host.set_timer(Timer { id: service.clone(), due_ms, payload: vec![] });
        OUTAGES.put(host, service, &Outage { failures, done: false, ..outage });
    } else if usize::from(failures) == WAITS_MS.len() + 1 {
        act(host, input, "page", service, failures);
    }
}

const SCENARIO: &str = r#"{
  "about": "One service stays down until the operator comes, one is up and down.", "rows": [], "policy": "restart",
  "world": [
    {"driver": "restart", "key": "billing.*", "times": 1, "then": "silent"},
    {"driver": "restart", "key": "billing.*", "times": 3, "after_ms": 100, "then": "fail", "detail": "exit code 1"},
    {"driver": "page", "then": "done",
     "events": [{"after_ms": 9000, "kind": "up", "data": {"service": "$payload.text"}}]},
    {"key": "mail.*", "times": 1, "after_ms": 1500, "then": "fail"}, {"then": "done"}],
  "events": [
    {"at_ms": 1000, "kind": "down", "data": {"service": "billing"}, "repeat": {"times": 3, "every_ms": 9500}},
    {"at_ms": 2000, "kind": "down", "data": {"service": ""}, "expect": {"outcome": "rejected", "code": 9005}},
    {"at_ms": 2000, "kind": "on", "data": {"service": "mail"}, "expect": {"outcome": "rejected", "code": 9004}},
    {"at_ms": 4000, "kind": "down", "data": {"service": "mail"}},
    {"at_ms": 4500, "kind": "up", "data": {"service": "mail"}},
    {"at_ms": 5000, "kind": "down", "data": {"service": "mail"}, "repeat": {"times": 3, "every_ms": 1500}},
    {"at_ms": 9000, "kind": "up", "data": {"service": "mail"}},
    {"at_ms": 31000, "kind": "down", "data": {"service": "billing"}}],
  "until_ms": 60000, "expect": {"outcome_counts": {"rejected": 2}, "effects": [
      {"at_ms": 1000, "key": "billing.0", "status": "expired"}, {"at_ms": 4000, "key": "mail.3", "status": "failed"},
      {"at_ms": 5000, "status": "done"}, {"at_ms": 7500, "driver": "restart", "status": "done"},
      {"at_ms": 12001, "status": "failed"}, {"at_ms": 14101, "status": "failed"}, {"at_ms": 18201, "status": "failed"},
      {"at_ms": 18301, "driver": "page", "status": "done"}, {"at_ms": 31000, "driver": "restart", "status": "done"}],
    "timers": [{"at_ms": 7500, "id": "mail"}, {"at_ms": 12001, "id": "billing"}, {"at_ms": 14101}, {"at_ms": 18201}]}
}"#;
// The policy and its scenario: end.

/// Plays a scenario, given as the text of its file, on a ledger of its own: what differs from its expectations first.
fn play(text: &str) -> Option<Difference> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("restart.json");
    fs::write(&file, text).unwrap();
    let scenario = Scenario::read(&file).unwrap();
    difference(&scenario, &Stage::native(NativePolicy::of::<Restart>()).unwrap().play(&scenario).unwrap())
}

#[test]
fn does_what_its_scenario_expects() {
    let found = play(SCENARIO).map(|difference| difference.to_string());
    assert_eq!(found, None);
}

/// A page that is late, a timer too many, an answer for another reason: each is found where it is.
#[test]
fn a_changed_expectation_is_noticed() {
    let cases = [
        (r#"{"at_ms": 18301, "driver": "page""#, r#"{"at_ms": 18302, "driver": "page""#, "expect.effects[7]"),
        (r#", {"at_ms": 18201}]}"#, "]}", "expect.timers[3]"),
        (r#""code": 9005"#, r#""code": 9004"#, "events[1]"),
    ];
    for (from, to, place) in cases {
        assert_eq!(SCENARIO.matches(from).count(), 1, "{from}");
        let found = play(&SCENARIO.replace(from, to)).unwrap_or_else(|| panic!("{to}: not noticed"));
        assert!(found.at.contains(place), "{found}");
    }
}

#[test]
fn is_at_most_100_lines_long() {
    let source: Vec<&str> = include_str!("small_policy.rs").lines().collect();
    let mark = |what: &str| {
        let mark = format!("// The policy and its scenario: {what}.");
        source.iter().position(|line| *line == mark).unwrap_or_else(|| panic!("no line is `{mark}`"))
    };
    let lines = mark("end") - mark("begin") - 1;
    assert!(lines <= 100, "policy and scenario have {lines} lines");
}
