//! Consensus: its loss by each of the three triggers, proposals, rounds (2.3), and what ends the loss (4.1).

mod support;

use serde_json::json;
use support::Sim;

#[test]
fn two_thirds_are_a_quorum_and_one_less_is_read_only() {
    let mut sim = Sim::new(6);
    sim.ok(1_000, "propose", json!({ "proposal": "p" }));
    sim.keep(5_000, 1..=4);
    sim.ledger.advance(6_000);
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["responsive"], &cluster["status"]), (&json!(4), &json!("NORMAL")), "4 of 6 is two thirds");

    let mut sim = Sim::new(6);
    sim.ok(1_000, "propose", json!({ "proposal": "p" }));
    sim.keep(5_000, 1..=3);
    sim.ledger.advance(6_000);
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["responsive"], &cluster["status"]), (&json!(3), &json!("READ_ONLY")));
    assert_eq!((&cluster["proposals"], &cluster["ballot"]), (&json!(false), &json!(null)), "proposals are halted");
    assert_eq!(sim.no(6_000, "propose", json!({ "proposal": "p" })), 140);
    assert_eq!(sim.no(6_000, "assign", json!({ "node": 1, "capsules": [1] })), 160);
    assert_eq!(sim.alerts().last().unwrap(), "quorum_lost");
    assert_eq!(sim.said("status"), [json!({ "do": "status", "status": "READ_ONLY", "proposals": false })]);
}

#[test]
fn without_a_quorum_nobody_is_failed_over_and_the_missing_are_recovered_again_and_again() {
    let mut sim = Sim::new(6);
    sim.keep(15_000, 1..=3);
    assert_eq!(sim.said("probe").len(), 9, "three retries of three nodes");
    sim.keep(40_000, 1..=3);
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["nodes"]["FAILING"], &cluster["nodes"]["OFFLINE"]), (&json!(3), &json!(0)));
    let recoveries = sim.said("recover");
    assert!(recoveries.len() >= 6, "two rounds by now: {}", recoveries.len());
    for node in 4..=6 {
        assert!(recoveries.iter().any(|order| order["node"] == node), "node {node}");
    }
    sim.done(40_000, "recover", "");
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["responsive"], &cluster["status"]), (&json!(6), &json!("READ_ONLY")), "resuming is manual");
    assert_eq!(sim.alerts().last().unwrap(), "quorum_back");
    sim.ok(40_000, "resume", json!({ "operator": "bob" }));
    sim.reports(40_000, 1..=6, "d");
    sim.ledger.advance(40_001);
    assert_eq!(sim.view("cluster")["status"], "NORMAL");
}

#[test]
fn a_majority_that_is_gone_for_good_is_failed_over_by_hand() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 2, "capsules": [1, 2] }));
    sim.keep(30_000, [1]);
    for node in [2, 3] {
        sim.ok(30_000, "failover", json!({ "node": node, "operator": "ann" }));
    }
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["members"], &cluster["status"]), (&json!(1), &json!("READ_ONLY")));
    assert!(sim.orders("transfer").is_empty(), "nothing moves while it is read-only");
    sim.ok(30_000, "resume", json!({ "operator": "ann" }));
    sim.reports(30_000, [1], "d");
    sim.ledger.advance(30_001);
    assert_eq!(sim.view("cluster")["status"], "NORMAL");
    sim.done(30_001, "transfer", "");
    assert_eq!(sim.capsules(1), [1, 2]);
}

#[test]
fn conflicting_digests_degrade_while_a_quorum_goes_on() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "propose", json!({ "proposal": "p" }));
    let report = |node, digest| json!({ "node": node, "round": 1, "digest": digest, "proofs_valid": true });
    sim.ok(1_000, "report", report(1, "a"));
    sim.ok(1_000, "report", report(2, "b"));
    assert_eq!(sim.view("cluster")["status"], "NORMAL", "judged when the tick is over");
    sim.ledger.advance(1_001);
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["status"], &cluster["proposals"]), (&json!("DEGRADED"), &json!(true)));
    assert_eq!(cluster["ballot"], json!(null), "the open ballot was halted");
    let alerts = sim.said("alert");
    assert_eq!(
        alerts.last().unwrap()["details"],
        json!({ "trigger": "conflicting_digests", "responsive": 4, "nodes": 4 })
    );
    for node in 1..=4 {
        sim.ok(2_000, "report", json!({ "node": node, "round": 2, "digest": "c", "proofs_valid": true }));
    }
    sim.ledger.advance(2_001);
    assert_eq!(sim.view("cluster")["status"], "NORMAL", "all agree again");
}

#[test]
fn proofs_that_do_not_verify_are_investigated() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "report", json!({ "node": 2, "round": 1, "digest": "a", "proofs_valid": false }));
    sim.ledger.advance(1_001);
    let alert = &sim.said("alert")[0];
    assert_eq!((&alert["to"], &alert["what"]), (&json!("security"), &json!("investigate_tampering")));
    assert_eq!(alert["details"], json!({ "round": 1, "nodes": [2] }));
    assert_eq!(sim.view("cluster")["status"], "DEGRADED");
}

#[test]
fn two_thirds_decide_a_ballot() {
    for (approve, passed) in [(true, true), (false, false)] {
        let mut sim = Sim::new(3);
        let ballot = sim.ok(1_000, "propose", json!({ "proposal": "p" }));
        assert_eq!(ballot, json!({ "ballot": 1, "voters": 3, "quorum": 2 }));
        for node in [1, 2] {
            sim.ok(1_000, "vote", json!({ "node": node, "ballot": 1, "approve": approve }));
        }
        sim.ledger.advance(1_001);
        let decided = json!({ "do": "decided", "ballot": 1, "proposal": "p", "passed": passed });
        assert_eq!(sim.said("decided"), [decided]);
    }
}

#[test]
fn a_deadlocked_vote_is_a_loss_of_consensus() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "propose", json!({ "proposal": "p" }));
    for node in 1..=4 {
        sim.ok(1_000, "vote", json!({ "node": node, "ballot": 1, "approve": node % 2 == 0 }));
    }
    sim.ledger.advance(1_001);
    assert_eq!(sim.view("cluster")["status"], "DEGRADED", "two against two, and three are needed");
    assert_eq!(sim.said("alert").last().unwrap()["details"]["trigger"], "vote_deadlock");
    sim.ok(1_001, "propose", json!({ "proposal": "q" }));
    for node in 1..=3 {
        sim.ok(1_001, "vote", json!({ "node": node, "ballot": 2, "approve": true }));
    }
    sim.ledger.advance(1_002);
    assert_eq!(sim.view("cluster")["status"], "NORMAL", "a vote was decided again");
}

#[test]
fn a_vote_that_is_not_over_in_time_is_deadlocked() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "propose", json!({ "proposal": "p" }));
    sim.ok(1_000, "vote", json!({ "node": 1, "ballot": 1, "approve": true }));
    sim.keep(10_000, 1..=4);
    assert_eq!(sim.view("cluster")["ballot"], 1);
    sim.ledger.advance(11_000);
    assert_eq!(sim.view("cluster")["status"], "DEGRADED");
    assert_eq!(sim.said("void"), [json!({ "do": "void", "ballot": 1, "proposal": "p" })]);
}

#[test]
fn a_node_that_joins_does_not_vote_in_an_older_ballot() {
    let mut sim = Sim::new(4);
    sim.ok(2_000, "evict", json!({ "node": 4, "operator": "ann" }));
    sim.ok(2_000, "propose", json!({ "proposal": "p" }));
    sim.ok(2_000, "admit", json!({ "node": 4, "operator": "ann" }));
    assert_eq!(sim.no(2_000, "vote", json!({ "node": 4, "ballot": 1, "approve": true })), 144);
    sim.done(2_100, "restart", "");
    sim.ok(2_100, "vote", json!({ "node": 1, "ballot": 1, "approve": true }));
    for approve in [true, false] {
        assert_eq!(sim.no(2_100, "vote", json!({ "node": 4, "ballot": 1, "approve": approve })), 144);
    }
}

#[test]
fn the_digest_of_a_node_that_is_out_binds_nobody() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "report", json!({ "node": 4, "round": 1, "digest": "its own", "proofs_valid": true }));
    sim.ok(1_000, "evict", json!({ "node": 4, "operator": "ann" }));
    for node in 1..=3 {
        sim.ok(1_000, "report", json!({ "node": node, "round": 1, "digest": "d", "proofs_valid": true }));
    }
    sim.ledger.advance(1_001);
    let cluster = sim.view("cluster");
    assert_eq!((&cluster["agree"], &cluster["conflict"]), (&json!(3), &json!(false)));
}
