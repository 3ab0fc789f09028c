//! Roots of a few states.

use crate::{golden, seeded::Random};
use reprise_receipts::StateTrie;
use std::{collections::BTreeMap, fmt::Write};

pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Under names.
pub fn states() -> Vec<(&'static str, Map)> {
    let map =
        |pairs: &[(&[u8], &[u8])]| pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect::<Map>();
    let mut random = Random::for_kind("state_roots");
    let many = (0..40).map(|_| (random.bytes(6), random.bytes(10))).collect();
    vec![
        ("no keys", map(&[])),
        ("the empty key with the empty value", map(&[(b"", b"")])),
        ("one key", map(&[(b"key", b"value")])),
        ("keys that part in the first bit of a byte", map(&[(b"\x00", b"left"), (b"\x80", b"right")])),
        ("keys that part in the last bit of a byte", map(&[(b"a\x02", b"left"), (b"a\x03", b"right")])),
        ("a key and its extensions", map(&[(b"", b"0"), (b"a", b"1"), (b"a\x00", b"2"), (b"a\x00\x00", b"3")])),
        ("the longest key", map(&[(&[0xff; 257], b"longest"), (&[0xff; 256], b"long")])),
        ("a value of two BLAKE3 chunks", map(&[(b"\x01key", &[7; 1_025]), (b"\x00p", &[8; 32])])),
        ("forty keys", many),
    ]
}

#[test]
fn state_roots() {
    let mut text =
        "# States, their entries in key order as key:value in hexadecimal digits, and their roots.\n".to_owned();
    for (name, map) in states() {
        writeln!(text, "\nstate {name}").expect("a string takes text");
        for (key, value) in &map {
            writeln!(text, "{}:{}", golden::hex(key), golden::hex(value)).expect("a string takes text");
        }
        let built = StateTrie::from_sorted(&map).expect("a map is sorted").root();
        let mut inserted = StateTrie::new();
        for (key, value) in map.iter().rev() {
            inserted.insert(key, value);
        }
        assert_eq!(inserted.root(), built);
        writeln!(text, "root {built}").expect("a string takes text");
    }
    golden::check("state_roots", &text);
}
