use super::*;

#[test]
fn a_hello_has_these_bytes() {
    let hello = Hello::new(Purpose::Session, b"ab");
    assert_eq!(encode(&hello), [1, 0, 2, b'a', b'b']);
    let probe = Hello { version: 300, purpose: Purpose::Probe, greeting: Vec::new() };
    assert_eq!(encode(&probe), [0xac, 0x02, 1, 0]);
    assert_eq!(decode_canonical::<Hello>(&encode(&probe)), Ok(probe));
}

#[test]
fn the_longest_hello_fits_into_its_bound_and_a_longer_one_is_refused() {
    let longest = Hello { version: u16::MAX, purpose: Purpose::Probe, greeting: vec![0; GREETING_BYTES_MAX] };
    let mut bytes = encode(&longest);
    assert!(bytes.len() <= Hello::BYTES_MAX);
    assert!(decode_canonical::<Hello>(&bytes).is_ok());
    bytes.push(0);
    assert!(decode_canonical::<Hello>(&bytes).is_err());
}

#[test]
fn every_changed_byte_of_the_head_is_another_hello_or_none() {
    let hello = Hello::new(Purpose::Session, b"greeting");
    let bytes = encode(&hello);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert_ne!(decode_canonical::<Hello>(&changed).ok(), Some(hello.clone()), "byte {at}, bit {bit}");
        }
    }
}
