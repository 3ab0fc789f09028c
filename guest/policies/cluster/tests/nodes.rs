//! One node: states, retries, failover, leader, N-1 (2.1, 2.2), and the targets of 4.1.

mod support;

use serde_json::json;
use support::Sim;

#[test]
fn silence_degrades_at_five_seconds_and_not_before() {
    let mut sim = Sim::new(4);
    sim.keep(5_000, 2..=4);
    sim.ledger.advance(5_999);
    assert_eq!(sim.state(1), "HEALTHY");
    sim.ledger.advance(6_000);
    assert_eq!(sim.state(1), "DEGRADED");
    assert_eq!(sim.orders("probe")[0].1, json!({ "do": "probe", "node": 1, "attempt": 1 }));
    sim.beats(6_001, [1]);
    assert_eq!(sim.state(1), "HEALTHY", "recovery success");
}

#[test]
fn the_third_failed_retry_is_the_last() {
    let mut sim = Sim::new(4);
    sim.keep(6_000, 2..=4);
    for retry in 1..=3 {
        assert_eq!(sim.state(1), "DEGRADED", "retry {retry}");
        assert_eq!(sim.orders("probe")[0].1["attempt"], retry);
        let now_ms = sim.ledger.now_ms();
        sim.fail(now_ms, "probe");
        if retry < 3 {
            assert!(sim.orders("probe").is_empty(), "the next one waits until the time of this one is over");
            sim.keep(now_ms + 3_000, 2..=4);
        }
    }
    assert_eq!(sim.state(1), "FAILING");
    assert!(sim.orders("probe").is_empty());
    let now_ms = sim.ledger.now_ms();
    sim.ledger.advance(now_ms + 999);
    assert_eq!(sim.state(1), "FAILING");
    sim.ledger.advance(now_ms + 1_000);
    assert_eq!(sim.state(1), "OFFLINE", "failover");
}

#[test]
fn any_retry_that_works_restores() {
    for failures in 0..3 {
        let mut sim = Sim::new(4);
        sim.keep(6_000, 2..=4);
        for _ in 0..failures {
            let now_ms = sim.ledger.now_ms();
            sim.fail(now_ms, "probe");
            sim.keep(now_ms + 3_000, 2..=4);
        }
        let now_ms = sim.ledger.now_ms();
        assert_eq!(sim.done(now_ms, "probe", ""), 1);
        assert_eq!(sim.state(1), "HEALTHY");
        assert_eq!(sim.view("figures")["recoveries"], 1);
    }
}

#[test]
fn a_failing_node_may_still_come_back() {
    let mut sim = Sim::new(4);
    sim.keep(15_000, 2..=4);
    sim.ledger.advance(15_500);
    assert_eq!(sim.state(1), "FAILING", "three retries of three seconds have expired");
    sim.beats(15_501, [1]);
    assert_eq!(sim.state(1), "HEALTHY");
}

#[test]
fn failover_elects_redistributes_and_goes_on_with_one_node_less_within_35_seconds() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "assign", json!({ "node": 1, "capsules": [10, 11, 12, 13, 14] }));
    let at_ms = sim.lose(1, 2..=4);
    assert!(at_ms <= 17_000, "{at_ms}");
    assert_eq!(sim.view("leader"), json!({ "term": 2, "node": 2, "confirmed": false }));
    sim.done(at_ms + 100, "transfer", "");
    assert_eq!(sim.said("resume"), [json!(null); 0], "no leader yet");
    sim.done(at_ms + 200, "lead", "");
    assert_eq!(sim.said("resume"), [json!({ "do": "resume", "without": 1, "nodes": 3 })]);
    assert_eq!(sim.view("leader"), json!({ "term": 2, "node": 2, "confirmed": true }));
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["members"], &cluster["quorum"], &cluster["status"]), (&json!(3), &json!(2), &json!("NORMAL")));
    let figures = sim.view("figures");
    assert!(figures["last_recovery_ms"].as_u64().unwrap() < 35_000);
    assert_eq!(figures["late_recoveries"], 0);
}

#[test]
fn a_recovery_beyond_35_seconds_is_counted() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "assign", json!({ "node": 1, "capsules": [10] }));
    sim.lose(1, 2..=4);
    let at_ms = sim.ledger.now_ms();
    sim.done(at_ms, "lead", "");
    sim.keep(60_000, 2..=4);
    sim.ok(60_000, "redistribute", json!({ "node": 1, "operator": "ann" }));
    sim.done(60_000, "transfer", "");
    assert_eq!(sim.view("figures")["late_recoveries"], 1);
}

#[test]
fn an_offline_node_comes_back_by_a_restart_only() {
    let mut sim = Sim::new(4);
    let at_ms = sim.lose(1, 2..=4);
    assert_eq!(sim.no(at_ms, "heartbeat", json!({ "node": 1 })), 122);
    sim.ok(at_ms, "restart", json!({ "node": 1, "operator": "eve" }));
    assert_eq!(sim.state(1), "RECOVERING");
    assert_eq!(sim.view("cluster")["members"], 3, "not before it has recovered");
    sim.done(at_ms + 500, "restart", "");
    assert_eq!(sim.state(1), "HEALTHY");
    assert_eq!(sim.view("cluster")["members"], 4);
    assert_eq!(sim.view("leader")["node"], 2, "the lead does not go back");
}

#[test]
fn a_restart_that_fails_is_tried_again() {
    let mut sim = Sim::new(4);
    let at_ms = sim.lose(1, 2..=4);
    sim.ok(at_ms, "restart", json!({ "node": 1, "operator": "eve" }));
    assert_eq!(sim.fail(at_ms + 100, "restart"), 1);
    assert_eq!(sim.state(1), "RECOVERING");
    sim.keep(at_ms + 10_000, 2..=4);
    assert_eq!(sim.done(at_ms + 10_001, "restart", ""), 1);
    assert_eq!(sim.state(1), "HEALTHY");
    assert!(sim.alerts().contains(&"restart_failed".into()));
}

#[test]
fn a_timer_of_an_earlier_life_does_not_restart_a_node_twice() {
    let mut sim = Sim::new(4);
    sim.beats(2_000, 1..=4);
    sim.ok(2_000, "evict", json!({ "node": 4, "operator": "ann" }));
    sim.ok(2_000, "admit", json!({ "node": 4, "operator": "ann" }));
    // The timer of its last heartbeat is due while its agent is still at work.
    sim.keep(10_000, 1..=3);
    assert_eq!(sim.said("restart").len(), 1);
    assert_eq!(sim.done(10_500, "restart", ""), 1);
    assert_eq!(sim.state(4), "HEALTHY");
}

#[test]
fn candidates_are_asked_in_turn_and_three_refusals_are_a_global_failure() {
    let mut sim = Sim::new(6);
    let at_ms = sim.lose(1, 2..=6);
    for (candidate, term) in [(2, 2), (3, 3), (4, 4)] {
        let order = sim.orders("lead");
        assert_eq!(order[0].1, json!({ "do": "lead", "node": candidate, "term": term }));
        sim.fail(at_ms + term, "lead");
    }
    assert_eq!(sim.view("leader"), json!({ "term": 4, "node": null, "confirmed": false }));
    assert_eq!(sim.view("cluster")["phase"], "identifying");
    assert_eq!(sim.view("incident")["reason"], "no candidate takes the lead");
}

#[test]
fn the_answer_of_a_candidate_of_an_earlier_term_means_nothing() {
    let mut sim = Sim::new(6);
    let at_ms = sim.lose(1, 2..=6);
    let late = sim.orders("lead")[0].0.clone();
    sim.ok(at_ms, "evict", json!({ "node": 2, "operator": "ann" }));
    sim.ledger.settle(at_ms, &late, reprise_guest::abi::EffectStatus::Done { answer: vec![] });
    assert_eq!(sim.view("leader"), json!({ "term": 3, "node": 3, "confirmed": false }));
}

#[test]
fn an_evicted_node_is_let_in_again_like_a_new_one() {
    let mut sim = Sim::new(4);
    sim.ok(2_000, "evict", json!({ "node": 4, "operator": "ann" }));
    assert_eq!(sim.view("nodes")["evicted"], json!([4]));
    assert_eq!(sim.no(2_000, "heartbeat", json!({ "node": 4 })), 121);
    sim.ok(2_000, "admit", json!({ "node": 4, "operator": "ann" }));
    sim.ok(2_000, "admit", json!({ "node": 9, "operator": "ann" }));
    assert_eq!(sim.done(2_500, "restart", ""), 2);
    assert_eq!((sim.state(4), sim.state(9)), ("HEALTHY".into(), "HEALTHY".into()));
    assert_eq!(sim.view("cluster")["members"], 5);
}
