//! What a usual step costs, in fuel of the guest, hardly depends on how much a policy looks after.
//!
//! Fuel counts instructions and the bytes of host calls, so the figures are the same on every machine.

use reprise::{
    engine::on_engine_thread,
    node::{EngineChoice, read_package},
    scenario::{Scenario, Stage, difference},
};
use reprise_tests::fixture;
use serde_json::{Value, json};
use std::fs;

/// Most that a step at 1,000 may cost, as a multiple of the step at 10 (exclusive).
const GROWTH_MAX: u64 = 5;

/// Fuel of the last `steps` submitted events of this world, in order.
fn fuel(policy: &'static str, parameters: Value, mut setup: Vec<Value>, events: Vec<Value>) -> Vec<u64> {
    let steps = events.len();
    setup.extend(events);
    let file = json!({ "about": "cost", "rows": [], "policy": policy, "parameters": parameters, "events": setup });
    let play = move || {
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), file.to_string()).unwrap();
        let scenario = Scenario::read(path.path()).unwrap();
        let package = read_package(&fixture(&format!("packages/{policy}-1.0.0.reprise"))).unwrap();
        let mut stage = Stage::new(policy, Some(&package), EngineChoice::Cranelift).unwrap();
        let played = stage.play(&scenario).unwrap();
        assert!(difference(&scenario, &played).is_none(), "every event is accepted");
        let submitted = played.steps().filter(|step| step.sealed.receipt.fuel > 0).map(|step| step.sealed.receipt.fuel);
        let all: Vec<u64> = submitted.collect();
        all[all.len() - steps..].to_vec()
    };
    on_engine_thread("cost", play).unwrap().join().unwrap()
}

fn event(at_ms: u64, kind: &str, data: Value) -> Value {
    json!({ "at_ms": at_ms, "kind": kind, "data": data, "expect": "accepted" })
}

fn cluster(nodes: u64) -> Vec<u64> {
    let all: Vec<u64> = (1..=nodes).collect();
    let parameters = json!({ "nodes": all, "operators": ["ann", "bob"], "admins": ["ann"] });
    let events = vec![
        event(1_000, "assign", json!({ "node": 2, "capsules": [1, 2, 3] })),
        event(1_000, "heartbeat", json!({ "node": 3 })),
        event(1_000, "heartbeat", json!({ "node": 4 })),
        event(1_000, "propose", json!({ "proposal": "p" })),
        event(1_000, "vote", json!({ "node": 3, "ballot": 1, "approve": true })),
    ];
    fuel("cluster", parameters, Vec::new(), events)
}

fn capsule(capsules: u64) -> Vec<u64> {
    let names: Vec<Value> = (0..capsules).map(|n| json!({ "id": format!("c{n}"), "phi": [1_000_000, 0] })).collect();
    let setup = names.chunks(50).map(|some| event(1_000, "register", json!({ "capsules": some }))).collect();
    let reading =
        |id: &str| json!({ "capsule": id, "drift_velocity_ppm": 10_000, "ttf_ticks": 100, "stability_ppm": 950_000 });
    let events = ["c3", "c5", "c7"].map(|id| event(1_100, "observe", json!({ "readings": [reading(id)] })));
    fuel("capsule", json!({ "nodes": ["n1", "n2", "n3", "n4"], "dimension": 2 }), setup, events.into())
}

/// Payloads of full length that are not what anybody expects: every one is refused with fuel to spare, for a policy that
/// faults three times stands still, and anybody may submit.
fn refuses_what_is_long(policy: &'static str, parameters: Value, kinds: &[&str]) {
    let long = reprise_abi::limits::INPUT_PAYLOAD_BYTES_MAX;
    let filled = |begin: &str, item: &str, end: &str| {
        let items = (long - begin.len() - end.len() + 1) / (item.len() + 1);
        format!("{begin}{}{end}", vec![item; items].join(","))
    };
    let payloads = [
        filled("[", "1", "]"),
        filled("{", "\"\":1", "}"),
        filled("{\"events\":[", "{}", "]}"),
        filled("{\"events\":[{\"partition\":{\"sides\":[[", "1", "]]}}]}"),
        filled("{\"capsules\":[", "1", "]}"),
        filled("{\"readings\":[", "{\"capsule\":\"\"}", "]}"),
        filled("{\"reason\":\"", "a", "\"}"),
    ];
    let event = |(kind, payload): (&&str, &String)| json!({ "at_ms": 1_000, "kind": kind, "data_text": payload, "expect": "rejected" });
    let pairs = kinds.iter().flat_map(|kind| payloads.iter().map(move |payload| (kind, payload)));
    let fuel = fuel(policy, parameters, Vec::new(), pairs.map(event).collect());
    println!("{policy}: at most {} for a payload of {long} bytes", fuel.iter().max().unwrap());
}

#[test]
fn no_payload_is_long_enough_to_run_out_of_fuel() {
    let cluster = json!({ "nodes": [1, 2, 3, 4], "operators": ["ann", "bob"], "admins": ["ann"] });
    refuses_what_is_long("cluster", cluster, &["assign", "init", "coordination_failure"]);
    let capsule = json!({ "nodes": ["n1", "n2", "n3", "n4"], "dimension": 2 });
    refuses_what_is_long("capsule", capsule, &["register", "observe", "init"]);
    let path = fixture("scenarios/lease/silence.json");
    let silence: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    refuses_what_is_long("lease", silence["events"][0]["data"].clone(), &["observe", "init", "action_result"]);
}

fn hardly_grows(policy: &str, at_10: &[u64], at_1000: &[u64]) {
    println!("{policy}: fuel {at_10:?} at 10, {at_1000:?} at 1,000");
    assert_eq!(at_10.len(), at_1000.len());
    for (few, many) in at_10.iter().zip(at_1000) {
        assert!(*many < GROWTH_MAX * few, "{policy}: {few} at 10, {many} at 1,000");
    }
}

#[test]
fn a_step_among_a_thousand_nodes_costs_less_than_five_among_ten() {
    hardly_grows("cluster", &cluster(10), &cluster(1_000));
}

#[test]
fn a_step_among_a_thousand_capsules_costs_less_than_five_among_ten() {
    hardly_grows("capsule", &capsule(10), &capsule(1_000));
}
