//! Quorum, fencing, acknowledged writes, fail-over of the primary and of a region (3.3, 4.2, 5).

use crate::support::Sim;
use serde_json::{Value, json};

fn write(sim: &mut Sim, at_ms: u64) -> u64 {
    let (node, token) = (sim.view("database")["primary"].clone(), sim.view("database")["token"].clone());
    sim.ok(at_ms, "write", json!({ "node": node, "token": token }))["lsn"].as_u64().unwrap()
}

fn replicated(sim: &mut Sim, at_ms: u64, nodes: &[&str], lsn: u64) -> Value {
    let token = sim.view("database")["token"].clone();
    let mut answer = json!({});
    for node in nodes {
        answer = sim.ok(at_ms, "replicated", json!({ "node": node, "lsn": lsn, "token": token }));
    }
    answer
}

fn region(sim: &mut Sim, at_ms: u64, region: &str, ok: bool) {
    for _ in 0..3 {
        sim.ok(at_ms, "region", json!({ "region": region, "ok": ok }));
    }
    sim.ledger.advance(at_ms + 1);
}

/// The region `eu` is lost, `us` takes over.
fn move_to_us(sim: &mut Sim, at_ms: u64) {
    region(sim, at_ms, "eu", false);
    sim.done(at_ms + 1_000, "fence", &json!({}));
    let acknowledged = sim.view("database")["acknowledged"].clone();
    sim.done(at_ms + 2_000, "verify_copy", &json!({ "lsn": acknowledged }));
    sim.done(at_ms + 3_000, "switch", &json!({}));
}

#[test]
fn a_write_is_acknowledged_by_a_majority_and_the_other_region() {
    let mut sim = Sim::new();
    assert_eq!(write(&mut sim, 2_000), 1);
    assert_eq!(replicated(&mut sim, 2_000, &["a2", "a3"], 1)["acknowledged"], 0, "three of five, but none elsewhere");
    assert_eq!(replicated(&mut sim, 2_000, &["b1"], 1)["acknowledged"], 1);
    assert_eq!(sim.said("acknowledge")[0]["through"], 1);
    assert_eq!(write(&mut sim, 2_001), 2);
    assert_eq!(replicated(&mut sim, 2_001, &["b1"], 2)["acknowledged"], 1, "two of five");
    assert_eq!(sim.no(2_001, "replicated", json!({ "node": "b1", "lsn": 3, "token": 1 })), 151);
    assert_eq!(sim.no(2_001, "replicated", json!({ "node": "b1", "lsn": 2, "token": 0 })), 150);
    assert_eq!(sim.no(2_001, "write", json!({ "node": "a2", "token": 1 })), 150);
    sim.ledger.advance(7_001);
    assert!(!sim.alerts().iter().any(|(_, what)| what == "write_not_acknowledged"), "it may come yet");
    sim.ledger.advance(7_002);
    assert_eq!(sim.alerts().iter().filter(|(_, what)| what == "write_not_acknowledged").count(), 2, "e-mail and ping");
}

#[test]
fn without_a_quorum_nothing_is_written_until_it_is_back() {
    let mut sim = Sim::rich();
    sim.unplug(2_000, &["a2", "a3"]);
    assert_eq!(sim.view("database")["quorum"], true, "three of five");
    sim.unplug(2_100, &["b1"]);
    assert_eq!(sim.view("database")["quorum"], false);
    assert_eq!(sim.view("health")["modes"], json!(["READ_ONLY"]));
    assert_eq!(sim.no(2_200, "write", json!({ "node": "a1", "token": 1 })), 141);
    assert_eq!(sim.ok(2_200, "request", json!({ "method": "GET" }))["status"], 200);
    sim.ok(3_000, "connection", json!({ "node": "b1", "ok": true }));
    assert_eq!(sim.view("health")["modes"], json!([]), "it heals by itself");
    write(&mut sim, 3_001);
}

#[test]
fn a_replica_that_has_everything_takes_over_under_a_new_token() {
    let mut sim = Sim::new();
    for at_ms in [2_000, 2_001] {
        let lsn = write(&mut sim, at_ms);
        replicated(&mut sim, at_ms, &["a3", "b1"], lsn);
    }
    write(&mut sim, 2_002);
    assert_eq!(sim.view("database")["acknowledged"], 2);
    sim.unplug(3_000, &["a1"]);
    assert_eq!(sim.asked("redirect").len(), 1);
    sim.done(4_000, "redirect", &json!({}));
    let promote = sim.asked("promote")[0].1.clone();
    assert_eq!((&promote["target"], &promote["token"], &promote["acknowledged"]), (&json!("a3"), &json!(2), &json!(2)));
    sim.done(5_000, "promote", &json!({}));
    sim.done(8_000, "replay_log", &json!({ "lsn": 2 }));
    let database = sim.view("database");
    assert_eq!(
        (&database["primary"], &database["writes"]),
        (&json!("a3"), &json!(2)),
        "the third was never acknowledged"
    );
    assert_eq!(sim.recovery()["recovery_ms"], 4_999);
    // The old primary comes back and believes to lead.
    sim.ok(9_000, "connection", json!({ "node": "a1", "ok": true }));
    assert_eq!(sim.no(9_000, "write", json!({ "node": "a1", "token": 1 })), 150);
    assert_eq!(sim.no(9_000, "write", json!({ "node": "a1", "token": 2 })), 150);
    assert_eq!(write(&mut sim, 9_000), 3);
}

#[test]
fn a_log_that_misses_acknowledged_writes_does_not_lead() {
    let mut sim = Sim::new();
    let lsn = write(&mut sim, 2_000);
    replicated(&mut sim, 2_000, &["a2", "a3", "b1"], lsn);
    sim.unplug(3_000, &["a1"]);
    for (at_ms, target) in [(3_100, "a2"), (3_200, "a3")] {
        sim.done(at_ms, "redirect", &json!({}));
        assert_eq!(sim.asked("promote")[0].1["target"], target, "another one at the second attempt");
        sim.done(at_ms, "promote", &json!({}));
        sim.done(at_ms, "replay_log", &json!({ "lsn": 0 }));
    }
    assert_eq!(sim.recovery()["stage"], "PERSON");
    assert_eq!(sim.view("database")["primary"], "a1");
    assert!(sim.alerts().contains(&("pager".into(), "acknowledged_writes_missing".into())));
}

#[test]
fn a_fail_over_waits_for_a_quorum_and_for_somebody_to_choose() {
    let mut sim = Sim::new();
    let lsn = write(&mut sim, 2_000);
    replicated(&mut sim, 2_000, &["a2", "b1"], lsn);
    sim.unplug(3_000, &["a1", "a2"]);
    sim.done(3_100, "redirect", &json!({}));
    assert_eq!(sim.recovery()["stage"], "CHOOSE", "a3 answers, but does not have the write");
    sim.ok(3_200, "connection", json!({ "node": "a2", "ok": true }));
    sim.ledger.advance(3_201);
    assert_eq!(sim.asked("promote")[0].1["target"], "a2");
    let mut sim = Sim::new();
    sim.unplug(3_000, &["a1", "b1", "b2"]);
    sim.done(3_100, "redirect", &json!({}));
    assert_eq!(sim.recovery()["stage"], "CHOOSE", "two of five are no quorum");
    sim.ok(3_200, "connection", json!({ "node": "a1", "ok": true }));
    sim.ledger.advance(3_201);
    assert_eq!(sim.recovery()["stage"], "DONE", "the primary is back before anybody took over");
    assert_eq!(sim.view("database")["primary"], "a1");
}

#[test]
fn services_are_not_restarted_for_want_of_a_database() {
    let mut sim = Sim::new();
    for service in ["settle", "engine", "mail"] {
        for _ in 0..3 {
            sim.ok(3_000, "health", json!({ "service": service, "ok": false }));
        }
    }
    sim.unplug(3_000, &["a1"]);
    assert_eq!(sim.asked("restart").len(), 0, "all of one tick: the database explains it");
    sim.done(3_100, "redirect", &json!({}));
    sim.done(3_100, "promote", &json!({}));
    sim.done(3_100, "replay_log", &json!({ "lsn": 0 }));
    sim.ok(3_200, "health", json!({ "service": "settle", "ok": true }));
    sim.ok(3_200, "health", json!({ "service": "mail", "ok": false }));
    sim.ledger.advance(3_201);
    let restarts = sim.asked("restart");
    assert_eq!(restarts.len(), 1);
    assert_eq!(restarts[0].1["subject"], "mail", "it still fails though there is a database");
}

#[test]
fn a_lost_region_fails_over_with_nothing_lost_and_fails_back_by_hand() {
    let mut sim = Sim::new();
    let lsn = write(&mut sim, 2_000);
    replicated(&mut sim, 2_000, &["a2", "b2"], lsn);
    assert_eq!(sim.no(2_500, "failback", json!({ "operator": "ann", "root_cause": "none" })), 173);
    move_to_us(&mut sim, 3_000);
    let database = sim.view("database");
    assert_eq!(
        (&database["region"], &database["primary"], &database["token"]),
        (&json!("us"), &json!("b2"), &json!(2))
    );
    assert_eq!(database["acknowledged"], 1);
    assert_eq!(sim.view("objectives")["region"]["last_ms"], 2_999);
    // Two voters, both here. The old region is shut out.
    assert_eq!(sim.no(7_000, "write", json!({ "node": "a1", "token": 1 })), 150);
    let lsn = write(&mut sim, 7_000);
    assert_eq!(replicated(&mut sim, 7_000, &["b1"], lsn)["acknowledged"], 2);
    assert_eq!(sim.no(8_000, "failback", json!({ "operator": "ann", "root_cause": "" })), 103);
    assert_eq!(sim.no(8_000, "failback", json!({ "operator": "eve", "root_cause": "power" })), 114);
    assert_eq!(sim.no(8_000, "failback", json!({ "operator": "ann", "root_cause": "power" })), 171, "it is not back");
    region(&mut sim, 9_000, "eu", true);
    assert_eq!(sim.no(9_500, "failback", json!({ "operator": "ann", "root_cause": "power" })), 171, "it lacks a write");
    replicated(&mut sim, 9_600, &["a1", "a3"], 2);
    sim.ledger.advance(600_000);
    assert_eq!(sim.view("database")["region"], "us", "never by itself");
    sim.ok(600_000, "failback", json!({ "operator": "ann", "root_cause": "power" }));
    assert_eq!(sim.no(600_000, "failback", json!({ "operator": "ann", "root_cause": "power" })), 172);
    sim.done(601_000, "fence", &json!({}));
    sim.done(601_000, "verify_copy", &json!({ "lsn": 2 }));
    sim.done(602_000, "switch", &json!({}));
    let database = sim.view("database");
    assert_eq!(
        (&database["region"], &database["primary"], &database["quorum"]),
        (&json!("eu"), &json!("a1"), &json!(true))
    );
    assert!(database["nodes"].as_array().unwrap().iter().all(|node| node["fenced"] == false));
    assert_eq!(sim.view("health")["health"], "GREEN");
}

#[test]
fn a_backup_region_that_misses_writes_does_not_take_over() {
    let mut sim = Sim::new();
    let lsn = write(&mut sim, 2_000);
    replicated(&mut sim, 2_000, &["a2", "b2"], lsn);
    region(&mut sim, 3_000, "eu", false);
    for at_ms in [3_100, 3_200] {
        sim.done(at_ms, "fence", &json!({}));
        sim.done(at_ms, "verify_copy", &json!({ "lsn": 0 }));
    }
    assert_eq!(sim.recovery()["stage"], "PERSON");
    assert_eq!(sim.view("database")["region"], "eu");
    assert_eq!(sim.view("health")["modes"], json!(["READ_ONLY"]));
}

/// Nothing would be left to go back to.
#[test]
fn nobody_fails_over_to_a_region_that_is_gone() {
    let told = |sim: &Sim| sim.alerts().iter().filter(|(_, what)| what == "no_region_left").count();
    let mut sim = Sim::new();
    region(&mut sim, 2_000, "us", false);
    assert_eq!(told(&sim), 0);
    region(&mut sim, 3_000, "eu", false);
    assert_eq!((told(&sim), sim.asked("fence").len()), (1, 0));
    assert_eq!(sim.view("health")["health"], "RED");
    region(&mut sim, 3_500, "eu", false);
    assert_eq!(told(&sim), 1, "once");
    region(&mut sim, 4_000, "eu", true);
    let health = sim.view("health");
    assert_eq!((&health["health"], &health["modes"]), (&json!("GREEN"), &json!([])), "it was a moment");
    sim.ok(4_100, "detach", json!({ "region": "us", "operator": "ann" }));

    // The other one is back first, and takes over without another check of the one that is gone.
    let mut sim = Sim::new();
    sim.unplug(2_000, &["b1", "b2"]);
    region(&mut sim, 3_000, "eu", false);
    assert_eq!((told(&sim), sim.asked("fence").len()), (1, 0), "its nodes do not answer");
    for node in ["b1", "b2"] {
        sim.ok(4_000, "connection", json!({ "node": node, "ok": true }));
    }
    region(&mut sim, 4_000, "us", true);
    assert_eq!(sim.asked("fence").len(), 1);
}

/// Between FENCE and SWITCH the other region dies, too, and the old one is back.
#[test]
fn the_old_region_stays_if_the_other_one_dies_meanwhile() {
    let mut sim = Sim::rich();
    region(&mut sim, 2_000, "eu", false);
    sim.done(3_000, "fence", &json!({}));
    region(&mut sim, 3_000, "us", false);
    region(&mut sim, 3_500, "eu", true);
    sim.fail(4_000, "verify_copy", "no route");
    let fence = sim.asked("fence")[0].1.clone();
    assert_eq!((&fence["subject"], &fence["target"], &fence["token"]), (&json!("eu"), &json!("eu"), &json!(3)));
    for verb in ["fence", "verify_copy", "switch"] {
        sim.done(5_000, verb, &json!({ "lsn": 0 }));
    }
    assert_eq!(sim.recovery()["stage"], "DONE");
    assert_eq!(sim.view("database")["region"], "eu");
    let lsn = write(&mut sim, 6_000);
    assert_eq!(replicated(&mut sim, 6_000, &["a2"], lsn)["acknowledged"], lsn, "the other region is detached");
    replicated(&mut sim, 7_000, &["b1"], lsn);
    assert_eq!(sim.view("database")["nodes"][3]["fenced"], false, "and back when it has everything");
}

/// What is shut out may be old: it does not serve reads.
#[test]
fn nodes_that_are_shut_out_serve_nobody() {
    let mut sim = Sim::new();
    sim.ok(2_000, "detach", json!({ "region": "us", "operator": "ann" }));
    sim.unplug(3_000, &["a1", "a2", "a3"]);
    assert_eq!(sim.no(3_100, "request", json!({ "method": "GET" })), 145);
    assert_eq!(sim.view("health")["health"], "RED");
}

#[test]
fn a_lost_backup_region_is_detached_by_hand_and_rejoins_when_it_has_everything() {
    let mut sim = Sim::new();
    region(&mut sim, 2_000, "us", false);
    assert!(sim.alerts().contains(&("slack".into(), "standby_region_down".into())));
    let lsn = write(&mut sim, 2_500);
    assert_eq!(replicated(&mut sim, 2_500, &["a2", "a3"], lsn)["acknowledged"], 0, "nothing is safe in one region");
    assert_eq!(sim.no(3_000, "detach", json!({ "region": "eu", "operator": "ann" })), 172);
    sim.ok(3_000, "detach", json!({ "region": "us", "operator": "ann" }));
    assert_eq!(sim.view("database")["acknowledged"], 1, "an operator takes the risk");
    let lsn = write(&mut sim, 3_500);
    assert_eq!(replicated(&mut sim, 3_500, &["a2"], lsn)["acknowledged"], 2);
    replicated(&mut sim, 4_000, &["b1"], 1);
    assert_eq!(sim.view("database")["nodes"][3]["fenced"], true, "it lacks the second write");
    replicated(&mut sim, 4_000, &["b1"], 2);
    assert_eq!(sim.view("database")["nodes"][3]["fenced"], false);
}

#[test]
fn lag_colours_health() {
    let mut sim = Sim::new();
    let lags = [(999, "GREEN"), (1_000, "YELLOW"), (10_000, "YELLOW"), (10_001, "RED"), (0, "GREEN")];
    for (at_ms, (lag_ms, colour)) in (2_000..).step_by(10).zip(lags) {
        sim.ok(at_ms, "connection", json!({ "node": "b1", "ok": true, "lag_ms": lag_ms }));
        assert_eq!(sim.view("health")["health"], colour, "{lag_ms} ms");
    }
    sim.ok(3_000, "health", json!({ "service": "mail", "ok": true, "lag_ms": 1_000 }));
    sim.ledger.advance(3_001);
    assert_eq!(sim.view("health")["health"], "YELLOW");
    let alerts = sim.alerts();
    let channels: Vec<&str> =
        alerts.iter().filter(|(_, what)| what == "health").map(|(channel, _)| channel.as_str()).collect();
    assert_eq!(channels, ["email", "pager", "dashboard", "email"]);
}
