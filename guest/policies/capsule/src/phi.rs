//! The state vector of a capsule, in fixed point: blend and normalise (E2, section 1.3 of the document).
//!
//! A component is in parts per million of one, so a vector of length one has a length of 1,000,000. Only vectors of
//! length one, give or take [`LENGTH_TOLERANCE_PPM`], are taken in. What [`blend`] makes is such a vector, and each of
//! its components is within 0.51 parts per million of the exact 0.7 own + 0.3 ancestor, normalised.

use crate::severity::PPM;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// Most components of a vector.
pub const DIMENSION_MAX: u32 = 32;
/// How far the length of a vector may be from one, in parts per million.
pub const LENGTH_TOLERANCE_PPM: u32 = 1_000;
/// The capsule's own share of a blend, in tenths.
pub const OWN_TENTHS: i64 = 7;
/// The ancestor's share of a blend, in tenths.
pub const ANCESTOR_TENTHS: i64 = 3;

/// A vector of length one. In state it is one string of bytes, four for each component, the lowest first: reading
/// numbers one by one would be most of what reading a capsule costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Phi(pub Vec<i32>);

impl Serialize for Phi {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * 4);
        for part in &self.0 {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        to.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Phi {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Phi;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("four bytes for each component")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Phi, E> {
        let (parts, rest) = bytes.as_chunks();
        let phi = Phi(parts.iter().map(|part| i32::from_le_bytes(*part)).collect());
        if rest.is_empty() { Ok(phi) } else { Err(E::invalid_length(bytes.len(), &self)) }
    }
}

/// It has this many components and length one, within the tolerance.
#[must_use]
pub fn is_normal(Phi(phi): &Phi, dimension: u32) -> bool {
    let bound = PPM + LENGTH_TOLERANCE_PPM;
    let length_at = |ppm: u32| u64::from(ppm) * u64::from(ppm);
    phi.len() as u64 == u64::from(dimension)
        && phi.iter().all(|part| part.unsigned_abs() <= bound)
        && (length_at(PPM - LENGTH_TOLERANCE_PPM)..=length_at(bound))
            .contains(&squares(phi.iter().map(|p| i64::from(*p))))
}

/// 0.7 own + 0.3 ancestor, normalised. Both are normal and of one dimension.
///
/// The blend is made in tenths of parts per million, exactly. Its length is taken at 64 times that, so that rounding it
/// down to a whole number costs less than 1 / (64 x length): the lengths of normal vectors keep the blend's above
/// 0.7 x 0.999 - 0.3 x 1.001, which is 3,990,000 tenths. What is left of the error is the rounding of the result,
/// half a part.
#[must_use]
pub fn blend(own: &Phi, ancestor: &Phi) -> Phi {
    let mix = |(own, ancestor): (&i32, &i32)| OWN_TENTHS * i64::from(*own) + ANCESTOR_TENTHS * i64::from(*ancestor);
    let blended: Vec<i64> = own.0.iter().zip(&ancestor.0).map(mix).collect();
    // At most 1.001e7 for a component and 1.002e14 for the square of the length: 2^12 times that is below 2^64.
    let length = (squares(blended.iter().copied()) << 12).isqrt().max(1).cast_signed();
    let unit = i64::from(PPM) * 64;
    Phi(blended.into_iter().map(|part| round_ratio(part * unit, length) as i32).collect())
}

fn squares(parts: impl Iterator<Item = i64>) -> u64 {
    parts.map(|part| part.unsigned_abs() * part.unsigned_abs()).sum()
}

/// The quotient, rounded to the nearest, halves away from zero.
fn round_ratio(dividend: i64, divisor: i64) -> i64 {
    let half = if dividend < 0 { -(divisor / 2) } else { divisor / 2 };
    (dividend + half) / divisor
}

#[cfg(test)]
mod tests;
