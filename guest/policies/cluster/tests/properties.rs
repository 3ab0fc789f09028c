//! What holds for every history: only the document's transitions, a way out of every state, and no order within a tick.

mod support;

use proptest::{prelude::*, sample::Index};
use reprise_cluster::state::{CLUSTER, NODES, NodeId, NodeState, Phase};
use reprise_guest::abi::{EffectPhase, EffectStatus, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::Sim;

const NODES_OF_TEST: u32 = 5;

/// One thing that happens, with what depends on the state left open.
#[derive(Clone, Debug)]
enum Move {
    Event(&'static str, Value),
    Beats(Vec<u32>),
    Report { node: u32, ahead: u64, digest: &'static str, proofs_valid: bool },
    Vote { node: u32, approve: bool },
    Ack { node: u32 },
    End { which: Index, done: bool },
}

fn node() -> impl Strategy<Value = u32> {
    1..=NODES_OF_TEST
}

fn operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ann", "bob", "eve"])
}

fn move_of() -> impl Strategy<Value = Move> {
    let order = |kind: &'static str| {
        (node(), operator())
            .prop_map(move |(node, operator)| Move::Event(kind, json!({"node": node, "operator": operator})))
    };
    let by =
        |kind: &'static str| operator().prop_map(move |operator| Move::Event(kind, json!({ "operator": operator })));
    let digest = prop::sample::select(vec!["good", "good", "good", "bad"]);
    prop_oneof![
        8 => prop::collection::vec(node(), 1..6).prop_map(Move::Beats),
        6 => (any::<Index>(), prop::bool::weighted(0.7)).prop_map(|(which, done)| Move::End { which, done }),
        3 => (node(), 0..2_u64, digest, prop::bool::weighted(0.9))
            .prop_map(|(node, ahead, digest, proofs_valid)| Move::Report { node, ahead, digest, proofs_valid }),
        3 => (node(), prop::bool::weighted(0.7)).prop_map(|(node, approve)| Move::Vote { node, approve }),
        3 => node().prop_map(|node| Move::Ack { node }),
        1 => Just(Move::Event("propose", json!({ "proposal": "p" }))),
        1 => order("restart"),
        1 => order("failover"),
        1 => order("redistribute"),
        1 => order("evict"),
        1 => order("admit"),
        1 => Just(Move::Event("coordination_failure", json!({ "reason": "r" }))),
        1 => operator().prop_map(|operator| Move::Event("halt_request", json!({ "reason": "r", "operator": operator }))),
        1 => by("halt_confirm"),
        1 => Just(Move::Event("snapshot", json!({ "snapshot": "s", "tick": 1, "digest": "good" }))),
        1 => operator().prop_map(|operator| Move::Event("restore", json!({ "snapshot": "s", "operator": operator }))),
        2 => by("resume"),
        1 => by("clear"),
        1 => Just(Move::Event("audit", json!({}))),
        1 => (node(), 0..50_u32).prop_map(|(node, c)| Move::Event("assign", json!({ "node": node, "capsules": [c, c + 50] }))),
        1 => (0..50_u32).prop_map(|c| Move::Event("retire", json!({ "capsules": [c] }))),
    ]
}

fn history() -> impl Strategy<Value = Vec<(u64, Move)>> {
    let wait_ms = prop_oneof![4 => 0..3_u64, 4 => 0..2_500_u64, 1 => 0..40_000_u64];
    prop::collection::vec((wait_ms, move_of()), 1..60)
}

fn make(sim: &mut Sim, at_ms: u64, what: &Move) {
    sim.ledger.advance(at_ms);
    match what {
        Move::Event(kind, payload) => {
            sim.send(at_ms, kind, payload);
        }
        Move::Beats(nodes) => {
            for node in nodes {
                sim.send(at_ms, "heartbeat", &json!({ "node": node }));
            }
        }
        Move::Report { node, ahead, digest, proofs_valid } => {
            let round = sim.view("cluster")["round"].as_u64().unwrap() + ahead;
            let report = json!({ "node": node, "round": round, "digest": digest, "proofs_valid": proofs_valid });
            sim.send(at_ms, "report", &report);
        }
        Move::Vote { node, approve } => {
            let ballot = sim.view("cluster")["ballot"].as_u64().unwrap_or(0);
            sim.send(at_ms, "vote", &json!({ "node": node, "ballot": ballot, "approve": approve }));
        }
        Move::Ack { node } => {
            let halt = sim.view("halt")["halt"].as_u64().unwrap_or(0);
            sim.send(at_ms, "halt_ack", &json!({ "node": node, "halt": halt }));
        }
        Move::End { which, done } => {
            let keys: Vec<String> = sim.ledger.outbox.keys().cloned().collect();
            if !keys.is_empty() {
                let key = &keys[which.index(keys.len())];
                end(sim, at_ms, key, *done);
            }
        }
    }
}

fn end(sim: &mut Sim, at_ms: u64, key: &str, done: bool) {
    let answer: &[u8] = if key.starts_with("snapshot") { br#"{"digest":"good"}"# } else { b"" };
    let status =
        if done { EffectStatus::Done { answer: answer.into() } } else { EffectStatus::Failed { detail: "no".into() } };
    sim.ledger.settle(at_ms, key, status);
}

/// Every step so far was accepted or rejected: no invariant was violated.
fn sound(sim: &Sim) {
    for ran in &sim.ledger.ran {
        let kind = &ran.input.kind;
        assert!(matches!(ran.outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{kind}: {:?}", ran.outcome);
        if kind.starts_with("reprise.") {
            assert!(ran.outcome.is_accepted(), "{kind} {}: {:?}", ran.input.id, ran.outcome);
        }
    }
}

fn states(sim: &mut Sim) -> BTreeMap<NodeId, NodeState> {
    let nodes = NODES.entries(&mut sim.ledger.host).unwrap();
    nodes.into_iter().map(|(id, node)| (id, node.state)).collect()
}

/// Steps of a move that changes states more than once are followed one by one.
fn transitions(before: &BTreeMap<NodeId, NodeState>, after: &BTreeMap<NodeId, NodeState>) {
    for (id, to) in after {
        let from = before.get(id).copied().unwrap_or(NodeState::Recovering);
        assert!(from == *to || reachable(from, *to), "{id:?}: {} to {}", from.name(), to.name());
    }
}

/// By one or more of the document's transitions: a step of a test may be several of the ledger.
fn reachable(from: NodeState, to: NodeState) -> bool {
    let mut seen = vec![from];
    let mut at = 0;
    while at < seen.len() {
        let next = NodeState::ALL.into_iter().filter(|next| seen[at].may_become(*next) && !seen.contains(next));
        let next: Vec<NodeState> = next.collect();
        seen.extend(next);
        at += 1;
    }
    seen.contains(&to)
}

/// What good people and machines do: whatever is ordered is done, whoever lives is heard, operators decide.
fn recover(sim: &mut Sim) {
    let mut at_ms = sim.ledger.now_ms();
    for _ in 0..90 {
        at_ms += 1_000;
        sim.ledger.advance(at_ms);
        let keys: Vec<String> = sim.ledger.outbox.keys().cloned().collect();
        for key in keys {
            end(sim, at_ms, &key, true);
        }
        let cluster = CLUSTER.get(&mut sim.ledger.host).unwrap().unwrap();
        for (id, state) in states(sim) {
            let id = id.0;
            if state == NodeState::Offline {
                sim.send(at_ms, "restart", &json!({ "node": id, "operator": "bob" }));
            } else {
                sim.send(at_ms, "heartbeat", &json!({ "node": id }));
            }
            make(sim, at_ms, &Move::Ack { node: id });
            make(
                sim,
                at_ms,
                &Move::Report {
                    node: id,
                    ahead: u64::from(cluster.phase == Phase::Running),
                    digest: "good",
                    proofs_valid: true,
                },
            );
        }
        for kind in ["clear", "resume"] {
            sim.send(at_ms, kind, &json!({ "operator": "bob" }));
        }
        if cluster.phase == Phase::AwaitingRestore {
            sim.send(at_ms, "snapshot", &json!({ "snapshot": "s", "tick": 1, "digest": "good" }));
            sim.send(at_ms, "restore", &json!({ "snapshot": "s", "operator": "ann" }));
        }
    }
}

/// Another order, in which what one node says keeps its own: a heartbeat makes it a voter.
fn interleaved<'e>(events: &[(&'e str, Value)], order: &[Index]) -> Vec<(&'e str, Value)> {
    let mut places = events.to_vec();
    let mut rest = events.to_vec();
    let shuffled: Vec<_> = order.iter().take(events.len()).map(|index| rest.remove(index.index(rest.len()))).collect();
    let turn_of = |(_, payload): &(&str, Value)| payload["node"].clone();
    shuffled
        .iter()
        .map(|event| {
            let next = places.iter().position(|place| turn_of(place) == turn_of(event)).expect("one for each");
            places.remove(next)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn only_the_documents_transitions_occur_and_invariants_hold(history in history()) {
        let mut sim = Sim::new(NODES_OF_TEST);
        let mut at_ms = support::START_MS;
        for (wait_ms, what) in history {
            at_ms += wait_ms;
            let before = states(&mut sim);
            make(&mut sim, at_ms, &what);
            transitions(&before, &states(&mut sim));
            // Between two inputs of the ledger, exactly: the policy's own word, which `check` holds to the records.
            let cluster = CLUSTER.get(&mut sim.ledger.host).unwrap().unwrap();
            prop_assert!(cluster.changes.iter().all(|change| change.from.may_become(change.to)));
        }
        sound(&sim);
        sim.ok(at_ms, "audit", json!({}));
        for node in 1..=NODES_OF_TEST {
            sim.ok(at_ms, "audit", json!({ "node": node }));
        }
    }

    #[test]
    fn every_state_has_a_way_out(history in history()) {
        let mut sim = Sim::new(NODES_OF_TEST);
        let mut at_ms = support::START_MS;
        for (wait_ms, what) in history {
            at_ms += wait_ms;
            make(&mut sim, at_ms, &what);
        }
        recover(&mut sim);
        sound(&sim);
        let cluster = sim.view("cluster");
        prop_assert_eq!((&cluster["phase"], &cluster["status"]), (&json!("running"), &json!("NORMAL")), "{}", cluster);
        prop_assert_eq!(&cluster["nodes"]["HEALTHY"], &cluster["members"], "{}", cluster);
        prop_assert_eq!(&sim.view("leader")["confirmed"], &json!(true));
        let members = states(&mut sim);
        for load in sim.view("assignments")["loads"].as_array().unwrap() {
            let id = NodeId(u32::try_from(load["node"].as_u64().unwrap()).unwrap());
            prop_assert!(members.contains_key(&id), "capsules left on a node that is out: {:?}", id);
        }
        prop_assert!(sim.ledger.outbox.values().all(|pending| pending.phase == EffectPhase::Act));
    }

    /// Heartbeats, votes, reports and acknowledgements of one tick, in whatever order they come from different nodes.
    #[test]
    fn the_order_of_events_within_a_tick_does_not_change_the_plan(
        history in history(),
        halt in any::<bool>(),
        evidence in prop::collection::vec((node(), 0..4_u8, any::<bool>()), 2..12),
        order in prop::collection::vec(any::<Index>(), 12),
    ) {
        let mut sim = Sim::new(NODES_OF_TEST);
        let mut at_ms = support::START_MS;
        for (wait_ms, what) in history {
            at_ms += wait_ms;
            make(&mut sim, at_ms, &what);
        }
        if halt {
            sim.send(at_ms, "halt_request", &json!({ "reason": "r", "operator": "ann" }));
            sim.send(at_ms, "halt_confirm", &json!({ "operator": "bob" }));
        } else {
            sim.send(at_ms, "propose", &json!({ "proposal": "q" }));
        }
        at_ms += 2;
        sim.ledger.advance(at_ms);
        let round = sim.view("cluster")["round"].as_u64().unwrap();
        let ballot = sim.view("cluster")["ballot"].as_u64().unwrap_or(0);
        let halt = sim.view("halt")["halt"].as_u64().unwrap_or(0);
        // One thing of each kind from each node: two of them are an order, or an attack.
        let events: BTreeMap<(u32, u8), Value> = evidence.into_iter().map(|(node, kind, yes)| {
            let payload = match kind {
                0 => json!({ "node": node }),
                1 => json!({ "node": node, "ballot": ballot, "approve": yes }),
                2 => json!({ "node": node, "round": round, "digest": if yes { "good" } else { "bad" }, "proofs_valid": true }),
                _ => json!({ "node": node, "halt": halt }),
            };
            ((node, kind), payload)
        }).collect();
        let events: Vec<(&str, Value)> = events.into_iter().map(|((_, kind), payload)| {
            (["heartbeat", "vote", "report", "halt_ack"][usize::from(kind)], payload)
        }).collect();
        let run = |mut sim: Sim, events: &[(&str, Value)]| {
            let begin = sim.ledger.ran.len();
            for (kind, payload) in events {
                sim.send(at_ms, kind, payload);
            }
            sim.ledger.advance(at_ms + 1);
            let effects: Vec<_> = sim.ledger.ran[begin..].iter().flat_map(|ran| ran.effects.clone()).collect();
            (sim.ledger.host.state.clone(), sim.ledger.timers.clone(), effects)
        };
        let shuffled = interleaved(&events, &order);
        let (state, timers, effects) = run(sim.clone(), &events);
        let (other_state, other_timers, other_effects) = run(sim, &shuffled);
        prop_assert_eq!(effects, other_effects);
        prop_assert_eq!(timers, other_timers);
        prop_assert_eq!(state, other_state);
    }
}
