//! Fetching over several peers: what is asked of whom, what is taken, and what a bad answer costs.

mod support;

use reprise_federation::{
    List, Mark, NodeKey,
    fetch::{Fetch, SegmentError, verify_segment},
    ledgers::{mark_at, tail},
    limits::TRANSFER_STEPS_MAX,
    message::{Question, Sending},
};
use reprise_receipts::log::prove_consistency;
use support::{
    keys,
    ledger::{End, MemoryLedger},
    ledger_id,
};

fn ledger(size: u64) -> MemoryLedger {
    let (mut ledger, mut end) = (MemoryLedger::new(ledger_id()), End::START);
    for number in 0..size {
        ledger.append(end.order(ledger_id(), 1, format!("input {number}").as_bytes()));
    }
    ledger
}

fn node(number: u8) -> NodeKey {
    keys(number).id()
}

fn sending(full: &MemoryLedger, first: u64, end: u64, of: u64) -> Sending {
    let proof = prove_consistency(&|level, index| full.tile_now(level, index), end, of).unwrap();
    let bytes = reprise_abi::encode(&proof);
    let path = List::first(bytes[1..].chunks_exact(32).map(|hash| hash.try_into().unwrap()));
    Sending { end, bytes: full.stream_bytes(first, end).len() as u64, path }
}

/// Answers one question as an honest peer would, at most `limit` steps of it.
fn answer(fetch: &mut Fetch, full: &MemoryLedger, peer: NodeKey, question: &Question, limit: u64) {
    let Question::Range { first, end, of, transfer, .. } = *question else { panic!("another question") };
    let end = end.min(first + limit);
    assert!(fetch.sending(peer, transfer, &sending(full, first, end, of)));
    let steps = full.steps[first as usize..end as usize].to_vec();
    let bytes = full.stream_bytes(first, end).len() as u64;
    assert!(fetch.received(peer, transfer, steps, bytes));
}

/// Takes whatever is ready.
fn take(fetch: &mut Fetch, ours: &mut MemoryLedger) {
    let target = fetch.target();
    while let Some(held) = fetch.ready() {
        verify_segment(ledger_id(), &tail(ours, ledger_id()).unwrap(), held, &target).unwrap();
        for step in held.steps.clone() {
            ours.append(step);
        }
        fetch.took();
    }
}

#[test]
fn several_peers_share_the_work_and_nothing_is_asked_twice() {
    let (full, mut ours) = (ledger(1_000), ledger(37));
    let mut fetch = Fetch::new(ledger_id(), 37, full.mark(), 100);
    let (mut numbers, mut asked, mut by_peer) = (0, 0, [0_u32; 2]);
    let peers = [node(1), node(2)];
    while !fetch.is_complete() {
        let questions = fetch.ask(&peers, || {
            numbers += 1;
            numbers
        });
        assert!(!questions.is_empty(), "stuck at {}", ours.size());
        // The answers come in the wrong order.
        for (peer, question) in questions.iter().rev() {
            let Question::Range { first, end, .. } = question else { panic!("another question") };
            asked += (end - first).min(64);
            by_peer[usize::from(*peer == peers[1])] += 1;
            answer(&mut fetch, &full, *peer, question, 64);
        }
        take(&mut fetch, &mut ours);
    }
    assert_eq!(ours.mark(), full.mark());
    assert_eq!(asked, 1_000 - 37);
    assert!(by_peer.iter().all(|count| *count > 3), "{by_peer:?}");
}

#[test]
fn steps_that_are_not_the_ones_are_refused_and_asked_of_another() {
    let (full, ours) = (ledger(50), ledger(0));
    let mut fetch = Fetch::new(ledger_id(), 0, full.mark(), 20);
    let questions = fetch.ask(&[node(1)], || 5);
    let Question::Range { first, end, of, .. } = questions[0].1 else { panic!("another question") };
    assert!(fetch.sending(node(1), 5, &sending(&full, first, end, of)));
    let mut steps = full.steps[..end as usize].to_vec();
    let bytes = full.stream_bytes(first, end).len() as u64;
    let last = steps.len() - 1;
    let other = End { state: reprise_receipts::StateRoot::from_bytes([4; 32]), ..before(&full, last as u64) };
    steps[last] = other.clone().execute(ledger_id(), &full.steps[last].input, 1);
    assert!(fetch.received(node(1), 5, steps, bytes));
    let tail = tail(&ours, ledger_id()).unwrap();
    let refused = verify_segment(ledger_id(), &tail, fetch.ready().unwrap(), &full.mark());
    assert_eq!(refused.err(), Some(SegmentError::Root(end)));
    assert_eq!(fetch.refuse().unwrap().peer, node(1));
    assert!(fetch.is_stuck(&[node(1)]) && !fetch.is_stuck(&[node(1), node(2)]));
    let again = fetch.ask(&[node(1), node(2)], || 6);
    assert!(
        again
            .iter()
            .any(|(peer, question)| { *peer == node(2) && matches!(question, Question::Range { first: 0, .. }) })
    );
}

fn before(full: &MemoryLedger, seq: u64) -> End {
    let mut shorter = full.clone();
    shorter.truncate(seq);
    shorter.end
}

#[test]
fn every_change_of_a_step_is_noticed_before_anything_is_executed() {
    let full = ledger(12);
    let target = full.mark();
    let held =
        |steps| reprise_federation::fetch::Held { peer: node(1), first: 0, steps, path: List::empty(), bytes: 1 };
    let start = tail(&ledger(0), ledger_id()).unwrap();
    let good = full.steps.clone();
    assert_eq!(verify_segment(ledger_id(), &start, &held(good.clone()), &target).unwrap().size(), 12);
    for at in 0..good.len() {
        for byte in [0, 7, 40, 90, 200] {
            let mut steps = good.clone();
            steps[at].receipt[byte] ^= 1;
            assert!(verify_segment(ledger_id(), &start, &held(steps), &target).is_err(), "receipt {at}, byte {byte}");
        }
        let mut steps = good.clone();
        steps[at].input[5] ^= 1;
        let expected = Some(SegmentError::Input(at as u64));
        assert_eq!(verify_segment(ledger_id(), &start, &held(steps), &target).err(), expected);
    }
    let mut swapped = good.clone();
    swapped.swap(3, 4);
    assert_eq!(verify_segment(ledger_id(), &start, &held(swapped), &target).err(), Some(SegmentError::Chain(3)));
    // A part needs the proof that it leads to the target.
    let part = held(good[..5].to_vec());
    assert_eq!(verify_segment(ledger_id(), &start, &part, &target).err(), Some(SegmentError::Root(5)));
    let proved = reprise_federation::fetch::Held { path: sending(&full, 0, 5, 12).path, ..part };
    assert!(verify_segment(ledger_id(), &start, &proved, &target).is_ok());
    let later = tail(&ledger(3), ledger_id()).unwrap();
    let place = Some(SegmentError::Place { expected: 3, found: 0 });
    assert_eq!(verify_segment(ledger_id(), &later, &held(good), &target).err(), place);
    assert_eq!(mark_at(&full, ledger_id(), 12), Some(target));
}

#[test]
fn announcements_and_streams_that_make_no_sense_are_refused() {
    let full = ledger(50);
    let mut fetch = Fetch::new(ledger_id(), 10, full.mark(), 20);
    fetch.ask(&[node(1)], || 5);
    let good = sending(&full, 10, 30, 50);
    assert!(!fetch.sending(node(2), 5, &good), "another peer");
    assert!(!fetch.sending(node(1), 6, &good), "another stream");
    assert!(!fetch.sending(node(1), 5, &Sending { end: 10, ..good.clone() }), "nothing");
    assert!(!fetch.sending(node(1), 5, &Sending { end: 31, ..good.clone() }), "more than was asked for");
    let steps = full.steps[10..30].to_vec();
    assert!(!fetch.received(node(1), 5, steps.clone(), good.bytes), "not announced");
    assert!(fetch.sending(node(1), 5, &good));
    assert!(!fetch.received(node(1), 5, steps[1..].to_vec(), good.bytes), "too few");
    assert!(!fetch.received(node(1), 5, steps.clone(), good.bytes + 1), "other bytes than announced");
    assert!(fetch.received(node(1), 5, steps, good.bytes));
}

#[test]
fn a_long_way_takes_little_memory_to_plan() {
    let target = Mark { size: 1 << 40, ..ledger(1).mark() };
    let mut fetch = Fetch::new(ledger_id(), 0, target, TRANSFER_STEPS_MAX);
    let peers: Vec<NodeKey> = (0..8).map(node).collect();
    let mut number = 0;
    let asked = fetch.ask(&peers, || {
        number += 1;
        number
    });
    assert!((1..=8).contains(&asked.len()), "{}", asked.len());
    fetch.gone(node(0));
    assert!(!fetch.is_complete());
}
