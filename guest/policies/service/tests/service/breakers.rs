//! Operations, retries, circuit breakers (3.1, 3.2, 10).

use crate::support::Sim;
use reprise_guest::abi::EffectStatus;
use reprise_service::{
    breaker::Breaker,
    operations::State,
    params::DEPENDENCIES_MAX,
    retry::{is_transient, wait_ms},
    state::{CACHED, EXCHANGE},
};
use serde_json::{Value, json};

fn call(operation: &str, fallback: &str) -> Value {
    json!({
        "operation": operation, "kind": "database", "dependency": "db", "request": "balances", "fallback": fallback,
    })
}

fn status(sim: &mut Sim, operation: &str) -> String {
    sim.view_of("operation", json!({ "operation": operation }))["status"].as_str().unwrap().into()
}

fn breaker(sim: &mut Sim) -> Value {
    sim.view_of("dependency", json!({ "dependency": "db" }))
}

/// Five transient failures within ten seconds. Answers when the breaker opened.
fn open(sim: &mut Sim) -> u64 {
    for n in 0..5 {
        sim.ok(2_000 + n, "operation", call(&format!("o{n}"), "none"));
        sim.fail(2_000 + n, "call", "unavailable");
    }
    assert_eq!(breaker(sim)["breaker"], "OPEN");
    2_004
}

#[test]
fn the_schedule_is_the_documents() {
    let waits: Vec<u64> = (0..6).map(|retry| wait_ms(retry, 0)).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200]);
    assert_eq!(waits.iter().sum::<u64>(), 6_300, "about 6.3 seconds in all");
    for seed in 0..1_000 {
        assert!((400..=450).contains(&wait_ms(2, seed)));
    }
    assert_eq!(wait_ms(0, 50), 150, "up to 50 ms, 50 included");
    assert_eq!(wait_ms(0, 51), 100);
    assert!(is_transient("pool exhausted: 40 of 40") && is_transient("timeout") && !is_transient("no such table"));
}

/// Timeouts of five seconds are no five failures in ten: the breaker stays closed.
#[test]
fn six_retries_then_it_has_failed() {
    let mut sim = Sim::new();
    sim.ok(2_000, "operation", call("o", "none"));
    for retry in 0..6 {
        assert_eq!(sim.asked("call")[0].1["retry"], retry);
        let at_ms = sim.ledger.now_ms() + 5_001;
        sim.ledger.advance(at_ms);
        assert_eq!(status(&mut sim, "o"), "BACKOFF");
        sim.ledger.advance(at_ms + (100 << retry) - 1);
        assert_eq!(status(&mut sim, "o"), "BACKOFF", "not before the wait is over");
        sim.ledger.advance(at_ms + (100 << retry) + 50);
        assert_eq!(status(&mut sim, "o"), "CALLED");
    }
    let at_ms = sim.ledger.now_ms();
    sim.ledger.advance(at_ms + 5_001);
    assert_eq!(status(&mut sim, "o"), "FAILED");
    assert_eq!(sim.view("figures")["retries"], 6);
    assert_eq!(breaker(&mut sim)["breaker"], "CLOSED");
    sim.ledger.advance(at_ms + 600_000);
    assert!(sim.asked("call").is_empty());
}

/// Failures that come fast open the breaker before the retries are used up.
#[test]
fn retries_wait_for_an_open_breaker_or_give_up() {
    for (fallback, expected) in [("queue", "QUEUED"), ("none", "FAILED"), ("cache", "FAILED")] {
        let mut sim = Sim::new();
        sim.ok(2_000, "operation", call("o", fallback));
        for _ in 0..5 {
            let at_ms = sim.ledger.now_ms();
            sim.fail(at_ms, "call", "timeout");
            sim.ledger.advance(at_ms + 1_650);
        }
        assert_eq!(breaker(&mut sim)["breaker"], "OPEN");
        assert_eq!(status(&mut sim, "o"), expected);
    }
}

#[test]
fn what_is_not_transient_is_not_retried() {
    let mut sim = Sim::new();
    sim.ok(2_000, "operation", call("o", "none"));
    sim.fail(2_000, "call", "no such table");
    assert_eq!(status(&mut sim, "o"), "FAILED");
    sim.ledger.advance(60_000);
    assert!(sim.asked("call").is_empty());
    assert_eq!(breaker(&mut sim)["failures"], 0, "it did answer");
}

#[test]
fn every_kind_of_operation_has_its_time() {
    for (kind, timeout_ms) in [("database", 5_000), ("rpc_internal", 3_000), ("rpc_external", 10_000), ("http", 30_000)]
    {
        let mut sim = Sim::new();
        let mut operation = call("o", "none");
        operation["kind"] = json!(kind);
        sim.ok(2_000, "operation", operation);
        sim.ledger.advance(2_000 + timeout_ms);
        assert_eq!(status(&mut sim, "o"), "CALLED");
        sim.ledger.advance(2_001 + timeout_ms);
        assert_eq!(status(&mut sim, "o"), "BACKOFF", "a timeout is transient");
        assert_eq!(sim.view("timeouts")[kind], timeout_ms);
    }
}

#[test]
fn five_failures_in_ten_seconds_open_the_breaker_and_four_do_not() {
    let mut sim = Sim::new();
    for n in 0..8_u64 {
        sim.ok(2_000 + n * 2_500, "operation", call(&format!("o{n}"), "none"));
        sim.fail(2_000 + n * 2_500, "call", "unavailable");
        // Its own retries would count, too.
        let timers: Vec<_> = sim.ledger.timers.keys().filter(|(_, id)| id.starts_with("op.")).cloned().collect();
        timers.iter().for_each(|timer| drop(sim.ledger.timers.remove(timer)));
        assert_eq!(breaker(&mut sim)["breaker"], "CLOSED", "four in any ten seconds");
    }
    open(&mut Sim::new());
}

#[test]
fn meanwhile_operations_are_queued_answered_from_the_cache_or_refused() {
    let mut sim = Sim::new();
    sim.ok(1_500, "operation", call("first", "none"));
    let asked = sim.asked("call")[0].0.clone();
    sim.ledger.settle(1_600, &asked, EffectStatus::Done { answer: b"42".to_vec() });
    let at_ms = open(&mut sim);
    assert_eq!(sim.ok(at_ms, "operation", call("queued", "queue"))["status"], "QUEUED");
    let cached = sim.ok(at_ms, "operation", call("cached", "cache"));
    assert_eq!(cached, json!({ "status": "CACHED", "answer": "42", "as_of_ms": 1_600 }));
    let mut unknown = call("unknown", "cache");
    unknown["request"] = json!("never asked");
    assert_eq!(sim.no(at_ms, "operation", unknown), 162);
    assert_eq!(sim.no(at_ms, "operation", call("refused", "none")), 161);
    assert_eq!(breaker(&mut sim)["waiting"], 1);
}

#[test]
fn half_open_after_thirty_seconds_closed_after_three_successes() {
    let mut sim = Sim::new();
    let opened_ms = open(&mut sim);
    for n in 0..40 {
        sim.ok(opened_ms, "operation", call(&format!("q{n}"), "queue"));
    }
    sim.ledger.advance(opened_ms + 29_999);
    assert_eq!(breaker(&mut sim)["breaker"], "OPEN");
    sim.ledger.advance(opened_ms + 30_000);
    assert_eq!(breaker(&mut sim)["breaker"], "HALF_OPEN");
    for n in 0..3 {
        assert_eq!(sim.asked("call").len(), 1, "one trial at a time");
        assert_eq!(sim.asked("call")[0].1["operation"], format!("q{n}"), "first come, first served");
        sim.done(opened_ms + 30_000, "call", &json!({}));
    }
    assert_eq!(breaker(&mut sim)["breaker"], "CLOSED");
    sim.ledger.advance(opened_ms + 30_010);
    assert_eq!(sim.asked("call").len(), 37, "the rest follows");
    assert_eq!(breaker(&mut sim)["waiting"], 0);
}

#[test]
fn a_trial_that_fails_opens_it_again_and_probes_do_without_operations() {
    let mut sim = Sim::new();
    let opened_ms = open(&mut sim);
    sim.ledger.advance(opened_ms + 30_000);
    sim.done(opened_ms + 30_000, "probe", &json!({}));
    sim.done(opened_ms + 30_000, "probe", &json!({}));
    sim.fail(opened_ms + 30_000, "probe", "unavailable");
    assert_eq!(breaker(&mut sim)["breaker"], "OPEN");
    sim.ledger.advance(opened_ms + 60_000);
    assert_eq!(breaker(&mut sim)["successes"], 0);
    for _ in 0..3 {
        sim.done(opened_ms + 60_000, "probe", &json!({}));
    }
    assert_eq!(breaker(&mut sim)["breaker"], "CLOSED");
}

#[test]
fn a_failure_is_persistent_after_thirty_seconds() {
    let mut sim = Sim::new();
    let opened_ms = open(&mut sim);
    let failure = |sim: &mut Sim| (breaker(sim)["failure"].clone(), breaker(sim)["failing_since_ms"].clone());
    assert_eq!(failure(&mut sim), (json!("TRANSIENT"), json!(2_000)));
    sim.fail(opened_ms + 30_000, "probe", "unavailable");
    assert_eq!(failure(&mut sim), (json!("PERSISTENT"), json!(2_000)));
    sim.done(opened_ms + 60_000, "probe", &json!({}));
    assert_eq!(failure(&mut sim), (json!("NONE"), Value::Null));
}

#[test]
fn thirty_seconds_to_the_millisecond_are_transient() {
    let mut sim = Sim::new();
    for (at_ms, failure) in [(2_000, "TRANSIENT"), (32_000, "TRANSIENT"), (32_001, "PERSISTENT")] {
        sim.ok(at_ms, "operation", call(&format!("o{at_ms}"), "none"));
        let key = sim.asked("call").pop().unwrap().0;
        sim.ledger.settle(at_ms, &key, EffectStatus::Failed { detail: "unavailable".into() });
        assert_eq!(breaker(&mut sim)["failure"], failure, "{at_ms}");
    }
}

#[test]
fn a_cached_answer_is_kept_for_a_day_and_dependencies_are_counted() {
    let mut sim = Sim::new();
    let of = |operation: &str, request: &str| {
        let mut of = call(operation, "cache");
        of["request"] = json!(request);
        of
    };
    let cached = |sim: &mut Sim| CACHED.keys(&mut sim.ledger.host, None, 9).unwrap().len();
    for (at_ms, operation, request) in [(2_000, "a", "once"), (2_001, "b", "twice"), (50_000_000, "c", "twice")] {
        sim.ok(at_ms, "operation", of(operation, request));
        sim.done(at_ms, "call", &json!(operation));
    }
    assert_eq!(cached(&mut sim), 2);
    sim.ok(86_402_001, "operation", of("d", "other"));
    sim.fail(86_402_001, "call", "no");
    let twice = ("db".to_owned(), "twice".to_owned());
    assert_eq!(cached(&mut sim), 1, "both operations are forgotten, and with them what nobody has asked since");
    assert!(CACHED.has(&mut sim.ledger.host, &twice));
    let mut exchange = EXCHANGE.get(&mut sim.ledger.host).unwrap().unwrap();
    assert_eq!(exchange.census.dependencies, 1);
    exchange.census.dependencies = DEPENDENCIES_MAX;
    EXCHANGE.put(&mut sim.ledger.host, &exchange);
    sim.ok(86_402_002, "operation", of("e", "other"));
    let mut another = of("f", "other");
    another["dependency"] = json!("another");
    assert_eq!(sim.no(86_402_002, "operation", another), 164);
}

#[test]
fn the_same_operation_again_is_told_how_it_stands() {
    let mut sim = Sim::new();
    sim.ok(2_000, "operation", call("o", "none"));
    let again = sim.ok(2_000, "operation", call("o", "none"));
    assert_eq!(again["status"], "CALLED");
    assert_eq!(sim.asked("call").len(), 1);
    assert_eq!(sim.no(2_000, "operation", call("o", "queue")), 160);
}

#[test]
fn every_state_has_a_way_out_but_the_last_ones() {
    for state in Breaker::ALL {
        assert!(Breaker::ALL.into_iter().any(|to| state.may_become(to)), "{}", state.name());
    }
    for state in State::ALL {
        let last = matches!(state, State::Done | State::Failed);
        assert_eq!(State::ALL.into_iter().any(|to| state.may_become(to)), !last, "{}", state.name());
    }
}
