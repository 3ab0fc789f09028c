//! What must hold of data, and the halt when it does not (8).

use crate::support::{Sim, order};
use reprise_guest::abi::Outcome;
use reprise_service::{
    integrity::Position,
    orders::Status,
    state::{ACCOUNTS, EXCHANGE, ORDERS},
};
use serde_json::{Value, json};

fn position(size: u64, entry_price: u64, margin: u64, leverage: u64) -> Value {
    json!({
        "account": "ann", "symbol": "BTC", "size": size, "entry_price": entry_price, "margin": margin,
        "leverage": leverage,
    })
}

#[test]
fn size_x_price_is_margin_x_leverage() {
    let holds = |size, entry_price, margin, leverage| Position { size, entry_price, margin, leverage }.holds();
    assert!(holds(10, 100, 100, 10) && holds(0, 0, 0, 1));
    assert!(holds(10, 100, 334, 3), "333.3 rounded up");
    assert!(!holds(10, 100, 333, 3) && !holds(10, 100, 335, 3) && !holds(10, 100, 1_001, 1));
    assert!(!holds(u64::MAX, 2, 1, 1) && !holds(1, 1, u64::MAX, 2));
}

#[test]
fn a_violation_halts_trading_and_pages() {
    for (kind, wrong) in [
        ("position", position(10, 100, 99, 10)),
        ("order_state", json!({ "order": 1, "filled": 4, "remaining": 5 })),
        ("totals", json!({ "total": 2_000_000, "accounts": 2_000_000, "fees": 1 })),
        ("totals", json!({ "total": 1_999_999, "accounts": 1_999_999, "fees": 0 })),
    ] {
        let mut sim = Sim::rich();
        sim.place(2_000, "ann", "buy", 10, 10);
        sim.ok(2_000, "position", position(10, 100, 100, 10));
        sim.ok(2_000, "order_state", json!({ "order": 1, "filled": 4, "remaining": 6 }));
        sim.ok(2_000, "totals", json!({ "total": 2_000_000, "accounts": 2_000_000, "fees": 0 }));
        assert_eq!(sim.view("health")["halted"], Value::Null);
        assert_eq!(sim.ok(2_000, kind, wrong)["holds"], false);
        let health = sim.view("health");
        assert_eq!((&health["health"], &health["modes"]), (&json!("RED"), &json!(["HALTED"])));
        assert_eq!(sim.said("halt_trading").len(), 1);
        assert!(sim.alerts().iter().any(|(channel, _)| channel == "pager"));
        assert_eq!(sim.no(2_000, "place", order("k", "ann", "buy", 1, 1)), 140);
        assert_eq!(sim.no(2_000, "balance", json!({ "transaction": "x", "account": "ann", "amount": 1 })), 140);
        assert_eq!(sim.view_of("position", json!({ "account": "ann", "symbol": "BTC" }))["margin"], 100);
        assert_eq!(sim.no(2_000, "resume", json!({ "operator": "eve" })), 114);
        sim.ok(2_000, "resume", json!({ "operator": "ann" }));
        assert_eq!(sim.no(2_000, "resume", json!({ "operator": "ann" })), 170);
        sim.ok(2_000, "place", order("k", "ann", "buy", 1, 1));
    }
}

#[test]
fn corrupt_data_is_isolated_repaired_and_verified_before_trading_goes_on() {
    let mut sim = Sim::rich();
    sim.ok(2_000, "corruption", json!({ "place": "page 7" }));
    sim.ledger.advance(2_001);
    assert_eq!(sim.view("health")["halted"], "corrupt data");
    assert_eq!(sim.no(2_001, "resume", json!({ "operator": "ann" })), 174);
    sim.done(3_000, "isolate", &json!({}));
    sim.done(4_000, "repair", &json!({}));
    sim.done(5_000, "verify", &json!({ "valid": false }));
    assert_eq!(sim.recovery()["attempt"], 2);
    sim.done(6_000, "isolate", &json!({}));
    sim.done(7_000, "repair", &json!({}));
    sim.done(8_000, "verify", &json!({ "valid": true }));
    assert_eq!(sim.recovery()["stage"], "DONE");
    assert_eq!(sim.view("objectives")["corruption"]["objective_ms"], 1_800_000);
    assert_eq!(sim.view("health")["modes"], json!(["HALTED"]), "a person resumes");
    sim.ok(9_000, "resume", json!({ "operator": "bob" }));
}

/// Whatever is wrong with the policy's own sums and records, the step that sees it is discarded.
#[test]
fn what_the_policy_keeps_is_held_to_the_same() {
    let violated = |sim: &mut Sim, kind: &str, payload: Value| match sim.send(3_000, kind, &payload) {
        Outcome::InvariantViolated(violation) => violation.invariant,
        other => panic!("{kind}: {other:?}"),
    };
    let base = || {
        let mut sim = Sim::rich();
        sim.place(2_000, "bob", "sell", 10, 10);
        sim
    };
    let mut sim = base();
    let mut exchange = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap();
    exchange.money.total += 1;
    EXCHANGE.put(&mut sim.ledger.host, &exchange);
    assert_eq!(
        violated(&mut sim, "balance", json!({ "transaction": "x", "account": "ann", "amount": 1 })),
        "total-is-accounts-plus-fees"
    );
    let mut sim = base();
    let mut exchange = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap();
    exchange.data.quorum = false;
    exchange.data.acknowledged = 9;
    EXCHANGE.put(&mut sim.ledger.host, &exchange);
    assert_eq!(violated(&mut sim, "health", json!({ "service": "mail", "ok": true })), "nothing-acknowledged-is-lost");
    let mut sim = base();
    let mut order = ORDERS.get(&mut sim.ledger.host, &1).unwrap().unwrap();
    order.quantity = 11;
    ORDERS.put(&mut sim.ledger.host, &1, &order);
    assert_eq!(violated(&mut sim, "cancel", json!({ "order": 1 })), "filled-plus-remaining-is-quantity");
    let mut sim = base();
    let mut account = ACCOUNTS.get(&mut sim.ledger.host, &"ann".into()).unwrap().unwrap();
    account.held = account.balance + 2;
    ACCOUNTS.put(&mut sim.ledger.host, &"ann".into(), &account);
    assert_eq!(
        violated(&mut sim, "balance", json!({ "transaction": "x", "account": "ann", "amount": 1 })),
        "held-is-there"
    );
}

#[test]
fn an_audit_finds_what_no_step_touched() {
    let mut sim = Sim::rich();
    for n in 0..150 {
        let name = format!("u{n}");
        sim.ok(2_000, "balance", json!({ "transaction": name, "account": name, "amount": 7 }));
    }
    sim.ok(2_000, "audit", json!({}));
    sim.ledger.advance(2_001);
    // Money moves while the audit counts, before and behind the place where it is.
    sim.ok(2_001, "balance", json!({ "transaction": "x", "account": "ann", "amount": 5 }));
    sim.ok(2_001, "balance", json!({ "transaction": "y", "account": "u99", "amount": 5 }));
    sim.ledger.advance(2_010);
    assert_eq!(sim.view("figures")["audits"], 1);
    let mut account = ACCOUNTS.get(&mut sim.ledger.host, &"u50".into()).unwrap().unwrap();
    account.balance += 1;
    ACCOUNTS.put(&mut sim.ledger.host, &"u50".into(), &account);
    sim.ok(3_000, "audit", json!({}));
    sim.ledger.advance(3_010);
    let Outcome::InvariantViolated(violation) = &sim.ledger.ran.last().unwrap().outcome else { panic!() };
    assert_eq!(violation.invariant, "audit-finds-nothing");
}

#[test]
fn every_status_has_a_way_out_but_the_last_ones() {
    for status in Status::ALL {
        let last = matches!(status, Status::Filled | Status::Cancelled);
        assert_eq!(Status::ALL.into_iter().any(|to| status.may_become(to)), !last, "{}", status.name());
    }
}
