use super::*;
use crate::{
    HostEvent,
    abi::{Compensator, Description, Rejection, Timer},
    host::Host,
    rejection::SdkCode,
};

/// Sets timers and emits effects as it is told, and keeps what it hears.
struct Echo;

impl Policy for Echo {
    fn describe() -> Description {
        Description {
            name: "echo".into(),
            version: "1.0.0".into(),
            input_kinds: vec!["do".into(), EFFECT_KIND.into(), TIMER_KIND.into()],
            views: vec![],
            rejections: SdkCode::own(),
            governed: vec![],
        }
    }

    /// `do` with `id due` sets a timer and emits an effect with that deadline.
    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        if HostEvent::of(input)? != HostEvent::Submitted {
            return Ok(input.id.clone().into_bytes());
        }
        for pair in std::str::from_utf8(&input.payload).unwrap().split(',') {
            let (id, due) = pair.split_once(' ').unwrap();
            let due_ms = due.parse().unwrap();
            host.set_timer(Timer { id: id.into(), due_ms, payload: vec![7] });
            host.emit(Effect {
                idempotency_key: id.into(),
                driver: "d".into(),
                deadline_ms: due_ms,
                payload: vec![],
                compensator: id.starts_with('c').then(|| Compensator { driver: "d".into(), payload: vec![] }),
            });
        }
        Ok(vec![])
    }
}

fn heard(ledger: &MemoryLedger<Echo>) -> Vec<(u64, &str, &str)> {
    let heard = ledger.ran.iter().filter(|ran| ran.input.source == HOST_SOURCE);
    heard.map(|ran| (ran.input.logical_time_ms, &*ran.input.kind, &*ran.input.id)).collect()
}

#[test]
fn what_is_due_goes_first_in_the_order_of_time_kind_and_id() {
    let mut ledger = MemoryLedger::<Echo>::new();
    ledger.submit(0, "do", b"b 20,a 20,z 10");
    ledger.submit(21, "do", b"late 5");
    assert_eq!(
        heard(&ledger),
        [
            (10, TIMER_KIND, "z"),
            (11, EFFECT_KIND, "z"),
            (20, TIMER_KIND, "a"),
            (20, TIMER_KIND, "b"),
            (21, EFFECT_KIND, "a"),
            (21, EFFECT_KIND, "b"),
        ]
    );
    ledger.advance(21);
    assert_eq!(heard(&ledger)[6..], [(21, TIMER_KIND, "late"), (21, EFFECT_KIND, "late")], "never back in time");
}

#[test]
fn an_effect_that_fails_is_undone_and_then_forgotten() {
    let mut ledger = MemoryLedger::<Echo>::new();
    ledger.submit(0, "do", b"c1 1000");
    let failed = || EffectStatus::Failed { detail: "no".into() };
    assert!(ledger.settle(5, "c1", failed()).is_some());
    assert_eq!(ledger.outbox["c1"].phase, EffectPhase::Compensate);
    ledger.advance(5_000);
    assert!(ledger.outbox.contains_key("c1"), "undoing has 24 hours");
    assert!(ledger.settle(5_000, "c1", EffectStatus::Done { answer: vec![] }).is_some());
    assert_eq!(ledger.settle(5_000, "c1", failed()), None, "it has ended");
}
