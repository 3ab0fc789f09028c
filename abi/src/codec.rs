//! The canonical codec: postcard, with a decoder that accepts exactly what the encoder writes.
//!
//! postcard alone takes non-minimal varints and trailing bytes. [`decode_canonical`] bounds the length first, decodes,
//! refuses a tail, encodes again and compares, so that every value has one encoding and every accepted encoding one
//! value. Whoever hashes or verifies uses the bytes received, never a re-encoding.

use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// A type with one encoding, and the bound on its length.
///
/// Fields are fixed-width integers, `bool`, byte arrays, bytes, `String`, `Option`, `Vec` and enums. Never floats,
/// `char`, `usize`, hash maps or durations. Rules that the shape cannot hold (sorted, no repeats, bounds) are in
/// [`Canonical::validate`], which the decoder calls.
pub trait Canonical: Serialize + DeserializeOwned {
    /// Name of the kind of object, for errors.
    const KIND: &'static str;
    /// Longest encoding, in bytes.
    const BYTES_MAX: usize;

    /// Holds the rules that the shape alone does not.
    ///
    /// # Errors
    /// [`CodecError::Invalid`] with the rule that is broken.
    fn validate(&self) -> Result<(), CodecError> {
        Ok(())
    }
}

/// Why bytes are not the canonical encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the kind allows.
    #[error("{kind}: {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Kind of object.
        kind: &'static str,
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The bytes do not have the shape of the kind.
    #[error("{kind}: the bytes do not decode")]
    Malformed {
        /// Kind of object.
        kind: &'static str,
    },
    /// Bytes follow after the value.
    #[error("{kind}: {extra} bytes after the end of the value")]
    TrailingBytes {
        /// Kind of object.
        kind: &'static str,
        /// How many.
        extra: usize,
    },
    /// The value has another, canonical encoding.
    #[error("{kind}: not the canonical encoding of its value")]
    NotCanonical {
        /// Kind of object.
        kind: &'static str,
    },
    /// A rule of the kind is broken.
    #[error("{kind}: {rule}")]
    Invalid {
        /// Kind of object.
        kind: &'static str,
        /// What must hold.
        rule: &'static str,
    },
}

/// The canonical encoding of a value.
///
/// # Panics
/// When the value breaks the rules of its kind: whoever builds such a value has a bug.
#[must_use]
pub fn encode<T: Canonical>(value: &T) -> Vec<u8> {
    if let Err(broken) = value.validate() {
        panic!("value does not keep its own rules: {broken}");
    }
    encode_raw(value)
}

/// Decodes the canonical encoding of a value and nothing else.
///
/// # Errors
/// [`CodecError`]: too long, malformed, trailing bytes, another encoding of the same value, or a broken rule.
pub fn decode_canonical<T: Canonical>(bytes: &[u8]) -> Result<T, CodecError> {
    let kind = T::KIND;
    if bytes.len() > T::BYTES_MAX {
        return Err(CodecError::TooLong { kind, len: bytes.len(), max: T::BYTES_MAX });
    }
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| CodecError::Malformed { kind })?;
    if !rest.is_empty() {
        return Err(CodecError::TrailingBytes { kind, extra: rest.len() });
    }
    value.validate()?;
    if encode_raw(&value) != bytes {
        return Err(CodecError::NotCanonical { kind });
    }
    Ok(value)
}

/// What most encodings fit into, in bytes: without it a vector grows several times for each of them.
const ENCODED_BYTES: usize = 512;

fn encode_raw<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, Vec::with_capacity(ENCODED_BYTES)).expect("encoding into memory cannot fail here")
}

/// Shorthand for [`Canonical::validate`]: `rule` must hold.
pub(crate) fn require(holds: bool, kind: &'static str, rule: &'static str) -> Result<(), CodecError> {
    if holds { Ok(()) } else { Err(CodecError::Invalid { kind, rule }) }
}

#[cfg(test)]
mod tests;
