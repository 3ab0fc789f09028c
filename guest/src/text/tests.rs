use super::*;

#[test]
fn decimals_are_those_of_the_standard_library() {
    for value in [0, 9, 10, 12_345, 4_294_967_296, u64::MAX] {
        assert_eq!(decimal(value), value.to_string());
        let mut text = String::from("n=");
        push_decimal(&mut text, value);
        assert_eq!(text, format!("n={value}"));
    }
}

#[test]
fn every_byte_in_hexadecimal() {
    for byte in 0..=u8::MAX {
        assert_eq!(hex(&[byte]), format!("{byte:02x}"));
    }
    assert_eq!(hex(&[]), "");
    assert_eq!(join(&["a", "", "b"]), "ab");
    assert_eq!(join(&[]), "");
}
