//! The way of plans to their ends.

use crate::support::{World, name};
use reprise_guest::abi::EffectStatus;
use serde_json::{Value, json};

#[test]
fn what_is_missing_is_fetched() {
    let mut world = World::new();
    assert_eq!(world.finding("stale_here", json!({ "missing": 3 }))["decision"], "fetch");
    assert_eq!(world.ordered()["peer"], name('b'));
    assert_eq!(world.done("fetch")["decision"], "end");
    assert_eq!(world.record()["plan"], Value::Null);
}

#[test]
fn fetching_in_vain_waits_longer_each_time_and_never_suspends() {
    let mut world = World::new();
    let mut waits = Vec::new();
    for round in 0..9 {
        let said = world.finding("stale_here", json!({ "missing": 3 }))["decision"].clone();
        assert_eq!(said, if round == 0 { "fetch" } else { "wait" });
        if round > 0 {
            let (due_ms, _) = world.ledger.timers.keys().next().unwrap().clone();
            waits.push(due_ms - world.now_ms);
            world.wait();
        }
        world.fail("fetch");
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert_eq!(world.record()["suspended"], Value::Null);
    world.finding("stale_here", json!({ "missing": 3 }));
    world.wait();
    world.done("fetch");
    assert_eq!(world.finding("stale_here", json!({ "missing": 1 }))["decision"], "fetch", "a success begins anew");
}

#[test]
fn a_fork_is_rolled_back_then_fetched_and_never_below_what_is_protected() {
    let mut world = World::new();
    assert_eq!(world.finding("forked", json!({ "at": 12 }))["decision"], "roll_back");
    assert_eq!(world.ordered()["to"], 12);
    world.done("roll_back");
    assert_eq!(world.finding("stale_here", json!({ "missing": 4 }))["decision"], "fetch");
    world.done("fetch");
    assert_eq!(world.finding("forked", json!({ "at": 9 }))["decision"], "suspend");
    assert_eq!(world.ordered()["reason"], "contradiction");
    world.done("suspend");
    // What was protected once stays so, whatever a later finding says.
    assert_eq!(world.finding("forked", json!({ "at": 9, "protected": 2, "leads": false }))["decision"], "nothing");
    assert_eq!(world.record()["protected"], 10);
}

#[test]
fn a_roll_back_that_failed_is_looked_at_and_the_state_restored() {
    let mut world = World::new();
    world.finding("forked", json!({ "at": 12 }));
    assert_eq!(world.fail("roll_back")["decision"], "verify");
    assert_eq!(world.verified(false)["first_wrong"], 7);
    world.done("restore");
    assert_eq!(world.verified(true)["decision"], "resume");
    world.done("resume");
    assert_eq!(world.record()["plan"], Value::Null);
}

#[test]
fn a_corrupt_state_is_verified_restored_verified_and_resumed() {
    let mut world = World::new();
    assert_eq!(world.finding("corrupt_here", json!({ "leads": false }))["decision"], "suspend");
    assert_eq!(world.suspended("corrupt_here", None)["decision"], "verify");
    world.ledger.outbox.retain(|key, _| key.starts_with("verify"));
    assert_eq!(world.verified(false)["decision"], "restore");
    assert_eq!(world.done("restore")["decision"], "verify");
    assert_eq!(world.verified(true)["decision"], "resume");
    assert_eq!(world.record()["suspended"], "corrupt_here");
    world.done("resume");
    assert_eq!(world.record()["suspended"], Value::Null);
}

#[test]
fn without_a_peer_that_gives_the_state_it_is_rebuilt_here() {
    let mut world = World::with(json!({ "attempts_max": 3 }));
    world.suspended("corrupt_here", None);
    world.verified(false);
    for _ in 0..2 {
        assert_eq!(world.fail("restore")["decision"], "wait");
        world.wait();
    }
    assert_eq!(world.fail("restore")["decision"], "rebuild");
    world.done("rebuild");
    world.verified(true);
    world.done("resume");
}

#[test]
fn a_state_that_is_wrong_again_is_left_to_a_person() {
    let mut world = World::new();
    world.suspended("corrupt_here", None);
    world.verified(false);
    world.done("restore");
    assert_eq!(world.verified(false)["decision"], "suspend");
    assert_eq!(world.ordered()["reason"], "corrupt_here");
    world.done("suspend");
    assert_eq!(world.record()["gave_up"], true);
    assert_eq!(world.suspended("corrupt_here", None)["decision"], "nothing");
    // The person says go on.
    assert!(world.tell("resume", json!({ "ledger": name('a') })).is_accepted());
    world.done("resume");
    assert_eq!(world.record()["gave_up"], false);
}

#[test]
fn a_repair_that_does_not_hold_is_given_up_after_so_many_rounds() {
    let mut world = World::with(json!({ "attempts_max": 2 }));
    for _ in 0..2 {
        assert_eq!(world.suspended("execution_fault", Some(30))["decision"], "verify");
        world.verified(true);
        world.done("resume");
    }
    assert_eq!(world.suspended("execution_fault", Some(30))["decision"], "suspend");
    assert_eq!(world.record()["gave_up"], true);
}

#[test]
fn after_the_window_repairs_count_from_none() {
    let mut world = World::with(json!({ "attempts_max": 1, "window_ms": 5_000 }));
    world.suspended("corrupt_here", None);
    world.verified(true);
    world.done("resume");
    world.now_ms += 5_000;
    assert_eq!(world.suspended("corrupt_here", None)["decision"], "verify");
}

#[test]
fn what_suspends_again_when_resumed_is_verified_again_later() {
    let mut world = World::new();
    world.suspended("incomparable", None);
    world.verified(true);
    assert_eq!(world.fail("resume")["decision"], "wait");
    world.wait();
    world.verified(true);
    world.done("resume");
}

#[test]
fn contradiction_and_equivocation_are_for_operators() {
    for why in ["contradiction", "equivocation"] {
        let mut world = World::new();
        assert_eq!(world.suspended(why, Some(4))["decision"], "nothing");
        assert!(world.ledger.outbox.is_empty());
        // A grant of a higher epoch was the answer.
        assert!(world.tell("lifted", json!({ "ledger": name('a') })).is_accepted());
        assert_eq!(world.record()["suspended"], Value::Null);
    }
}

#[test]
fn a_suspended_ledger_fetches_nothing_and_a_repair_is_not_disturbed() {
    let mut world = World::new();
    world.suspended("corrupt_here", None);
    assert_eq!(world.finding("stale_here", json!({ "missing": 3 }))["decision"], "nothing");
    assert_eq!(world.finding("execution_fault", json!({ "at": 3 }))["decision"], "nothing");
    assert_eq!(world.suspended("corrupt_here", None)["decision"], "nothing");
    assert_eq!(world.ordered()["do"], "verify");
}

#[test]
fn a_later_difference_takes_the_place_of_an_earlier_one() {
    let mut world = World::new();
    world.finding("stale_here", json!({ "missing": 3 }));
    world.finding("forked", json!({ "at": 15 }));
    let stale = world.ledger.outbox.keys().find(|key| key.starts_with("fetch")).unwrap().clone();
    world.ledger.settle(world.now_ms, &stale, EffectStatus::Done { answer: vec![] });
    assert_eq!(world.record()["plan"]["step"], "roll_back");
    assert_eq!(world.record()["plan"]["number"], 2);
}

#[test]
fn a_step_that_is_not_done_in_time_failed() {
    let mut world = World::with(json!({ "step_ms": 500 }));
    world.suspended("corrupt_here", None);
    world.now_ms += 501;
    world.ledger.advance(world.now_ms);
    assert_eq!(world.record()["plan"]["attempt"], 2);
    world.wait();
    world.verified(true);
}

#[test]
fn who_sends_what_does_not_hold_is_put_into_quarantine_for_a_while() {
    let mut world = World::with(json!({ "strikes_max": 3, "window_ms": 10_000 }));
    let rejected = |count: u32| json!({ "peer": name('b'), "reason": "the chunk is another one", "count": count });
    world.tell("rejected", rejected(1));
    let ours = json!({ "peer": name('b'), "reason": "a step gives another receipt here", "count": 9, "ours": true });
    world.tell("rejected", ours);
    assert!(world.ledger.outbox.is_empty());
    world.finding("corrupt_there", json!({}));
    world.tell("rejected", rejected(1));
    assert_eq!(world.done_quietly("quarantine"), name('b'));
    let fetch = |leads: bool| json!({ "missing": 3, "leads": leads });
    assert_eq!(world.finding("stale_here", fetch(false))["decision"], "nothing");
    // Whoever owns the ledger is followed: every step is done again in any case.
    assert_eq!(world.finding("stale_here", fetch(true))["decision"], "fetch");
    world.done("fetch");
    world.wait();
    assert_eq!(world.done_quietly("release"), name('b'));
    assert_eq!(world.finding("stale_here", fetch(false))["decision"], "fetch");
}

#[test]
fn who_is_convicted_stays_in_quarantine_until_an_operator_lets_it_out() {
    let mut world = World::with(json!({ "window_ms": 1_000 }));
    world.tell("evidence", json!({ "ledger": name('a'), "peer": name('b'), "at": 4 }));
    world.done_quietly("quarantine");
    world.now_ms += 1_000_000;
    world.ledger.advance(world.now_ms);
    assert_eq!(world.view("figures", json!({}))["quarantined"], 1);
    assert!(world.tell("pardon", json!({ "peer": name('b') })).is_accepted());
    world.done_quietly("release");
    assert_eq!(world.view("figures", json!({}))["quarantined"], 0);
}

#[test]
fn what_would_be_decided_is_shown_without_deciding() {
    let mut world = World::new();
    let head = json!({ "size": 20, "log_root": name('1'), "state_root": name('2') });
    let finding = json!({
        "ledger": name('a'), "peer": name('b'), "class": "forked", "at": 3, "protected": 10, "leads": true, "here": head,
    });
    let shown = world.view("decide", finding);
    assert_eq!((&shown["decision"], &shown["reason"]), (&"suspend".into(), &"contradiction".into()));
    assert_eq!(world.view("figures", json!({}))["ledgers"], 0);
}

impl World {
    /// The only effect that waits is about a peer, which it names; nothing follows from its end.
    fn done_quietly(&mut self, what: &str) -> Value {
        let peer = self.ordered()["peer"].clone();
        self.done(what);
        peer
    }
}
