//! Golden vectors: the bytes of every message and of every object that a member keeps, held fast in `golden/`.
//!
//! For each kind there is a file with a few encodings in full and one hash over a thousand. A difference is a change of the
//! protocol: it is made on purpose, with `REPRISE_BLESS=1 cargo test -p reprise-federation --test vectors`, and reviewed
//! as a diff of those files. The same values feed the mutation tests: one byte more, less or different is another value or
//! none at all.

mod fuzz;
mod kinds;

#[path = "../support/mod.rs"]
mod support;

#[path = "../../../receipts/tests/vectors/seeded.rs"]
#[allow(dead_code, reason = "the other user of this file needs more of it")]
mod seeded;

use reprise_abi::{Canonical, decode_canonical, encode};
use seeded::Random;
use std::{
    env,
    fmt::{Debug, Write},
    fs,
    path::Path,
};

/// Values under the hash of a kind.
const SEEDED: usize = 1_000;
/// Encodings written out in full.
const IN_FULL: usize = 6;
/// Encodings of which every mutant is tried.
const MUTATED: usize = 40;
/// Longest of these, in bytes.
const MUTATED_BYTES_MAX: usize = 900;

/// One line for each kind: its file, and what makes its values.
macro_rules! kinds {
    ($($name:ident,)*) => {$(
        mod $name {
            #[test]
            fn vectors() {
                super::check_vectors(stringify!($name), super::kinds::$name);
            }

            #[test]
            fn mutants() {
                super::check_mutants(stringify!($name), super::kinds::$name);
            }
        }
    )*};
}

kinds! {
    hello,
    ask_digest,
    ask_heads,
    ask_continuity,
    ask_epochs,
    ask_subtrees,
    ask_receipt,
    ask_range,
    ask_snapshot,
    ask_chunks,
    ask_bundle,
    ask_roots,
    answer_same,
    answer_heads,
    answer_continuity,
    answer_epochs,
    answer_subtrees,
    answer_receipt,
    answer_sending,
    answer_snapshot,
    answer_refused,
    answer_bundle,
    answer_bundle_refused,
    answer_roots,
    append,
    ack,
    claim,
    promise,
    vote,
    evidence,
    goodbye,
    steps,
    roster,
    standing,
}

fn check_vectors<T: Canonical + Debug + PartialEq>(name: &str, make: fn(&mut Random) -> T) {
    let mut text = format!("# {}, {name}: encodings of seeded values, and BLAKE3 over {SEEDED} of them,\n", T::KIND);
    text += "# each after its length (u32, little-endian).\n";
    let (mut random, mut all) = (Random::for_kind(name), blake3::Hasher::new());
    for index in 0..SEEDED {
        let value = make(&mut random);
        let bytes = encode(&value);
        assert_eq!(decode_canonical(&bytes), Ok(value), "{name} {index}");
        let len = u32::try_from(bytes.len()).expect("a short encoding");
        all.update(&len.to_le_bytes()).update(&bytes);
        if index < IN_FULL {
            writeln!(text, "{}", hex(&bytes)).expect("a string takes text");
        }
    }
    writeln!(text, "blake3 {}", all.finalize().to_hex()).expect("a string takes text");
    check_golden(name, &text);
}

fn check_mutants<T: Canonical + Debug + PartialEq>(name: &str, make: fn(&mut Random) -> T) {
    let mut random = Random::for_kind(name);
    let mut tried = 0;
    for _ in 0..SEEDED {
        let value = make(&mut random);
        let bytes = encode(&value);
        if bytes.len() > MUTATED_BYTES_MAX {
            continue;
        }
        for mutant in mutants(&bytes) {
            if let Ok(decoded) = decode_canonical::<T>(&mutant) {
                assert_ne!(decoded, value, "{name}: {} is also {}", hex(&mutant), hex(&bytes));
            }
        }
        tried += 1;
        if tried == MUTATED {
            return;
        }
    }
    panic!("{name}: only {tried} of {SEEDED} values are short enough to try all mutants");
}

/// Every bit flipped, every byte deleted, and several bytes inserted at every place.
fn mutants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut mutant = bytes.to_vec();
        mutant[bit / 8] ^= 1 << (bit % 8);
        mutant
    });
    let deleted = (0..bytes.len()).map(|at| [&bytes[..at], &bytes[at + 1..]].concat());
    let inserted = (0..=bytes.len())
        .flat_map(move |at| [0x00, 0x01, 0x80, 0xff].map(|byte| [&bytes[..at], &[byte], &bytes[at..]].concat()));
    flipped.chain(deleted).chain(inserted)
}

fn check_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/golden/{name}.txt"));
    if env::var_os("REPRISE_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, text).expect("the vector file can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expected, text, "{name}.txt: the format has changed");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}

/// A frame that promises more items than it has, or than there may be, is refused before room is made for them.
#[test]
fn a_length_on_a_peers_word_reserves_nothing() {
    // Answer, request 0, heads, 2^28 of them.
    let lying = [2, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x01];
    assert!(reprise_federation::Message::from_frame(&lying).is_err());
    let list: Result<reprise_federation::List<u64, 3>, _> = postcard::from_bytes(&[4, 0, 0, 0, 0]);
    assert!(list.is_err());
    let list: reprise_federation::List<u64, 3> = postcard::from_bytes(&[3, 1, 2, 3]).unwrap();
    assert_eq!(list.to_vec(), [1, 2, 3]);
    // A frame that is full of the smallest items.
    let mut full = vec![2, 0, 4];
    full.extend([0x80, 0x80, 0x04]);
    full.resize(reprise_federation::limits::FRAME_BYTES_MAX, 0);
    assert!(reprise_federation::Message::from_frame(&full).is_err());
    full.push(0);
    assert!(reprise_federation::Message::from_frame(&full).is_err());
}
