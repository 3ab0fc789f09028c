//! The state machine under random input: its transitions, its exits, its invariants, and the order of events in a tick.

use crate::support::{PHASES, Sim};
use proptest::prelude::*;
use reprise_guest::abi::{EffectStatus, Outcome};
use reprise_phase::{machine::State, state::WHOLE};
use serde_json::{Value, json};

const NODES: u32 = 5;

/// Five nodes. What ends by itself after an hour or a quarter of one ends after a minute here: a compensator that fails,
/// an override that too few sign.
fn begun() -> Sim {
    Sim::with(json!({
        "nodes": (1..=NODES).collect::<Vec<_>>(), "supervisors": ["ann", "bob", "eve"], "override_ms": 60_000,
        "blocked_ms": 60_000,
    }))
}

/// Something that may happen. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Happening {
    Begin { node: u32, phase: usize },
    Commit { phase: usize },
    Ack { node: u32, back: u64 },
    Transition { node: u32, phase: usize, finished: bool },
    Status { phase: usize, status: usize },
    Head { node: u32, phase: usize, digest: u8, valid: bool },
    Effect { phase: usize, key: u8, cost: u64 },
    Leader { node: u32 },
    Override { phase: usize, action: usize, by: usize },
    Settle { which: usize, works: bool },
    CaughtUp { node: u32 },
}

fn happening() -> impl Strategy<Value = Happening> {
    let (node, phase) = (1..=NODES, 0..5_usize);
    prop_oneof![
        3 => (node.clone(), phase.clone()).prop_map(|(node, phase)| Happening::Begin { node, phase }),
        2 => phase.clone().prop_map(|phase| Happening::Commit { phase }),
        12 => (node.clone(), 0..3_u64).prop_map(|(node, back)| Happening::Ack { node, back }),
        2 => (node.clone(), phase.clone(), any::<bool>())
            .prop_map(|(node, phase, finished)| Happening::Transition { node, phase, finished }),
        2 => (phase.clone(), 0..3_usize).prop_map(|(phase, status)| Happening::Status { phase, status }),
        6 => (node.clone(), phase.clone(), prop_oneof![5 => Just(0_u8), 1 => Just(1)], prop::bool::weighted(0.95))
            .prop_map(|(node, phase, digest, valid)| Happening::Head { node, phase, digest, valid }),
        2 => (phase.clone(), 0..4_u8, prop_oneof![9 => Just(10_u64), 1 => Just(60_000)])
            .prop_map(|(phase, key, cost)| Happening::Effect { phase, key, cost }),
        1 => node.clone().prop_map(|node| Happening::Leader { node }),
        2 => (phase, 0..3_usize, 0..3_usize)
            .prop_map(|(phase, action, by)| Happening::Override { phase, action, by }),
        8 => (any::<usize>(), prop::bool::weighted(0.7)).prop_map(|(which, works)| Happening::Settle { which, works }),
        1 => node.prop_map(|node| Happening::CaughtUp { node }),
    ]
}

/// What happens in one tick, how long it is until the next, and which nodes are heard of then.
fn tick() -> impl Strategy<Value = (Vec<Happening>, u64, u8)> {
    let pause = prop_oneof![6 => Just(2_u64), 4 => Just(1_200), 2 => Just(20_000), 1 => Just(70_000)];
    let heard = prop_oneof![5 => Just(31_u8), 1 => 0..32_u8];
    (prop::collection::vec(happening(), 0..10), pause, heard)
}

/// An event as it is submitted.
#[derive(Clone, Debug)]
enum Concrete {
    Event(&'static str, Value),
    Settle(String, bool),
    Nothing,
}

fn concrete(sim: &mut Sim, what: &Happening) -> Concrete {
    let g = sim.g();
    let run = |phase: usize| (PHASES[phase], json!({ "g": g, "phase": PHASES[phase] }));
    let of = |base: Value, more: Value| {
        let mut event = base;
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    match *what {
        Happening::Begin { node, phase } => {
            let (name, base) = run(phase);
            let token = sim.token(name);
            Concrete::Event("begin_phase", of(base, json!({ "node": node, "token": token })))
        }
        Happening::Commit { phase } => {
            let (name, base) = run(phase);
            let token = sim.token(name);
            let view = sim.ledger.view("run", base.to_string().as_bytes());
            let Outcome::Accepted { answer } = view else { return Concrete::Nothing };
            let owner = serde_json::from_slice::<Value>(&answer).unwrap()["owner"].clone();
            Concrete::Event("commit_phase", of(base, json!({ "node": owner, "token": token })))
        }
        Happening::Ack { node, back } => {
            let last = WHOLE.get(&mut sim.ledger.host).unwrap().unwrap().last.record;
            let record = last.saturating_sub(back);
            let kept = reprise_phase::state::RECORDS.get(&mut sim.ledger.host, &record).unwrap();
            if kept.is_none() { Concrete::Nothing } else { Concrete::Event("wal_ack", sim.ack_of(record, node)) }
        }
        Happening::Transition { node, phase, finished } => {
            let (_, base) = run(phase);
            let counter = sim.view("node", json!({ "node": node }))["counter"].as_u64().unwrap_or(0) + 1;
            let event = if finished { "finished" } else { "started" };
            Concrete::Event(
                "phase_transition",
                of(base, json!({ "node": node, "event": event, "vc": [[node, counter]] })),
            )
        }
        Happening::Status { phase, status } => {
            let status = ["IN_PROGRESS", "DONE", "FAILED"][status];
            Concrete::Event("exec_status", of(run(phase).1, json!({ "node": 1, "status": status })))
        }
        Happening::Head { node, phase, digest, valid } => {
            let (name, base) = run(phase);
            let token = sim.token(name);
            let head = json!({
                "node": node, "token": token, "vc": [[node, 1]], "digest": digest.to_string(), "valid": valid
            });
            Concrete::Event("log_head", of(base, head))
        }
        Happening::Effect { phase, key, cost } => {
            let (name, base) = run(phase);
            let token = sim.token(name);
            let action = ["create", "delete"][usize::from(key % 2)];
            let effect = json!({
                "node": 1, "token": token, "key": key.to_string(), "action": action, "undo": "u", "cost": cost
            });
            Concrete::Event("side_effect", of(base, effect))
        }
        Happening::Leader { node } => {
            let term = WHOLE.get(&mut sim.ledger.host).unwrap().unwrap().term + 1;
            Concrete::Event("leader", json!({ "node": node, "term": term }))
        }
        Happening::Override { phase, action, by } => {
            let action = ["resume", "abort", "force-rollback"][action];
            let trace = format!("{}.{}", g, PHASES[phase]);
            let by = ["ann", "bob", "eve"][by];
            Concrete::Event("override", json!({ "node": 1, "trace": trace, "action": action, "supervisor": by }))
        }
        Happening::Settle { which, works } => {
            let keys: Vec<&String> = sim.ledger.outbox.keys().filter(|key| !key.starts_with("event")).collect();
            if keys.is_empty() { Concrete::Nothing } else { Concrete::Settle(keys[which % keys.len()].clone(), works) }
        }
        Happening::CaughtUp { node } => {
            let durable = WHOLE.get(&mut sim.ledger.host).unwrap().unwrap().last.durable;
            Concrete::Event("caught_up", json!({ "node": node, "record": durable }))
        }
    }
}

fn happen(sim: &mut Sim, what: &Concrete) {
    let outcome = match what {
        Concrete::Event(kind, data) => sim.send(kind, data),
        Concrete::Settle(key, works) => {
            let status = match works {
                true => EffectStatus::Done { answer: vec![] },
                false => EffectStatus::Failed { detail: "no".into() },
            };
            match sim.ledger.settle(sim.now_ms, key, status) {
                Some(outcome) => outcome,
                None => return,
            }
        }
        Concrete::Nothing => return,
    };
    assert!(matches!(outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{what:?}: {outcome:?}");
}

/// Section 3 as edges, written down a second time.
fn is_an_edge(from: Option<State>, to: State) -> bool {
    use State::{Beginning, BlockedCompensator, CleanExit, HardFailed, Interrupted, Reconcile, Rollback, Running};
    let edges = [
        (Beginning, Running),
        (Beginning, Interrupted),
        (Running, CleanExit),
        (Running, Interrupted),
        (Interrupted, Reconcile),
        (Interrupted, Rollback),
        (Interrupted, HardFailed),
        (Reconcile, CleanExit),
        (Reconcile, Rollback),
        (Reconcile, HardFailed),
        (Rollback, CleanExit),
        (Rollback, BlockedCompensator),
        (Rollback, Interrupted),
        (Rollback, HardFailed),
        (BlockedCompensator, Rollback),
        (BlockedCompensator, HardFailed),
        (HardFailed, Interrupted),
    ];
    from.map_or(to == Beginning, |from| edges.contains(&(from, to)))
}

#[test]
fn the_table_of_transitions_is_the_documents() {
    for from in State::ALL {
        for to in State::ALL {
            assert_eq!(from.may_become(to), is_an_edge(Some(from), to), "{from:?} to {to:?}");
        }
        let exits = State::ALL.into_iter().filter(|to| from.may_become(*to)).count();
        assert_eq!(exits == 0, from == State::CleanExit, "{from:?}");
    }
}

/// Time passes, one moment after the other, and every step is along the edges.
fn pass(sim: &mut Sim, ms: u64) {
    let end_ms = sim.now_ms + ms;
    while sim.now_ms < end_ms {
        let expiry = sim.ledger.outbox.values().map(|pending| pending.deadline_ms + 1).min();
        let timer = sim.ledger.timers.keys().next().map(|(due_ms, _)| *due_ms);
        let next = [expiry, timer].into_iter().flatten().filter(|at_ms| *at_ms > sim.now_ms).min();
        sim.now_ms = next.unwrap_or(end_ms).min(end_ms);
        sim.pass(0);
        for change in WHOLE.get(&mut sim.ledger.host).unwrap().unwrap().changes {
            assert!(is_an_edge(change.from, change.to), "{change:?}");
        }
    }
}

fn live(sim: &mut Sim, life: &[(Vec<Happening>, u64, u8)]) {
    for (happenings, pause_ms, heard) in life {
        let heard: Vec<u32> = (1..=NODES).filter(|node| heard & (1 << (node - 1)) != 0).collect();
        sim.hear(&heard);
        for what in happenings {
            let what = concrete(sim, what);
            happen(sim, &what);
        }
        pass(sim, *pause_ms);
    }
}

/// Everything the world and people can do, they do: orders are done, nodes are there, owners commit,
/// supervisors abort what is held.
fn one_good_tick(sim: &mut Sim) {
    sim.hear(&(1..=NODES).collect::<Vec<_>>());
    pass(sim, 2);
    if sim.view("generation", json!({}))["leader"] == Value::Null {
        happen(sim, &Concrete::Event("leader", json!({ "node": 1, "term": 1_000_000 + sim.now_ms })));
    }
    while let Some(key) = sim.ledger.outbox.keys().find(|key| !key.starts_with("event")).cloned() {
        happen(sim, &Concrete::Settle(key, true));
    }
    let last = WHOLE.get(&mut sim.ledger.host).unwrap().unwrap().last.record;
    for back in 0..last.min(8) {
        for node in 1..=NODES {
            let what = concrete(sim, &Happening::Ack { node, back });
            happen(sim, &what);
        }
    }
    for (phase, name) in PHASES.iter().enumerate() {
        let what = concrete(sim, &Happening::Commit { phase });
        happen(sim, &what);
        for node in 1..=NODES {
            let what = concrete(sim, &Happening::Head { node, phase, digest: 0, valid: true });
            happen(sim, &what);
        }
        for by in 0..3 {
            let what = concrete(sim, &Happening::Override { phase, action: 1, by });
            let run = json!({ "g": sim.g(), "phase": name }).to_string();
            let run = sim.ledger.view("run", run.as_bytes());
            if let Outcome::Accepted { answer } = run
                && serde_json::from_slice::<Value>(&answer).unwrap()["held"] == true
            {
                happen(sim, &what);
            }
        }
    }
    pass(sim, 5_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Every step is along the transitions and keeps the invariants; and from wherever it has come to, a good world and
    /// supervisors lead every run that was begun to CLEAN_EXIT or HARD_FAILED.
    #[test]
    fn every_state_is_reached_along_the_transitions_and_has_an_exit(life in prop::collection::vec(tick(), 1..24)) {
        let mut sim = begun();
        live(&mut sim, &life);
        let g = sim.g();
        for _ in 0..60 {
            one_good_tick(&mut sim);
        }
        for phase in PHASES {
            let state = &sim.view("generation", json!({ "g": g }))["phases"][phase];
            prop_assert!([json!("CLEAN_EXIT"), json!("HARD_FAILED"), Value::Null].contains(state), "{} {}", phase, state);
        }
        for (phase, lock) in sim.view("locks", json!({})).as_object().unwrap() {
            prop_assert!(lock["token"].as_u64().unwrap() % 2 == 0, "{} is still locked", phase);
        }
    }

    /// What follows from a tick does not depend on the order in which things were heard.
    #[test]
    fn the_order_of_events_within_a_tick_does_not_change_the_plan(
        life in prop::collection::vec(tick(), 0..16),
        events in prop::collection::vec(happening(), 1..14),
        order in prop::collection::vec(any::<u32>(), 14),
    ) {
        // What is said of runs under way; a begin, an override or a new leader answers at once.
        let events: Vec<Happening> = events.into_iter().filter(|what| matches!(
            what,
            Happening::Ack { .. } | Happening::Transition { .. } | Happening::Status { status: 2, .. } | Happening::Head { .. }
        )).collect();
        let plan = |shuffled: bool| {
            let mut sim = begun();
            live(&mut sim, &life);
            let mut seen = Vec::new();
            let mut said: Vec<(u32, Concrete)> = Vec::new();
            for (place, what) in order.iter().zip(&events) {
                // A node says one thing of a run at a time.
                let key = match what {
                    Happening::Transition { node, .. } => Some((*node, 9)),
                    Happening::Head { node, phase, .. } => Some((*node, *phase)),
                    _ => None,
                };
                if key.is_none_or(|key| !seen.contains(&key)) {
                    seen.extend(key);
                    said.push((*place, concrete(&mut sim, what)));
                }
            }
            if shuffled {
                said.sort_by_key(|(place, _)| *place);
            }
            for (_, what) in &said {
                happen(&mut sim, what);
            }
            let from = sim.ledger.ran.len();
            pass(&mut sim, 10);
            let effects: Vec<_> = sim.ledger.ran[from..].iter().flat_map(|ran| ran.effects.clone()).collect();
            let g = sim.g();
            (effects, sim.view("generation", json!({ "g": g })), sim.view("locks", json!({})))
        };
        prop_assert_eq!(plan(false), plan(true));
    }
}
