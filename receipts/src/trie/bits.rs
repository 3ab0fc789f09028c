//! Keys as bit strings: order-preserving and prefix-free.
//!
//! Each byte of a key is nine bits: a one, which says that a byte follows, and the byte itself, most significant bit
//! first. A single zero ends the key. Comparing two such strings bit by bit is comparing the keys byte by byte, a
//! shorter key before its extensions; and no string is the beginning of another, so that two different keys always
//! part at a bit that both of them have.

use reprise_abi::limits::KEY_BYTES_MAX;

/// Longest key of the state, in bytes: the namespace byte and a policy's longest key.
pub const STATE_KEY_BYTES_MAX: usize = 1 + KEY_BYTES_MAX;

/// Bits of the longest key, the closing zero included; every branch position is below it.
pub(super) const POSITIONS: usize = end_bit(STATE_KEY_BYTES_MAX) + 1;

const BITS_PER_BYTE: usize = 9;

/// Position of the bit after `len` bytes: the closing zero of a key of that length.
pub(super) const fn end_bit(len: usize) -> usize {
    BITS_PER_BYTE * len
}

/// The bit of `key` at `position`: 0 (go left) or 1 (go right). Past the end of the key every bit is 0.
pub(super) fn bit(key: &[u8], position: u16) -> usize {
    let position = usize::from(position);
    match (key.get(position / BITS_PER_BYTE), position % BITS_PER_BYTE) {
        (None, _) => 0,
        (Some(_), 0) => 1,
        (Some(byte), offset) => usize::from(byte >> (8 - offset) & 1),
    }
}

/// Where two keys part; `None` if they are the same key.
///
/// # Panics
/// When both keys are so far beyond [`STATE_KEY_BYTES_MAX`] that the position does not fit.
pub(super) fn first_difference(a: &[u8], b: &[u8]) -> Option<u16> {
    let position = match a.iter().zip(b).position(|(a, b)| a != b) {
        Some(index) => end_bit(index) + 1 + (a[index] ^ b[index]).leading_zeros() as usize,
        None if a.len() == b.len() => return None,
        None => end_bit(a.len().min(b.len())),
    };
    Some(u16::try_from(position).expect("one of the keys is at most 257 bytes long"))
}
