use super::*;
use core::fmt::Debug;
use proptest::{collection, prelude::*};
use std::collections::BTreeMap;

/// One of everything that a record can have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    small: (u8, u16, u32, u64),
    signed: (i8, i16, i32, i64),
    fractions: (f32, f64),
    truth: bool,
    letter: char,
    text: String,
    maybe: Option<Box<Record>>,
    kinds: Vec<Kind>,
    map: BTreeMap<String, u64>,
    tuple: [u32; 3],
    nothing: (),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(i64),
    Pair(u8, String),
    Named { a: u64, b: Option<bool> },
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        any::<i64>().prop_map(Kind::New),
        any::<(u8, String)>().prop_map(|(a, b)| Kind::Pair(a, b)),
        any::<(u64, Option<bool>)>().prop_map(|(a, b)| Kind::Named { a, b }),
    ]
}

fn leaf() -> impl Strategy<Value = Record> {
    let numbers = any::<((u8, u16, u32, u64), (i8, i16, i32, i64), i16, bool)>();
    let texts = any::<(char, String, BTreeMap<String, u64>, [u32; 3])>();
    (numbers, texts, collection::vec(kind(), 0..4)).prop_map(
        |((small, signed, fraction, truth), (letter, text, map, tuple), kinds)| Record {
            small,
            signed,
            fractions: (f32::from(fraction) / 3.0, f64::from(fraction) / 7.0),
            truth,
            letter,
            text,
            maybe: None,
            kinds,
            map,
            tuple,
            nothing: (),
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    leaf().prop_recursive(3, 4, 1, |inner| {
        (leaf(), inner).prop_map(|(outer, inner)| Record { maybe: Some(Box::new(inner)), ..outer })
    })
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_postcard_and_come_back(record in record()) {
        let bytes = encode(&record);
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&record).unwrap());
        prop_assert_eq!(decode::<Record>(&bytes), Ok(record));
    }

    /// Whatever postcard reads, this reads as the same; what it refuses, too.
    #[test]
    fn damaged_bytes_are_read_as_postcard_reads_them(record in record(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = encode(&record);
        let at = at.index(bytes.len());
        bytes[at] = with;
        let found: Option<Record> = decode(&bytes).ok();
        let expected = match postcard::take_from_bytes::<Record>(&bytes) { Ok((record, [])) => Some(record), _ => None };
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn no_bytes_do_harm(bytes in collection::vec(any::<u8>(), 0..64)) {
        let _ = decode::<Record>(&bytes);
        let _ = decode::<Vec<Kind>>(&bytes);
    }
}

fn refused<T: for<'i> Deserialize<'i> + Debug + PartialEq>(bytes: &[u8]) {
    assert_eq!(decode::<T>(bytes), Err(Corrupt), "{bytes:?}");
}

#[test]
fn what_is_no_encoding_is_refused() {
    refused::<u32>(&[]);
    refused::<u32>(&[0x80]);
    refused::<u32>(&[0xff, 0xff, 0xff, 0xff, 0x1f]);
    refused::<u64>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]);
    refused::<bool>(&[2]);
    refused::<Option<u8>>(&[2, 0]);
    refused::<String>(&[2, 0xff, 0xff]);
    refused::<Kind>(&[4]);
    refused::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    refused::<u8>(&[1, 2]);
}

#[test]
fn the_front_of_bytes_and_what_follows() {
    assert_eq!(decode_front::<(u8, &str)>(&[7, 1, b'x', 9, 9]), Ok(((7, "x"), &[9, 9][..])));
}
