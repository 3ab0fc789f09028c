//! Whatever is wrong with an input, it is rejected with a code of the list, and nothing of it stays.

use crate::support::{START_MS, Sim, parameters};
use reprise_guest::{Policy, abi::Outcome, testing::MemoryLedger};
use reprise_service::{Service, dispatch::KINDS};
use serde_json::{Value, json};

const UNKNOWN_KIND: u32 = 9_004;
const MALFORMED: u32 = 9_005;

/// Kind, payload as text, code. `ann` and `bob` have a million.
const TABLE: [(&str, &str, u32); 40] = [
    ("reboot", "{}", UNKNOWN_KIND),
    ("", "{}", UNKNOWN_KIND),
    ("audit", r#"{"node":"a1"}"#, MALFORMED),
    ("health", "", MALFORMED),
    ("health", "1", MALFORMED),
    ("health", "{}", MALFORMED),
    ("health", r#"{"service":"mail","ok":true"#, MALFORMED),
    ("health", r#"{"service":"mail","ok":true}{}"#, MALFORMED),
    ("health", r#"{"service":"mail","service":"mail","ok":true}"#, MALFORMED),
    ("health", r#"{"service":"mail","ok":true,"node":"a1"}"#, MALFORMED),
    ("health", r#"{"service":"mail","ok":true,"colour":1}"#, MALFORMED),
    ("health", r#"{"service":7,"ok":true}"#, MALFORMED),
    ("health", r#"{"service":"mail","ok":null}"#, MALFORMED),
    ("health", r#"{"service":"mail","ok":true,"lag_ms":-1}"#, MALFORMED),
    ("health", r#"{"service":"mail","ok":true,"lag_ms":1.0}"#, MALFORMED),
    ("health", r#"{"service":"nobody","ok":true}"#, 110),
    ("metrics", r#"{"service":"nobody"}"#, 110),
    ("connection", r#"{"node":"z","ok":true}"#, 111),
    ("region", r#"{"region":"mars","ok":true}"#, 112),
    ("zone_failure", r#"{"zone":"z9"}"#, 113),
    ("corruption", r#"{"place":""}"#, 103),
    ("recover", r#"{"recovery":1,"operator":"ann"}"#, 115),
    ("resume", r#"{"operator":"eve"}"#, 114),
    ("balance", r#"{"transaction":"t","account":"ann","amount":0}"#, 105),
    ("balance", r#"{"transaction":"","account":"ann","amount":1}"#, 103),
    ("balance", r#"{"transaction":"t","account":"","amount":1}"#, 103),
    ("balance", r#"{"transaction":"t","account":"ann","amount":-9223372036854775808}"#, 105),
    ("balance", r#"{"transaction":"t","account":"ann","amount":1000000000000000}"#, 122),
    ("cancel", r#"{"order":1}"#, 123),
    ("settle", r#"{"trade":1}"#, 125),
    ("match", r#"{"match":1,"buy":1,"sell":2,"price":0,"quantity":1}"#, 105),
    ("match", r#"{"match":1,"buy":1,"sell":2,"price":1,"quantity":1000000001}"#, 105),
    ("order_state", r#"{"order":1,"filled":0,"remaining":0}"#, 123),
    ("market_data", r#"{"symbol":"BTC","price":0}"#, 105),
    ("quote", r#"{"symbol":"BTC"}"#, 144),
    ("position", r#"{"account":"ann","symbol":"B","size":1,"entry_price":1,"margin":1,"leverage":1001}"#, 105),
    ("replicated", r#"{"node":"a1","lsn":1,"token":1}"#, 151),
    ("write", r#"{"node":"a1","token":2}"#, 150),
    ("operation", r#"{"operation":"","kind":"http","dependency":"d","request":"r","fallback":"none"}"#, 103),
    ("drill", r#"{"drill":"kill","subject":"","operator":"ann"}"#, 103),
];

#[test]
fn every_malformed_event_has_its_code_and_leaves_nothing() {
    let listed: Vec<u32> = Service::describe().rejections.iter().map(|rejection| rejection.code).collect();
    let mut sim = Sim::rich();
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
fn parameters_are_held_to_their_bounds() {
    let with = |name: &str, value: Value| {
        let mut parameters = parameters();
        parameters[name] = value;
        parameters
    };
    let services =
        |count: u32| (0..count).map(|n| json!({ "service": format!("s{n}"), "role": "other" })).collect::<Vec<_>>();
    let nodes = |count: u32| (0..count).map(|n| json!({ "node": format!("n{n}"), "region": "eu" })).collect::<Vec<_>>();
    let cases = [
        (with("services", json!([])), 102),
        (with("services", json!(services(129))), 102),
        (with("services", json!(services(128))), 0),
        (with("services", json!([{ "service": "s", "role": "cook" }])), 106),
        (with("services", json!([{ "service": "s" }])), 102),
        (with("services", json!([{ "service": "s", "role": "other", "node": "a1" }])), 102),
        (with("services", json!([{ "service": "s", "role": "other" }, { "service": "s", "role": "other" }])), 104),
        (
            with("services", json!([{ "service": "s", "role": "matching" }, { "service": "t", "role": "matching" }])),
            102,
        ),
        (with("services", json!([{ "service": "", "role": "other" }])), 103),
        (with("services", json!([{ "service": "s", "role": "other", "zone": "" }])), 103),
        (with("nodes", json!([])), 102),
        (with("nodes", json!(nodes(33))), 102),
        (with("nodes", json!(nodes(32))), 0),
        (with("nodes", json!([{ "node": "n", "region": "mars" }])), 112),
        (with("nodes", json!([{ "node": "n", "region": "us" }])), 102),
        (with("nodes", json!([{ "node": "n", "region": "eu" }, { "node": "n", "region": "eu" }])), 104),
        (with("regions", json!(["eu", "eu"])), 104),
        (with("regions", json!(["eu", "us", "as"])), 102),
        (with("operators", json!([])), 102),
        (with("operators", json!(["x".repeat(65)])), 103),
        (with("fee_ppm", json!(1_000_001)), 105),
        (with("colour", json!(1)), MALFORMED),
        (with("operators", json!("ann")), MALFORMED),
    ];
    for (parameters, expected) in cases {
        let mut ledger = MemoryLedger::<Service>::new();
        let code = match ledger.submit(0, "init", parameters.to_string().as_bytes()) {
            Outcome::Accepted { .. } => 0,
            Outcome::Rejected(no) => no.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code, expected, "{parameters}");
        assert_eq!(ledger.host.state.is_empty(), expected != 0);
    }
}

#[test]
fn before_init_there_is_nothing() {
    for kind in KINDS.into_iter().filter(|kind| !kind.starts_with("reprise.") && *kind != "init") {
        let mut ledger = MemoryLedger::<Service>::new();
        match ledger.submit(0, kind, b"{}") {
            Outcome::Rejected(no) => assert_eq!(no.code, 100, "{kind}: {no:?}"),
            other => panic!("{kind}: {other:?}"),
        }
    }
    let mut ledger = MemoryLedger::<Service>::new();
    assert!(matches!(ledger.view("health", b""), Outcome::Rejected(no) if no.code == 100));
    let mut sim = Sim::new();
    assert_eq!(sim.no(START_MS, "init", parameters()), 101);
}

#[test]
fn views_say_what_is_wrong_with_their_arguments() {
    let mut sim = Sim::rich();
    for (name, args, code) in [
        ("service", "", MALFORMED),
        ("service", "[]", MALFORMED),
        ("service", r#"{"colour":1}"#, MALFORMED),
        ("service", r#"{"service":"nobody"}"#, 110),
        ("account", r#"{"account":"nobody"}"#, 120),
        ("order", r#"{"order":9}"#, 123),
        ("trade", r#"{"trade":9}"#, 125),
        ("weather", "", 9_001),
    ] {
        match sim.ledger.view(name, args.as_bytes()) {
            Outcome::Rejected(no) => assert_eq!(no.code, code, "{name} {args}"),
            other => panic!("{name} {args}: {other:?}"),
        }
    }
    for name in ["database", "drill", "figures", "health", "objectives", "recoveries", "timeouts"] {
        sim.view(name);
    }
    sim.view_of("account", json!({ "account": "ann" }));
    sim.view_of("service", json!({ "service": "engine" }));
    sim.view_of("book", json!({ "symbol": "BTC" }));
}

#[test]
fn the_description_is_in_order() {
    let description = Service::describe();
    assert!(description.input_kinds.is_sorted_by(|a, b| a < b));
    assert!(description.views.is_sorted_by(|a, b| a < b));
    assert!(description.rejections.is_sorted_by(|a, b| a.code < b.code));
}
