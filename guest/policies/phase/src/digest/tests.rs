use super::*;
use reprise_guest::text::hex;
use sha2::{Digest, Sha256};

#[test]
fn crc32_is_the_usual_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn sha256_is_the_standards() {
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for len in [0, 1, 31, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 1_000] {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        assert_eq!(sha256(&bytes).as_slice(), Sha256::digest(&bytes).as_slice(), "{len}");
    }
}
