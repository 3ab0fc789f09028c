//! Whatever is wrong with an event, it is rejected with a code of the list, and nothing of it stays.

mod support;

use reprise_cluster::{Cluster, events::KINDS};
use reprise_guest::{Policy, abi::Outcome, testing::MemoryLedger};
use serde_json::{Value, json};
use support::{START_MS, Sim, parameters};

const UNKNOWN_KIND: u32 = 9_004;
const MALFORMED: u32 = 9_005;

/// Kind, payload as text, code. The cluster has the nodes 1 to 3, 3 evicted, capsule 7 on node 1.
const TABLE: [(&str, &str, u32); 62] = [
    ("reboot", "{}", UNKNOWN_KIND),
    ("", "{}", UNKNOWN_KIND),
    ("heartbeats", r#"{"node":1}"#, UNKNOWN_KIND),
    ("heartbeat", "", MALFORMED),
    ("heartbeat", "1", MALFORMED),
    ("heartbeat", "{}", MALFORMED),
    ("heartbeat", r#"{"node":1"#, MALFORMED),
    ("heartbeat", r#"{"node":1}{}"#, MALFORMED),
    ("heartbeat", r#"{"node":1,"node":1}"#, MALFORMED),
    ("heartbeat", r#"{"node":1,"nodes":[1]}"#, MALFORMED),
    ("heartbeat", r#"{"node":1,"digest":"a"}"#, MALFORMED),
    ("heartbeat", r#"{"node":1,"colour":"red"}"#, MALFORMED),
    ("heartbeat", r#"{"node":-1}"#, MALFORMED),
    ("heartbeat", r#"{"node":1.0}"#, MALFORMED),
    ("heartbeat", r#"{"node":4294967296}"#, MALFORMED),
    ("heartbeat", r#"{"node":"1"}"#, MALFORMED),
    ("heartbeat", r#"{"node":null}"#, MALFORMED),
    ("heartbeat", r#"{"node":9}"#, 120),
    ("heartbeat", r#"{"node":3}"#, 121),
    ("report", r#"{"node":1,"round":1,"digest":"a"}"#, MALFORMED),
    ("report", r#"{"node":1,"round":1,"digest":"","proofs_valid":true}"#, 105),
    ("report", r#"{"node":9,"round":1,"digest":"a","proofs_valid":true}"#, 120),
    ("report", r#"{"node":1,"round":2,"digest":"a","proofs_valid":true}"#, 151),
    ("report", r#"{"node":1,"round":18446744073709551615,"digest":"a","proofs_valid":true}"#, 151),
    ("report", r#"{"node":1,"round":18446744073709551616,"digest":"a","proofs_valid":true}"#, MALFORMED),
    ("propose", r#"{"proposal":""}"#, 105),
    ("vote", r#"{"node":1,"ballot":1,"approve":true}"#, 142),
    ("vote", r#"{"node":9,"ballot":1,"approve":true}"#, 120),
    ("vote", r#"{"node":1,"ballot":1,"approve":1}"#, MALFORMED),
    ("assign", r#"{"node":1,"capsules":[]}"#, 106),
    ("assign", r#"{"node":9,"capsules":[1]}"#, 120),
    ("assign", r#"{"node":3,"capsules":[1]}"#, 121),
    ("assign", r#"{"node":1,"capsules":[7]}"#, 131),
    ("assign", r#"{"node":1,"capsules":[8,8]}"#, 131),
    ("retire", r#"{"capsules":[8]}"#, 130),
    ("retire", r#"{"capsules":[7,7]}"#, 130),
    ("restart", r#"{"node":1,"operator":"ann"}"#, 123),
    ("restart", r#"{"node":1,"operator":"mallory"}"#, 170),
    ("restart", r#"{"node":9,"operator":"ann"}"#, 120),
    ("failover", r#"{"node":1,"operator":"ann"}"#, 123),
    ("failover", r#"{"node":1,"operator":""}"#, 170),
    ("redistribute", r#"{"node":1,"operator":"ann"}"#, 123),
    ("redistribute", r#"{"node":3,"operator":"ann"}"#, 134),
    ("redistribute", r#"{"node":9,"operator":"ann"}"#, 120),
    ("evict", r#"{"node":3,"operator":"ann"}"#, 121),
    ("evict", r#"{"node":1,"operator":"mallory"}"#, 170),
    ("admit", r#"{"node":1,"operator":"ann"}"#, 124),
    ("coordination_failure", r#"{"reason":""}"#, 105),
    ("halt_request", r#"{"reason":"","operator":"ann"}"#, 105),
    ("halt_request", r#"{"reason":"r","operator":"mallory"}"#, 170),
    ("halt_confirm", r#"{"operator":"ann"}"#, 181),
    ("halt_ack", r#"{"node":1,"halt":1}"#, 182),
    ("halt_ack", r#"{"node":1,"halt":0}"#, 182),
    ("snapshot", r#"{"snapshot":"","tick":1,"digest":"d"}"#, 105),
    ("snapshot", r#"{"snapshot":"s","tick":1,"digest":""}"#, 105),
    ("restore", r#"{"snapshot":"s","operator":"ann"}"#, 190),
    ("restore", r#"{"snapshot":"s","operator":"bob"}"#, 172),
    ("resume", r#"{"operator":"ann"}"#, 162),
    ("clear", r#"{"operator":"ann"}"#, 165),
    ("audit", r#"{"node":9}"#, 120),
    ("init", r#"{"nodes":[1],"operators":["ann","bob"],"admins":["ann"]}"#, 101),
    ("init", r#"{"nodes":[1]}"#, MALFORMED),
];

fn begun() -> Sim {
    let mut sim = Sim::new(3);
    sim.ok(START_MS, "evict", json!({ "node": 3, "operator": "ann" }));
    sim.done(START_MS, "evict", "");
    sim.ok(START_MS, "assign", json!({ "node": 1, "capsules": [7] }));
    sim.ledger.advance(START_MS + 1);
    sim
}

#[test]
fn every_malformed_event_has_its_code_and_leaves_nothing() {
    let listed: Vec<u32> = Cluster::describe().rejections.iter().map(|rejection| rejection.code).collect();
    let mut sim = begun();
    let before = sim.ledger.host.state.clone();
    for (kind, payload, expected) in TABLE {
        match sim.ledger.submit(START_MS + 1, kind, payload.as_bytes()) {
            Outcome::Rejected(no) => assert_eq!(no.code, expected, "{kind} {payload}: {}", no.detail),
            other => panic!("{kind} {payload}: {other:?}"),
        }
        assert!(listed.contains(&expected), "{expected} is not in the list");
        assert_eq!(sim.ledger.host.state, before, "{kind} {payload}");
        assert!(sim.ledger.ran.last().unwrap().effects.is_empty());
    }
}

#[test]
fn texts_and_lists_are_bounded() {
    let long = "x".repeat(129);
    let mut sim = begun();
    let many: Vec<u32> = (100..1_125).collect();
    for (kind, payload, code) in [
        ("propose", json!({ "proposal": long }), 105),
        ("coordination_failure", json!({ "reason": long }), 105),
        ("report", json!({ "node": 1, "round": 1, "digest": long, "proofs_valid": true }), 105),
        ("assign", json!({ "node": 1, "capsules": many }), 106),
        ("retire", json!({ "capsules": many }), 106),
    ] {
        assert_eq!(sim.no(START_MS + 1, kind, payload), code);
    }
    sim.ok(START_MS + 1, "assign", json!({ "node": 1, "capsules": many[1..] }));
    sim.ok(START_MS + 1, "retire", json!({ "capsules": many[1..] }));
}

#[test]
fn parameters_are_held_to_their_bounds() {
    let with = |name: &str, value: Value| {
        let mut parameters = parameters(3);
        parameters[name] = value;
        parameters
    };
    let names: Vec<String> = (0..65).map(|n| format!("op{n}")).collect();
    let cases = [
        (with("nodes", json!([])), 103),
        (with("nodes", json!((0..1_001).collect::<Vec<u32>>())), 103),
        (with("nodes", json!([1, 2, 1])), 104),
        (with("operators", json!(["ann"])), 102),
        (with("operators", json!(names)), 102),
        (with("operators", json!(["ann", "ann"])), 104),
        (with("operators", json!(["ann", ""])), 105),
        (with("admins", json!([])), 102),
        (with("admins", json!(["mallory"])), 102),
        (with("timeouts", json!({ "heartbeat_ms": 0 })), 102),
        (with("timeouts", json!({ "restore_ms": 86_400_001 })), 102),
        (with("timeouts", json!({ "colour": 1 })), MALFORMED),
        (with("timeouts", json!(null)), 0),
        (with("timeouts", json!({ "heartbeat_ms": 86_400_000 })), 0),
        (with("nodes", json!((0..1_000).collect::<Vec<u32>>())), 0),
    ];
    for (parameters, expected) in cases {
        let mut ledger = MemoryLedger::<Cluster>::new();
        let code = match ledger.submit(0, "init", parameters.to_string().as_bytes()) {
            Outcome::Accepted { .. } => 0,
            Outcome::Rejected(no) => no.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code, expected, "{parameters}");
    }
}

#[test]
fn before_init_there_is_nothing() {
    for kind in KINDS.iter().filter(|kind| !kind.starts_with("reprise.") && **kind != "init") {
        let mut ledger = MemoryLedger::<Cluster>::new();
        let (_, payload, _) = TABLE.into_iter().rfind(|(of, _, code)| of == kind && *code != MALFORMED).unwrap();
        match ledger.submit(0, kind, payload.as_bytes()) {
            Outcome::Rejected(no) => assert!([100, 105].contains(&no.code), "{kind}: {no:?}"),
            other => panic!("{kind}: {other:?}"),
        }
    }
    let mut ledger = MemoryLedger::<Cluster>::new();
    assert!(matches!(ledger.view("cluster", b""), Outcome::Rejected(no) if no.code == 100));
}

#[test]
fn views_say_what_is_wrong_with_their_arguments() {
    let mut sim = begun();
    for (name, args, code) in [
        ("node", "", MALFORMED),
        ("node", r#"{"node":9}"#, 120),
        ("node", r#"{"node":3}"#, 121),
        ("node", "[]", MALFORMED),
        ("assignments", r#"{"capsule":8}"#, 130),
        ("weather", "", 9_001),
    ] {
        match sim.ledger.view(name, args.as_bytes()) {
            Outcome::Rejected(no) => assert_eq!(no.code, code, "{name} {args}"),
            other => panic!("{name} {args}: {other:?}"),
        }
    }
    for name in Cluster::describe().views.iter().filter(|name| *name != "node") {
        sim.view(name);
    }
}

#[test]
fn the_description_is_in_order() {
    let description = Cluster::describe();
    assert!(description.input_kinds.is_sorted_by(|a, b| a < b));
    assert!(description.views.is_sorted_by(|a, b| a < b));
    assert!(description.rejections.is_sorted_by(|a, b| a.code < b.code));
    assert!(description.rejections.iter().all(|no| no.code < 8_000 || no.code > 9_000));
}
