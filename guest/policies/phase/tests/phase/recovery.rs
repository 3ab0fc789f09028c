//! What happens when a phase fails: section 3, row by row.

use crate::support::{PHASES, Sim};
use serde_json::json;

const ALL: [u32; 3] = [1, 2, 3];

/// ANALYZE of generation 1 runs on node 2 and is then interrupted by the end of its timeout.
fn interrupted() -> Sim {
    let mut sim = Sim::new(3);
    sim.run(2, "ANALYZE");
    sim.pass_hearing(50_000, &ALL);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
    sim
}

/// All three nodes tell the same log.
fn heads(sim: &mut Sim) {
    for node in ALL {
        sim.head(1, "ANALYZE", node, json!([[1, 1], [2, 3]]), "d");
    }
    sim.pass(1);
}

#[test]
fn a_log_gap_is_rolled_forward() {
    let mut sim = interrupted();
    assert_eq!(sim.said("FAILED_PARTIAL")[0]["cause"], "log_gap");
    assert_eq!(sim.token("ANALYZE"), 1, "odd while the recovery is active");
    assert_eq!(sim.done("replay", ""), 1);
    heads(&mut sim);
    assert_eq!(sim.orders("roll_forward")[0].1["digest"], "d");
    sim.done("roll_forward", "");
    assert_eq!(sim.state(1, "ANALYZE"), "CLEAN_EXIT");
    assert_eq!(sim.token("ANALYZE"), 2);
    assert_eq!(sim.view("figures", json!({}))["rollforward"], 1);
}

#[test]
fn the_end_of_the_timeout_is_when_it_is_found() {
    let mut sim = Sim::new(3);
    let began_ms = sim.now_ms;
    sim.run(2, "ANALYZE");
    let timeout_ms = sim.view("detector", json!({ "phase": "ANALYZE" }))["timeout_ms"].as_u64().unwrap();
    assert_eq!(timeout_ms, 43_739, "1.6 x 15 s x (1 + 0.5 x 1.645)");
    sim.pass_hearing(began_ms + timeout_ms - sim.now_ms, &ALL);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
}

#[test]
fn logs_that_cannot_be_ordered_lead_back() {
    let mut sim = interrupted();
    sim.done("replay", "");
    sim.head(1, "ANALYZE", 1, json!([[1, 2], [2, 3]]), "one");
    sim.head(1, "ANALYZE", 2, json!([[1, 1], [2, 4]]), "two");
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK");
    sim.done("restore", "");
    assert_eq!(sim.state(1, "ANALYZE"), "CLEAN_EXIT");
    assert_eq!(sim.view("figures", json!({}))["rollback"], 1);
}

#[test]
fn too_few_heads_in_time_lead_back() {
    let mut sim = interrupted();
    sim.done("replay", "");
    sim.head(1, "ANALYZE", 1, json!([[1, 2]]), "one");
    sim.pass_hearing(61_000, &ALL);
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK");
}

/// Records side effects on a phase that runs.
fn with_effects(keys: &[&str]) -> Sim {
    let mut sim = Sim::new(3);
    sim.run(2, "ANALYZE");
    for key in keys {
        let effect = json!({
            "node": 2, "g": 1, "phase": "ANALYZE", "token": 0, "key": key, "action": "create",
            "undo": format!("delete {key}"), "cost": 100, "undo_cost": 10,
        });
        let first = sim.ok("side_effect", effect.clone());
        assert_eq!(sim.ok("side_effect", effect), first, "the duplicate gets the first answer");
    }
    sim
}

fn roll_back(sim: &mut Sim) {
    sim.ok("exec_status", json!({ "node": 2, "g": 1, "phase": "ANALYZE", "status": "FAILED" }));
    sim.pass(2);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
    sim.fail("replay");
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK");
}

#[test]
fn compensators_run_one_by_one_the_last_one_first() {
    let mut sim = with_effects(&["a", "b"]);
    roll_back(&mut sim);
    let undo = |sim: &Sim| sim.orders("compensate").iter().map(|(_, order)| order["undo"].clone()).collect::<Vec<_>>();
    assert_eq!(undo(&sim), ["delete b"]);
    sim.done("compensate", "");
    assert_eq!(undo(&sim), ["delete a"]);
    assert!(sim.orders("restore").is_empty(), "the state goes back last");
    sim.done("compensate", "");
    sim.done("restore", "");
    assert_eq!(sim.state(1, "ANALYZE"), "CLEAN_EXIT");
    assert_eq!(sim.view("ledger", json!({ "g": 1, "phase": "ANALYZE" }))["cost"], 220);
}

#[test]
fn a_compensator_that_fails_blocks_for_an_hour_and_then_hard_fails() {
    let mut sim = with_effects(&["a"]);
    roll_back(&mut sim);
    sim.fail("compensate");
    assert_eq!(sim.state(1, "ANALYZE"), "BLOCKED_COMPENSATOR");
    assert_eq!(sim.alerts(), ["sel_compensator_failed"]);
    sim.pass_hearing(3_599_000, &ALL);
    assert_eq!(sim.state(1, "ANALYZE"), "BLOCKED_COMPENSATOR");
    sim.pass_hearing(1_001, &ALL);
    assert_eq!(sim.state(1, "ANALYZE"), "HARD_FAILED");
    assert_eq!(sim.alerts()[1], "compensator_timeout");
    assert_eq!(sim.token("ANALYZE"), 2);
    // Operators can still resume it.
    sim.order("1.ANALYZE", "resume", &["ann", "bob"]);
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK");
    sim.done("compensate", "");
    sim.done("restore", "");
    assert_eq!(sim.state(1, "ANALYZE"), "CLEAN_EXIT");
}

#[test]
fn two_automatic_attempts_then_a_person() {
    let mut sim = with_effects(&[]);
    roll_back(&mut sim);
    sim.fail("restore");
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK", "the second attempt");
    sim.fail("restore");
    assert_eq!(sim.state(1, "ANALYZE"), "INTERRUPTED");
    assert_eq!(sim.alerts(), ["human_attention", "human_cost_estimate"]);
    sim.pass_hearing(7_200_000, &ALL);
    assert_eq!(sim.state(1, "ANALYZE"), "INTERRUPTED", "nothing happens by itself any more");
    assert_eq!(sim.token("ANALYZE") % 2, 0);
    sim.order("1.ANALYZE", "abort", &["ann", "bob"]);
    assert_eq!(sim.state(1, "ANALYZE"), "HARD_FAILED");
}

#[test]
fn a_new_leader_goes_on_where_the_old_one_was() {
    let mut sim = Sim::new(3);
    sim.run(2, "ANALYZE");
    let crc = reprise_phase::digest::crc32(b"half");
    let checkpoint = |token: u64, offset: u64| {
        json!({
            "node": 2, "g": 1, "phase": "ANALYZE", "token": token, "offset": offset, "data": "half", "crc": crc
        })
    };
    sim.ok("checkpoint", checkpoint(0, 10));
    sim.pass_hearing(50_000, &ALL);
    sim.done("replay", "");
    heads(&mut sim);
    let old = sim.orders("roll_forward")[0].0.clone();
    sim.ok("leader", json!({ "node": 3, "term": 2 }));
    sim.pass(1);
    assert_eq!(sim.token("ANALYZE"), 3, "still odd, and new");
    assert_eq!(sim.no("checkpoint", checkpoint(1, 20)), 140, "the old token is fenced off");
    assert_eq!(sim.orders("resume")[0].1["offset"], 10);
    sim.done("resume", &json!({ "crc": crc }).to_string());
    assert_eq!(sim.said("replay").len(), 1, "it does not begin again");
    assert_eq!(sim.orders("roll_forward").len(), 2);
    // What the old leader had ordered means nothing any more.
    sim.ledger.settle(sim.now_ms, &old, reprise_guest::abi::EffectStatus::Failed { detail: "late".into() });
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
    sim.done("roll_forward", "");
    assert_eq!(sim.state(1, "ANALYZE"), "CLEAN_EXIT");
}

#[test]
fn a_damaged_checkpoint_leads_back() {
    let mut sim = Sim::new(3);
    sim.run(2, "ANALYZE");
    let crc = reprise_phase::digest::crc32(b"half");
    let checkpoint =
        json!({ "node": 2, "g": 1, "phase": "ANALYZE", "token": 0, "offset": 1, "data": "half", "crc": crc });
    sim.ok("checkpoint", checkpoint);
    sim.pass_hearing(50_000, &ALL);
    sim.ok("leader", json!({ "node": 3, "term": 2 }));
    sim.pass(1);
    sim.done("resume", r#"{"crc":1}"#);
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK");
    assert_eq!(sim.alerts(), ["checkpoint_damaged"]);
}

#[test]
fn recoveries_of_different_phases_run_side_by_side_and_hold_up_the_barrier() {
    let mut sim = Sim::new(3);
    for phase in PHASES {
        sim.run(2, phase);
        sim.ok("exec_status", json!({ "node": 2, "g": 1, "phase": phase, "status": "FAILED" }));
        sim.pass(2);
        assert_eq!(sim.state(1, phase), "RECONCILE");
        sim.hear(&ALL);
    }
    assert_eq!(sim.orders("replay").len(), 5);
    let next = json!({ "node": 1, "g": 2, "phase": "ANALYZE", "token": 1 });
    assert_eq!(sim.no("begin_phase", next.clone()), 130);
    sim.fail("replay");
    for left in (0..5).rev() {
        let key = sim.orders("restore")[0].0.clone();
        sim.ledger.settle(sim.now_ms, &key, reprise_guest::abi::EffectStatus::Done { answer: vec![] });
        sim.pass(1);
        assert_eq!(sim.said("PHASE_ORDER_BARRIER").is_empty(), left > 0);
    }
    assert_eq!(sim.g(), 2);
    sim.begin(1, "ANALYZE");
}

#[test]
fn past_the_cost_cap_automation_stops() {
    let mut sim = Sim::new(3);
    sim.run(2, "ANALYZE");
    let effect = |key: &str, cost: u64| {
        json!({
            "node": 2, "g": 1, "phase": "ANALYZE", "token": 0, "key": key, "action": "other", "undo": "u", "cost": cost
        })
    };
    sim.ok("side_effect", effect("a", 50_000));
    assert!(sim.alerts().is_empty(), "500 units are allowed");
    sim.ok("side_effect", effect("b", 1));
    assert_eq!(sim.alerts(), ["COST_CAP_EXCEEDED"]);
    sim.ok("exec_status", json!({ "node": 2, "g": 1, "phase": "ANALYZE", "status": "FAILED" }));
    sim.pass(2);
    assert_eq!(sim.state(1, "ANALYZE"), "INTERRUPTED");
    sim.order("1.ANALYZE", "force-rollback", &["ann", "eve"]);
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "ROLLBACK");
}

#[test]
fn more_than_three_swings_in_ten_minutes_stop_automation() {
    let swing = |gap_ms: u64, actions: u32| {
        let mut sim = Sim::with(json!({
            "nodes": [1, 2, 3], "supervisors": ["ann"], "priors_ms": [86_400_000, 1, 1, 1, 1]
        }));
        sim.run(2, "ANALYZE");
        for n in 0..actions {
            let action = if n % 2 == 0 { "create" } else { "delete" };
            let effect = json!({
                "node": 2, "g": 1, "phase": "ANALYZE", "token": 0, "key": format!("k{n}"), "action": action, "undo": "u"
            });
            sim.ok("side_effect", effect);
            sim.pass_hearing(gap_ms, &ALL);
        }
        sim.alerts()
    };
    assert!(swing(1_000, 4).is_empty(), "three swings");
    assert_eq!(swing(1_000, 5), ["COST_CAP_EXCEEDED"]);
    assert!(swing(200_001, 8).is_empty(), "three within ten minutes, again and again");
}

/// ANALYZE of generation 1 with a side effect is given up, and so many generations pass.
fn given_up(generations: u64) -> Sim {
    let mut sim = with_effects(&["a"]);
    sim.order("1.ANALYZE", "abort", &["ann", "bob"]);
    for phase in &PHASES[1..] {
        sim.whole(1, phase);
    }
    for _ in 1..generations {
        sim.hear(&ALL);
        for phase in PHASES {
            sim.whole(1, phase);
        }
    }
    assert_eq!(sim.g(), 1 + generations);
    sim
}

#[test]
fn a_run_of_a_passed_generation_is_compensated_and_its_snapshot_stays() {
    let mut sim = given_up(1);
    sim.order("1.ANALYZE", "resume", &["ann", "bob"]);
    sim.pass(1);
    assert_eq!(sim.done("compensate", ""), 1);
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "CLEAN_EXIT");
    assert!(sim.said("restore").is_empty(), "generation 2 stands on what it would take away");
}

#[test]
fn a_run_that_is_resumed_after_its_generation_was_forgotten_is_forgotten_too() {
    let mut sim = given_up(6);
    assert_eq!(sim.state(1, "ANALYZE"), "HARD_FAILED", "until somebody resumes it");
    let kept = |sim: &Sim| sim.ledger.host.state.keys().filter(|key| key.starts_with(b"effect/")).count();
    assert_eq!(kept(&sim), 1);
    sim.order("1.ANALYZE", "resume", &["ann", "bob"]);
    sim.pass(1);
    sim.done("compensate", "");
    sim.pass(2);
    assert_eq!(kept(&sim), 0);
    assert_eq!(sim.token("ANALYZE") % 2, 0, "the lock is given back");
    assert_eq!(sim.view("figures", json!({}))["rollback"], 1);
}
