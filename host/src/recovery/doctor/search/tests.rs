use super::*;
use reprise_receipts::InputDigest;

#[test]
fn any_one_byte_is_found_and_two_are_not() {
    let right: Vec<u8> = (0..200).collect();
    let digest = InputDigest::of(&right);
    let holds = |bytes: &[u8]| InputDigest::of(bytes) == digest;
    for (at, mask) in [(0, 1), (199, 0x80), (77, 0xff), (100, 0x12)] {
        let mut damaged = right.clone();
        damaged[at] ^= mask;
        assert_eq!(one_byte(&damaged, holds), Some(right.clone()));
        damaged[(at + 1) % 200] ^= 1;
        assert_eq!(one_byte(&damaged, holds), None);
    }
}

#[test]
fn what_is_too_long_is_not_searched() {
    let mut tried = false;
    let found = one_byte(&[0; 4_096], |_| {
        tried = true;
        true
    });
    assert_eq!((found, tried), (None, false));
}
