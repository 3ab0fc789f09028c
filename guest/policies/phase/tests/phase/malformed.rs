//! Whatever is not as it should be is rejected with a documented code and leaves nothing.

use crate::support::{Sim, parameters};
use reprise_guest::{Policy, abi::Outcome, testing::MemoryLedger};
use reprise_phase::PhaseTransitions;
use serde_json::{Value, json};

/// A good payload of every kind that can be submitted, to be spoilt.
fn payloads() -> Vec<(&'static str, Value)> {
    let run = |more: Value| {
        let mut event = json!({ "node": 1, "g": 1, "phase": "ANALYZE" });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    vec![
        ("begin_phase", run(json!({ "token": 0 }))),
        ("caught_up", json!({ "node": 1, "record": 0 })),
        ("checkpoint", run(json!({ "token": 0, "offset": 1, "data": "", "crc": 0 }))),
        ("commit_phase", run(json!({ "token": 0 }))),
        ("control_write", json!({ "node": 1, "name": "n", "version": 0, "content": "", "checksum": "" })),
        ("decommission", json!({ "node": 1, "supervisor": "ann" })),
        ("exec_status", run(json!({ "status": "DONE" }))),
        ("fx_rates", json!({ "day": 1, "rates": [] })),
        ("gossip", json!({ "nodes": [1] })),
        ("heartbeat", json!({ "nodes": [1] })),
        ("join", json!({ "node": 9, "supervisor": "ann" })),
        ("leader", json!({ "node": 1, "term": 2 })),
        ("log_head", run(json!({ "token": 0, "vc": [[1, 1]], "digest": "d", "valid": true }))),
        ("log_tail", json!({ "node": 1, "records": [{ "record": 1, "data": "", "crc": 0 }] })),
        ("override", json!({ "node": 1, "trace": "1.ANALYZE", "action": "abort", "supervisor": "ann" })),
        ("permit_async", json!({ "node": 1, "supervisor": "ann" })),
        ("phase_transition", run(json!({ "event": "started", "vc": [[1, 1]] }))),
        ("reingest", json!({ "node": 1, "vc": [[1, 1]] })),
        ("roster", json!({ "supervisor": "ann", "supervisors": ["ann"] })),
        ("side_effect", run(json!({ "token": 0, "key": "k", "action": "create", "undo": "u" }))),
        ("wal_ack", json!({ "node": 1, "record": 1, "token": 0, "crc": 0, "durable": true, "fsync_us": 1 })),
    ]
}

#[test]
fn every_kind_is_listed_and_no_other_is_known() {
    let mut kinds: Vec<&str> = payloads().into_iter().map(|(kind, _)| kind).collect();
    kinds.extend(["init", "reprise.effect", "reprise.timer"]);
    kinds.sort_unstable();
    assert_eq!(PhaseTransitions::describe().input_kinds, kinds);
    assert_eq!(Sim::new(3).no("begin", json!({})), 9004);
}

#[test]
fn missing_unknown_and_mistyped_members_are_malformed() {
    for (kind, good) in payloads() {
        for name in good.as_object().unwrap().keys() {
            let mut sim = Sim::new(5);
            sim.run(1, "ANALYZE");
            let mut less = good.clone();
            less.as_object_mut().unwrap().remove(name);
            assert_eq!(sim.no(kind, less), 9005, "{kind} without {name}");
            let mut other = good.clone();
            other[name] = json!({ "no": 1 });
            assert_eq!(sim.no(kind, other), 9005, "{kind} with another {name}");
        }
        let mut sim = Sim::new(5);
        sim.run(1, "ANALYZE");
        for text in ["", "{", "[]", "{}x", r#"{"node":1,"node":1}"#, r#"{"nodes":1.5}"#, r#"{"unheard":1}"#] {
            match sim.ledger.submit(sim.now_ms, kind, text.as_bytes()) {
                Outcome::Rejected(no) => assert_eq!(no.code, 9005, "{kind} {text}: {}", no.detail),
                other => panic!("{kind} {text}: {other:?}"),
            }
        }
        let mut more = good.clone();
        more["ppm"] = json!(1);
        assert!(sim.no(kind, more) >= 100, "{kind} with one member too many");
    }
}

#[test]
fn nothing_is_accepted_before_init_and_init_only_once() {
    for (kind, good) in payloads() {
        let mut ledger = MemoryLedger::<PhaseTransitions>::new();
        match ledger.submit(1, kind, good.to_string().as_bytes()) {
            Outcome::Rejected(no) => assert_eq!(no.code, 100, "{kind}"),
            other => panic!("{kind}: {other:?}"),
        }
    }
    assert_eq!(Sim::new(3).no("init", parameters(3)), 101);
}

#[test]
fn parameters_out_of_their_bounds_are_rejected() {
    let cases = [
        (json!({ "nodes": [] }), 103),
        (json!({ "nodes": [2, 1] }), 103),
        (json!({ "nodes": [4_096] }), 103),
        (json!({ "nodes": (0..1_001).collect::<Vec<_>>() }), 103),
        (json!({ "supervisors": [] }), 105),
        (json!({ "supervisors": ["ann", "ann"] }), 105),
        (json!({ "supervisors": [""] }), 104),
        (json!({ "mode": "FAST" }), 106),
        (json!({ "k_tenths": 11 }), 102),
        (json!({ "k_tenths": 21 }), 102),
        (json!({ "priors_ms": [1, 2, 3, 4] }), 105),
        (json!({ "priors_ms": [0, 1, 1, 1, 1] }), 102),
        (json!({ "blocked_ms": 0 }), 102),
        (json!({ "ttl_ms": 59_999 }), 102),
        (json!({ "grace_ms": 59_999 }), 102),
        (json!({ "currency": "" }), 104),
        (json!({ "regions": [{ "region": "eu", "currency": "EUR", "limit": 2_000_000_000 }] }), 102),
        (json!({ "regions": [{ "region": "eu", "currency": "EUR" }] }), 9005),
    ];
    for (change, code) in cases {
        let mut init = parameters(3);
        init.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let mut ledger = MemoryLedger::<PhaseTransitions>::new();
        match ledger.submit(1, "init", init.to_string().as_bytes()) {
            Outcome::Rejected(no) => assert_eq!(no.code, code, "{change}: {}", no.detail),
            other => panic!("{change}: {other:?}"),
        }
        assert!(ledger.host.state.is_empty());
    }
}

#[test]
fn codes_are_ascending_and_in_the_readme() {
    let codes = PhaseTransitions::describe().rejections;
    assert!(codes.windows(2).all(|pair| pair[0].code < pair[1].code));
    let readme = include_str!("../../README.md");
    for code in codes.iter().filter(|code| code.code < 9_000) {
        assert!(readme.contains(&format!("| {} | {} |", code.code, code.name)), "{} {}", code.code, code.name);
    }
    for kind in PhaseTransitions::describe().input_kinds {
        assert!(kind.starts_with("reprise.") || readme.contains(&format!("`{kind}`")), "{kind}");
    }
    for view in PhaseTransitions::describe().views {
        assert!(readme.contains(&format!("`{view}`")), "{view}");
    }
}

#[test]
fn a_policy_keeps_at_most_so_many_control_records() {
    let mut sim = Sim::new(1);
    let checksum = reprise_guest::text::hex(&reprise_phase::digest::sha256(b""));
    let write = |name: u64, version: u64| json!({ "node": 1, "name": format!("c{name}"), "version": version, "content": "", "checksum": checksum });
    for name in 0..reprise_phase::params::CONTROLS_MAX {
        sim.ok("control_write", write(name, 0));
    }
    assert_eq!(sim.no("control_write", write(9_999, 0)), 156);
    assert_eq!(sim.ok("control_write", write(0, 1))["version"], 2, "those that are there go on");
}
