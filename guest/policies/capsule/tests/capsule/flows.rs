//! The flows of section 1.1, one test for each way through.

use crate::support::{CALM, CRITICAL, MILD, MODERATE, NODES, SEVERE, World, done, failed, read};
use reprise_guest::abi::Outcome;
use serde_json::{Value, json};

#[test]
fn mild_drift_heals_within_six_ticks() {
    let mut world = World::new().with_stable_root();
    world.now_ms += 300;
    let steps = world.steps();
    let answer = world.observe("root/a", MILD);
    assert_eq!(answer["readings"][0], json!({ "capsule": "root/a", "status": "NORMAL", "severity": "MILD" }));
    world.pass(1);
    assert_eq!(world.status("root/a"), "HEALING");
    assert_eq!(world.capsule("root/a")["consensus_participation"], true);
    let orders = world.effects(steps, "capsule-agent");
    assert_eq!(orders[0]["action"], "HEAL");
    assert_eq!(orders[0]["source"], "STABILITY_DROP");
    assert_eq!(orders[0]["ancestor"], "root");
    assert_eq!(world.effects(steps, "dctm").len(), NODES.len());
    world.settle("HEAL.root/a.", &done());
    world.confirm("root/a", &NODES, true, true);
    world.pass_with(4, "root/a", [40_000, 100, 780_000]);
    assert_eq!(world.status("root/a"), "HEALING", "four ticks are not five");
    world.pass_with(1, "root/a", CALM);
    assert_eq!(world.status("root/a"), "NORMAL");
    assert_eq!(world.capsule("root/a")["case"], Value::Null);
    assert_eq!(world.figure("recoveries"), 1);
    assert!(world.now_ms - 1_300 < 6_000, "section 4.1: under six ticks in all");
}

#[test]
fn healing_blends_with_the_nearest_stable_ancestor_and_can_be_undone() {
    let mut world = World::new().with_stable_root();
    world.accept("register", json!({ "capsules": [{ "id": "leaf", "parent": "root/a/b", "phi": [0, 1_000_000] }] }));
    world.observe("root/a", [45_000, 100, 790_000]);
    world.pass(0);
    world.observe("leaf", MILD);
    world.pass(1);
    let pending = world.ledger.outbox.values().find(|pending| pending.effect.idempotency_key.starts_with("HEAL.leaf."));
    let effect = pending.expect("the order is out").effect.clone();
    let order = read(&effect.payload);
    assert_eq!(order["ancestor"], "root", "root/a drifts itself, root/a/b was never measured");
    assert_eq!(order["phi"], json!([393_919, 919_145]));
    assert_eq!(effect.deadline_ms, 6_998, "before it is judged");
    let undo = effect.compensator.expect("it can be undone");
    assert_eq!(read(&undo.payload), json!({ "action": "RESTORE_PHI", "capsule": "leaf", "phi": [0, 1_000_000] }));
    assert_eq!(world.capsule("leaf")["phi"], json!([393_919, 919_145]));
    // It comes to nothing: the vector is the old one, healing has failed.
    world.settle("HEAL.leaf.", &failed());
    assert_eq!(world.capsule("leaf")["phi"], json!([0, 1_000_000]));
    assert_eq!(world.status("leaf"), "HEALING", "decided at the end of the tick");
    world.pass(1);
    assert_eq!(world.status("leaf"), "ESCALATED");
    assert_eq!(world.capsule("leaf")["case"]["cause"], "HEAL_FAILED");
}

#[test]
fn an_entropy_spike_asks_for_less_complexity() {
    let mut world = World::new().with_stable_root();
    let spike = |entropy: u32, velocity: u32| {
        json!({ "readings": [{
            "capsule": "root/a", "drift_velocity_ppm": velocity, "ttf_ticks": 100, "stability_ppm": 950_000,
            "entropy_ppm": entropy,
        }] })
    };
    world.accept("observe", spike(300_000, 0));
    world.pass(1);
    let steps = world.steps();
    world.accept("observe", spike(500_000, 60_000));
    world.pass(1);
    let order = &world.effects(steps, "capsule-agent")[0];
    assert_eq!((&order["source"], &order["reduce_complexity"]), (&json!("ENTROPY_SPIKE"), &json!(true)));
}

/// What happens when healing does not hold: worse drift, no reading, a correction that did not
/// arrive, no improvement, no stable ancestor.
#[test]
fn healing_that_does_not_hold_escalates() {
    let begin = || {
        let mut world = World::new().with_stable_root();
        world.observe("root/a", MILD);
        world.pass(1);
        world.settle("HEAL.root/a.", &done());
        world.confirm("root/a", &NODES, true, true);
        world
    };
    let mut worse = begin();
    worse.pass_with(1, "root/a", MODERATE);
    let mut silent = begin();
    silent.pass_with(1, "root/a", CALM);
    silent.pass(4);
    let mut expired = World::new().with_stable_root();
    expired.observe("root/a", MILD);
    expired.pass(1);
    expired.confirm("root/a", &NODES, true, true);
    expired.pass_with(5, "root/a", CALM);
    let mut the_same = begin();
    the_same.pass_with(5, "root/a", [10_000, 100, MILD[2]]);
    for mut world in [worse, silent, expired, the_same] {
        assert_eq!(world.status("root/a"), "ESCALATED");
        assert_eq!(world.capsule("root/a")["case"]["cause"], "HEAL_FAILED");
    }
    let mut alone = World::new();
    alone.observe("other", MILD);
    alone.pass(1);
    assert_eq!(alone.capsule("other")["case"]["cause"], "NO_STABLE_ANCESTOR");
    assert_eq!(alone.status("other"), "ESCALATED");
    let mut critical = begin();
    critical.pass_with(1, "root/a", CRITICAL);
    assert_eq!(critical.status("root/a"), "ISOLATED");
}

#[test]
fn quarantine_takes_out_of_the_pool_and_repairs_every_ten_ticks() {
    let mut world = World::new().with_stable_root();
    let steps = world.steps();
    world.observe("root/a", MODERATE);
    world.pass(1);
    let capsule = world.capsule("root/a");
    assert_eq!(capsule["status"], "QUARANTINED");
    assert_eq!(capsule["consensus_participation"], false);
    assert_eq!(capsule["propagation_blocked"], true);
    assert_eq!(world.view("pool", json!({}))["count"], 4);
    assert_eq!(world.view("quarantine", json!({}))["capsules"][0]["capsule"], "root/a");
    let child = json!({ "capsules": [{ "id": "new", "parent": "root/a", "phi": [1_000_000, 0] }] });
    assert_eq!(world.reject("register", child), 115);
    // Observed, and better: still no way out.
    world.pass_with(9, "root/a", CALM);
    assert_eq!(world.figure("repairs"), 0);
    world.pass_with(1, "root/a", CALM);
    assert_eq!(world.figure("repairs"), 1, "ten ticks after the quarantine");
    world.pass(10);
    world.pass(10);
    assert_eq!(world.figure("repairs"), 3);
    assert_eq!(world.status("root/a"), "QUARANTINED");
    let actions: Vec<_> = world
        .effects(steps, "capsule-agent")
        .into_iter()
        .map(|o| (o["action"].clone(), o["attempt"].clone()))
        .collect();
    let repair = |attempt: u32| (json!("REPAIR"), json!(attempt));
    assert_eq!(actions, [(json!("QUARANTINE"), Value::Null), repair(1), repair(2), repair(3)]);
}

#[test]
fn a_review_releases_after_a_stable_day_and_the_criteria_complete_it() {
    let mut world = World::new().with_stable_root();
    world.observe("root/a", MODERATE);
    world.pass(1);
    let review = json!({ "capsule": "root/a", "reviewer": "ada", "decision": "RELEASE" });
    assert_eq!(world.reject("review", review.clone()), 133);
    // Stable from tick 2 on; a day later it may go, a tick before it may not.
    for _ in 0..8_640 {
        world.observe("root/a", CALM);
        world.pass(10);
    }
    world.observe("root/a", CALM);
    let steps = world.steps();
    world.accept("review", review);
    world.pass(1);
    assert_eq!(world.status("root/a"), "RECOVERING");
    assert_eq!(world.capsule("root/a")["consensus_participation"], false, "not before the criteria hold");
    world.confirm("root/a", &NODES, true, true);
    world.pass_with(5, "root/a", CALM);
    assert_eq!(world.status("root/a"), "NORMAL");
    assert_eq!(world.capsule("root/a")["consensus_participation"], true);
    assert_eq!(world.effects(steps, "forensic")[0]["event_type"], "REVIEW");
    let orders = world.effects(steps, "capsule-agent");
    assert_eq!(orders.last().unwrap()["action"], "RELEASE");
}

#[test]
fn a_day_means_a_day_without_a_break() {
    let stable_ms = 20_000;
    let mut world = World::empty(json!({ "nodes": NODES, "dimension": 2, "stable_ms": stable_ms }));
    world.accept("register", json!({ "capsules": [{ "id": "x", "phi": [0, 1_000_000] }] }));
    let review = json!({ "capsule": "x", "reviewer": "ada", "decision": "RELEASE" });
    world.observe("x", MODERATE);
    world.pass(1);
    // Stable from 2,000 on, interrupted at 12,000, stable again from 13,000 on.
    world.pass_with(10, "x", CALM);
    world.pass_with(1, "x", MILD);
    world.pass_with(19, "x", CALM);
    world.now_ms = 32_999;
    assert_eq!(world.reject("review", review.clone()), 133);
    world.now_ms = 33_000;
    world.accept("review", review.clone());
    world.accept("review", json!({ "capsule": "x", "reviewer": "bob", "decision": "KEEP" }));
    world.pass(1);
    assert_eq!(world.status("x"), "QUARANTINED", "of two reviews in a tick the careful one counts");
    world.now_ms += 11_000;
    assert_eq!(world.reject("review", review), 133, "nothing measured lately");
}

#[test]
fn severe_drift_alerts_every_node_and_the_quorum_decides() {
    let mut world = World::new().with_stable_root();
    let steps = world.steps();
    world.observe("root/a/b", SEVERE);
    world.pass(1);
    assert_eq!(world.status("root/a/b"), "ESCALATED");
    assert_eq!(world.capsule("root/a/b")["consensus_participation"], false, "quarantined as well");
    let alerts = world.effects(steps, "dctm");
    assert_eq!(alerts.iter().map(|alert| &alert["node"]).collect::<Vec<_>>(), NODES);
    for alert in &alerts {
        assert_eq!(alert["message_type"], "DRIFT_ALERT");
        let expected = json!({
            "capsule_id": "root/a/b", "cause": "SEVERE", "drift_velocity_ppm": 10_000, "ttf_ticks": 20, "stability_ppm": 950_000,
            "lineage": ["root", "root/a", "root/a/b"], "recommended_action": "QUARANTINE",
        });
        assert_eq!(alert["payload"], expected);
    }
    world.vote("root/a/b", &NODES[..2], "QUARANTINE");
    world.pass(1);
    assert_eq!(world.status("root/a/b"), "ESCALATED", "two of four are no quorum");
    world.vote("root/a/b", &NODES[2..3], "QUARANTINE");
    world.pass(1);
    assert_eq!(world.status("root/a/b"), "QUARANTINED");
    assert_eq!(world.capsule("root/a/b")["case"]["cause"], "CLUSTER_DECISION");
}

#[test]
fn the_cluster_may_isolate_release_or_fail_to_decide() {
    let escalated = || {
        let mut world = World::new();
        world.observe("root/a", SEVERE);
        world.pass(1);
        world
    };
    let mut isolate = escalated();
    isolate.vote("root/a", &NODES[..3], "ISOLATE_LINEAGE");
    isolate.pass(1);
    assert_eq!([isolate.status("root/a"), isolate.status("root/a/b")], ["ISOLATED", "ISOLATED"]);
    assert_eq!(isolate.status("root"), "NORMAL");
    let mut release = escalated();
    release.vote("root/a", &NODES[1..], "RELEASE");
    release.pass(1);
    assert_eq!(release.status("root/a"), "RECOVERING");
    // A changed mind: the more careful vote counts, whichever came first.
    let mut changed = escalated();
    changed.vote("root/a", &NODES[..3], "RELEASE");
    changed.vote("root/a", &NODES[..1], "QUARANTINE");
    changed.vote("root/a", &NODES[..1], "RELEASE");
    changed.pass(1);
    assert_eq!(changed.status("root/a"), "ESCALATED");
    // Deadlock: everybody voted, no quorum.
    let mut deadlock = escalated();
    deadlock.vote("root/a", &NODES[..2], "RELEASE");
    deadlock.vote("root/a", &NODES[2..], "QUARANTINE");
    deadlock.pass(1);
    assert_eq!(deadlock.status("root/a"), "QUARANTINED");
    assert_eq!(deadlock.capsule("root/a")["case"]["cause"], "CLUSTER_UNDECIDED");
    // Silence: the time is up.
    let mut silence = escalated();
    silence.pass(59);
    assert_eq!(silence.status("root/a"), "ESCALATED");
    assert_eq!(silence.figure("repairs"), 5, "repaired meanwhile");
    silence.pass(1);
    assert_eq!(silence.status("root/a"), "QUARANTINED");
    assert_eq!(silence.figure("repairs"), 6, "in its rhythm");
}

#[test]
fn quarantine_is_left_upwards_only_by_worse_drift() {
    let mut world = World::new();
    world.observe("root/a", MODERATE);
    world.pass(1);
    world.pass_with(3, "root/a", SEVERE);
    assert_eq!(world.figure("escalations"), 1, "acted on once");
    world.pass_with(1, "root/a", CRITICAL);
    assert_eq!(world.status("root/a"), "ISOLATED");
}

#[test]
fn critical_drift_isolates_the_tree_and_only_the_tree() {
    let mut world = World::new().with_stable_root();
    let steps = world.steps();
    world.observe("root/a", CRITICAL);
    world.pass(1);
    for id in ["root/a", "root/a/b"] {
        let capsule = world.capsule(id);
        assert_eq!(capsule["status"], "ISOLATED");
        assert_eq!((&capsule["lineage_tainted"], &capsule["order"]), (&json!(true), &json!(1)));
    }
    assert_eq!([world.status("root"), world.status("root/c"), world.status("other")], ["NORMAL"; 3]);
    let record = json!({
        "event_type": "LINEAGE_ISOLATION", "order": 1, "root_capsule": "root/a", "cause": "CRITICAL", "affected_count": 2
    });
    assert_eq!(world.effects(steps, "forensic"), [record]);
    let order = &world.view("forensics", json!({}))["orders"][0];
    assert_eq!(
        (&order["affected_count"], &order["complete"], &order["stability_ppm"]),
        (&json!(2), &json!(true), &json!(200_000))
    );
    let inner = json!({ "capsule": "root/a/b", "reviewer": "ada", "decision": "RELEASE", "override_reason": "x" });
    assert_eq!(world.reject("review", inner), 132);
    // A tainted ancestor heals nobody, and nothing springs from it.
    let child = json!({ "capsules": [{ "id": "new", "parent": "root/a/b", "phi": [1_000_000, 0] }] });
    assert_eq!(world.reject("register", child), 115);
    world.observe("root/a/b", CRITICAL);
    world.pass(1);
    assert_eq!(world.figure("isolations"), 1, "what is isolated is not isolated again");
    world.pass(9);
    assert_eq!(world.figure("repairs"), 1, "the tree is repaired as one");
}

#[test]
fn a_lineage_is_given_back_as_a_whole_and_who_still_drifts_stays() {
    let mut world = World::new();
    world.observe("root", CRITICAL);
    world.pass(1);
    world.observe("root/c", [60_000, 100, 950_000]);
    world.release("root");
    world.pass(1);
    assert_eq!([world.status("root"), world.status("root/a")], ["RECOVERING", "ISOLATED"]);
    world.confirm("root", &NODES, true, true);
    let steps = world.steps();
    world.pass_with(5, "root", CALM);
    assert_eq!([world.status("root"), world.status("root/a"), world.status("root/a/b")], ["NORMAL"; 3]);
    assert_eq!(world.status("root/c"), "QUARANTINED", "its own drift velocity is not below 0.05");
    assert_eq!(world.capsule("root/c")["lineage_tainted"], false);
    let record = world.effects(steps, "forensic").pop().unwrap();
    assert_eq!((&record["released_count"], &record["held_count"]), (&json!(3), &json!(1)));
    world.accept("audit", json!({}));
    world.pass(1);
    assert_eq!(world.view("figures", json!({}))["audit_complete"], true);
}

#[test]
fn a_lineage_whose_root_does_not_recover_stays_isolated() {
    let mut world = World::new();
    world.observe("root", CRITICAL);
    world.pass(1);
    world.release("root");
    world.pass(1);
    world.pass_with(1, "root", MODERATE);
    assert_eq!([world.status("root"), world.status("root/a")], ["ISOLATED"; 2]);
    assert_eq!(world.figure("isolations"), 1, "it never left");
}

#[test]
fn a_larger_isolation_takes_in_a_smaller_one() {
    let mut world = World::new();
    world.observe("root/a", CRITICAL);
    world.pass(1);
    world.observe("root", CRITICAL);
    world.pass(1);
    let orders = &world.view("forensics", json!({}))["orders"];
    assert_eq!((&orders[0]["affected_count"], &orders[0]["superseded_by"]), (&json!(2), &json!(2)));
    assert_eq!((&orders[1]["affected_count"], &orders[1]["superseded_by"]), (&json!(4), &Value::Null));
    assert_eq!(world.capsule("root/a")["order"], 2);
    let inner = json!({ "capsule": "root/a", "reviewer": "ada", "decision": "RELEASE", "override_reason": "x" });
    assert_eq!(world.reject("review", inner), 132);
}

#[test]
fn ancestor_and_descendant_critical_in_one_tick_are_one_isolation() {
    for order in [["root", "root/a"], ["root/a", "root"]] {
        let mut world = World::new();
        order.iter().for_each(|id| drop(world.observe(id, CRITICAL)));
        world.pass(1);
        assert_eq!(world.figure("isolations"), 1);
        assert_eq!(world.view("forensics", json!({}))["orders"][0]["affected_count"], 4);
    }
}

/// Section 4.2: each criterion, and what is done if it is not met.
#[test]
fn every_success_criterion_has_its_own_action() {
    let recovering = || {
        let mut world = World::new();
        world.observe("other", MODERATE);
        world.pass(1);
        world.release("other");
        world.pass(1);
        world
    };
    let alerts = |world: &World, steps: usize| -> Vec<String> {
        world.effects(steps, "operator").iter().map(|n| n["alert"].as_str().unwrap().into()).collect()
    };
    // Drift velocity: 0.05 is too much.
    let mut fast = recovering();
    fast.confirm("other", &NODES, true, true);
    let steps = fast.steps();
    fast.pass_with(5, "other", [50_000, 100, 950_000]);
    assert_eq!(fast.status("other"), "QUARANTINED");
    assert_eq!(alerts(&fast, steps), ["RE_QUARANTINE"]);
    // Stability: 0.8 is too little, so monitoring is extended; then it is enough.
    let mut shaky = recovering();
    shaky.confirm("other", &NODES, true, true);
    shaky.pass_with(5, "other", [49_999, 100, 800_000]);
    assert_eq!(shaky.capsule("other")["case"]["verification"]["extensions"], 1);
    shaky.pass_with(4, "other", [49_999, 100, 800_001]);
    assert_eq!(shaky.status("other"), "RECOVERING");
    shaky.pass_with(1, "other", [49_999, 100, 800_001]);
    assert_eq!(shaky.status("other"), "NORMAL");
    // One node of four does not agree, or does not answer.
    for dissent in [true, false] {
        let mut split = recovering();
        split.confirm("other", &NODES[..3], true, true);
        if dissent {
            split.confirm("other", &NODES[3..], false, true);
            split.confirm("other", &NODES[3..], true, true);
        }
        let steps = split.steps();
        split.pass_with(5, "other", CALM);
        assert_eq!(split.status("other"), "QUARANTINED");
        assert_eq!(alerts(&split, steps), ["MANUAL_INTERVENTION"]);
    }
    // One proof is not valid.
    let mut forged = recovering();
    forged.confirm("other", &NODES, true, true);
    forged.confirm("other", &NODES[..1], true, false);
    let steps = forged.steps();
    forged.pass_with(5, "other", CALM);
    assert_eq!(forged.capsule("other")["case"]["cause"], "INVESTIGATE_TAMPERING");
    assert_eq!(alerts(&forged, steps), ["INVESTIGATE_TAMPERING"]);
    // Nothing measured in the last tick.
    let mut blind = recovering();
    blind.confirm("other", &NODES, true, true);
    blind.pass_with(4, "other", CALM);
    blind.pass(1);
    assert_eq!(blind.status("other"), "QUARANTINED");
}

#[test]
fn a_release_that_does_not_arrive_is_taken_back() {
    let mut world = World::new();
    world.observe("other", MODERATE);
    world.pass(1);
    world.release("other");
    world.pass(1);
    world.confirm("other", &NODES, true, true);
    world.pass_with(5, "other", CALM);
    assert_eq!(world.status("other"), "NORMAL");
    assert_eq!(world.settle("RELEASE.other.", &failed()), 1);
    world.pass(1);
    assert_eq!(world.capsule("other")["case"]["cause"], "RELEASE_FAILED");
    assert_eq!(world.status("other"), "QUARANTINED");
}

#[test]
fn containment_is_ordered_again_until_it_is_done() {
    let mut world = World::new();
    world.observe("other", MODERATE);
    world.pass(1);
    let first = world.steps();
    for _ in 0..3 {
        let steps = world.steps();
        world.now_ms += 1;
        assert_eq!(world.settle("QUARANTINE.other.", &failed()), 1);
        assert!(world.effects(steps, "capsule-agent").is_empty(), "not before the tick is over");
        world.pass(1);
        assert_eq!(world.effects(steps, "capsule-agent")[0]["action"], "QUARANTINE");
    }
    let told: Vec<_> = world.effects(first, "operator").iter().map(|notice| notice["alert"].clone()).collect();
    assert_eq!(told, ["CONTAINMENT_UNCONFIRMED"], "once in a case");
    let steps = world.steps();
    assert_eq!(world.settle("QUARANTINE.other.", &done()), 1);
    world.pass(1);
    assert!(world.effects(steps, "capsule-agent").is_empty());
}

#[test]
fn an_isolated_lineage_is_contained_again_by_the_order_to_its_root() {
    let mut world = World::new();
    world.observe("root", CRITICAL);
    world.pass(1);
    let steps = world.steps();
    assert_eq!(world.settle("ISOLATE_LINEAGE.root.", &failed()), 1);
    world.pass(1);
    let orders = world.effects(steps, "capsule-agent");
    assert_eq!(orders.iter().map(|order| order["action"].clone()).collect::<Vec<_>>(), ["ISOLATE_LINEAGE"]);
}

#[test]
fn the_canary_is_noticed_at_once_or_by_the_audit() {
    let mut world = World::new();
    let Outcome::InvariantViolated(violation) = world.submit("canary", &json!({ "capsule": "other" })) else {
        panic!("the canary lives");
    };
    assert_eq!((violation.invariant.as_str(), violation.detail.as_str()), ("pool-follows-status", "other"));
    let mut world = World::new();
    world.accept("canary", json!({ "capsule": "other", "hidden": true }));
    world.observe("root", CALM);
    world.accept("audit", json!({}));
    world.ledger.advance(world.now_ms);
    let last = &world.ledger.ran.last().unwrap().outcome;
    let Outcome::InvariantViolated(violation) = last else { panic!("{last:?}") };
    assert_eq!(violation.detail, "other");
}
