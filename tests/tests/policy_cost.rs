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

/// Nodes that are heard of, and a phase that one of them begins and another works on.
fn phase(nodes: u64) -> Vec<u64> {
    let all: Vec<u64> = (1..=nodes).collect();
    let parameters = json!({ "nodes": all, "supervisors": ["ann", "bob", "eve"] });
    let setup = vec![event(1_000, "leader", json!({ "node": 1, "term": 1 }))];
    let began = json!({ "node": 2, "g": 1, "phase": "ANALYZE", "token": 0 });
    let started = json!({ "node": 3, "g": 1, "phase": "ANALYZE", "event": "started", "vc": [[3, 1]] });
    let failed = json!({ "node": 2, "g": 1, "phase": "ANALYZE", "status": "FAILED" });
    let events = vec![
        event(1_500, "heartbeat", json!({ "nodes": [3] })),
        event(1_500, "gossip", json!({ "nodes": [4] })),
        event(1_500, "begin_phase", began),
        event(1_500, "phase_transition", started),
        event(1_500, "exec_status", failed),
    ];
    fuel("phase", parameters, setup, events)
}

/// An exchange with so many accounts and open orders.
fn service(many: u64) -> Vec<u64> {
    let path = fixture("scenarios/service/alerts.json");
    let scenario: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let account = |n: u64| json!({ "transaction": format!("t{n}"), "account": format!("u{n}"), "amount": 1_000_000 });
    let order = |key: &str, n: u64, side: &str, price: u64| {
        let account = format!("u{n}");
        json!({
            "idempotency_key": key, "account": account, "symbol": "BTC", "side": side, "price": price, "quantity": 5,
        })
    };
    let side = |n: u64| if n.is_multiple_of(2) { "buy" } else { "sell" };
    let mut setup: Vec<Value> = (0..many).map(|n| event(2_000, "balance", account(n))).collect();
    let price = |n: u64| 100 + n % 2 * 50 + n % 7;
    setup.extend((0..many).map(|n| event(2_000, "place", order(&format!("k{n}"), n, side(n), price(n)))));
    let trade = json!({ "match": 1, "buy": 7, "sell": many + 1, "price": 102, "quantity": 5 });
    let events = vec![
        event(2_001, "place", order("last", 3, "sell", 100)),
        event(2_001, "match", trade),
        event(2_001, "settle", json!({ "trade": 1 })),
        event(2_001, "cancel", json!({ "order": 2 })),
        event(2_001, "balance", json!({ "transaction": "x", "account": "u5", "amount": -1 })),
        event(2_001, "health", json!({ "service": "mail", "ok": false })),
    ];
    fuel("service", scenario["parameters"].clone(), setup, events)
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

#[test]
fn a_step_of_a_phase_among_a_thousand_nodes_costs_less_than_five_among_ten() {
    hardly_grows("phase", &phase(10), &phase(1_000));
}

#[test]
fn a_step_among_a_thousand_accounts_and_orders_costs_less_than_five_among_ten() {
    hardly_grows("service", &service(10), &service(1_000));
}
