//! The whole: global failure with its four modes (3.1), emergency halt (3.2), restoration (3.3), success criteria (4.2).

mod support;

use serde_json::{Value, json};
use support::Sim;

fn report(node: u32, round: u64, digest: &str) -> Value {
    json!({ "node": node, "round": round, "digest": digest, "proofs_valid": true })
}

fn phase(sim: &mut Sim) -> String {
    sim.view("cluster")["phase"].as_str().unwrap().to_owned()
}

fn fails(sim: &mut Sim, at_ms: u64) {
    sim.ok(at_ms, "coordination_failure", json!({ "reason": "split" }));
}

fn resumed(sim: &mut Sim) -> bool {
    let cluster = sim.view("cluster");
    cluster["phase"] == "running" && cluster["status"] == "NORMAL" && cluster["proposals"] == true
}

#[test]
fn a_global_failure_halts_every_mutation_at_once() {
    let mut sim = Sim::new(3);
    fails(&mut sim, 1_000);
    assert_eq!(sim.view("cluster")["status"], "READ_ONLY");
    assert_eq!(sim.no(1_000, "propose", json!({ "proposal": "p" })), 140);
    assert_eq!(sim.no(1_000, "assign", json!({ "node": 1, "capsules": [1] })), 160);
    assert_eq!(sim.no(1_000, "retire", json!({ "capsules": [1] })), 160);
    assert_eq!(sim.no(1_000, "admit", json!({ "node": 9, "operator": "ann" })), 160);
    assert_eq!(sim.no(1_000, "coordination_failure", json!({ "reason": "again" })), 166);
    assert_eq!(sim.said("survey"), [json!({ "do": "survey", "incident": 1, "round": 1 })]);
}

#[test]
fn nothing_found_is_verified_and_resumed() {
    let mut sim = Sim::new(3);
    fails(&mut sim, 1_000);
    sim.keep(6_000, 1..=3);
    assert_eq!(phase(&mut sim), "verifying");
    assert_eq!(sim.view("incident")["mode"], "none");
    sim.reports(6_000, 1..=3, "d");
    sim.ledger.advance(6_001);
    assert!(resumed(&mut sim));
    assert_eq!(sim.view("incident")["ended_ms"], 6_001);
}

#[test]
fn a_partition_waits_for_reunion() {
    let mut sim = Sim::new(4);
    sim.keep(6_000, 1..=2);
    fails(&mut sim, 6_000);
    sim.keep(12_000, 1..=2);
    assert_eq!(sim.view("incident")["mode"], "partition");
    assert_eq!(phase(&mut sim), "awaiting_reunion");
    sim.beats(12_000, [3]);
    sim.ledger.advance(12_001);
    assert_eq!(phase(&mut sim), "awaiting_reunion", "one is missing");
    sim.beats(12_001, [4]);
    sim.ledger.advance(12_002);
    assert_eq!(phase(&mut sim), "verifying");
    sim.reports(12_002, 1..=4, "d");
    sim.ledger.advance(12_003);
    assert!(resumed(&mut sim));
}

#[test]
fn a_leader_that_is_gone_is_replaced() {
    let mut sim = Sim::new(6);
    sim.keep(6_000, 2..=6);
    fails(&mut sim, 6_000);
    sim.keep(11_000, 2..=6);
    assert_eq!(sim.view("incident")["mode"], "leader");
    assert_eq!(phase(&mut sim), "electing");
    sim.done(11_000, "lead", "");
    assert_eq!(sim.view("leader"), json!({ "term": 2, "node": 2, "confirmed": true }));
    assert_eq!(phase(&mut sim), "verifying");
    sim.beats(11_000, [1]);
    sim.reports(11_000, 1..=6, "d");
    sim.ledger.advance(11_001);
    assert!(resumed(&mut sim));
}

#[test]
fn an_election_that_fails_needs_an_operator() {
    let mut sim = Sim::new(6);
    sim.keep(6_000, 2..=6);
    fails(&mut sim, 6_000);
    sim.keep(11_000, 2..=6);
    for _ in 0..3 {
        assert_eq!(sim.fail(11_000, "lead"), 1);
    }
    assert_eq!(phase(&mut sim), "manual");
}

#[test]
fn corrupt_state_is_restored_from_a_snapshot() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "snapshot", json!({ "snapshot": "s", "tick": 77, "digest": "good" }));
    fails(&mut sim, 1_000);
    for (node, digest) in [(1, "good"), (2, "bad"), (3, "good")] {
        sim.ok(1_000, "report", report(node, 1, digest));
    }
    sim.keep(6_000, 1..=3);
    assert_eq!(sim.view("incident")["mode"], "corruption");
    assert_eq!(phase(&mut sim), "awaiting_restore");
    sim.ok(6_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(6_000, "check", r#"{"digest":"good"}"#);
    assert_eq!(phase(&mut sim), "restoring", "everything is halted already");
    assert_eq!(sim.done(6_000, "restore", ""), 3);
    assert_eq!(phase(&mut sim), "verifying");
    sim.reports(6_000, 1..=3, "good");
    sim.ledger.advance(6_001);
    assert!(resumed(&mut sim));
    let restoration = sim.view("restoration");
    assert_eq!((&restoration["stage"], &restoration["restored_tick"]), (&json!("done"), &json!(77)));
    assert_eq!(restoration["nodes_restored"], 3);
}

#[test]
fn two_digests_of_one_node_are_an_attack_and_it_is_evicted() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "assign", json!({ "node": 4, "capsules": [1, 2] }));
    sim.ok(1_000, "report", report(4, 1, "a"));
    sim.ok(1_000, "report", report(4, 1, "b"));
    sim.ledger.advance(1_001);
    assert_eq!(phase(&mut sim), "identifying");
    sim.keep(6_000, 1..=4);
    sim.keep(7_000, 1..=3);
    assert_eq!(sim.view("incident")["mode"], "byzantine");
    assert_eq!(sim.said("capture")[0]["forensic"], true, "the forensic state is preserved");
    assert_eq!(sim.view("nodes")["evicted"], json!([4]));
    assert_eq!(phase(&mut sim), "evicting");
    sim.done(7_000, "evict", "");
    assert_eq!(phase(&mut sim), "verifying");
    assert!(sim.orders("transfer").is_empty(), "nothing moves while everything is halted");
    sim.reports(7_000, 1..=3, "d");
    sim.ledger.advance(7_001);
    assert!(resumed(&mut sim));
    sim.done(7_001, "transfer", "");
    assert_eq!((sim.capsules(1), sim.capsules(2)), (vec![1], vec![2]));
    sim.ok(7_001, "snapshot", json!({ "snapshot": "s", "tick": 1, "digest": "d" }));
    let restore = json!({ "snapshot": "s", "operator": "ann" });
    assert_eq!(sim.no(7_001, "restore", restore.clone()), 193, "not until it is cleared");
    sim.ok(7_001, "clear", json!({ "operator": "eve" }));
    sim.ok(7_001, "restore", restore);
}

#[test]
fn two_votes_of_one_node_are_an_attack() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "propose", json!({ "proposal": "p" }));
    for approve in [true, false] {
        sim.ok(1_000, "vote", json!({ "node": 2, "ballot": 1, "approve": approve }));
    }
    sim.ledger.advance(1_001);
    assert_eq!(sim.view("cluster")["suspects"], json!([2]));
    assert_eq!(phase(&mut sim), "identifying");
}

#[test]
fn when_everybody_healthy_is_suspected_nobody_is_evicted() {
    let mut sim = Sim::new(2);
    for node in 1..=2 {
        sim.ok(1_000, "report", report(node, 1, "a"));
        sim.ok(1_000, "report", report(node, 1, "b"));
    }
    sim.keep(7_000, 1..=2);
    assert_eq!(phase(&mut sim), "manual");
    assert_eq!(sim.no(7_000, "resume", json!({ "operator": "ann" })), 164);
    sim.ok(7_000, "clear", json!({ "operator": "ann" }));
    sim.ok(7_000, "resume", json!({ "operator": "ann" }));
    sim.reports(7_000, 1..=2, "d");
    sim.ledger.advance(7_001);
    assert!(resumed(&mut sim));
}

/// 4.2: 100% of the nodes agree, else manual intervention; all proofs valid, else investigate tampering.
#[test]
fn the_success_criteria_decide_whether_operations_resume() {
    let verifying = || {
        let mut sim = Sim::new(3);
        fails(&mut sim, 1_000);
        sim.keep(6_000, 1..=3);
        assert_eq!(phase(&mut sim), "verifying");
        sim
    };
    let mut sim = verifying();
    sim.reports(6_000, 1..=2, "d");
    sim.keep(36_000, 1..=3);
    assert_eq!(phase(&mut sim), "manual", "two of three are not all");
    assert_eq!(sim.said("alert").last().unwrap()["details"]["why"], "not_all_nodes_agree");

    let mut sim = verifying();
    sim.reports(6_000, 1..=2, "d");
    sim.reports(6_000, [3], "e");
    sim.ledger.advance(6_001);
    assert_eq!(phase(&mut sim), "manual");
    assert_eq!(sim.said("alert").last().unwrap()["details"]["why"], "digests_differ");

    let mut sim = verifying();
    sim.reports(6_000, 1..=2, "d");
    sim.ok(6_000, "report", json!({ "node": 3, "round": 2, "digest": "d", "proofs_valid": false }));
    sim.ledger.advance(6_001);
    assert_eq!(phase(&mut sim), "manual");
    assert_eq!(sim.alerts()[2..], ["investigate_tampering", "manual_intervention"]);

    sim.ok(6_001, "resume", json!({ "operator": "bob" }));
    sim.reports(6_001, 1..=3, "d");
    sim.ledger.advance(6_002);
    assert!(resumed(&mut sim));
}

#[test]
fn a_halt_takes_two_operators() {
    let mut sim = Sim::new(3);
    assert_eq!(sim.no(1_000, "halt_confirm", json!({ "operator": "ann" })), 181);
    sim.ok(1_000, "halt_request", json!({ "reason": "fire", "operator": "ann" }));
    assert_eq!(phase(&mut sim), "running");
    assert_eq!(sim.no(1_000, "halt_request", json!({ "reason": "fire", "operator": "bob" })), 180);
    assert_eq!(sim.no(1_000, "halt_confirm", json!({ "operator": "ann" })), 171);
    assert_eq!(sim.no(1_000, "halt_confirm", json!({ "operator": "mallory" })), 170);
    let answer = sim.ok(1_500, "halt_confirm", json!({ "operator": "bob" }));
    assert_eq!(answer, json!({ "halt": 1, "quorum": 2 }));
    assert_eq!(phase(&mut sim), "halting");
    let order: Vec<String> = sim.ledger.ran.last().unwrap().effects.iter().map(|e| e.driver.clone()).collect();
    assert_eq!(order, ["snapshot", "broadcast", "broadcast"], "state first, then the halt, then the new status");
    assert_eq!(
        sim.said("emergency_halt"),
        [json!({
            "do": "emergency_halt", "halt": 1, "priority": 3, "reason": "fire",
            "operator": "ann", "confirmed_by": "bob", "timestamp": 1_500,
        })]
    );
}

fn halted(sim: &mut Sim, at_ms: u64) {
    sim.ok(at_ms, "halt_request", json!({ "reason": "fire", "operator": "ann" }));
    sim.ok(at_ms, "halt_confirm", json!({ "operator": "bob" }));
}

#[test]
fn a_halt_succeeds_with_a_quorum_of_acknowledgements() {
    let mut sim = Sim::new(3);
    halted(&mut sim, 1_000);
    sim.done(1_000, "capture", r#"{"digest":"before"}"#);
    sim.ok(1_100, "halt_ack", json!({ "node": 1, "halt": 1 }));
    assert_eq!(sim.no(1_100, "halt_ack", json!({ "node": 1, "halt": 1 })), 184);
    assert_eq!(sim.no(1_100, "halt_ack", json!({ "node": 2, "halt": 2 })), 182);
    sim.ledger.advance(1_101);
    assert_eq!(phase(&mut sim), "halting");
    sim.ok(1_200, "halt_ack", json!({ "node": 2, "halt": 1 }));
    sim.ledger.advance(1_201);
    assert_eq!(phase(&mut sim), "halted");
    sim.ok(1_300, "halt_ack", json!({ "node": 3, "halt": 1 }));
    let halt = sim.view("halt");
    assert_eq!((&halt["success"], &halt["nodes_halted"]), (&json!(true), &json!(3)));
    assert_eq!((&halt["snapshot"], &halt["first"], &halt["second"]), (&json!("halt-1"), &json!("ann"), &json!("bob")));
    assert_eq!(sim.view("restoration")["snapshots"][0]["snapshot"], "halt-1", "it can be restored");
}

#[test]
fn without_a_quorum_in_thirty_seconds_the_halt_failed_and_stays_in_force() {
    let mut sim = Sim::new(3);
    halted(&mut sim, 1_000);
    sim.ok(30_999, "halt_ack", json!({ "node": 1, "halt": 1 }));
    sim.ledger.advance(30_999);
    assert_eq!(phase(&mut sim), "halting");
    assert_eq!(sim.no(31_000, "halt_ack", json!({ "node": 2, "halt": 1 })), 183);
    assert_eq!(phase(&mut sim), "halted");
    let halt = sim.view("halt");
    assert_eq!((&halt["decided"], &halt["success"], &halt["nodes_halted"]), (&json!(true), &json!(false), &json!(1)));
    assert_eq!(sim.said("alert").last().unwrap()["what"], "halt_without_quorum");
    assert_eq!(sim.no(31_000, "propose", json!({ "proposal": "p" })), 140);
    halted(&mut sim, 31_000);
    assert_eq!(sim.said("emergency_halt").len(), 2, "the operators may say it again");
}

#[test]
fn a_halt_that_nobody_confirms_is_forgotten() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "halt_request", json!({ "reason": "fire", "operator": "ann" }));
    sim.keep(61_000, 1..=3);
    assert_eq!(sim.alerts().last().unwrap(), "halt_not_confirmed");
    assert_eq!(sim.no(61_000, "halt_confirm", json!({ "operator": "bob" })), 181);
    assert!(resumed(&mut sim));
}

#[test]
fn an_emergency_halt_ends_by_verification() {
    let mut sim = Sim::new(3);
    halted(&mut sim, 1_000);
    assert_eq!(sim.no(1_000, "resume", json!({ "operator": "ann" })), 161);
    for node in 1..=2 {
        sim.ok(1_000, "halt_ack", json!({ "node": node, "halt": 1 }));
    }
    sim.ledger.advance(1_001);
    sim.ok(1_001, "resume", json!({ "operator": "eve" }));
    sim.reports(1_001, 1..=3, "d");
    sim.ledger.advance(1_002);
    assert!(resumed(&mut sim));
}

fn with_snapshot() -> Sim {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "snapshot", json!({ "snapshot": "s", "tick": 7, "digest": "good" }));
    sim
}

#[test]
fn a_restoration_needs_authority_and_a_snapshot() {
    let mut sim = with_snapshot();
    let restore = |snapshot: &str, operator: &str| json!({ "snapshot": snapshot, "operator": operator });
    assert_eq!(sim.no(1_000, "restore", restore("s", "bob")), 172);
    assert_eq!(sim.no(1_000, "restore", restore("s", "mallory")), 170);
    assert_eq!(sim.no(1_000, "restore", restore("t", "ann")), 190);
    sim.ok(1_000, "restore", restore("s", "ann"));
    assert_eq!(sim.orders("check")[0].1, json!({ "do": "check", "snapshot": "s", "digest": "good" }));
    assert_eq!(sim.no(1_000, "restore", restore("s", "ann")), 192);
    assert_eq!(phase(&mut sim), "running", "nothing is halted before the snapshot is known to be intact");
}

#[test]
fn a_corrupted_snapshot_is_forgotten_and_nothing_is_halted() {
    let mut sim = with_snapshot();
    sim.ok(1_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(1_100, "check", r#"{"digest":"other"}"#);
    assert_eq!(sim.said("alert").last().unwrap()["details"]["why"], "corrupted_snapshot");
    assert!(resumed(&mut sim));
    assert_eq!(sim.view("restoration")["snapshots"], json!([]));
}

#[test]
fn a_restoration_halts_restores_every_node_verifies_and_resumes() {
    let mut sim = with_snapshot();
    sim.ok(1_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(1_100, "check", r#"{"digest":"good"}"#);
    assert_eq!(sim.view("halt")["reason"], "Restoration in progress");
    assert_eq!(sim.no(1_100, "halt_confirm", json!({ "operator": "ann" })), 171, "not the admin himself");
    sim.ok(1_100, "halt_confirm", json!({ "operator": "bob" }));
    assert!(sim.orders("restore").is_empty());
    for node in 1..=2 {
        sim.ok(1_200, "halt_ack", json!({ "node": node, "halt": 1 }));
    }
    sim.ledger.advance(1_201);
    let orders = sim.orders("restore");
    assert_eq!(orders.len(), 3);
    assert_eq!(orders[2].1, json!({ "do": "restore", "node": 3, "snapshot": "s" }));
    sim.done(1_300, "restore", "");
    sim.reports(1_300, 1..=3, "good");
    sim.ledger.advance(1_301);
    assert!(resumed(&mut sim));
    let result = sim.said("alert").last().unwrap()["details"].clone();
    assert_eq!(result, json!({ "restored_tick": 7, "nodes_restored": 3, "snapshot": "s" }));
    assert_eq!(sim.view("figures")["restores"], 1);
}

#[test]
fn a_restoration_without_a_halt_does_not_go_on() {
    let mut sim = with_snapshot();
    sim.ok(1_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(1_100, "check", r#"{"digest":"good"}"#);
    sim.keep(62_000, 1..=3);
    assert_eq!(sim.alerts().last().unwrap(), "restoration_given_up");

    let mut sim = with_snapshot();
    sim.ok(1_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(1_100, "check", r#"{"digest":"good"}"#);
    sim.ok(1_100, "halt_confirm", json!({ "operator": "bob" }));
    sim.keep(32_000, 1..=3);
    assert_eq!(sim.alerts()[1..], ["halt_without_quorum", "restoration_given_up"]);
    assert!(sim.said("restore").is_empty());
}

#[test]
fn a_restoration_that_leaves_a_node_behind_or_another_state_needs_an_operator() {
    let restoring = || {
        let mut sim = with_snapshot();
        sim.ok(1_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
        sim.done(1_100, "check", r#"{"digest":"good"}"#);
        sim.ok(1_100, "halt_confirm", json!({ "operator": "bob" }));
        for node in 1..=3 {
            sim.ok(1_200, "halt_ack", json!({ "node": node, "halt": 1 }));
        }
        sim.ledger.advance(1_201);
        sim
    };
    let mut sim = restoring();
    sim.fail(1_300, "restore");
    assert_eq!(phase(&mut sim), "manual");

    let mut sim = restoring();
    sim.done(1_300, "restore", "");
    sim.reports(1_300, 1..=3, "another");
    sim.ledger.advance(1_301);
    assert_eq!(phase(&mut sim), "manual", "they agree, but not on the snapshot");
}

#[test]
fn many_nodes_are_restored_in_batches() {
    let mut sim = Sim::new(600);
    sim.ok(1_000, "snapshot", json!({ "snapshot": "s", "tick": 7, "digest": "good" }));
    halted(&mut sim, 1_000);
    for node in 1..=400 {
        sim.ok(1_000, "halt_ack", json!({ "node": node, "halt": 1 }));
    }
    sim.ok(1_001, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(1_001, "check", r#"{"digest":"good"}"#);
    assert_eq!([sim.done(1_001, "restore", ""), sim.done(1_001, "restore", "")], [256, 256]);
    assert_eq!([sim.done(1_001, "restore", ""), sim.done(1_001, "restore", "")], [88, 0]);
    assert_eq!(sim.view("restoration")["nodes_restored"], 600);
}

#[test]
fn many_evictions_and_many_moves_take_several_steps() {
    let mut sim = Sim::new(80);
    for node in 61..=80 {
        sim.ok(1_000, "assign", json!({ "node": node, "capsules": [node] }));
        for digest in ["a", "b"] {
            sim.ok(1_000, "report", report(node, 1, digest));
        }
    }
    sim.keep(6_000, 1..=80);
    sim.ledger.advance(6_001);
    assert_eq!(phase(&mut sim), "evicting");
    assert_eq!([sim.done(6_001, "evict", ""), sim.done(6_001, "evict", "")], [16, 4]);
    assert_eq!(phase(&mut sim), "verifying");
    sim.reports(6_001, 1..=60, "d");
    sim.ledger.advance(6_002);
    assert_eq!(sim.orders("transfer").len(), 16);
    sim.ledger.advance(6_003);
    assert_eq!(sim.done(6_003, "transfer", ""), 20);
    assert_eq!(sim.capsules(1), (61..=80).collect::<Vec<u64>>(), "each node's only capsule goes to the first one");
    assert!(resumed(&mut sim));
    sim.ok(6_003, "audit", json!({}));
}

/// The halt that an operator asked for runs out while a global failure's remedy restores the nodes.
#[test]
fn a_halt_that_nobody_confirms_does_not_end_a_restoration_that_is_under_way() {
    let mut sim = with_snapshot();
    sim.ok(1_000, "halt_request", json!({ "reason": "fire", "operator": "ann" }));
    fails(&mut sim, 1_000);
    for (node, digest) in [(1, "good"), (2, "bad")] {
        sim.ok(1_000, "report", report(node, 1, digest));
    }
    sim.keep(55_000, 1..=3);
    sim.ok(55_000, "restore", json!({ "snapshot": "s", "operator": "ann" }));
    sim.done(55_000, "check", r#"{"digest":"good"}"#);
    sim.keep(62_000, 1..=3);
    assert!(sim.alerts().contains(&"halt_not_confirmed".into()));
    assert_eq!(sim.done(62_000, "restore", ""), 3);
    sim.reports(62_000, 1..=3, "good");
    sim.ledger.advance(62_001);
    assert!(resumed(&mut sim));
}
