//! What a step costs does not depend on how many capsules there are.

use crate::support::{CALM, CRITICAL, MODERATE, NODES, SEVERE, World};
use reprise_capsule::Capsule;
use reprise_guest::{
    StepInput,
    abi::{Outcome, TIMER_KIND, TimerChange},
};
use serde_json::{Value, json};

/// Host calls of an observation, of the tick that quarantines, and of the tick that escalates.
fn costs(capsules: usize) -> [u64; 4] {
    let mut world = World::empty(json!({ "nodes": NODES, "dimension": 2 }));
    let names: Vec<String> = (0..capsules).map(|n| format!("c{n}")).collect();
    for some in names.chunks(64) {
        let some: Vec<Value> = some.iter().map(|id| json!({ "id": id, "phi": [1_000_000, 0] })).collect();
        world.accept("register", json!({ "capsules": some }));
    }
    let mut calls = Vec::new();
    world.observe("c3", CALM);
    calls.push(world.ledger.host.calls);
    world.observe("c5", MODERATE);
    world.pass(1);
    calls.push(world.ledger.host.calls);
    world.observe("c7", SEVERE);
    world.pass(1);
    calls.push(world.ledger.host.calls);
    world.pass(9);
    calls.push(world.ledger.host.calls);
    assert_eq!([world.status("c5"), world.status("c7")], ["QUARANTINED", "ESCALATED"]);
    calls.try_into().unwrap()
}

#[test]
fn a_step_among_a_thousand_costs_what_it_costs_among_ten() {
    assert_eq!(costs(10), costs(1_000));
}

/// The root counts as isolated, and everything below it, from the first step on.
#[test]
fn a_large_tree_is_isolated_in_slices_and_fails_closed_in_between() {
    let mut world = World::empty(json!({ "nodes": NODES, "dimension": 2 }));
    world.accept("register", json!({ "capsules": [{ "id": "root", "phi": [1_000_000, 0] }] }));
    for group in 0..100 {
        let name = |n: u32| format!("g{group}.{n}");
        let parent = |n: u32| if n == 0 { "root".into() } else { name((n - 1) / 3) };
        let capsules: Vec<Value> =
            (0..40).map(|n| json!({ "id": name(n), "parent": parent(n), "phi": [1_000_000, 0] })).collect();
        world.accept("register", json!({ "capsules": capsules }));
    }
    world.observe("root", CRITICAL);
    // The slices, one by one: the double runs all that is due at once, so its timer is taken away and given back.
    let mut slices = 0;
    let mut at_ms = 2_000;
    while let Some(((due_ms, id), payload)) = world.ledger.timers.pop_first() {
        at_ms = at_ms.max(due_ms);
        let input = StepInput {
            seq: 1_000 + slices,
            logical_time_ms: at_ms,
            id,
            kind: TIMER_KIND.into(),
            payload,
            ..Default::default()
        };
        let outcome = world.ledger.host.step::<Capsule>(&input);
        assert!(outcome.is_accepted(), "{outcome:?}");
        slices += 1;
        assert!(world.ledger.host.calls < 1_000);
        let again = world.ledger.host.timers.iter().find_map(|change| match change {
            TimerChange::Set(timer) if timer.due_ms == at_ms => Some(timer.clone()),
            _ => None,
        });
        let last = world.capsule("g99.39");
        assert_eq!((&last["status"], &last["consensus_participation"]), (&json!("ISOLATED"), &json!(false)));
        let working = world.view("figures", json!({}))["lineages_in_work"] == json!(1);
        assert_eq!(working, again.is_some());
        if let Some(timer) = again {
            let child = json!({ "capsules": [{ "id": "late", "parent": "g99.39", "phi": [1_000_000, 0] }] });
            let register = StepInput {
                logical_time_ms: at_ms,
                kind: "register".into(),
                payload: child.to_string().into_bytes(),
                ..Default::default()
            };
            let outcome = world.ledger.host.step::<Capsule>(&register);
            let Outcome::Rejected(no) = outcome else { panic!("{outcome:?}") };
            assert_eq!(no.code, 115);
            world.ledger.timers.insert((timer.due_ms, timer.id), timer.payload);
        }
    }
    assert!(slices > 20, "{slices} slices");
    let order = &world.view("forensics", json!({}))["orders"][0];
    assert_eq!((&order["affected_count"], &order["complete"]), (&json!(4_001), &json!(true)));
    assert_eq!(world.view("figures", json!({}))["capsules"]["ISOLATED"], 4_001);
}
