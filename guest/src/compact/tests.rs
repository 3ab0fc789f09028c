use super::*;
use crate::testing::MemoryHost;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Buy,
    Sell,
}

impl Side {
    const ALL: [Self; 2] = [Self::Buy, Self::Sell];
}

stored_enum!(Side);

#[derive(Clone, Debug, PartialEq)]
struct Record {
    name: String,
    side: Side,
    change: i64,
    seen: Option<u32>,
    table: [u64; 3],
    digest: [u8; 32],
    rows: Vec<(u64, bool)>,
}

stored!(Record { name, side, change, seen, table, digest, rows });

fn record() -> Record {
    Record {
        name: "grün".into(),
        side: Side::Sell,
        change: i64::MIN,
        seen: Some(u32::MAX),
        table: [0, 127, u64::MAX],
        digest: [9; 32],
        rows: vec![(1, true), (300, false)],
    }
}

#[test]
fn a_record_comes_back_and_neither_less_nor_more_of_it_does() {
    let bytes = encoded(&record());
    assert_eq!(decoded(Some(bytes.clone())), Ok(Some(record())));
    for end in 0..bytes.len() {
        assert!(decoded::<Record>(Some(bytes[..end].into())).is_err(), "a beginning is no record");
    }
    assert!(decoded::<Record>(Some([bytes.as_slice(), &[0]].concat())).is_err(), "nothing follows");
    assert_eq!(decoded::<Record>(None), Ok(None));
}

/// State outlives the code that wrote it.
#[test]
fn the_encoding_is_pinned() {
    let bytes = encoded(&(300_u64, (Some(-2_i64), (Side::Sell, (String::from("a"), vec![(1_u32, true)])))));
    assert_eq!(bytes, [0xac, 0x02, 1, 3, 1, 1, b'a', 1, 1, 1]);
}

#[test]
fn every_value_has_one_encoding() {
    fn is<T: Stored>(bytes: &[u8]) -> bool {
        decoded::<T>(Some(bytes.into())).is_ok()
    }
    assert!(is::<u64>(&[0x7f]) && !is::<u64>(&[0x80, 0x00]), "a needless byte");
    assert!(!is::<u64>(&[0xff; 11]), "too long");
    assert!(!is::<u64>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), "65 bits");
    assert!(is::<bool>(&[1]) && !is::<bool>(&[2]));
    assert!(is::<Side>(&[1]) && !is::<Side>(&[2]));
    assert!(is::<u32>(&[0xff, 0xff, 0xff, 0xff, 0x0f]) && !is::<u32>(&[0xff, 0xff, 0xff, 0xff, 0x1f]));
    assert!(is::<String>(&[1, b'a']) && !is::<String>(&[1, 0xff]), "no UTF-8");
    assert!(is::<Vec<u64>>(&[1, 9]) && !is::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff, 1, 0]), "more items than bytes");
}

#[test]
fn a_map_is_read_in_the_order_of_its_keys() -> Result<(), reprise_abi::Rejection> {
    const PLACES: Map<(String, u64), u64> = Map::new(b"place/");
    const NUMBERS: Map<u64, ()> = Map::new(b"number/");
    const NAMES: Map<String, u32> = Map::new(b"name/");
    let host = &mut MemoryHost::new();
    for (name, number) in [("b", 1), ("a", 300), ("a", 2)] {
        PLACES.put(host, &(name.into(), number), &number);
        NUMBERS.put(host, &number, &());
        NAMES.set(host, name, &7);
    }
    assert_eq!(PLACES.entries(host)?, [(("a".into(), 2), 2), (("a".into(), 300), 300), (("b".into(), 1), 1)]);
    assert_eq!(PLACES.keys(host, Some(&("a".into(), 2)), 1)?, [("a".into(), 300)]);
    assert_eq!(PLACES.keys_of(host, &"a".into(), None, 9)?, [2, 300]);
    assert_eq!(PLACES.numbers_of(host, &"a".into(), 1), [2]);
    assert_eq!(NUMBERS.numbers(host, Some(1), 9), [2, 300]);
    assert_eq!(NAMES.names(host, Some("a"), 9)?, ["b"]);
    assert_eq!((NAMES.of(host, "a")?, NAMES.of(host, "c")?), (Some(7), None));
    assert_eq!(NUMBERS.take(host, 2).len(), 2);
    assert_eq!(NUMBERS.numbers(host, None, 9), [300]);
    assert!(NUMBERS.has(host, &300) && !NUMBERS.has(host, &1));
    Ok(())
}

#[test]
fn bytes_of_another_type_are_corrupt_state() {
    const NAME: Cell<String> = Cell::new(b"name");
    let host = &mut MemoryHost::new();
    assert_eq!(NAME.or_default(host), Ok(String::new()));
    crate::Host::put(host, b"name", &[5, b'a']);
    assert_eq!(NAME.get(host), Err(corrupt()));
    NAME.delete(host);
    assert_eq!(NAME.get(host), Ok(None));
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(Some(record)) = decoded::<Record>(Some(bytes.clone())) {
            prop_assert_eq!(encoded(&record), bytes.clone());
        }
        if let Ok(Some(numbers)) = decoded::<Vec<u64>>(Some(bytes.clone())) {
            prop_assert_eq!(encoded(&numbers), bytes);
        }
    }

    #[test]
    fn numbers_come_back(number: u64, signed: i64) {
        prop_assert_eq!(decoded(Some(encoded(&(number, signed)))), Ok(Some((number, signed))));
    }
}
