//! What the ledger owes itself: timers, expiries, results of effects.

use super::*;
use crate::system::outbox;
use reprise_abi::{
    Compensator, EffectPhase, EffectStatus, Timer,
    limits::{BREAKER_OPEN_MS, EFFECT_ATTEMPTS_MAX, IDEMPOTENCY_RETENTION_MS},
};

fn did(effects: Vec<Effect>, timers: Vec<TimerChange>) -> Executed {
    Executed { effects, timers, ..Executed::answered(accepted()) }
}

fn set(id: &str, due_ms: u64) -> TimerChange {
    TimerChange::Set(Timer { id: id.to_owned(), due_ms, payload: id.as_bytes().to_vec() })
}

fn effect(key: &str, deadline_ms: u64, undo: bool) -> Effect {
    let undo_with = || Compensator { driver: "undoer".to_owned(), payload: b"undo".to_vec() };
    Effect {
        idempotency_key: key.to_owned(),
        driver: "doer".to_owned(),
        deadline_ms,
        payload: b"do".to_vec(),
        compensator: undo.then(undo_with),
    }
}

/// Seals a submitted event at this time.
fn submit(head: &mut Head, at_ms: u64, executed: Executed) -> Result<Receipt, OrderError> {
    let input = Input { logical_time_ms: at_ms, ..input(head, "event", Vec::new()) };
    let work = head.prepare(&input)?;
    Ok(head.seal(&input, &work, executed).receipt)
}

/// Seals everything that is due by this time, and says what it was.
fn owed(head: &mut Head, at_ms: u64) -> Vec<(u64, String, String)> {
    let mut ran = Vec::new();
    while let Some(input) = head.due_input(at_ms) {
        let work = head.prepare(&input).expect("what is due may be ordered");
        head.seal(&input, &work, Executed::answered(accepted()));
        ran.push((input.logical_time_ms, input.event.kind, input.event.id));
    }
    ran
}

fn result_input(head: &Head, at_ms: u64, key: &str, phase: EffectPhase, status: EffectStatus) -> Input {
    let payload = encode(&EffectResult { idempotency_key: key.to_owned(), phase, status });
    let input = input(head, EFFECT_KIND, payload);
    Input { logical_time_ms: at_ms, event: Event { id: key.to_owned(), ..input.event }, ..input }
}

/// Seals a result, and gives the rejection code if the ledger refuses it.
fn end(head: &mut Head, at_ms: u64, key: &str, phase: EffectPhase, status: EffectStatus) -> Option<u32> {
    let input = result_input(head, at_ms, key, phase, status);
    let work = head.prepare(&input).expect("nothing is due");
    let outcome = match &work {
        Work::Refuse(refusal) => Outcome::Rejected((*refusal).into()),
        _ => accepted(),
    };
    let receipt = head.seal(&input, &work, Executed::answered(outcome)).receipt;
    (receipt.code != 0).then_some(receipt.code)
}

fn done() -> EffectStatus {
    EffectStatus::Done { answer: Vec::new() }
}

fn retry() -> EffectStatus {
    EffectStatus::Retry { detail: "busy".to_owned() }
}

fn failed() -> EffectStatus {
    EffectStatus::Failed { detail: "broken".to_owned() }
}

#[test]
fn timers_fire_once_in_the_order_of_time_and_id_before_anything_later() {
    let mut head = head();
    let timers = vec![set("b", 50), set("a", 50), set("z", 20), set("moved", 10), set("moved", 60), set("gone", 15)];
    submit(&mut head, 5, did(vec![], timers)).unwrap();
    submit(&mut head, 6, did(vec![], vec![TimerChange::Cancel { id: "gone".to_owned() }])).unwrap();

    let empty = || Executed::answered(accepted());
    assert_eq!(submit(&mut head, 20, empty()), Err(OrderError::DueFirst { due_ms: 20 }));
    assert!(submit(&mut head, 19, empty()).is_ok(), "nothing is due yet");
    let fired = owed(&mut head, 55);
    let expected = [(20, "z"), (50, "a"), (50, "b")].map(|(at, id)| (at, TIMER_KIND.to_owned(), id.to_owned()));
    assert_eq!(fired, expected);
    assert_eq!(owed(&mut head, 55), []);
    submit(&mut head, 100, empty()).unwrap_err();
    submit(&mut head, 55, did(vec![], vec![set("late", 7)])).unwrap();
    let fired: Vec<_> = owed(&mut head, 100).into_iter().map(|(at, _, id)| (at, id)).collect();
    assert_eq!(fired, [(55, "late".to_owned()), (60, "moved".to_owned())], "a timer in the past fires at once");
    assert!(submit(&mut head, 100, empty()).is_ok());
}

#[test]
fn nobody_can_forge_a_timer_or_its_time() {
    let mut head = head();
    submit(&mut head, 5, did(vec![], vec![set("a", 50)])).unwrap();
    let due = head.due_input(50).unwrap();
    let early = Input { logical_time_ms: 49, ..due.clone() };
    assert_eq!(head.prepare(&early), Err(OrderError::NotDue));
    let late = Input { logical_time_ms: 51, ..due.clone() };
    assert_eq!(head.prepare(&late), Err(OrderError::NotDue));
    let other = Input { event: Event { payload: vec![1], ..due.event.clone() }, ..due.clone() };
    assert_eq!(head.prepare(&other), Err(OrderError::DueFirst { due_ms: 50 }));
    assert_eq!(head.prepare(&due), Ok(Work::Timer { id: "a".to_owned(), due_ms: 50 }));
}

#[test]
fn a_halted_ledger_owes_nothing_until_it_is_resumed() {
    let mut head = head();
    submit(&mut head, 5, did(vec![], vec![set("a", 50)])).unwrap();
    for _ in 0..GUEST_FAULTS_MAX {
        seal(&mut head, trap()).unwrap();
    }
    assert_eq!(head.due_input(1_000), None);
    let halted_at = head.next_seq() - 1;
    let command = encode(&Command::Resume { halted_at }.sign(head.ledger(), &operator()));
    let resume = Input { logical_time_ms: 200, ..input(&head, COMMAND_KIND, command) };
    let work = head.prepare(&resume).expect("a command goes before what is due while the ledger stands still");
    head.seal(&resume, &work, Executed::answered(accepted()));
    assert_eq!(owed(&mut head, 200), [(200, TIMER_KIND.to_owned(), "a".to_owned())]);
}

#[test]
fn an_operators_command_goes_before_what_is_due() {
    let mut head = head();
    submit(&mut head, 5, did(vec![], vec![set("again", 5)])).unwrap();
    assert!(head.due_input(5).is_some());
    let to = PackageDigest::from_bytes([3; 32]);
    let command = Command::Upgrade { from: PackageDigest::from_bytes([2; 32]), to, at: 1 };
    let command = encode(&command.sign(head.ledger(), &operator()));
    let upgrade = Input { logical_time_ms: 5, ..input(&head, COMMAND_KIND, command) };
    assert_eq!(head.prepare(&upgrade), Ok(Work::Migrate { to }));
}

#[test]
fn an_effect_that_is_done_leaves_the_outbox_and_its_key_is_not_used_again() {
    let mut head = head();
    submit(&mut head, 5, did(vec![effect("k", 100, true)], vec![])).unwrap();
    let entry = outbox::find(head.state(), "k").unwrap();
    assert_eq!((entry.seq, entry.index, entry.epoch, entry.driver()), (0, 0, 1, "doer"));
    submit(&mut head, 6, did(vec![effect("k", 200, true)], vec![])).unwrap();
    assert_eq!(outbox::pending(head.state()).count(), 1, "a key that is pending is not emitted twice");

    assert_eq!(end(&mut head, 7, "k", EffectPhase::Compensate, done()), Some(8_102), "not in that phase");
    assert_eq!(end(&mut head, 7, "k", EffectPhase::Act, EffectStatus::Expired), Some(8_104));
    assert_eq!(end(&mut head, 7, "other", EffectPhase::Act, done()), Some(8_102));
    let malformed = input(&head, EFFECT_KIND, vec![255]);
    assert_eq!(head.prepare(&malformed), Ok(Work::Refuse(Refusal::Result(ResultError::Malformed))));
    assert_eq!(end(&mut head, 7, "k", EffectPhase::Act, done()), None);
    assert_eq!(outbox::pending(head.state()).count(), 0);
    assert_eq!(end(&mut head, 8, "k", EffectPhase::Act, done()), Some(8_102), "it has ended");
    submit(&mut head, 9, did(vec![effect("k", 200, false)], vec![])).unwrap();
    assert_eq!(outbox::pending(head.state()).count(), 0, "an ended key is remembered");
    let day_later = 7 + IDEMPOTENCY_RETENTION_MS;
    submit(&mut head, day_later, did(vec![effect("k", u64::MAX, false)], vec![])).unwrap();
    assert_eq!(outbox::pending(head.state()).count(), 1, "after 24 hours the key is free");
}

#[test]
fn attempts_are_counted_wait_and_run_out_and_then_the_breaker_opens_and_the_effect_is_undone() {
    let mut head = head();
    submit(&mut head, 5, did(vec![effect("k", u64::MAX, true), effect("other", u64::MAX, false)], vec![])).unwrap();
    let mut now_ms = 5;
    for failures in 1..EFFECT_ATTEMPTS_MAX {
        assert_eq!(end(&mut head, now_ms, "k", EffectPhase::Act, retry()), None);
        let entry = outbox::find(head.state(), "k").unwrap();
        assert_eq!(entry.attempts, failures);
        assert!(entry.not_before_ms > now_ms);
        let ready = |at_ms| outbox::deliverable(head.state(), at_ms).iter().any(|e| e.effect.idempotency_key == "k");
        assert!(!ready(entry.not_before_ms - 1) && ready(entry.not_before_ms));
        now_ms = entry.not_before_ms;
    }
    assert_eq!(end(&mut head, now_ms, "k", EffectPhase::Act, retry()), Some(8_103));
    assert_eq!(end(&mut head, now_ms, "k", EffectPhase::Act, failed()), None);
    let entry = outbox::find(head.state(), "k").unwrap();
    assert_eq!((entry.phase, entry.attempts, entry.driver()), (EffectPhase::Compensate, 0, "undoer"));
    assert_eq!(outbox::breaker_open_until_ms(head.state(), "doer"), now_ms + BREAKER_OPEN_MS);
    let ready: Vec<_> =
        outbox::deliverable(head.state(), now_ms).into_iter().map(|e| e.effect.idempotency_key).collect();
    assert_eq!(ready, ["k"], "the other effect waits for its driver's breaker");
    assert_eq!(end(&mut head, now_ms, "k", EffectPhase::Compensate, failed()), None);
    assert_eq!(outbox::find(head.state(), "k"), None, "what cannot be undone is not tried for ever");
    now_ms += BREAKER_OPEN_MS;
    assert_eq!(end(&mut head, now_ms, "other", EffectPhase::Act, done()), None);
    assert_eq!(outbox::breaker_open_until_ms(head.state(), "doer"), 0, "a success closes the breaker");
}

#[test]
fn a_deadline_that_passes_is_an_input_and_undoing_has_24_hours() {
    let mut head = head();
    submit(&mut head, 5, did(vec![effect("k", 100, true)], vec![set("t", 101)])).unwrap();
    assert_eq!(head.due_input(100), None, "at its deadline it may still begin");
    let first = owed(&mut head, 101);
    let named = |kind: &str, id: &str| (101, kind.to_owned(), id.to_owned());
    assert_eq!(first, [named(TIMER_KIND, "t"), named(EFFECT_KIND, "k")], "timers before expiries");
    assert_eq!(outbox::find(head.state(), "k").unwrap().phase, EffectPhase::Compensate);
    let day_later = 101 + IDEMPOTENCY_RETENTION_MS + 1;
    assert_eq!(head.due_input(day_later - 1), None);
    assert_eq!(owed(&mut head, day_later), [(day_later, EFFECT_KIND.to_owned(), "k".to_owned())]);
    assert_eq!(outbox::pending(head.state()).count(), 0);
}

#[test]
fn a_step_that_is_not_accepted_consumes_its_timer_and_nothing_else() {
    let mut head = head();
    submit(&mut head, 5, did(vec![], vec![set("a", 50)])).unwrap();
    let due = head.due_input(50).unwrap();
    let work = head.prepare(&due).unwrap();
    assert_eq!(head.seal(&due, &work, Executed::answered(trap())).receipt.class, OutcomeClass::Trapped);
    assert_eq!(head.due_input(u64::MAX), None);
}
