//! What the decoder refuses, by name. Golden vectors and mutants of every kind are with `reprise-receipts`, which can
//! hash.

use super::*;
use crate::{Change, Description, Diff, Event, GovernedRule, Input, RejectionCode, diff::DiffError, limits::*};
use alloc::{string::String, vec, vec::Vec};
use core::fmt::Debug;
use proptest::{collection::vec as list, prelude::*};

fn input() -> Input {
    let event = Event { id: "i1".into(), source: "s".into(), kind: "k".into(), payload: vec![0xaa, 0xbb] };
    Input { seq: 0, epoch: 1, logical_time_ms: 300, event }
}

/// [`input`] byte by byte: varints for numbers and lengths, least significant seven bits first.
const INPUT_BYTES: [u8; 14] = [
    0x00, // seq
    0x01, // epoch
    0xac, 0x02, // logical time: 300 = 2 * 128 + 44
    0x02, b'i', b'1', // id
    0x01, b's', // source
    0x01, b'k', // kind
    0x02, 0xaa, 0xbb, // payload
];

fn change(key: &[u8], before: Option<&[u8]>, after: Option<&[u8]>) -> Change {
    Change { key: key.to_vec(), before: before.map(<[u8]>::to_vec), after: after.map(<[u8]>::to_vec) }
}

fn description() -> Description {
    let rule = |name: &str| GovernedRule { name: name.into(), digest: [9; 32] };
    let code = |code, name: &str| RejectionCode { code, name: name.into() };
    Description {
        name: "lease".into(),
        version: "1.2.3".into(),
        input_kinds: vec!["beat".into(), "lost".into()],
        views: vec!["report".into()],
        rejections: vec![code(1, "conflict"), code(2, "unknown")],
        governed: vec![rule("lease"), rule("restart")],
    }
}

fn check<T: Canonical + Debug + PartialEq>(bytes: &[u8], expected: Result<T, CodecError>) {
    assert_eq!(decode_canonical::<T>(bytes), expected, "{bytes:02x?}");
}

fn invalid<T: Canonical>(rule: &'static str) -> Result<T, CodecError> {
    Err(CodecError::Invalid { kind: T::KIND, rule })
}

#[test]
fn bytes_of_an_input() {
    assert_eq!(encode(&input()), INPUT_BYTES);
    check(&INPUT_BYTES, Ok(input()));
}

#[test]
fn bytes_of_a_diff() {
    let diff = Diff::new(vec![change(b"a", None, Some(b"1")), change(b"ab", Some(b""), None)]).unwrap();
    let bytes = [2, 1, b'a', 0, 1, 1, b'1', 2, b'a', b'b', 1, 0, 0];
    assert_eq!(encode(&diff), bytes);
    check(&bytes, Ok(diff));
    check(&[0], Ok(Diff::default()));
}

/// postcard takes a number with empty groups of bits at its end. This decoder does not, wherever the number is.
#[test]
fn varints_are_minimal() {
    for (at, padded) in [(0, &[0x80, 0x00][..]), (1, &[0x81, 0x00]), (2, &[0xac, 0x82, 0x00]), (4, &[0x82, 0x00])] {
        let replaced = if at == 2 { 2 } else { 1 };
        let bytes = [&INPUT_BYTES[..at], padded, &INPUT_BYTES[at + replaced..]].concat();
        assert_eq!(postcard::from_bytes(&bytes), Ok(input()), "postcard alone takes it");
        check::<Input>(&bytes, Err(CodecError::NotCanonical { kind: "input" }));
    }
    check::<Diff>(&[0x80, 0x00], Err(CodecError::NotCanonical { kind: "diff" }));
    let overlong = [&[0x80; 10][..], &INPUT_BYTES].concat();
    check::<Input>(&overlong, Err(CodecError::Malformed { kind: "input" }));
}

#[test]
fn nothing_follows_a_value() {
    for extra in 1..5 {
        let bytes = [&INPUT_BYTES[..], &vec![0; extra]].concat();
        check::<Input>(&bytes, Err(CodecError::TrailingBytes { kind: "input", extra }));
    }
    check::<Diff>(&[0, 0], Err(CodecError::TrailingBytes { kind: "diff", extra: 1 }));
}

#[test]
fn nothing_is_missing_from_a_value() {
    for len in 0..INPUT_BYTES.len() {
        check::<Input>(&INPUT_BYTES[..len], Err(CodecError::Malformed { kind: "input" }));
    }
    let bytes = encode(&description());
    for len in 0..bytes.len() {
        check::<Description>(&bytes[..len], Err(CodecError::Malformed { kind: "description" }));
    }
}

#[test]
fn length_is_bounded_before_anything_is_read() {
    let bytes = vec![0xff; Input::BYTES_MAX + 1];
    check::<Input>(&bytes, Err(CodecError::TooLong { kind: "input", len: bytes.len(), max: INPUT_BYTES_MAX }));
}

/// Lengths that the bytes cannot hold are refused without making room for them.
#[test]
fn lengths_are_not_believed() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    check::<Diff>(&huge, Err(CodecError::Malformed { kind: "diff" }));
    let payload = [&INPUT_BYTES[..11], &huge].concat();
    check::<Input>(&payload, Err(CodecError::Malformed { kind: "input" }));
}

#[test]
fn tags_and_text_are_checked() {
    check::<Diff>(&[1, 1, b'a', 2, 1, b'1', 0], Err(CodecError::Malformed { kind: "diff" }));
    let mut bytes = INPUT_BYTES;
    bytes[5] = 0xff;
    check::<Input>(&bytes, Err(CodecError::Malformed { kind: "input" }));
}

#[test]
fn changes_are_sorted_and_change_something() {
    let rule = "keys ascend strictly and every change changes";
    let (a, b) = ([1, b'a', 0, 1, 1, b'1'], [1, b'b', 0, 1, 1, b'2']);
    let list = |changes: &[[u8; 6]]| [&[changes.len() as u8], changes.concat().as_slice()].concat();
    let sorted = Diff::new(vec![change(b"a", None, Some(b"1")), change(b"b", None, Some(b"2"))]).unwrap();
    check(&list(&[a, b]), Ok(sorted));
    check::<Diff>(&list(&[b, a]), invalid(rule));
    check::<Diff>(&list(&[a, a]), invalid(rule));
    check::<Diff>(&[1, 1, b'a', 0, 0], invalid(rule));
    check::<Diff>(&[1, 1, b'a', 1, 1, b'1', 1, 1, b'1'], invalid(rule));

    let order = vec![change(b"b", None, Some(b"2")), change(b"a", None, Some(b"1"))];
    assert_eq!(Diff::new(order), Err(DiffError::Order { index: 1 }));
    assert_eq!(Diff::new(vec![change(b"a", Some(b"1"), Some(b"1"))]), Err(DiffError::NoChange { index: 0 }));
}

#[test]
fn events_keep_their_bounds() {
    let rule = "a field is empty or over its limit";
    let with = |change: fn(&mut Event)| {
        let mut broken = input();
        change(&mut broken.event);
        (encode_raw(&broken), encode_raw(&broken.event))
    };
    let broken: [fn(&mut Event); 5] = [
        |event| event.id.clear(),
        |event| event.source.clear(),
        |event| event.kind.clear(),
        |event| event.id = "x".repeat(NAME_BYTES_MAX + 1),
        |event| event.payload = vec![0; INPUT_PAYLOAD_BYTES_MAX + 1],
    ];
    for change in broken {
        let (input, event) = with(change);
        check::<Input>(&input, invalid(rule));
        check::<Event>(&event, invalid(rule));
    }
    let (largest, _) = with(|event| {
        event.id = "x".repeat(NAME_BYTES_MAX);
        event.source = "y".repeat(NAME_BYTES_MAX);
        event.kind = "z".repeat(NAME_BYTES_MAX);
        event.payload = vec![0; INPUT_PAYLOAD_BYTES_MAX];
    });
    assert!(decode_canonical::<Input>(&largest).is_ok(), "the largest input fits its bound");
}

#[test]
fn lists_of_a_description_ascend() {
    let broken: [fn(&mut Description); 6] = [
        |d| d.input_kinds.reverse(),
        |d| d.views.push("report".into()),
        |d| d.rejections.reverse(),
        |d| d.rejections[1].code = 1,
        |d| d.governed.reverse(),
        |d| d.governed[1].name = "lease".into(),
    ];
    for change in broken {
        let mut broken = description();
        change(&mut broken);
        check::<Description>(&encode_raw(&broken), invalid("lists ascend strictly"));
    }
    let mut nameless = description();
    nameless.rejections[0].name.clear();
    check::<Description>(&encode_raw(&nameless), invalid("names are 1 to 128 bytes long"));
}

#[test]
#[should_panic(expected = "value does not keep its own rules")]
fn encoding_a_broken_value_is_a_bug() {
    let mut broken = input();
    broken.event.id = String::new();
    let _ = encode(&broken);
}

fn any_event() -> impl Strategy<Value = Event> {
    ("\\PC{1,9}", "[a-z]{1,9}", "[a-z.]{1,9}", list(any::<u8>(), 0..40)).prop_map(|(id, source, kind, payload)| Event {
        id,
        source,
        kind,
        payload,
    })
}

fn any_diff() -> impl Strategy<Value = Diff> {
    let value = || proptest::option::of(list(any::<u8>(), 0..6));
    proptest::collection::btree_map(list(any::<u8>(), 0..4), (value(), value()), 0..6).prop_map(|changes| {
        let changes = changes.into_iter().filter(|(_, (before, after))| before != after);
        let change = |(key, (before, after))| Change { key, before, after };
        Diff::new(changes.map(change).collect()).unwrap()
    })
}

/// Bytes that decode are the encoding of what they decode to.
fn check_any<T: Canonical + Debug + PartialEq>(value: &T, at: prop::sample::Index, mutation: (u8, u8)) {
    let bytes = encode(value);
    assert_eq!(decode_canonical::<T>(&bytes).as_ref(), Ok(value));
    let mut mutant: Vec<u8> = bytes.clone();
    let (way, byte) = mutation;
    let at = at.index(mutant.len());
    match way % 3 {
        0 => mutant[at] ^= byte,
        1 => mutant.insert(at, byte),
        _ => drop(mutant.remove(at)),
    }
    if let Ok(decoded) = decode_canonical::<T>(&mutant) {
        assert_eq!(encode(&decoded), mutant);
        assert_eq!(decoded == *value, mutant == bytes);
    }
}

proptest! {
    #[test]
    fn mutants_are_other_values_or_none(
        event in any_event(),
        diff in any_diff(),
        numbers in any::<[u64; 3]>(),
        at in any::<prop::sample::Index>(),
        mutation in any::<(u8, u8)>(),
    ) {
        let [seq, epoch, logical_time_ms] = numbers;
        check_any(&Input { seq, epoch, logical_time_ms, event }, at, mutation);
        check_any(&diff, at, mutation);
        prop_assert_eq!(diff.inverted().inverted(), diff);
    }
}
