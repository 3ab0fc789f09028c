use super::*;
use proptest::prelude::*;
use reprise_abi::{Compensator, LimitKind, Rejection, TrapKind, Violation};

/// The transcript by the table of the module, written without the code under test.
fn by_hand(entries: &[&[u8]]) -> ExecutionRoot {
    ExecutionRoot::from_bytes(blake3::derive_key("reprise 2026 transcript v1", &entries.concat()))
}

fn accepted() -> Outcome {
    Outcome::Accepted { answer: b"ok".to_vec() }
}

const ACCEPTED: &[u8] = b"\xf0\x02\0\0\0ok";

#[test]
fn no_calls() {
    assert_eq!(Transcript::new().finish(&accepted()), by_hand(&[ACCEPTED]));
}

#[test]
fn every_call_has_the_documented_bytes() {
    let mut transcript = Transcript::new();
    transcript.enter(Call::Step);
    transcript.get(b"k", None);
    transcript.get(b"k", Some(b""));
    transcript.put(b"k", b"v");
    transcript.delete(b"kk");
    let page: [(&[u8], &[u8]); 1] = [(b"p1", b"x")];
    transcript.scan(b"p", Some(b"p0"), 7, page.into_iter(), true);
    transcript.emit(&Effect {
        idempotency_key: "i".into(),
        driver: "d".into(),
        deadline_ms: 0x0102,
        payload: vec![9],
        compensator: Some(Compensator { driver: "u".into(), payload: vec![] }),
    });
    transcript.set_timer(&Timer { id: "t".into(), due_ms: 5, payload: vec![1, 2] });
    transcript.cancel_timer("t");
    transcript.log(3, "é");
    transcript.enter(Call::Check);
    let expected = by_hand(&[
        b"\x01",
        b"\x10\x01\0\0\0k\0",
        b"\x10\x01\0\0\0k\x01\0\0\0\0",
        b"\x11\x01\0\0\0k\x01\0\0\0v",
        b"\x12\x02\0\0\0kk",
        b"\x13\x01\0\0\0p\x01\x02\0\0\0p0\x07\0\0\0\x01\0\0\0\x02\0\0\0p1\x01\0\0\0x\x01",
        b"\x20\x01\0\0\0i\x01\0\0\0d\x02\x01\0\0\0\0\0\0\x01\0\0\0\x09\x01\x01\0\0\0u\0\0\0\0",
        b"\x30\x01\0\0\0t\x05\0\0\0\0\0\0\0\x02\0\0\0\x01\x02",
        b"\x31\x01\0\0\0t",
        b"\x40\x03\x02\0\0\0\xc3\xa9",
        b"\x02",
        ACCEPTED,
    ]);
    assert_eq!(transcript.finish(&accepted()), expected);
}

#[test]
fn every_outcome_has_the_documented_bytes() {
    let cases: [(Outcome, &[u8]); 6] = [
        (accepted(), ACCEPTED),
        (Outcome::Rejected(Rejection { code: 3, detail: "no".into() }), b"\xf1\x03\0\0\0\x02\0\0\0no"),
        (Outcome::Trapped(TrapKind::ForbiddenCall), b"\xf2\x06\0\0\0"),
        (Outcome::OutOfFuel, b"\xf3"),
        (Outcome::LimitExceeded(LimitKind::State), b"\xf4\x0a\0\0\0"),
        (
            Outcome::InvariantViolated(Violation { invariant: "i".into(), detail: "d".into() }),
            b"\xf5\x01\0\0\0i\x01\0\0\0d",
        ),
    ];
    for (outcome, bytes) in cases {
        assert_eq!(Transcript::new().finish(&outcome), by_hand(&[bytes]), "{outcome:?}");
    }
}

/// One call, for the properties.
#[derive(Clone, Debug, PartialEq)]
enum Op {
    Get(Vec<u8>, Option<Vec<u8>>),
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Log(String),
}

fn any_op() -> impl Strategy<Value = Op> {
    let bytes = || prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..40), 1 => large()];
    prop_oneof![
        (bytes(), prop::option::of(bytes())).prop_map(|(key, value)| Op::Get(key, value)),
        (bytes(), bytes()).prop_map(|(key, value)| Op::Put(key, value)),
        bytes().prop_map(Op::Delete),
        ".{0,20}".prop_map(Op::Log),
    ]
}

/// Around the length at which the buffer is flushed or passed by.
fn large() -> impl Strategy<Value = Vec<u8>> {
    (BUFFER_BYTES - 8..BUFFER_BYTES + 8, any::<u8>()).prop_map(|(len, byte)| vec![byte; len])
}

fn root_of(ops: &[Op]) -> ExecutionRoot {
    let mut transcript = Transcript::new();
    for op in ops {
        match op {
            Op::Get(key, value) => transcript.get(key, value.as_deref()),
            Op::Put(key, value) => transcript.put(key, value),
            Op::Delete(key) => transcript.delete(key),
            Op::Log(message) => transcript.log(1, message),
        }
    }
    transcript.finish(&accepted())
}

fn encoded_by_hand(op: &Op) -> Vec<u8> {
    let bytes = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat();
    match op {
        Op::Get(key, None) => [&[0x10][..], &bytes(key), &[0]].concat(),
        Op::Get(key, Some(value)) => [&[0x10][..], &bytes(key), &[1], &bytes(value)].concat(),
        Op::Put(key, value) => [&[0x11][..], &bytes(key), &bytes(value)].concat(),
        Op::Delete(key) => [&[0x12][..], &bytes(key)].concat(),
        Op::Log(message) => [&[0x40, 1][..], &bytes(message.as_bytes())].concat(),
    }
}

proptest! {
    /// However the calls fall into the buffer, the digest is that of their concatenation.
    #[test]
    fn buffering_does_not_show(ops in prop::collection::vec(any_op(), 0..12)) {
        let encoded: Vec<Vec<u8>> = ops.iter().map(encoded_by_hand).collect();
        let mut parts: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
        parts.push(ACCEPTED);
        prop_assert_eq!(root_of(&ops), by_hand(&parts));
    }

    /// Another sequence of calls has another root.
    #[test]
    fn calls_cannot_stand_for_others(
        a in prop::collection::vec(any_op(), 0..4),
        b in prop::collection::vec(any_op(), 0..4),
    ) {
        prop_assert_eq!(root_of(&a) == root_of(&b), a == b);
    }
}
