//! Orders, idempotency, settlement, degraded modes (7, 9).

use crate::support::{Sim, matched, order};
use serde_json::json;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[test]
fn the_duplicate_of_a_request_gets_the_first_answer_for_a_day() {
    let mut sim = Sim::rich();
    let first = sim.ok(2_000, "place", order("req", "ann", "buy", 100, 5));
    assert_eq!(first, json!({ "order": 1, "status": "PENDING" }));
    sim.ok(2_001, "cancel", json!({ "order": 1 }));
    assert_eq!(sim.ok(3_000, "place", order("req", "ann", "buy", 100, 5)), first, "what it was then");
    assert_eq!(sim.no(3_000, "place", order("req", "ann", "buy", 100, 6)), 126);
    assert_eq!(sim.ok(2_000 + DAY_MS - 1, "place", order("req", "ann", "buy", 100, 5)), first);
    let later = sim.ok(2_000 + DAY_MS, "place", order("req", "ann", "buy", 100, 5));
    assert_eq!(later["order"], 2);
    // The first entry is forgotten, the second is not: it has the same name.
    sim.ok(2_001 + DAY_MS, "place", order("other", "ann", "buy", 100, 5));
    assert_eq!(sim.ok(2_002 + DAY_MS, "place", order("req", "ann", "buy", 100, 5)), later);
    assert_eq!(sim.view("figures")["orders"], 3);
}

#[test]
fn the_duplicate_is_answered_even_when_nothing_may_be_written() {
    let mut sim = Sim::rich();
    let first = sim.ok(2_000, "place", order("req", "ann", "buy", 100, 5));
    sim.unplug(3_000, &["a1", "a2", "a3"]);
    assert_eq!(sim.no(3_500, "place", order("new", "ann", "buy", 100, 5)), 141);
    assert_eq!(sim.ok(3_500, "place", order("req", "ann", "buy", 100, 5)), first);
}

#[test]
fn expired_keys_are_forgotten_bit_by_bit() {
    let mut sim = Sim::rich();
    for n in 0..50 {
        sim.ok(2_000, "place", order(&format!("k{n}"), "bob", "sell", 100, 1));
    }
    let keys = |sim: &Sim| sim.ledger.host.state.keys().filter(|key| key.starts_with(b"key/")).count();
    assert_eq!(keys(&sim), 50);
    for n in 0..60 {
        sim.ok(2_000 + DAY_MS, "place", order(&format!("l{n}"), "bob", "sell", 100, 1));
    }
    assert_eq!(keys(&sim), 60);
}

#[test]
fn settling_cancelling_and_updating_twice_is_once() {
    let mut sim = Sim::rich();
    let update = json!({ "transaction": "t", "account": "ann", "amount": -1_000 });
    assert_eq!(sim.ok(2_000, "balance", update.clone()), sim.ok(2_001, "balance", update));
    assert_eq!(sim.no(2_001, "balance", json!({ "transaction": "t", "account": "ann", "amount": 5 })), 127);
    let buy = sim.place(2_002, "ann", "buy", 110, 10);
    let sell = sim.place(2_002, "bob", "sell", 90, 10);
    assert_eq!(sim.no(2_002, "settle", json!({ "trade": 1 })), 125);
    for _ in 0..2 {
        assert_eq!(sim.ok(2_003, "match", matched(1, buy, sell, 100, 4)), json!({ "trade": 1 }));
    }
    assert_eq!(sim.view_of("order", json!({ "order": buy }))["status"], "PARTIAL");
    for _ in 0..2 {
        assert_eq!(sim.ok(2_004, "settle", json!({ "trade": 1 })), json!({ "trade": 1, "status": "SETTLED" }));
    }
    assert_eq!(sim.view("figures")["settlements"], 1);
    // 400 worth at 0.1 %: nothing in whole units.
    assert_eq!(sim.view_of("account", json!({ "account": "ann" }))["balance"], 1_000_000 - 1_000 - 400);
    assert_eq!(sim.view_of("account", json!({ "account": "bob" }))["balance"], 1_000_400);
    for _ in 0..2 {
        assert_eq!(sim.ok(2_005, "cancel", json!({ "order": buy }))["status"], "CANCELLED");
    }
    assert_eq!(sim.view_of("account", json!({ "account": "ann" }))["held"], 0);
    assert_eq!(sim.view_of("account", json!({ "account": "bob" }))["held"], 0);
    assert_eq!(sim.book("buy"), [0_u64; 0]);
}

#[test]
fn fees_are_taken_from_both_sides_and_totals_hold() {
    let mut sim = Sim::rich();
    let buy = sim.place(2_000, "ann", "buy", 1_000, 100);
    assert_eq!(sim.view_of("account", json!({ "account": "ann" }))["held"], 100_100);
    let sell = sim.place(2_000, "bob", "sell", 1_000, 100);
    sim.ok(2_000, "match", matched(1, buy, sell, 1_000, 100));
    assert_eq!(sim.no(2_000, "cancel", json!({ "order": buy })), 124);
    sim.ok(2_000, "settle", json!({ "trade": 1 }));
    let figures = sim.view("figures");
    assert_eq!(
        (&figures["total"], &figures["accounts"], &figures["fees"]),
        (&json!(2_000_000), &json!(1_999_800), &json!(200))
    );
    assert_eq!(
        sim.ok(2_000, "totals", json!({ "total": 2_000_000, "accounts": 1_999_800, "fees": 200 })),
        json!({ "holds": true })
    );
}

#[test]
fn nobody_spends_what_is_held() {
    let mut sim = Sim::rich();
    sim.place(2_000, "ann", "buy", 999, 1_000);
    assert_eq!(sim.no(2_000, "place", order("k", "ann", "buy", 1, 2)), 121, "one unit is left");
    assert_eq!(sim.no(2_000, "balance", json!({ "transaction": "out", "account": "ann", "amount": -2 })), 121);
    sim.ok(2_000, "balance", json!({ "transaction": "out", "account": "ann", "amount": -1 }));
}

#[test]
fn price_goes_first_then_time() {
    let mut sim = Sim::rich();
    let early = sim.place(2_000, "bob", "sell", 100, 5);
    let late = sim.place(2_001, "bob", "sell", 100, 5);
    let cheap = sim.place(2_002, "bob", "sell", 99, 5);
    let buy = sim.place(2_003, "ann", "buy", 100, 20);
    assert_eq!(sim.no(2_003, "match", matched(1, buy, early, 100, 5)), 128);
    sim.ok(2_003, "match", matched(1, buy, cheap, 99, 5));
    assert_eq!(sim.no(2_003, "match", matched(2, buy, late, 100, 5)), 128);
    sim.ok(2_003, "match", matched(2, buy, early, 100, 5));
    sim.ok(2_003, "match", matched(3, buy, late, 100, 5));
    assert_eq!(sim.no(2_003, "match", matched(5, buy, late, 100, 5)), 130);
    assert_eq!(sim.no(2_003, "match", matched(4, buy, late, 100, 5)), 131);
    assert_eq!(sim.no(2_003, "match", matched(4, late, buy, 100, 5)), 131);
    let other = sim.place(2_004, "bob", "sell", 100, 5);
    assert_eq!(sim.no(2_004, "match", matched(4, buy, other, 101, 5)), 129);
    assert_eq!(sim.no(2_004, "match", matched(4, buy, other, 99, 5)), 129);
    assert_eq!(sim.no(2_004, "match", matched(4, buy, other, 100, 6)), 131);
}

#[test]
fn orders_are_queued_while_the_engine_is_down_and_none_is_lost() {
    let mut sim = Sim::rich();
    let open = sim.place(2_000, "bob", "sell", 100, 5);
    sim.crash(3_000, "engine");
    let first = sim.ok(3_100, "place", order("q1", "bob", "sell", 99, 5));
    assert_eq!(first["status"], "PENDING_SUBMISSION");
    let second = sim.place(3_101, "bob", "sell", 99, 5);
    let third = sim.place(3_102, "bob", "sell", 98, 5);
    assert_eq!(sim.ok(3_103, "cancel", json!({ "order": third }))["status"], "CANCELLED");
    assert_eq!(sim.no(3_103, "cancel", json!({ "order": open })), 142);
    assert_eq!(sim.view("health")["modes"], json!(["ORDER_QUEUE"]));
    let now_ms = sim.mend_engine(4_000);
    assert_eq!(sim.book("sell"), [first["order"].as_u64().unwrap(), second, open]);
    assert_eq!(sim.view("health")["queued_orders"], 0);
    assert_eq!(sim.ok(now_ms, "place", order("q1", "bob", "sell", 99, 5)), first, "the first answer, as it was");
    assert_eq!(sim.said("submitted")[0]["orders"], 2);
}

#[test]
fn reads_go_on_while_the_primary_is_down() {
    let mut sim = Sim::rich();
    assert_eq!(sim.ok(2_000, "request", json!({ "method": "GET" }))["from"], "primary");
    sim.unplug(2_000, &["a1"]);
    let answer = sim.ok(2_100, "request", json!({ "method": "GET" }));
    assert_eq!(answer["from"], "replica");
    assert!(answer["banner"].as_str().unwrap().contains("read-only"));
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(sim.no(2_100, "request", json!({ "method": method })), 141);
    }
    for (kind, payload) in [
        ("place", order("k", "ann", "buy", 1, 1)),
        ("balance", json!({ "transaction": "x", "account": "ann", "amount": 1 })),
        ("write", json!({ "node": "a1", "token": 1 })),
    ] {
        assert_eq!(sim.no(2_100, kind, payload), 141, "{kind}");
    }
    sim.unplug(2_200, &["a2", "a3", "b1", "b2"]);
    assert_eq!(sim.no(2_300, "request", json!({ "method": "GET" })), 145);
    assert_eq!(sim.no(2_300, "request", json!({ "method": "PATCH" })), 106);
}

#[test]
fn stale_market_data_has_its_time_and_is_refused_after_sixty_seconds() {
    let mut sim = Sim::new();
    assert_eq!(sim.no(2_000, "quote", json!({ "symbol": "BTC" })), 144);
    sim.ok(2_000, "market_data", json!({ "symbol": "BTC", "price": 500 }));
    assert_eq!(
        sim.ok(90_000, "quote", json!({ "symbol": "BTC" }))["stale"],
        false,
        "the service is up: nothing traded"
    );
    let at_ms = sim.crash(40_000.max(sim.ledger.now_ms()), "feed");
    assert!(at_ms > 62_000);
    assert_eq!(sim.no(at_ms, "quote", json!({ "symbol": "BTC" })), 143);
    let mut sim = Sim::new();
    sim.ok(2_000, "market_data", json!({ "symbol": "BTC", "price": 500 }));
    sim.crash(3_000, "feed");
    let answer = sim.ok(62_000, "quote", json!({ "symbol": "BTC" }));
    assert_eq!(answer, json!({ "price": 500, "as_of_ms": 2_000, "stale": true }));
    assert_eq!(sim.no(62_001, "quote", json!({ "symbol": "BTC" })), 143);
}
