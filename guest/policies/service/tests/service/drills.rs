//! Drills and their results (12).

use crate::support::Sim;
use serde_json::{Value, json};

fn begin(sim: &mut Sim, at_ms: u64, drill: &str, subject: &str) {
    sim.ok(at_ms, "drill", json!({ "drill": drill, "subject": subject, "operator": "ann" }));
}

#[test]
fn a_kill_is_timed_against_its_objective() {
    let mut sim = Sim::new();
    begin(&mut sim, 2_000, "kill", "mail");
    assert_eq!(sim.no(2_000, "drill", json!({ "drill": "latency", "subject": "mail", "operator": "ann" })), 180);
    sim.done(2_100, "kill", &json!({}));
    sim.crash(3_000, "settle");
    assert_eq!(sim.view("drill")["phase"], "INJECTED", "settlement was not the one");
    sim.crash(3_100, "mail");
    assert_eq!(sim.view("drill")["phase"], "RECOVERING");
    assert_eq!(sim.recovery()["drill"], true);
    let restart = sim.asked("restart").into_iter().find(|(_, payload)| payload["subject"] == "mail").unwrap().0;
    sim.ledger.settle(4_000, &restart, reprise_guest::abi::EffectStatus::Done { answer: vec![] });
    sim.done(5_000, "load_state", &json!({ "checkpoint": 0, "last": 0 }));
    sim.done(8_101, "replay_events", &json!({ "sequence": 0 }));
    let drill = sim.view("drill");
    assert_eq!((&drill["phase"], &drill["recovery_ms"], &drill["met"]), (&json!("DONE"), &json!(5_000), &json!(true)));
    assert_eq!(drill["due_ms"]["kill"], 8_101 + 30 * 86_400_000_u64, "monthly");
    assert_eq!(drill["due_ms"]["latency"], Value::Null, "never done");
}

#[test]
fn latency_is_a_hundred_to_five_hundred_and_needs_no_recovery() {
    let mut sim = Sim::new();
    begin(&mut sim, 2_000, "latency", "mail");
    let latency_ms = sim.asked("latency")[0].1["latency_ms"].as_u64().unwrap();
    assert!((100..=500).contains(&latency_ms));
    sim.done(3_000, "latency", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "DONE");
}

#[test]
fn a_fault_that_nobody_notices_has_failed() {
    let mut sim = Sim::new();
    begin(&mut sim, 2_000, "disk_full", "mail");
    assert_eq!(sim.asked("disk_full")[0].1["percent"], 95);
    sim.done(2_000, "disk_full", &json!({}));
    sim.ledger.advance(602_000);
    assert_eq!(sim.view("drill")["phase"], "FAILED");
    begin(&mut sim, 602_000, "corrupt_page", "page 7");
    sim.fail(602_000, "corrupt_page", "not allowed");
    assert_eq!(sim.view("drill")["phase"], "FAILED");
}

#[test]
fn drills_take_a_healthy_exchange_and_known_words() {
    let mut sim = Sim::new();
    let drill = |drill: &str, operator: &str| json!({ "drill": drill, "subject": "mail", "operator": operator });
    assert_eq!(sim.no(2_000, "drill", drill("flood", "ann")), 106);
    assert_eq!(sim.no(2_000, "drill", drill("kill", "eve")), 114);
    sim.crash(2_000, "feed");
    assert_eq!(sim.no(2_100, "drill", drill("kill", "ann")), 181);
}

#[test]
fn the_drill_of_a_region_ends_with_a_failback_by_hand() {
    let mut sim = Sim::new();
    begin(&mut sim, 2_000, "region_failover", "eu");
    sim.done(2_500, "region_failover", &json!({}));
    for _ in 0..3 {
        sim.ok(3_000, "region", json!({ "region": "eu", "ok": false }));
    }
    sim.done(4_000, "fence", &json!({}));
    sim.done(5_000, "verify_copy", &json!({ "lsn": 0 }));
    sim.done(14_001, "switch", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "TESTING");
    sim.done(15_000, "test_critical_flows", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "FAILBACK");
    sim.ok(70_000, "region", json!({ "region": "eu", "ok": true }));
    sim.ok(70_000, "failback", json!({ "operator": "ann", "root_cause": "a drill" }));
    for verb in ["fence", "verify_copy", "switch"] {
        sim.done(71_000, verb, &json!({ "lsn": 0 }));
    }
    let drill = sim.view("drill");
    assert_eq!((&drill["phase"], &drill["recovery_ms"], &drill["met"]), (&json!("DONE"), &json!(11_000), &json!(true)));
    assert_eq!(drill["due_ms"]["region_failover"], 71_000 + 91 * 86_400_000_u64, "quarterly");
}

/// Chaos answers late: the drill is at its tests, or it is another one.
#[test]
fn a_late_answer_decides_nothing() {
    let mut sim = Sim::new();
    begin(&mut sim, 2_000, "region_failover", "eu");
    for _ in 0..3 {
        sim.ok(3_000, "region", json!({ "region": "eu", "ok": false }));
    }
    for verb in ["fence", "verify_copy", "switch"] {
        sim.done(4_000, verb, &json!({ "lsn": 0 }));
    }
    assert_eq!(sim.view("drill")["phase"], "TESTING");
    sim.done(5_000, "region_failover", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "TESTING", "nobody has tested anything");
    sim.fail(6_000, "test_critical_flows", "broken");
    assert_eq!(sim.view("drill")["phase"], "FAILED");

    let mut sim = Sim::new();
    begin(&mut sim, 2_000, "disk_full", "mail");
    sim.ok(3_000, "metrics", json!({ "service": "mail", "disk_percent": 95 }));
    sim.done(4_000, "archive_logs", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "DONE");
    begin(&mut sim, 5_000, "latency", "net");
    sim.done(6_000, "disk_full", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "INJECTED", "that was the other fault");
    sim.done(7_000, "latency", &json!({}));
    assert_eq!(sim.view("drill")["phase"], "DONE");
}
