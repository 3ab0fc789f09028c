//! Whatever comes in whatever order: the invariants hold, and a host that works brings every plan to its end.

use crate::support::{World, name};
use proptest::prelude::*;
use reprise_guest::abi::{EffectStatus, Outcome};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
enum Move {
    Tell(&'static str, Value),
    /// The effect at this place, of those that wait, ends so.
    End(usize, u8),
    Pass(u64),
}

fn heads() -> Value {
    json!({ "size": 20, "log_root": name('1'), "state_root": name('2') })
}

fn ledgers() -> impl Strategy<Value = String> {
    prop_oneof![Just(name('a')), Just(name('c'))]
}

fn findings() -> impl Strategy<Value = Move> {
    let classes = prop_oneof![
        (0_u64..50).prop_map(|missing| json!({ "class": "stale_here", "missing": missing })),
        (0_u64..50).prop_map(|missing| json!({ "class": "stale_there", "missing": missing })),
        (0_u64..50).prop_map(|at| json!({ "class": "forked", "at": at })),
        (0_u64..50).prop_map(|at| json!({ "class": "equivocation", "at": at })),
        (0_u64..50).prop_map(|at| json!({ "class": "execution_fault", "at": at })),
        Just(json!({ "class": "corrupt_here" })),
        Just(json!({ "class": "corrupt_there" })),
        Just(json!({ "class": "incomparable" })),
    ];
    (classes, ledgers(), 0_u64..40, any::<bool>()).prop_map(|(mut data, ledger, protected, leads)| {
        let more =
            json!({ "ledger": ledger, "peer": name('b'), "protected": protected, "leads": leads, "here": heads() });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Move::Tell("finding", data)
    })
}

fn moves() -> impl Strategy<Value = Move> {
    let suspended = (ledgers(), 0_u8..6).prop_map(|(ledger, why)| {
        let (why, at) = [
            ("corrupt_here", None),
            ("incomparable", None),
            ("ordered", None),
            ("contradiction", Some(3)),
            ("execution_fault", Some(3)),
            ("equivocation", Some(3)),
        ][usize::from(why)];
        let mut data = json!({ "ledger": ledger, "why": why });
        if let Some(at) = at {
            data["at"] = json!(at);
        }
        Move::Tell("suspended", data)
    });
    let of_ledger = |kind| ledgers().prop_map(move |ledger| Move::Tell(kind, json!({ "ledger": ledger })));
    let rejected = json!({ "peer": name('b'), "reason": "x", "count": 1 });
    prop_oneof![
        4 => findings(),
        2 => suspended,
        1 => of_ledger("lifted"),
        1 => of_ledger("resume"),
        1 => Just(Move::Tell("rejected", rejected)),
        1 => Just(Move::Tell("evidence", json!({ "ledger": name('a'), "peer": name('b'), "at": 1 }))),
        1 => Just(Move::Tell("pardon", json!({ "peer": name('b') }))),
        8 => (any::<usize>(), 0_u8..4).prop_map(|(at, how)| Move::End(at, how)),
        2 => (0_u64..100_000).prop_map(Move::Pass),
    ]
}

/// What the host answers: 0 failed, 1 done and sound, 2 done and wrong, 3 expired.
fn status(payload: &Value, how: u8) -> EffectStatus {
    let verify = payload["do"] == "verify";
    let answer = |value: Value| EffectStatus::Done { answer: value.to_string().into_bytes() };
    match how {
        0 => EffectStatus::Failed { detail: "no".into() },
        1 if verify => answer(json!({ "sound": true })),
        2 if verify => answer(json!({ "sound": false, "first_wrong": 4, "what": "key" })),
        3 => EffectStatus::Expired,
        _ => EffectStatus::Done { answer: vec![] },
    }
}

fn end_one(world: &mut World, at: usize, how: u8) -> Option<Outcome> {
    let keys: Vec<String> = world.ledger.outbox.keys().cloned().collect();
    let key = keys.get(at.checked_rem(keys.len())?)?;
    let payload = serde_json::from_slice(&world.ledger.outbox[key].effect.payload).unwrap();
    world.ledger.settle(world.now_ms, key, status(&payload, how))
}

fn holds(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{outcome:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_plans_come_to_their_end(moves in proptest::collection::vec(moves(), 1..60)) {
        let mut world = World::with(json!({ "attempts_max": 3, "strikes_max": 3, "window_ms": 60_000, "step_ms": 5_000 }));
        for one in moves {
            match one {
                Move::Tell(kind, data) => holds(&world.tell(kind, data)),
                Move::End(at, how) => drop(end_one(&mut world, at, how).inspect(holds)),
                Move::Pass(ms) => {
                    world.now_ms += ms;
                    world.ledger.advance(world.now_ms);
                }
            }
            prop_assert!(world.ledger.ran.iter().all(|ran| !matches!(ran.outcome, Outcome::InvariantViolated(_))));
        }
        // From here on the host does what it is asked for, and finds everything sound.
        for _ in 0..40 {
            while end_one(&mut world, 0, 1).is_some() {}
            world.now_ms += 60_000;
            world.ledger.advance(world.now_ms);
        }
        for ledger in ['a', 'c'] {
            if let Outcome::Accepted { answer } = world.ledger.view("ledger", json!({ "ledger": name(ledger) }).to_string().as_bytes()) {
                let record: Value = serde_json::from_slice(&answer).unwrap();
                prop_assert_eq!(&record["plan"], &Value::Null, "{}", record);
            }
        }
    }
}
