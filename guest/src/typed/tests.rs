use super::*;
use crate::{StepInput, host::Host, rejection::SdkCode, testing::MemoryHost};
use serde::Deserialize;

fn bytes<K: StateKey>(key: &K) -> Vec<u8> {
    let mut out = Vec::new();
    key.write(&mut out);
    out
}

#[test]
fn keys_sort_like_their_values_and_come_back() {
    let texts = ["", "\0", "\0\0", "\0a", "\u{1}", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "\u{ff}"];
    for (a, b) in texts.iter().zip(&texts[1..]) {
        assert!(bytes(&String::from(*a)) < bytes(&String::from(*b)), "{a:?} < {b:?}");
    }
    for text in texts {
        let key = (String::from(text), 7_u32);
        assert_eq!(StateKey::read(&bytes(&key)), Some((key, &[][..])));
    }
    assert!(bytes(&255_u64) < bytes(&256_u64));
}

#[test]
fn no_key_is_the_beginning_of_another() {
    let keys = ["", "a", "a\0", "ab"].map(|text| bytes(&String::from(text)));
    for (i, a) in keys.iter().enumerate() {
        assert!(keys.iter().enumerate().all(|(j, b)| i == j || !b.starts_with(a)), "{a:?}");
    }
}

#[test]
fn rubbish_is_not_a_key() {
    assert_eq!(String::read(b"abc"), None);
    assert_eq!(String::read(b"a\0"), None);
    assert_eq!(String::read(b"a\0\x02"), None);
    assert_eq!(String::read(b"\xff\0\x01"), None);
    assert_eq!(u64::read(&[0; 7]), None);
}

#[test]
fn a_map_pages_through_everything_in_order() {
    const MAP: Map<u32, u64> = Map::new(b"m");
    let mut host = MemoryHost::new();
    Cell::<u8>::new(b"l").put(&mut host, &1);
    Cell::<u8>::new(b"n").put(&mut host, &1);
    for key in (0..3_000).rev() {
        MAP.put(&mut host, &key, &u64::from(key * 2));
    }
    host.calls = 0;
    let read: Result<Vec<_>, _> = MAP.scan(&mut host).collect();
    assert_eq!(read, Ok((0..3_000).map(|key| (key, u64::from(key) * 2)).collect()));
    assert_eq!(host.calls, 3, "three pages of at most 1,024");
}

#[test]
fn a_cell_notices_bytes_of_another_type() {
    const CELL: Cell<(u8, u8)> = Cell::new(b"cell");
    let mut host = MemoryHost::new();
    assert_eq!(CELL.get(&mut host), Ok(None));
    host.put(b"cell", &[1, 2, 3]);
    assert_eq!(CELL.get(&mut host), Err(CorruptState { place: b"cell" }));
    CELL.put(&mut host, &(4, 5));
    assert_eq!(CELL.get(&mut host), Ok(Some((4, 5))));
    CELL.delete(&mut host);
    assert!(host.state.is_empty());
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Tick,
    Beat(Beat),
    Move { from: u8, to: u8 },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beat {
    rank: u32,
}

fn read(kind: &str, payload: &str) -> Result<Event, (u32, String)> {
    let input = StepInput { kind: kind.into(), payload: payload.into(), ..StepInput::default() };
    event(&input).map_err(|rejection| (rejection.code, rejection.detail))
}

#[test]
fn the_kind_chooses_the_variant() {
    assert_eq!(read("tick", "{}"), Ok(Event::Tick));
    assert_eq!(read("beat", " {\"rank\": 3} "), Ok(Event::Beat(Beat { rank: 3 })));
    assert_eq!(read("move", "{\"from\":1,\"to\":2}"), Ok(Event::Move { from: 1, to: 2 }));
}

#[test]
fn what_cannot_be_read_says_why() {
    let malformed = SdkCode::MalformedPayload as u32;
    let cases = [
        ("leap", "{}", SdkCode::UnknownKind as u32, "UnknownKind: `leap`"),
        ("tick", "", malformed, "MalformedPayload: `tick`: expected {} at byte 0"),
        ("tick", "{\"now\":1}", malformed, "MalformedPayload: `tick`: expected } at byte 1"),
        ("beat", "{}", malformed, "MalformedPayload: `beat`: missing field `rank` at byte 1"),
        ("beat", "{\"rank\":-1}", malformed, "MalformedPayload: `beat`: expected u32 at byte 10"),
    ];
    for (kind, payload, code, detail) in cases {
        assert_eq!(read(kind, payload), Err((code, detail.into())));
    }
}
