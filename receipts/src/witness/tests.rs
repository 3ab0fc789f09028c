//! Witnesses: what they answer, what they refuse to answer, and what they weigh.

use super::*;
use crate::{
    Executed, Genesis, Head, SigningKey,
    digest::{EngineProfileDigest, PackageDigest},
    genesis::PROTOCOL_EPOCH,
    system::{POLICY_NAMESPACE, idempotency_key, reads},
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};
use reprise_abi::{Change, Diff, Event, Input, Outcome, decode_canonical, encode};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One thing that a step does.
#[derive(Clone, Debug)]
enum Op {
    Get(Vec<u8>),
    Scan { prefix: Vec<u8>, after: Option<Vec<u8>>, pulls: u32 },
    Change(BTreeMap<Vec<u8>, Option<Vec<u8>>>),
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => vec(prop_oneof![Just(0), Just(1), Just(b'a'), Just(0x80), Just(0xff)], 0..5),
        1 => vec(any::<u8>(), 0..3),
        1 => (0..=257_usize).prop_map(|len| vec![0xff; len]),
    ]
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn any_op() -> impl Strategy<Value = Op> {
    let prefix = || vec(prop_oneof![Just(0), Just(1), Just(b'a'), Just(0xff)], 0..3);
    prop_oneof![
        3 => any_key().prop_map(Op::Get),
        2 => (prefix(), proptest::option::of(any_key()), 0..6_u32)
            .prop_map(|(prefix, after, pulls)| Op::Scan { prefix, after, pulls }),
        4 => btree_map(any_key(), proptest::option::of(any_value()), 1..5).prop_map(Op::Change),
    ]
}

fn any_model() -> impl Strategy<Value = Model> {
    btree_map(any_key(), any_value(), 0..60)
}

fn reads_of(op: &Op) -> Vec<Read> {
    match op {
        Op::Get(key) => vec![Read::Get { key: key.clone() }],
        Op::Change(values) => values.keys().map(|key| Read::Get { key: key.clone() }).collect(),
        Op::Scan { prefix, after, pulls } => {
            vec![Read::Scan { prefix: prefix.clone(), after: after.clone(), pulls: *pulls }]
        }
    }
}

/// Does it and says what came of it: the answer, and the root afterwards.
fn run(state: &mut StateTrie, op: &Op) -> (Model, StateRoot) {
    let own = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
    let answer = match op {
        Op::Get(key) => state.get(key).map(|value| own((key, value))).into_iter().collect(),
        Op::Scan { prefix, after, pulls } => {
            state.scan(prefix, after.as_deref()).take(*pulls as usize).map(own).collect()
        }
        Op::Change(values) => {
            let change = |(key, after): (&Vec<u8>, &Option<Vec<u8>>)| {
                let before = state.get(key).map(<[u8]>::to_vec);
                (before != *after).then(|| Change { key: key.clone(), before, after: after.clone() })
            };
            let diff = Diff::new(values.iter().filter_map(change).collect()).unwrap();
            state.apply(&diff).unwrap();
            Model::new()
        }
    };
    (answer, state.root())
}

/// Runs all of it, and notes what it touches.
fn touched_by(state: &StateTrie, ops: &[Op]) -> Touched {
    let (mut state, mut touched) = (state.clone(), Touched::new());
    for op in ops {
        reads_of(op).iter().for_each(|read| touched.note(&state, read));
        run(&mut state, op);
    }
    touched
}

proptest! {
    #[test]
    fn a_witness_answers_as_the_state_would(model in any_model(), ops in vec(any_op(), 0..20)) {
        let mut state = StateTrie::from_sorted(&model).unwrap();
        let touched = touched_by(&state, &ops);
        let witness = Witness::of(&mut state, &touched);
        prop_assert_eq!(&decode_canonical::<Witness>(&encode(&witness)), &Ok(witness.clone()));
        let mut partial = witness.open(state.root()).unwrap();
        prop_assert_eq!(partial.bytes(), state.bytes());
        for op in &ops {
            prop_assert_eq!(covers(&partial, &reads_of(op)), Ok(()));
            prop_assert_eq!(run(&mut partial, op), run(&mut state, op));
        }
        prop_assert_eq!(partial.bytes(), state.bytes());
    }

    #[test]
    fn what_is_covered_is_right(model in any_model(), shown in vec(any_op(), 0..6), asked in vec(any_op(), 0..12)) {
        let mut state = StateTrie::from_sorted(&model).unwrap();
        let touched = touched_by(&state, &shown);
        let witness = Witness::of(&mut state, &touched);
        let mut partial = witness.open(state.root()).unwrap();
        for op in &asked {
            if covers(&partial, &reads_of(op)).is_ok() {
                prop_assert_eq!(run(&mut partial, op), run(&mut state, op));
            }
        }
    }

    #[test]
    fn no_mutant_is_a_witness_of_the_same_state(
        model in any_model(), ops in vec(any_op(), 0..4), at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let mut state = StateTrie::from_sorted(&model).unwrap();
        let touched = touched_by(&state, &ops);
        let witness = Witness::of(&mut state, &touched);
        let mut bytes = encode(&witness);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(mutant) = decode_canonical::<Witness>(&bytes) && mutant.open(state.root()).is_ok() {
            // The size of the state alone is not proved.
            prop_assert_eq!(mutant.items, witness.items);
        }
    }
}

#[test]
fn a_read_that_rests_on_nothing_is_noticed() {
    let model: Model = (0..200_u8).map(|key| (vec![1, key / 10, key], vec![key; 10])).collect();
    let mut state = StateTrie::from_sorted(&model).unwrap();
    let get = |key: &[u8]| Read::Get { key: key.to_vec() };
    let scan = |prefix: &[u8], pulls| Read::Scan { prefix: prefix.to_vec(), after: None, pulls };
    let mut touched = Touched::new();
    touched.note(&state, &get(&[1, 5, 55]));
    touched.note(&state, &scan(&[1, 7], 3));
    assert_eq!(touched.len(), 4);
    let partial = Witness::of(&mut state, &touched).open(state.root()).unwrap();
    let covered = [get(&[1, 5, 55]), get(&[1, 5, 55, 0]), get(&[1, 7, 72]), scan(&[1, 7], 3), scan(&[1, 5, 55], 9)];
    assert_eq!(covers(&partial, &covered), Ok(()));
    for (read, kind) in [
        (get(&[1, 5, 54]), "key"),
        (get(&[2]), "key"),
        (scan(&[1, 7], 4), "prefix"),
        (scan(&[1, 6], 1), "prefix"),
        (scan(&[], 1), "prefix"),
        (Read::Scan { prefix: vec![1, 7], after: Some(vec![1, 7, 75]), pulls: 1 }, "prefix"),
    ] {
        let refused = covers(&partial, [&covered[0], &read]).unwrap_err();
        assert_eq!(refused.kind, kind, "{read:?}");
    }
}

#[test]
fn parts_that_no_trie_has_are_refused() {
    let entry = |position, key: &[u8]| Item { position, part: Part::Entry { key: key.to_vec(), value: vec![] } };
    let open = |items: Vec<Item>| {
        let witness = Witness { format: WITNESS_FORMAT, bytes: 0, items };
        let root = match witness.open(StateRoot::from_bytes([0; 32])) {
            Err(WitnessError::OtherRoot { found, .. }) => found,
            other => return other.map(|_| ()),
        };
        // Even under its very own root.
        witness.open(root).map(|_| ())
    };
    let shape = |index| Err(WitnessError::Shape { index });
    assert_eq!(open(vec![entry(1, b"a")]), shape(0));
    assert_eq!(open(vec![entry(0, b"a"), entry(9, b"aa"), entry(9, b"ab")]), shape(2));
    assert_eq!(open(vec![entry(0, b"a"), entry(4, b"aa")]), shape(1));
    assert_eq!(open(vec![entry(0, b"b"), entry(8, b"a")]), shape(1));
    assert_eq!(open(vec![entry(0, &[0; 258])]), shape(0));
    let opaque = |position| Item { position, part: Part::Opaque([7; 32]) };
    // Its bits lead to the other side of the branch.
    assert_eq!(open(vec![opaque(0), entry(1, b"a")]), shape(1));
    assert_eq!(open(vec![opaque(0), entry(1, &[0xff])]), Ok(()));
    assert_eq!(open(vec![entry(0, b"a"), opaque(9), entry(9, b"aa")]), shape(2));
    assert_eq!(open(vec![entry(0, b"a"), entry(9, b"aa")]), Ok(()));
    assert_eq!(open(vec![]), Ok(()));
}

fn genesis() -> Genesis {
    let key = SigningKey::from_secret(&[7; 32]).public();
    Genesis {
        format: 1,
        name: "test".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::from_bytes([1; 32]),
        package: PackageDigest::from_bytes([2; 32]),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    }
}

fn policy_key(member: u64) -> Vec<u8> {
    [&[POLICY_NAMESPACE], format!("member/{member:012}").as_bytes()].concat()
}

/// A step that moves a number from one member to another, as an executor would do it; and its reads.
fn execute(state: &StateTrie, seq: u64, members: u64) -> (Executed, Vec<Read>) {
    let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (members + members / 10);
    let mut keys = [2 * seq, 2 * seq + 1].map(|n| policy_key(scattered(n)));
    keys.sort();
    let change = |key: &Vec<u8>| {
        let before = state.get(key).map(<[u8]>::to_vec);
        Change { key: key.clone(), before, after: Some([seq.to_le_bytes(); 4].concat()) }
    };
    let mut executed = Executed::answered(Outcome::Accepted { answer: Vec::new() });
    executed.changes = keys.iter().map(change).collect();
    (executed, keys.map(|key| Read::Get { key }).into())
}

fn input(head: &Head) -> Input {
    let event = Event {
        id: head.next_seq().to_string(),
        source: "test".to_owned(),
        kind: "move".to_owned(),
        payload: Vec::new(),
    };
    Input { seq: head.next_seq(), epoch: 1, logical_time_ms: head.logical_time_ms() + 1, event }
}

/// A head on a witness seals the same receipts.
#[test]
fn a_range_of_steps_runs_on_its_witness() {
    let (members, steps) = (20_000, 100);
    let mut state = StateTrie::from_sorted((0..members).map(|m| (policy_key(m), [7; 32]))).unwrap();
    for record in 0..2_000_u64 {
        // Records of earlier answers: 48 bytes that do not stand any more, or do.
        let event = Event { id: record.to_string(), source: "old".to_owned(), kind: String::new(), payload: vec![] };
        state.insert(&[b"\x00i".as_slice(), &idempotency_key(&event)].concat(), &[record as u8 % 2; 48]);
    }
    let mut head = Head::at(genesis(), None, state.clone());
    let mut touched = Touched::new();
    let mut sealed = Vec::new();
    for seq in 0..steps {
        let input = input(&head);
        let own = reads::before_step(&head, &input.event);
        let (executed, reads) = execute(head.state(), seq, members);
        own.iter().chain(&reads).for_each(|read| touched.note(head.state(), read));
        let work = head.prepare(&input).unwrap();
        sealed.push((input.clone(), head.seal(&input, &work, executed)));
    }
    let root = state.root();
    let bytes = encode(&Witness::of(&mut state, &touched));
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());

    let witness: Witness = decode_canonical(&bytes).unwrap();
    let mut head = Head::at(genesis(), None, witness.open(root).unwrap());
    for (seq, (input, expected)) in (0..).zip(sealed) {
        assert_eq!(covers(head.state(), &reads::before_step(&head, &input.event)), Ok(()));
        let work = head.prepare(&input).unwrap();
        let (executed, reads) = execute(head.state(), seq, members);
        assert_eq!(covers(head.state(), &reads), Ok(()));
        assert_eq!(head.seal(&input, &work, executed), expected);
    }
}
