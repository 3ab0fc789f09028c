//! What does not fit is refused with a documented code, and changes nothing.

use crate::support::{World, name};
use reprise_guest::abi::Outcome;
use reprise_reconcile::error::No;
use serde_json::{Value, json};

const MALFORMED: u32 = 9_005;
const UNKNOWN_KIND: u32 = 9_004;

fn finding(change: Value) -> Value {
    let head = json!({ "size": 20, "log_root": name('1'), "state_root": name('2') });
    let mut data = json!({
        "ledger": name('a'), "peer": name('b'), "class": "forked", "at": 3, "protected": 10, "leads": true, "here": head,
    });
    data.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    data
}

#[test]
fn each_malformed_event_has_its_code() {
    let table = [
        ("finding", finding(json!({ "ledger": "a" })), No::BadName as u32),
        ("finding", finding(json!({ "peer": name('G') })), No::BadName as u32),
        ("finding", finding(json!({ "class": "odd" })), No::BadFinding as u32),
        ("finding", finding(json!({ "at": null })), No::BadFinding as u32),
        ("finding", finding(json!({ "missing": 1 })), No::BadFinding as u32),
        ("finding", finding(json!({ "class": "corrupt_here" })), No::BadFinding as u32),
        ("finding", finding(json!({ "protected": -1 })), MALFORMED),
        ("finding", finding(json!({ "protected": 1.5 })), MALFORMED),
        ("finding", finding(json!({ "more": 1 })), MALFORMED),
        ("suspended", json!({ "ledger": name('a'), "why": "odd" }), No::BadReason as u32),
        ("suspended", json!({ "ledger": name('a'), "why": "contradiction" }), No::BadReason as u32),
        ("suspended", json!({ "ledger": name('a'), "why": "ordered", "at": 1 }), No::BadReason as u32),
        ("rejected", json!({ "peer": name('b'), "reason": "x", "count": 0 }), No::BadRejected as u32),
        ("rejected", json!({ "peer": name('b'), "reason": "x".repeat(65), "count": 1 }), No::BadRejected as u32),
        ("rejected", json!({ "peer": "b", "reason": "x", "count": 1 }), No::BadName as u32),
        ("evidence", json!({ "ledger": name('a'), "peer": "", "at": 1 }), No::BadName as u32),
        ("lifted", json!({ "ledger": name('a') }), No::UnknownLedger as u32),
        ("resume", json!({ "ledger": name('a') }), No::UnknownLedger as u32),
        ("pardon", json!({ "peer": name('b') }), No::NotInQuarantine as u32),
        ("init", json!({}), No::AlreadyInitialised as u32),
        ("init", json!({ "odd": 1 }), MALFORMED),
        ("odd", json!({}), UNKNOWN_KIND),
    ];
    let mut world = World::new();
    let before = world.ledger.host.state.clone();
    for (kind, data, code) in table {
        match world.tell(kind, data.clone()) {
            Outcome::Rejected(rejection) => assert_eq!(rejection.code, code, "{kind} {data}: {}", rejection.detail),
            other => panic!("{kind} {data}: {other:?}"),
        }
    }
    assert_eq!(world.ledger.host.state, before);
}

#[test]
fn parameters_are_bounded() {
    for parameters in [
        json!({ "attempts_max": 0 }),
        json!({ "attempts_max": 101 }),
        json!({ "strikes_max": 0 }),
        json!({ "step_ms": 0 }),
        json!({ "wait_ms": 10, "wait_ms_max": 9 }),
        json!({ "window_ms": 2_592_000_001_u64 }),
    ] {
        let mut world = World { ledger: reprise_guest::testing::MemoryLedger::new(), now_ms: 0 };
        match world.tell("init", parameters.clone()) {
            Outcome::Rejected(rejection) => assert_eq!(rejection.code, No::BadParameter as u32, "{parameters}"),
            other => panic!("{parameters}: {other:?}"),
        }
    }
}

#[test]
fn nothing_is_heard_before_init_and_a_ledger_that_goes_on_is_not_resumed() {
    let mut world = World { ledger: reprise_guest::testing::MemoryLedger::new(), now_ms: 0 };
    let Outcome::Rejected(no) = world.tell("finding", finding(json!({}))) else { panic!() };
    assert_eq!(no.code, No::NotInitialised as u32);
    let mut world = World::new();
    world.finding("stale_there", json!({ "missing": 1 }));
    let Outcome::Rejected(no) = world.tell("resume", json!({ "ledger": name('a') })) else { panic!() };
    assert_eq!(no.code, No::NotSuspended as u32);
}
