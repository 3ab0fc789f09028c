//! What holds for every history: only documented transitions, a way out of every state, no order within a tick.

use crate::support::{START_MS, Sim, order};
use proptest::{prelude::*, sample::Index};
use reprise_guest::abi::{EffectStatus, Outcome};
use reprise_service::{
    breaker::Breaker,
    orders::Status,
    state::{DEPENDENCIES, DRILL, EXCHANGE, ORDERS, RECOVERIES},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NODES: [&str; 5] = ["a1", "a2", "a3", "b1", "b2"];
const SERVICES: [&str; 4] = ["engine", "settle", "feed", "mail"];

/// One thing that happens, with what depends on the state left open.
#[derive(Clone, Debug)]
enum Move {
    Event(&'static str, Value),
    Fails(&'static str, &'static str, &'static str),
    Place { side: &'static str, price: u64, quantity: u64 },
    Match { quantity: u64 },
    Cancel(Index),
    Settle(Index),
    Write,
    Replicated(&'static str),
    Call { operation: u32, fallback: &'static str },
    Recover(Index),
    End { which: Index, how: u8 },
}

fn of<T: Clone + std::fmt::Debug + 'static>(list: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(list)
}

fn move_of() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => of(&SERVICES).prop_map(|name| Move::Fails("health", "service", name)),
        3 => of(&NODES).prop_map(|name| Move::Fails("connection", "node", name)),
        1 => of(&["eu", "us"]).prop_map(|name| Move::Fails("region", "region", name)),
        2 => (of(&NODES), 0..12_000_u64)
            .prop_map(|(node, lag_ms)| Move::Event("connection", json!({ "node": node, "ok": true, "lag_ms": lag_ms }))),
        1 => of(&["eu", "us"]).prop_map(|region| Move::Event("region", json!({ "region": region, "ok": true }))),
        1 => (of(&SERVICES), 70..100_u64, 90..100_u64).prop_map(|(service, memory, disk)| {
            Move::Event("metrics", json!({ "service": service, "memory_percent": memory, "disk_percent": disk }))
        }),
        1 => Just(Move::Event("zone_failure", json!({ "zone": "z1" }))),
        1 => Just(Move::Event("corruption", json!({ "place": "page" }))),
        1 => Just(Move::Event("failback", json!({ "operator": "ann", "root_cause": "c" }))),
        1 => Just(Move::Event("detach", json!({ "operator": "ann", "region": "us" }))),
        2 => Just(Move::Event("resume", json!({ "operator": "ann" }))),
        1 => Just(Move::Event("audit", json!({}))),
        1 => (of(&["kill", "latency", "node_failure", "region_failover"]), of(&["mail", "a1", "eu"])).prop_map(
            |(drill, subject)| Move::Event("drill", json!({ "drill": drill, "subject": subject, "operator": "ann" }))
        ),
        6 => (of(&["buy", "sell"]), 95..105_u64, 1..20_u64)
            .prop_map(|(side, price, quantity)| Move::Place { side, price, quantity }),
        6 => (1..20_u64).prop_map(|quantity| Move::Match { quantity }),
        2 => any::<Index>().prop_map(Move::Cancel),
        3 => any::<Index>().prop_map(Move::Settle),
        3 => Just(Move::Write),
        3 => of(&NODES).prop_map(Move::Replicated),
        4 => (0..40_u32, of(&["queue", "cache", "none"])).prop_map(|(operation, fallback)| Move::Call { operation, fallback }),
        2 => any::<Index>().prop_map(Move::Recover),
        12 => (any::<Index>(), 0..10_u8).prop_map(|(which, how)| Move::End { which, how }),
    ]
}

fn history() -> impl Strategy<Value = Vec<(u64, Move)>> {
    let wait_ms = prop_oneof![4 => 0..3_u64, 4 => 0..2_500_u64, 1 => 0..60_000_u64];
    prop::collection::vec((wait_ms, move_of()), 1..120)
}

fn make(sim: &mut Sim, at_ms: u64, what: &Move) {
    sim.ledger.advance(at_ms);
    match what {
        Move::Event(kind, payload) => {
            sim.send(at_ms, kind, payload);
        }
        Move::Fails(kind, member, name) => {
            for _ in 0..3 {
                sim.send(at_ms, kind, &json!({ *member: name, "ok": false }));
            }
        }
        Move::Place { side, price, quantity } => {
            let account = if *side == "buy" { "ann" } else { "bob" };
            let key = format!("k{}", sim.ledger.ran.len());
            sim.send(at_ms, "place", &order(&key, account, side, *price, *quantity));
        }
        Move::Match { quantity } => {
            let (bids, asks) = (sim.book("buy"), sim.book("sell"));
            let number = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap().engine.logged + 1;
            let best = (bids.first().copied().unwrap_or(1), asks.first().copied().unwrap_or(2));
            let new = json!({ "match": number, "buy": best.0, "sell": best.1, "price": 100, "quantity": quantity });
            sim.send(at_ms, "match", &new);
        }
        Move::Cancel(which) => {
            let orders = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap().last.order as usize;
            sim.send(at_ms, "cancel", &json!({ "order": which.index(orders + 1) }));
        }
        Move::Settle(which) => {
            let trades = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap().engine.processed as usize;
            sim.send(at_ms, "settle", &json!({ "trade": which.index(trades + 1) }));
        }
        Move::Write => {
            let database = sim.view("database");
            sim.send(at_ms, "write", &json!({ "node": database["primary"], "token": database["token"] }));
        }
        Move::Replicated(node) => {
            let database = sim.view("database");
            let payload = json!({ "node": node, "lsn": database["writes"], "token": database["token"] });
            sim.send(at_ms, "replicated", &payload);
        }
        Move::Call { operation, fallback } => {
            let payload = json!({
                "operation": format!("o{operation}"), "kind": "database", "dependency": "db", "request": "r",
                "fallback": fallback,
            });
            sim.send(at_ms, "operation", &payload);
        }
        Move::Recover(which) => {
            let recoveries = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap().last.recovery as usize;
            let payload = json!({ "recovery": which.index(recoveries + 1), "operator": "bob" });
            sim.send(at_ms, "recover", &payload);
        }
        Move::End { which, how } => {
            let keys: Vec<String> = sim.ledger.outbox.keys().cloned().collect();
            if !keys.is_empty() {
                end(sim, at_ms, &keys[which.index(keys.len())], *how);
            }
        }
    }
}

/// Something that was asked for ends: well, or with an answer that does not hold, or with one of two failures.
fn end(sim: &mut Sim, at_ms: u64, key: &str, how: u8) {
    let payload: Value = serde_json::from_slice(&sim.ledger.outbox[key].effect.payload).unwrap();
    let good = match payload["do"].as_str().unwrap() {
        "load_state" => json!({ "checkpoint": 1, "last": 9 }),
        "replay_events" => json!({ "sequence": payload["through"] }),
        "replay_log" | "verify_copy" => json!({ "lsn": payload["acknowledged"] }),
        "verify" => json!({ "valid": true }),
        _ => json!({}),
    };
    let status = match how {
        0 => EffectStatus::Done { answer: b"nonsense".to_vec() },
        1 => EffectStatus::Failed { detail: "broken".into() },
        2 | 3 => EffectStatus::Failed { detail: "unavailable".into() },
        _ => EffectStatus::Done { answer: good.to_string().into() },
    };
    sim.ledger.settle(at_ms, key, status);
}

/// Every step so far was accepted or rejected, the ledger's own were accepted: no invariant was violated.
fn sound(sim: &Sim) {
    for ran in &sim.ledger.ran {
        let kind = &ran.input.kind;
        assert!(matches!(ran.outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{kind}: {:?}", ran.outcome);
        if kind.starts_with("reprise.") {
            assert!(ran.outcome.is_accepted(), "{kind} {}: {:?}", ran.input.id, ran.outcome);
        }
    }
}

/// Statuses of orders and breakers.
fn states(sim: &mut Sim) -> (BTreeMap<u64, Status>, Breaker) {
    let host = &mut sim.ledger.host;
    let last = EXCHANGE.get(host).unwrap().unwrap().last.order;
    let orders = (1..=last).map(|number| (number, ORDERS.get(host, &number).unwrap().unwrap().status)).collect();
    (orders, DEPENDENCIES.get(host, &"db".into()).unwrap().unwrap_or_default().breaker)
}

/// By at most this many of the documented transitions: a step of a test may be several of the ledger.
fn reachable<T: Copy + PartialEq>(from: T, to: T, all: &[T], may: impl Fn(T, T) -> bool) -> bool {
    let mut seen = vec![from];
    let mut at = 0;
    while at < seen.len() {
        let next: Vec<T> = all.iter().copied().filter(|next| may(seen[at], *next) && !seen.contains(next)).collect();
        seen.extend(next);
        at += 1;
    }
    seen.contains(&to)
}

/// What good people and machines do: whatever is asked for is done, whatever lives is heard, operators decide.
fn recover(sim: &mut Sim) {
    let mut at_ms = sim.ledger.now_ms();
    for _ in 0..60 {
        at_ms += 2_000;
        sim.ledger.advance(at_ms);
        for node in NODES {
            sim.send(at_ms, "connection", &json!({ "node": node, "ok": true, "lag_ms": 0 }));
            make(sim, at_ms, &Move::Replicated(node));
        }
        for region in ["eu", "us"] {
            sim.send(at_ms, "region", &json!({ "region": region, "ok": true }));
        }
        for service in SERVICES {
            sim.send(at_ms, "health", &json!({ "service": service, "ok": true, "lag_ms": 0 }));
        }
        let last = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap().last.recovery;
        for recovery in 1..=last {
            sim.send(at_ms, "recover", &json!({ "recovery": recovery, "operator": "ann" }));
        }
        sim.send(at_ms, "resume", &json!({ "operator": "ann" }));
        sim.send(at_ms, "failback", &json!({ "operator": "ann", "root_cause": "c" }));
        for _ in 0..8 {
            let keys: Vec<String> = sim.ledger.outbox.keys().cloned().collect();
            for key in keys {
                end(sim, at_ms, &key, 9);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn only_documented_transitions_occur_and_invariants_hold(history in history()) {
        let mut sim = Sim::rich();
        let mut at_ms = START_MS;
        for (wait_ms, what) in history {
            at_ms += wait_ms;
            let (orders, breaker) = states(&mut sim);
            make(&mut sim, at_ms, &what);
            let (orders_after, breaker_after) = states(&mut sim);
            for (number, from) in orders {
                let to = orders_after[&number];
                prop_assert!(from == to || reachable(from, to, &Status::ALL, Status::may_become), "order {}", number);
            }
            prop_assert!(reachable(breaker, breaker_after, &Breaker::ALL, Breaker::may_become));
        }
        sound(&sim);
        make(&mut sim, at_ms, &Move::Event("audit", json!({})));
        sim.ledger.advance(at_ms + 10);
        sound(&sim);
    }

    #[test]
    fn every_state_has_a_way_out(history in history()) {
        let mut sim = Sim::rich();
        let mut at_ms = START_MS;
        for (wait_ms, what) in history {
            at_ms += wait_ms;
            make(&mut sim, at_ms, &what);
        }
        recover(&mut sim);
        sound(&sim);
        let health = sim.view("health");
        prop_assert_eq!((&health["health"], &health["modes"]), (&json!("GREEN"), &json!([])), "{}", health);
        prop_assert_eq!((&health["queued_orders"], &health["unprocessed_matches"]), (&json!(0), &json!(0)));
        prop_assert_eq!(&sim.view("database")["region"], &json!("eu"));
        let dependency = sim.view_of("dependency", json!({ "dependency": "db" }));
        prop_assert_eq!((&dependency["breaker"], &dependency["waiting"]), (&json!("CLOSED"), &json!(0)));
        let last = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap().last.recovery;
        for number in 1..=last {
            let recovery = RECOVERIES.get(&mut sim.ledger.host, &number).unwrap();
            prop_assert!(recovery.is_none_or(|recovery| recovery.ended_ms.is_some()), "recovery {}", number);
        }
        // A drill whose fault nobody notices ends by its own time.
        let end_ms = sim.ledger.now_ms() + 86_400_000;
        sim.ledger.advance(end_ms);
        let drill = DRILL.get(&mut sim.ledger.host).unwrap();
        prop_assert!(drill.is_none_or(|drill| !drill.phase.is_under_way()));
    }

    /// Checks and measurements of one tick, in whatever order they come from different things.
    #[test]
    fn the_order_of_events_within_a_tick_does_not_change_the_plan(
        history in history(),
        failed in prop::collection::btree_set(0..14_usize, 2..10),
        order in prop::collection::vec(any::<Index>(), 14),
    ) {
        let mut sim = Sim::rich();
        let mut at_ms = START_MS;
        for (wait_ms, what) in history {
            at_ms += wait_ms;
            make(&mut sim, at_ms, &what);
        }
        at_ms += 2;
        sim.ledger.advance(at_ms);
        let names = SERVICES.map(|name| ("health", "service", name)).into_iter().chain([("region", "region", "eu")]);
        let names = names.chain(SERVICES.map(|name| ("metrics", "service", name)));
        let names: Vec<_> = names.chain(NODES.map(|name| ("connection", "node", name))).collect();
        let events: Vec<(&str, Value)> = failed.iter().filter_map(|at| names.get(*at)).map(|(kind, member, name)| {
            let payload = if *kind == "metrics" {
                json!({ "service": name, "memory_percent": 90, "disk_percent": 97, "idle_ms": 400_000 })
            } else {
                json!({ *member: name, "ok": false })
            };
            (*kind, payload)
        }).collect();
        let run = |mut sim: Sim, events: &[(&str, Value)]| {
            let begin = sim.ledger.ran.len();
            for (kind, payload) in events {
                for _ in 0..3 {
                    sim.send(at_ms, kind, payload);
                }
            }
            sim.ledger.advance(at_ms + 1);
            let effects: Vec<_> = sim.ledger.ran[begin..].iter().flat_map(|ran| ran.effects.clone()).collect();
            (sim.ledger.host.state.clone(), sim.ledger.timers.clone(), effects)
        };
        let mut rest = events.clone();
        let shuffled: Vec<_> =
            order.iter().take(events.len()).map(|index| rest.remove(index.index(rest.len()))).collect();
        let (state, timers, effects) = run(sim.clone(), &events);
        let (other_state, other_timers, other_effects) = run(sim, &shuffled);
        prop_assert_eq!(effects, other_effects);
        prop_assert_eq!(timers, other_timers);
        prop_assert_eq!(state, other_state);
    }
}
