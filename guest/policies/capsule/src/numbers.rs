//! How records write their numbers: by one function for each width.
//!
//! Left to itself, the compiler writes the loop over a number's bytes out at every field, which makes a twentieth of
//! the component. The encoding is the same.

use serde::{Serialize, Serializer, ser::SerializeTuple};

/// A number of 64 bits.
///
/// # Errors
/// The serializer's.
#[inline(never)]
pub fn wide<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(*value)
}

/// A number of 32 bits.
///
/// # Errors
/// The serializer's.
#[inline(never)]
pub fn narrow<S: Serializer>(value: &u32, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(*value)
}

/// Numbers of 64 bits, as many as the type says.
///
/// # Errors
/// The serializer's.
#[inline(never)]
pub fn wides<S: Serializer, const N: usize>(values: &[u64; N], to: S) -> Result<S::Ok, S::Error> {
    let mut tuple = to.serialize_tuple(N)?;
    for value in values {
        tuple.serialize_element(&Wide(*value))?;
    }
    tuple.end()
}

/// Numbers of 32 bits, as many as the type says.
///
/// # Errors
/// The serializer's.
#[inline(never)]
pub fn narrows<S: Serializer, const N: usize>(values: &[u32; N], to: S) -> Result<S::Ok, S::Error> {
    let mut tuple = to.serialize_tuple(N)?;
    for value in values {
        tuple.serialize_element(&Narrow(*value))?;
    }
    tuple.end()
}

struct Wide(u64);

impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        wide(&self.0, to)
    }
}

struct Narrow(u32);

impl Serialize for Narrow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        narrow(&self.0, to)
    }
}
