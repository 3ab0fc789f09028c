//! Text without formatting machinery: numbers in decimal, bytes in hexadecimal, pieces joined.
//!
//! `format!` links kilobytes that a policy does not need for the sentence of a rejection or the key of an effect.

/// A number in decimal.
///
/// ```
/// assert_eq!(reprise_guest::text::decimal(42_u32), "42");
/// ```
#[must_use]
#[inline(always)]
pub fn decimal(value: impl Into<u64>) -> String {
    decimal_of(value.into())
}

/// Pieces, one after the other. One function, where `concat` is one for each length.
///
/// ```
/// assert_eq!(reprise_guest::text::join(&["node ", "7"]), "node 7");
/// ```
#[must_use]
#[inline(never)]
pub fn join(parts: &[&str]) -> String {
    let mut text = String::with_capacity(64);
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Appends a number in decimal.
#[inline(never)]
pub fn push_decimal(text: &mut String, value: u64) {
    let (digits, at) = digits_of(value);
    for digit in &digits[at..] {
        text.push(char::from(*digit));
    }
}

/// Bytes in hexadecimal, two small letters each.
///
/// ```
/// assert_eq!(reprise_guest::text::hex(&[0, 0xaf]), "00af");
/// ```
#[must_use]
#[inline(never)]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(hex_digit(byte >> 4)));
        text.push(char::from(hex_digit(*byte)));
    }
    text
}

#[inline(never)]
fn decimal_of(value: u64) -> String {
    let mut text = String::with_capacity(20);
    push_decimal(&mut text, value);
    text
}

#[inline(never)]
pub(crate) fn decimal_digits(out: &mut Vec<u8>, value: u64) {
    let (digits, at) = digits_of(value);
    out.extend_from_slice(&digits[at..]);
}

/// The digit of the lower half of a byte.
pub(crate) fn hex_digit(byte: u8) -> u8 {
    match byte & 15 {
        digit @ 0..=9 => b'0' + digit,
        digit => b'a' - 10 + digit,
    }
}

/// The digits of a number, at the end of the array, and where they begin.
#[inline(never)]
fn digits_of(mut value: u64) -> ([u8; 20], usize) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return (digits, at);
        }
    }
}

#[cfg(test)]
mod tests;
