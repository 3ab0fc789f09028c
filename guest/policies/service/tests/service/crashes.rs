//! Service and engine crashes, remedies, zones: the machine of recoveries (4.1, 4.3, 11.2, 13).

use crate::support::{START_MS, Sim, matched};
use reprise_service::state::RECOVERIES;
use serde_json::{Value, json};

fn state(checkpoint: u64, last: u64) -> Value {
    json!({ "checkpoint": checkpoint, "last": last })
}

#[test]
fn three_failed_checks_in_a_row_are_a_crash() {
    let mut sim = Sim::new();
    for ok in [false, false, true, false, false] {
        sim.ok(2_000, "health", json!({ "service": "settle", "ok": ok }));
    }
    sim.ledger.advance(2_001);
    assert!(sim.said("restart").is_empty(), "never three in a row");
    sim.ok(2_001, "health", json!({ "service": "settle", "ok": false }));
    sim.ledger.advance(2_002);
    assert_eq!(sim.asked("restart").len(), 1);
    assert_eq!(sim.view("health")["health"], "RED", "settlement is critical");
    sim.done(6_000, "restart", &json!({}));
    sim.done(6_500, "load_state", &state(100, 142));
    let replay = &sim.asked("replay_events")[0].1;
    assert_eq!((&replay["after"], &replay["through"]), (&json!(100), &json!(142)));
    sim.done(9_000, "replay_events", &json!({ "sequence": 142 }));
    assert_eq!(sim.view("health")["health"], "GREEN");
    let recovery = sim.recovery();
    assert_eq!(
        (&recovery["stage"], &recovery["recovery_ms"], &recovery["met"]),
        (&json!("DONE"), &json!(6_998), &json!(true))
    );
}

#[test]
fn replay_that_ends_elsewhere_is_another_attempt_and_then_a_persons() {
    let mut sim = Sim::new();
    sim.crash(2_000, "mail");
    assert_eq!(sim.view("health")["health"], "YELLOW", "mail is not critical");
    for attempt in 1..=2 {
        assert_eq!(sim.recovery()["attempt"], attempt);
        sim.done(3_000, "restart", &json!({}));
        sim.done(3_000, "load_state", &state(1, 9));
        sim.done(3_000, "replay_events", &json!({ "sequence": 8 }));
    }
    assert_eq!(sim.recovery()["stage"], "PERSON");
    assert!(sim.alerts().contains(&("pager".into(), "person_needed".into())));
    assert_eq!(sim.no(3_000, "recover", json!({ "recovery": 1, "operator": "eve" })), 114);
    assert_eq!(sim.no(3_000, "recover", json!({ "recovery": 2, "operator": "ann" })), 115);
    sim.ok(3_000, "recover", json!({ "recovery": 1, "operator": "ann" }));
    assert_eq!(sim.no(3_000, "recover", json!({ "recovery": 1, "operator": "ann" })), 170);
    sim.done(3_000, "restart", &json!({}));
    sim.done(3_000, "load_state", &state(1, 9));
    sim.done(3_000, "replay_events", &json!({ "sequence": 9 }));
    assert_eq!(sim.recovery()["stage"], "DONE");
}

#[test]
fn a_stage_has_its_time_and_transient_failures_are_retried() {
    let mut sim = Sim::new();
    sim.crash(2_000, "mail");
    sim.ledger.advance(12_001);
    assert_eq!(sim.recovery()["attempt"], 1, "a restart has ten seconds");
    sim.ledger.advance(12_002);
    assert_eq!(sim.recovery()["attempt"], 2);
    for retry in 0..6 {
        let at_ms = sim.ledger.now_ms();
        sim.fail(at_ms, "restart", "unavailable: the orchestrator starts");
        assert_eq!(sim.asked("restart").len(), 0);
        sim.ledger.advance(at_ms + (100 << retry) - 1);
        assert_eq!(sim.asked("restart").len(), 0, "not before the wait is over");
        sim.ledger.advance(at_ms + (100 << retry) + 50);
        assert_eq!(sim.asked("restart").len(), 1, "retry {retry}");
    }
    let at_ms = sim.ledger.now_ms();
    sim.fail(at_ms, "restart", "unavailable: still");
    assert_eq!(sim.recovery()["stage"], "PERSON", "six retries, no more");
}

#[test]
fn an_objective_that_is_missed_is_said() {
    let mut sim = Sim::new();
    sim.crash(2_000, "mail");
    sim.fail(2_500, "restart", "no such image");
    sim.done(11_000, "restart", &json!({}));
    sim.done(15_000, "load_state", &state(0, 0));
    sim.fail(16_000, "replay_events", "disk");
    sim.ledger.advance(32_002);
    assert!(sim.alerts().contains(&("slack".into(), "objective_missed".into())));
    sim.ok(40_000, "recover", json!({ "recovery": 1, "operator": "bob" }));
    sim.done(40_000, "restart", &json!({}));
    sim.done(40_000, "load_state", &state(0, 0));
    sim.done(40_000, "replay_events", &json!({ "sequence": 0 }));
    assert_eq!(sim.recovery()["met"], false);
    let service = &sim.view("objectives")["service"];
    assert_eq!((&service["missed"], &service["worst_ms"]), (&json!(1), &json!(37_999)));
}

#[test]
fn an_objective_that_is_met_to_the_millisecond_is_not_missed() {
    for (late_ms, told) in [(0, 0), (1, 2)] {
        let mut sim = Sim::new();
        let began_ms = sim.crash(2_000, "mail");
        sim.done(began_ms + 9_000, "restart", &json!({}));
        sim.fail(began_ms + 13_000, "load_state", "no");
        sim.done(began_ms + 22_000, "restart", &json!({}));
        sim.done(began_ms + 26_000, "load_state", &state(0, 0));
        // The timer goes first: it has to be later.
        sim.done(began_ms + 30_000 + late_ms, "replay_events", &json!({ "sequence": 0 }));
        assert_eq!(sim.recovery()["met"], late_ms == 0);
        let alerts = sim.alerts();
        assert_eq!(alerts.iter().filter(|(_, what)| what == "objective_missed").count(), told, "{late_ms}");
    }
}

#[test]
fn a_recovery_that_ends_long_after_it_began_is_forgotten() {
    let mut sim = Sim::new();
    let kept = |sim: &mut Sim| RECOVERIES.keys(&mut sim.ledger.host, None, 128).unwrap();
    sim.crash(2_000, "mail");
    sim.fail(2_100, "restart", "no");
    sim.fail(2_200, "restart", "no");
    assert_eq!(sim.recovery()["stage"], "PERSON");
    for n in 0..70 {
        let at_ms = 3_000 + n * 10;
        sim.ok(at_ms, "metrics", json!({ "service": "feed", "disk_percent": 99 }));
        sim.done(at_ms + 5, "archive_logs", &json!({}));
    }
    assert_eq!(kept(&mut sim).first(), Some(&1), "it waits for a person");
    assert_eq!(kept(&mut sim).len(), 65);
    sim.ok(4_000, "recover", json!({ "recovery": 1, "operator": "ann" }));
    sim.done(4_000, "restart", &json!({}));
    sim.done(4_000, "load_state", &state(0, 0));
    sim.done(4_000, "replay_events", &json!({ "sequence": 0 }));
    assert_eq!(sim.view("health")["health"], "GREEN");
    assert_eq!(kept(&mut sim).first(), Some(&8));
}

#[test]
fn the_table_of_remedies() {
    let mut sim = Sim::new();
    let within = json!({ "service": "mail", "memory_percent": 80, "disk_percent": 94, "idle_ms": 300_000 });
    sim.ok(2_000, "metrics", within);
    sim.ledger.advance(2_001);
    assert!(sim.asked("restart").is_empty() && sim.asked("close_idle").is_empty());
    let beyond = json!({ "service": "mail", "memory_percent": 81, "disk_percent": 95, "idle_ms": 300_001 });
    sim.ok(2_002, "metrics", beyond.clone());
    sim.ok(2_002, "metrics", beyond);
    sim.ledger.advance(2_003);
    for verb in ["restart", "close_idle", "archive_logs"] {
        assert_eq!(sim.asked(verb).len(), 1, "{verb}: once");
    }
    sim.done(2_500, "archive_logs", &json!({}));
    sim.done(2_500, "close_idle", &json!({}));
    assert_eq!(sim.view("figures")["recoveries"], 3);
}

#[test]
fn a_zone_that_is_gone_starts_elsewhere() {
    let mut sim = Sim::new();
    assert_eq!(sim.no(2_000, "zone_failure", json!({ "zone": "z9" })), 113);
    sim.ok(2_000, "zone_failure", json!({ "zone": "z1" }));
    sim.ledger.advance(2_001);
    assert_eq!(sim.no(2_001, "zone_failure", json!({ "zone": "z1" })), 172);
    assert_eq!(sim.view("health")["zones_down"], 1);
    sim.done(20_000, "reschedule", &json!({}));
    sim.done(21_000, "check", &json!({}));
    assert_eq!(sim.view("objectives")["zone"]["last_ms"], 18_999);
    assert_eq!(sim.view("health")["health"], "GREEN");
}

#[test]
fn the_book_is_rebuilt_by_price_then_time_and_logged_matches_replayed() {
    let mut sim = Sim::rich();
    let asks: Vec<u64> =
        [105, 101, 103, 101].into_iter().map(|price| sim.place(2_000, "bob", "sell", price, 10)).collect();
    let bids: Vec<u64> =
        [99, 100, 98, 100].into_iter().map(|price| sim.place(2_000, "ann", "buy", price, 10)).collect();
    assert_eq!(sim.book("sell"), [asks[1], asks[3], asks[2], asks[0]]);
    assert_eq!(sim.book("buy"), [bids[1], bids[3], bids[0], bids[2]]);
    let at_ms = sim.crash(3_000, "engine");
    // Placed meanwhile: better than anything in the book, and still behind what was matched before the crash.
    let late = sim.place(3_500, "ann", "buy", 101, 10);
    assert_eq!(sim.view_of("order", json!({ "order": late }))["status"], "PENDING_SUBMISSION");
    assert_eq!(sim.no(3_500, "cancel", json!({ "order": bids[0] })), 142);
    let taker = json!({ "match": 1, "buy": late, "sell": asks[1], "price": 101, "quantity": 4 });
    assert_eq!(sim.no(3_500, "match", json!({ "match": 2, "buy": 1, "sell": 1, "price": 1, "quantity": 1 })), 130);
    assert!(at_ms > 3_000);
    let now_ms = sim.mend_engine(4_000);
    assert_eq!(sim.book("sell"), [asks[1], asks[3], asks[2], asks[0]]);
    assert_eq!(sim.book("buy"), [late, bids[1], bids[3], bids[0], bids[2]]);
    sim.ok(now_ms, "match", taker);
    assert!(sim.recovery()["recovery_ms"].as_u64().unwrap() < 10_000);
}

#[test]
fn matches_that_were_logged_before_the_crash_are_applied_in_their_order() {
    let mut sim = Sim::rich();
    let sell = sim.place(2_000, "bob", "sell", 100, 10);
    let next = sim.place(2_000, "bob", "sell", 100, 10);
    let buy = sim.place(2_000, "ann", "buy", 100, 15);
    sim.crash(3_000, "engine");
    sim.ok(3_100, "match", matched(1, buy, sell, 100, 10));
    sim.ok(3_100, "match", matched(2, buy, next, 100, 5));
    assert_eq!(sim.view("health")["unprocessed_matches"], 2);
    assert_eq!(sim.view_of("order", json!({ "order": buy }))["filled"], 0, "logged, not applied");
    sim.mend_engine(4_000);
    assert_eq!(sim.view("health")["unprocessed_matches"], 0);
    let order = sim.view_of("order", json!({ "order": buy }));
    assert_eq!((&order["status"], &order["filled"]), (&json!("FILLED"), &json!(15)));
    assert_eq!(sim.book("sell"), [next]);
    assert_eq!(sim.view("health")["halted"], Value::Null);
}

/// The engine matches again as soon as it resumes: what it logs until the end of its recovery is applied, too, and
/// before queued orders enter the book.
#[test]
fn matches_that_are_logged_while_the_engine_resumes_are_applied() {
    let mut sim = Sim::rich();
    let sell = sim.place(2_000, "bob", "sell", 100, 100);
    let buy = sim.place(2_000, "ann", "buy", 100, 100);
    sim.crash(3_000, "engine");
    for _ in 0..100 {
        sim.place(3_500, "bob", "sell", 99, 1);
    }
    sim.done(4_000, "restart", &json!({}));
    sim.ledger.advance(4_100);
    assert_eq!(sim.recovery()["stage"], "RESUME");
    // More than a slice of them.
    for number in 1..=20 {
        sim.ok(4_100, "match", matched(number, buy, sell, 100, 1));
    }
    sim.done(4_200, "resume_matching", &json!({}));
    sim.ledger.advance(4_202);
    assert_eq!(sim.recovery()["stage"], "SUBMIT");
    assert_eq!(sim.view("health")["unprocessed_matches"], 0);
    let first = sell + 2;
    sim.ok(4_202, "match", matched(21, buy, first, 99, 1));
    sim.ledger.advance(4_203);
    assert_eq!(sim.recovery()["stage"], "DONE");
    let health = sim.view("health");
    assert_eq!((&health["unprocessed_matches"], &health["halted"]), (&json!(0), &Value::Null));
    assert_eq!(sim.view_of("order", json!({ "order": buy }))["filled"], 21);
    assert_eq!(sim.view_of("order", json!({ "order": first }))["status"], "FILLED");
    for trade in 1..=21 {
        sim.ok(5_000, "settle", json!({ "trade": trade }));
    }
}

#[test]
fn a_logged_match_that_does_not_fit_halts_trading_and_not_the_recovery() {
    let mut sim = Sim::rich();
    let sell = sim.place(2_000, "bob", "sell", 100, 10);
    let buy = sim.place(2_000, "ann", "buy", 100, 10);
    sim.crash(3_000, "engine");
    sim.ok(3_100, "match", matched(1, buy, sell, 100, 11));
    sim.ok(3_100, "match", matched(2, buy, sell, 100, 3));
    let now_ms = sim.mend_engine(4_000);
    assert_eq!(sim.recovery()["stage"], "DONE");
    assert_eq!(sim.view("health")["halted"], "a logged match does not fit");
    assert_eq!(sim.view_of("order", json!({ "order": sell }))["remaining"], 7);
    assert_eq!(sim.no(now_ms, "cancel", json!({ "order": sell })), 140);
    sim.ok(now_ms, "resume", json!({ "operator": "ann" }));
    sim.ok(now_ms, "cancel", json!({ "order": sell }));
}

#[test]
fn a_large_book_is_rebuilt_in_slices() {
    let mut sim = Sim::rich();
    for n in 0..300 {
        sim.place(START_MS + 1, "bob", "sell", 100 + n * 7 % 50, 1);
    }
    let before = sim.book("sell");
    sim.crash(3_000, "engine");
    for _ in 0..200 {
        sim.place(3_500, "bob", "sell", 99, 1);
    }
    sim.mend_engine(4_000);
    let after = sim.book("sell");
    assert_eq!(after.len(), 128, "a page");
    assert!(after.iter().all(|order| *order > 300), "the queued ones are cheaper, in the order of their time");
    assert!(after.is_sorted());
    assert_eq!(sim.view("health")["open_orders"], 500);
    assert_eq!(before.len(), 128);
    assert!(sim.ledger.ran.iter().all(|ran| ran.outcome.is_accepted()));
}

#[test]
fn services_are_registered_up_to_a_thousand() {
    let mut sim = Sim::new();
    let service = |name: &str, role: &str| json!({ "service": name, "role": role });
    assert_eq!(sim.no(2_000, "register", service("mail", "other")), 104);
    assert_eq!(sim.no(2_000, "register", service("second", "matching")), 102);
    assert_eq!(sim.no(2_000, "register", service("cook", "cook")), 106);
    for n in 4..1_000 {
        sim.ok(2_000, "register", service(&format!("s{n}"), "other"));
    }
    assert_eq!(sim.no(2_000, "register", service("one more", "other")), 102);
    sim.crash(3_000, "s999");
    assert_eq!(sim.asked("restart")[0].1["subject"], "s999");
}
