//! Whatever numbers an event brings: it is accepted or rejected, and nothing overflows, traps or violates an invariant.

use crate::support::{START_MS, Sim};
use proptest::prelude::*;
use reprise_guest::abi::{EffectStatus, Outcome};
use reprise_service::{
    params::{PLACES_MAX, SYMBOLS_MAX},
    state::EXCHANGE,
};
use serde_json::{Value, json};

/// Bounds of types, bounds of the policy, and their neighbours.
fn extreme() -> impl Strategy<Value = Value> {
    let unsigned = [0, 1, 2, 3, 5, 64, 95, 100, 999, 1_000, 1_001, 1_000_000, 1_000_000_000, 1_000_000_001]
        .into_iter()
        .chain([10_u64.pow(15) - 1, 10_u64.pow(15), 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX]);
    let signed = [i64::MIN, i64::MIN + 1, -(10_i64.pow(15)), -1_000_000, -1];
    let all: Vec<Value> = unsigned.map(Value::from).chain(signed.map(Value::from)).collect();
    prop::sample::select(all)
}

/// One event of any kind that takes numbers, and sometimes what an effect answers.
#[derive(Clone, Debug)]
struct Extreme {
    wait_ms: u64,
    what: usize,
    numbers: [Value; 5],
    ok: bool,
}

fn extremes() -> impl Strategy<Value = Vec<Extreme>> {
    let wait_ms = prop::sample::select(vec![0, 0, 1, 5_000, 30_001, 86_400_000, 1 << 40]);
    let numbers = [extreme(), extreme(), extreme(), extreme(), extreme()];
    let one = (wait_ms, 0..22_usize, numbers, any::<bool>()).prop_map(|(wait_ms, what, numbers, ok)| Extreme {
        wait_ms,
        what,
        numbers,
        ok,
    });
    prop::collection::vec(one, 1..100)
}

fn event(one: &Extreme, count: usize) -> (&'static str, Value) {
    let Extreme { what, numbers: [a, b, c, d, e], ok, .. } = one;
    let account = if *ok { "ann" } else { "bob" };
    match what {
        0 => ("health", json!({ "service": "engine", "ok": ok, "lag_ms": a })),
        1 => ("metrics", json!({ "service": "mail", "memory_percent": a, "disk_percent": b, "idle_ms": c })),
        2 => ("connection", json!({ "node": "a1", "ok": ok, "lag_ms": a })),
        3 => ("connection", json!({ "node": "b1", "ok": ok, "lag_ms": a })),
        4 => ("region", json!({ "region": if a.as_u64() > Some(9) { "eu" } else { "us" }, "ok": ok })),
        5 => ("write", json!({ "node": "a1", "token": a })),
        6 => ("write", json!({ "node": "a1", "token": 1 })),
        7 => ("replicated", json!({ "node": "b1", "lsn": a, "token": if *ok { json!(1) } else { b.clone() } })),
        8 | 9 => {
            let side = if *ok { "buy" } else { "sell" };
            let key = format!("k{count}");
            let (price, quantity) = if *what == 8 { (a.clone(), b.clone()) } else { (json!(1_000_000_000), json!(1)) };
            (
                "place",
                json!({
                    "idempotency_key": key, "account": account, "symbol": "BTC", "side": side, "price": price,
                    "quantity": quantity,
                }),
            )
        }
        10 => ("cancel", json!({ "order": a })),
        11 => ("match", json!({ "match": a, "buy": b, "sell": c, "price": d, "quantity": e })),
        12 => ("match", json!({ "match": 1, "buy": b, "sell": c, "price": 1_000_000_000, "quantity": 1 })),
        13 => ("settle", json!({ "trade": a })),
        14 => ("balance", json!({ "transaction": format!("t{count}"), "account": account, "amount": a })),
        15 => {
            let leverage = if *ok { json!(1) } else { d.clone() };
            let position = json!({
                "account": account, "symbol": "BTC", "size": a, "entry_price": b, "margin": c, "leverage": leverage,
            });
            ("position", position)
        }
        16 => ("order_state", json!({ "order": 1, "filled": a, "remaining": b })),
        17 => ("totals", json!({ "total": a, "accounts": b, "fees": c })),
        18 => ("market_data", json!({ "symbol": "BTC", "price": a })),
        19 => ("recover", json!({ "recovery": a, "operator": "ann" })),
        20 => ("resume", json!({ "operator": "ann" })),
        _ => ("drill", json!({ "drill": "region_failover", "subject": "eu", "operator": "ann" })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_number_is_too_much(history in extremes()) {
        let mut sim = Sim::rich();
        let mut at_ms = START_MS;
        for (count, one) in history.iter().enumerate() {
            at_ms += one.wait_ms;
            sim.ledger.advance(at_ms);
            let (kind, payload) = event(one, count);
            sim.send(at_ms, kind, &payload);
            let [a, b, ..] = &one.numbers;
            let answer = json!({ "checkpoint": a, "last": b, "sequence": a, "lsn": a, "valid": one.ok });
            if let Some(key) = sim.ledger.outbox.keys().nth(count % 3).cloned() {
                sim.ledger.settle(at_ms, &key, EffectStatus::Done { answer: answer.to_string().into() });
            }
        }
        for ran in &sim.ledger.ran {
            let (kind, payload) = (&ran.input.kind, String::from_utf8_lossy(&ran.input.payload));
            prop_assert!(
                matches!(ran.outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)),
                "{} {}: {:?}", kind, payload, ran.outcome
            );
            let own = kind.starts_with("reprise.");
            prop_assert!(!own || ran.outcome.is_accepted(), "{} {}: {:?}", kind, payload, ran.outcome);
        }
        for view in ["health", "figures", "objectives", "database", "drill", "recoveries"] {
            sim.view(view);
        }
    }
}

#[test]
fn symbols_and_corrupt_places_are_counted() {
    let mut sim = Sim::new();
    let price = |symbol: &str| json!({ "symbol": symbol, "price": 1 });
    sim.ok(2_000, "market_data", price("BTC"));
    sim.ok(2_000, "market_data", price("BTC"));
    let mut exchange = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap();
    assert_eq!(exchange.census.symbols, 1);
    exchange.census.symbols = SYMBOLS_MAX;
    exchange.data.corrupt = PLACES_MAX;
    EXCHANGE.put(&mut sim.ledger.host, &exchange);
    sim.ok(2_001, "market_data", price("BTC"));
    assert_eq!(sim.no(2_001, "market_data", price("ETH")), 164);
    assert_eq!(sim.no(2_001, "corruption", json!({ "place": "page 7" })), 164);
}
