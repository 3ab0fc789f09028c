//! The one byte whose change makes a record what its digest says.
//!
//! A digest that others name decides between candidates as surely as it would recognise a copy: no two of them have it.
//! One bit is what most often flips, so single bits come first.

/// Most bytes that are hashed in search of one record.
const HASHED_BYTES_MAX: usize = 1 << 30;

/// The record with one byte changed so that it holds, if there is one and it is short enough to look for it.
pub(super) fn one_byte(bytes: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> Option<Vec<u8>> {
    if bytes.len().saturating_mul(bytes.len()).saturating_mul(255) > HASHED_BYTES_MAX {
        return None;
    }
    let mut candidate = bytes.to_vec();
    let bits = (0..8).map(|bit| 1_u8 << bit);
    let others = (1..=u8::MAX).filter(|mask| !mask.is_power_of_two());
    for mask in bits.chain(others) {
        for at in 0..candidate.len() {
            candidate[at] ^= mask;
            if holds(&candidate) {
                return Some(candidate);
            }
            candidate[at] ^= mask;
        }
    }
    None
}

#[cfg(test)]
mod tests;
