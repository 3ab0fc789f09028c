//! Redistribution: round-robin in order, batches, retries, health after the transfer, nobody healthy (2.4).

mod support;

use serde_json::json;
use support::Sim;

#[test]
fn the_ith_capsule_goes_to_the_ith_healthy_node() {
    let mut sim = Sim::new(4);
    sim.ok(1_000, "assign", json!({ "node": 1, "capsules": [14, 10, 12, 11, 13] }));
    sim.ok(1_000, "assign", json!({ "node": 3, "capsules": [7] }));
    let at_ms = sim.lose(1, 2..=4);
    let orders: Vec<_> = sim.orders("transfer").into_iter().map(|(_, order)| order).collect();
    assert_eq!(
        orders,
        [
            json!({ "do": "transfer", "from": 1, "to": 2, "capsules": [10, 13] }),
            json!({ "do": "transfer", "from": 1, "to": 3, "capsules": [11, 14] }),
            json!({ "do": "transfer", "from": 1, "to": 4, "capsules": [12] }),
        ]
    );
    assert_eq!(sim.capsules(1), [10, 11, 12, 13, 14], "until it is done a capsule is where it was");
    sim.done(at_ms, "transfer", "");
    assert_eq!(sim.capsules(1), [0; 0]);
    assert_eq!(sim.capsules(2), [10, 13]);
    assert_eq!(sim.capsules(3), [7, 11, 14]);
    assert_eq!(sim.capsules(4), [12]);
    assert_eq!(sim.view_of("assignments", r#"{"capsule":14}"#)["node"], 3, "the routing table");
    assert_eq!(sim.view("figures")["moved"], 5);
    for node in 1..=4 {
        sim.ok(at_ms, "audit", json!({ "node": node }));
    }
    sim.ok(at_ms, "audit", json!({}));
}

#[test]
fn a_transfer_has_its_compensator() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 3, "capsules": [1] }));
    sim.lose(3, 1..=2);
    let (key, _) = sim.orders("transfer")[0].clone();
    let effect = &sim.ledger.outbox[&key].effect;
    let undo: serde_json::Value = serde_json::from_slice(&effect.compensator.as_ref().unwrap().payload).unwrap();
    assert_eq!(undo, json!({ "do": "take_back", "from": 3, "to": 1, "capsules": [1] }));
    let began_ms = sim.ledger.ran.iter().find(|ran| ran.effects.contains(effect)).unwrap().input.logical_time_ms;
    assert_eq!(effect.deadline_ms, began_ms + 5_000);
}

#[test]
fn many_capsules_move_in_batches() {
    let mut sim = Sim::new(4);
    for batch in 0..5_u32 {
        let capsules: Vec<u32> = (batch * 1_000..(batch + 1) * 1_000).collect();
        sim.ok(1_000, "assign", json!({ "node": 4, "capsules": capsules }));
    }
    let at_ms = sim.lose(4, 1..=3);
    let mut batches = 0;
    while sim.done(at_ms, "transfer", "") > 0 {
        batches += 1;
    }
    assert_eq!(batches, 5, "1,024 at a time");
    assert_eq!(sim.capsules(1).len(), 1_024, "a view gives a page");
    let last = sim.capsules(1)[1_023];
    let rest = sim.view_of("assignments", &json!({ "node": 1, "after": last }).to_string());
    assert_eq!(rest["capsules"].as_array().unwrap().len(), 1_667 - 1_024);
    let loads = sim.view("assignments")["loads"].clone();
    assert_eq!(
        loads,
        json!([{"node": 1, "capsules": 1_667}, {"node": 2, "capsules": 1_667}, {"node": 3, "capsules": 1_666}])
    );
    sim.ok(at_ms, "audit", json!({}));
    sim.ok(at_ms, "audit", json!({ "node": 1 }));
}

#[test]
fn a_failed_transfer_goes_to_the_next_node_and_is_stuck_after_the_third() {
    let mut sim = Sim::new(5);
    sim.ok(1_000, "assign", json!({ "node": 5, "capsules": [1] }));
    let at_ms = sim.lose(5, 1..=4);
    for target in 1..=3 {
        assert_eq!(sim.orders("transfer")[0].1["to"], target);
        sim.fail(at_ms, "transfer");
    }
    assert!(sim.orders("transfer").is_empty());
    assert!(sim.alerts().contains(&"capsules_not_moved".into()));
    assert!(sim.said("resume").is_empty(), "it has not recovered");
    assert_eq!(sim.capsules(5), [1]);
    sim.ok(at_ms, "redistribute", json!({ "node": 5, "operator": "bob" }));
    sim.done(at_ms, "transfer", "");
    assert_eq!(sim.capsules(1), [1]);
    assert_eq!(sim.said("resume").len(), 1);
}

#[test]
fn a_transfer_to_a_node_that_is_out_does_not_count() {
    let mut sim = Sim::new(5);
    sim.ok(1_000, "assign", json!({ "node": 5, "capsules": [1] }));
    let at_ms = sim.lose(5, 1..=4);
    let (key, _) = sim.orders("transfer")[0].clone();
    sim.ok(at_ms, "evict", json!({ "node": 1, "operator": "ann" }));
    sim.ledger.settle(at_ms, &key, reprise_guest::abi::EffectStatus::Done { answer: vec![] });
    assert_eq!(sim.orders("transfer")[0].1["to"], 2, "again, elsewhere");
}

#[test]
fn health_is_verified_after_the_transfer() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 3, "capsules": [1, 2, 3, 4] }));
    let at_ms = sim.lose(3, 1..=2);
    assert_eq!(sim.done(at_ms, "transfer", r#"{"unhealthy":[1,2,99]}"#), 2);
    assert_eq!(sim.view("figures")["unhealthy"], 2, "of those that it has got");
    assert_eq!(sim.view("figures")["moved"], 4);
    let alerts = sim.said("alert");
    let unhealthy: Vec<_> = alerts.iter().filter(|alert| alert["what"] == "capsules_unhealthy").collect();
    assert_eq!(unhealthy[0]["details"], json!({ "node": 1, "capsules": [1] }));
    assert_eq!(unhealthy[1]["details"], json!({ "node": 2, "capsules": [2] }));
}

#[test]
fn an_answer_that_cannot_be_read_vouches_for_nothing() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 3, "capsules": [1, 2, 3] }));
    let at_ms = sim.lose(3, 1..=2);
    sim.done(at_ms, "transfer", "all well");
    assert_eq!(sim.view("figures")["unhealthy"], 3);
}

#[test]
fn a_capsule_that_ends_on_its_way_does_not_arrive() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 3, "capsules": [1, 2] }));
    let at_ms = sim.lose(3, 1..=2);
    sim.ok(at_ms, "retire", json!({ "capsules": [1] }));
    sim.done(at_ms, "transfer", "");
    assert_eq!((sim.capsules(1), sim.capsules(2)), (vec![], vec![2]));
    sim.ok(at_ms, "audit", json!({}));
}

/// Everybody is silent, so that nothing fails over by itself; then an operator tries.
#[test]
fn nobody_healthy_is_a_clear_error() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 1, "capsules": [1] }));
    sim.ledger.advance(40_000);
    assert_eq!(sim.view("cluster")["nodes"]["FAILING"], 3);
    let outcome = sim.send(40_000, "failover", &json!({ "node": 1, "operator": "ann" }));
    let reprise_guest::abi::Outcome::Rejected(no) = outcome else { panic!("{outcome:?}") };
    assert_eq!((no.code, &*no.detail), (132, "NoHealthyNodes: cannot redistribute, no node is HEALTHY"));
    assert_eq!(sim.capsules(1), [1], "they stay where they are");
}

#[test]
fn a_move_that_nobody_could_take_goes_on_when_a_node_is_healthy_again() {
    let mut sim = Sim::new(3);
    sim.ok(1_000, "assign", json!({ "node": 3, "capsules": [1] }));
    let at_ms = sim.lose(3, 1..=2);
    // The others are silent now, too: the transfer fails, and there is no third try.
    sim.ledger.advance(at_ms + 12_000);
    assert_eq!(sim.view("cluster")["status"], "READ_ONLY");
    assert_eq!(sim.capsules(3), [1]);
    let now_ms = sim.ledger.now_ms();
    sim.beats(now_ms, 1..=2);
    sim.ok(now_ms, "resume", json!({ "operator": "ann" }));
    sim.reports(now_ms, 1..=2, "d");
    sim.ledger.advance(now_ms + 1);
    assert_eq!(sim.done(now_ms + 1, "transfer", ""), 1);
    assert_eq!(sim.capsules(1), [1]);
}
