//! The state machine under random input: its transitions, its exits, its invariants, and the order of events in a tick.

use crate::support::{CALM, CRITICAL, MILD, MODERATE, NODES, SEVERE, TICK_MS, World, done, failed, reading};
use proptest::{prelude::*, sample::Index};
use reprise_capsule::state::{CAPSULES, Status, TOUCHED};
use reprise_guest::{abi::Outcome, testing::MemoryHost};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CAPSULES_OF_TEST: [&str; 5] = ["root", "root/a", "root/a/b", "root/c", "other"];
const READINGS: [[u32; 3]; 8] =
    [CALM, MILD, MODERATE, SEVERE, CRITICAL, [49_999, 61, 800_001], [50_000, 100, 950_000], [10_000, 100, 800_000]];

/// Something that may happen. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Happening {
    Observe { capsule: usize, reading: usize, phi: Option<bool> },
    Assess { capsule: usize, node: usize, action: usize },
    Confirm { capsule: usize, node: usize, agree: bool, proof_valid: bool },
    Review { capsule: usize, release: bool, overriding: bool },
    Settle { which: Index, works: bool },
}

fn happening() -> impl Strategy<Value = Happening> {
    let capsule = 0..CAPSULES_OF_TEST.len();
    let node = 0..NODES.len();
    prop_oneof![
        6 => (capsule.clone(), 0..READINGS.len(), prop::option::weighted(0.2, any::<bool>()))
            .prop_map(|(capsule, reading, phi)| Happening::Observe { capsule, reading, phi }),
        3 => (capsule.clone(), node.clone(), 0..3_usize)
            .prop_map(|(capsule, node, action)| Happening::Assess { capsule, node, action }),
        3 => (capsule.clone(), node, any::<bool>(), prop::bool::weighted(0.9))
            .prop_map(|(capsule, node, agree, proof_valid)| Happening::Confirm { capsule, node, agree, proof_valid }),
        2 => (capsule, any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(capsule, release, overriding)| Happening::Review { capsule, release, overriding }),
        3 => (any::<Index>(), prop::bool::weighted(0.6)).prop_map(|(which, works)| Happening::Settle { which, works }),
    ]
}

/// What happens in one tick, and how many ticks pass after it.
fn tick() -> impl Strategy<Value = (Vec<Happening>, u64)> {
    (prop::collection::vec(happening(), 0..6), prop_oneof![8 => Just(1_u64), 1 => 2..12_u64, 1 => Just(61_u64)])
}

/// An event as it is submitted.
#[derive(Clone, Debug)]
enum Concrete {
    Event(&'static str, Value),
    Settle(String, bool),
}

fn concrete(world: &mut World, what: &Happening) -> Concrete {
    let mut round =
        |capsule: &str, question: &str| world.capsule(capsule)["case"][question]["round"].as_u64().unwrap_or(0);
    match *what {
        Happening::Observe { capsule, reading: which, phi } => {
            let mut event = reading(CAPSULES_OF_TEST[capsule], READINGS[which]);
            if let Some(up) = phi {
                event["readings"][0]["phi"] = if up { json!([0, 1_000_000]) } else { json!([600_000, -800_000]) };
            }
            Concrete::Event("observe", event)
        }
        Happening::Assess { capsule, node, action } => {
            let (capsule, action) = (CAPSULES_OF_TEST[capsule], ["RELEASE", "QUARANTINE", "ISOLATE_LINEAGE"][action]);
            let round = round(capsule, "assessment");
            Concrete::Event(
                "assess",
                json!({ "capsule": capsule, "round": round, "node": NODES[node], "action": action }),
            )
        }
        Happening::Confirm { capsule, node, agree, proof_valid } => {
            let capsule = CAPSULES_OF_TEST[capsule];
            let round = round(capsule, "verification");
            Concrete::Event(
                "confirm",
                json!({
                    "capsule": capsule, "round": round, "node": NODES[node], "agree": agree, "proof_valid": proof_valid
                }),
            )
        }
        Happening::Review { capsule, release, overriding } => {
            let decision = if release { "RELEASE" } else { "KEEP" };
            let mut event = json!({ "capsule": CAPSULES_OF_TEST[capsule], "reviewer": "ada", "decision": decision });
            if overriding {
                event["override_reason"] = "a good one".into();
            }
            Concrete::Event("review", event)
        }
        Happening::Settle { which, works } => {
            let keys: Vec<&String> = world.ledger.outbox.keys().collect();
            Concrete::Settle(if keys.is_empty() { String::new() } else { which.get(&keys).to_string() }, works)
        }
    }
}

fn happen(world: &mut World, what: &Concrete) -> Option<Outcome> {
    let outcome = match what {
        Concrete::Event(kind, data) => Some(world.submit(kind, data)),
        Concrete::Settle(key, works) => {
            let status = if *works { done() } else { failed() };
            world.ledger.settle(world.now_ms, key, status)
        }
    };
    if let Some(outcome) = &outcome {
        assert!(matches!(outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{what:?}: {outcome:?}");
    }
    outcome
}

fn statuses(host: &mut MemoryHost) -> BTreeMap<String, Status> {
    CAPSULES.scan(host).map(|entry| entry.map(|(id, capsule)| (id, capsule.status)).unwrap()).collect()
}

/// Section 1.1 as edges, written down a second time.
fn is_an_edge(from: Status, to: Status) -> bool {
    use Status::{Escalated, Healing, Isolated, Normal, Quarantined, Recovering};
    let edges = [
        (Normal, Healing),
        (Normal, Quarantined),
        (Normal, Escalated),
        (Normal, Isolated),
        (Healing, Normal),
        (Healing, Quarantined),
        (Healing, Escalated),
        (Healing, Isolated),
        (Quarantined, Escalated),
        (Quarantined, Isolated),
        (Quarantined, Recovering),
        (Escalated, Quarantined),
        (Escalated, Isolated),
        (Escalated, Recovering),
        (Isolated, Recovering),
        (Isolated, Normal),
        (Isolated, Quarantined),
        (Recovering, Normal),
        (Recovering, Quarantined),
        (Recovering, Escalated),
        (Recovering, Isolated),
    ];
    from == to || edges.contains(&(from, to))
}

/// What the last step says it changed is what changed, and along the edges.
fn hold_last_step(host: &mut MemoryHost, before: &BTreeMap<String, Status>) {
    let touched = TOUCHED.get(host).unwrap().unwrap();
    for (id, path) in &touched.changes {
        assert_eq!(path.first(), before.get(id), "{id}");
        assert!(path.windows(2).all(|edge| is_an_edge(edge[0], edge[1])), "{id}: {path:?}");
    }
    for (id, status) in statuses(host) {
        if before.get(&id) != Some(&status) {
            assert!(touched.changes.iter().any(|(changed, _)| *changed == id), "{id} changed behind the step's back");
        }
    }
}

/// Lets time pass step by step: what is due at one moment is at most one timer and its slices, and expiries.
fn pass(world: &mut World, ticks: u64) {
    let end_ms = (world.now_ms / TICK_MS + ticks) * TICK_MS;
    while world.now_ms < end_ms {
        let expiry = world.ledger.outbox.values().map(|pending| pending.deadline_ms.saturating_add(1)).min();
        let timer = world.ledger.timers.keys().next().map(|(due_ms, _)| *due_ms);
        let next = [expiry, timer].into_iter().flatten().filter(|at_ms| *at_ms > world.now_ms).min();
        let steps = world.steps();
        let before = statuses(&mut world.ledger.host);
        world.now_ms = next.unwrap_or(end_ms).min(end_ms);
        world.ledger.advance(world.now_ms);
        for ran in &world.ledger.ran[steps..] {
            assert!(ran.outcome.is_accepted(), "{ran:?}");
        }
        if world.steps() == steps + 1 {
            hold_last_step(&mut world.ledger.host, &before);
        }
    }
}

fn begun() -> World {
    World::new().with_stable_root()
}

fn live(world: &mut World, life: &[(Vec<Happening>, u64)]) {
    for (happenings, ticks) in life {
        for what in happenings {
            let what = concrete(world, what);
            let before = statuses(&mut world.ledger.host);
            let accepted = happen(world, &what).is_some_and(|outcome| outcome.is_accepted());
            if accepted {
                hold_last_step(&mut world.ledger.host, &before);
            }
        }
        pass(world, *ticks);
    }
}

/// One tick in which the world is well and everybody does what they can: readings, answers, votes, reviews.
fn one_good_tick(world: &mut World) {
    while let Some(key) = world.ledger.outbox.keys().next().cloned() {
        world.ledger.settle(world.now_ms, &key, done());
    }
    for capsule in CAPSULES_OF_TEST {
        world.submit("observe", &reading(capsule, CALM));
        let what = world.capsule(capsule);
        match what["status"].as_str().unwrap() {
            "HEALING" | "RECOVERING" => world.confirm(capsule, &NODES, true, true),
            "ESCALATED" => world.vote(capsule, &NODES, "RELEASE"),
            "QUARANTINED" => world.release(capsule),
            "ISOLATED" if what["case"] != Value::Null => world.release(capsule),
            _ => {}
        }
    }
    pass(world, 1);
}

proptest! {
    /// Every step is along the document's transitions and keeps the invariants; and from wherever it has come to, a
    /// good world leads every capsule back to normal: there is no terminal state.
    #[test]
    fn every_state_is_reached_by_the_documents_transitions_and_has_an_exit(
        life in prop::collection::vec(tick(), 1..24)
    ) {
        let mut world = begun();
        live(&mut world, &life);
        for _ in 0..30 {
            one_good_tick(&mut world);
        }
        for (id, status) in statuses(&mut world.ledger.host) {
            prop_assert_eq!(status, Status::Normal, "{}", id);
        }
        world.accept("audit", json!({}));
        pass(&mut world, 1);
        prop_assert_eq!(&world.view("figures", json!({}))["audit_complete"], &json!(true));
        prop_assert_eq!(world.view("pool", json!({}))["count"].as_u64(), Some(5));
    }

    /// The plan at the end of a tick, and the state after it, do not depend on the order in which things were heard.
    #[test]
    fn the_order_of_events_within_a_tick_does_not_change_the_plan(
        life in prop::collection::vec(tick(), 0..16),
        events in prop::collection::vec(happening(), 1..12),
        order in prop::collection::vec(any::<u32>(), 12),
    ) {
        let plan = |shuffled: bool| {
            let mut world = begun();
            live(&mut world, &life);
            let mut events: Vec<(u32, Concrete)> = order.iter().copied().zip(
                events.iter().map(|what| concrete(&mut world, what)).collect::<Vec<_>>()
            ).collect();
            // An effect ends once.
            let mut ended = BTreeSet::new();
            events.retain(|(_, what)| !matches!(what, Concrete::Settle(key, _) if !ended.insert(key.clone())));
            // Whether a review without a reason is let in may depend on what was heard a moment before.
            events.retain(|(_, what)| !matches!(what, Concrete::Event("review", data) if data["override_reason"].is_null()));
            if shuffled {
                events.sort_by_key(|(key, _)| *key);
            }
            for (_, what) in &events {
                happen(&mut world, what);
            }
            let steps = world.steps();
            world.pass(1);
            let mut state = world.ledger.host.state.clone();
            // What the last step changed; without a plan that is one of the events.
            state.remove(b"touched".as_slice());
            let planned: Vec<_> = world.ledger.ran[steps..].iter().map(|ran| ran.effects.clone()).collect();
            (steps, state, planned)
        };
        prop_assert_eq!(plan(false), plan(true));
    }

    /// Bytes that nobody wrote are rejected, with a code of the list, and leave nothing.
    #[test]
    fn rubbish_is_rejected(kind in 0..9_usize, payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let kinds = ["assess", "audit", "confirm", "init", "observe", "register", "review", "canary", "nonsense"];
        let mut world = begun();
        let before = world.ledger.host.state.clone();
        let outcome = world.ledger.submit(world.now_ms, kinds[kind], &payload);
        let Outcome::Rejected(no) = outcome else { panic!("{outcome:?}") };
        prop_assert!([101, 9_004, 9_005].contains(&no.code), "{no:?}");
        prop_assert_eq!(before, world.ledger.host.state);
    }
}
