//! Values as bytes: the encoding of postcard, by code that is written for small components.
//!
//! State is postcard, so equal values are equal bytes. A general implementation is written for speed: at every field of
//! every record the compiler writes the loop over a number's bytes out again, which is a third of a policy with many
//! records. Here a number is one function, and writing cannot fail, so that nothing after it asks. A property test holds
//! both to the same bytes.
//!
//! Two bounds: sequences and maps say how long they are before they are written, as those of the standard library do;
//! and what is read is not longer than what is left, so nothing large is allocated for a length that is a lie.

mod reader;
mod writer;

pub use reader::Corrupt;

use serde::{Deserialize, Serialize};

/// Room for an encoding at once, because growing a list byte by byte is most of the cost of a small one.
const BYTES_USUAL: usize = 64;

/// The encoding of a value.
///
/// # Panics
/// A sequence does not know its length: no type that derives `Serialize` has one.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut writer = writer::Writer(Vec::with_capacity(BYTES_USUAL));
    let Ok(()) = value.serialize(&mut writer);
    writer.0
}

/// The value that these bytes are the encoding of.
///
/// # Errors
/// [`Corrupt`]: they are not, or something follows.
pub fn decode<'i, T: Deserialize<'i>>(bytes: &'i [u8]) -> Result<T, Corrupt> {
    match decode_front(bytes)? {
        (value, []) => Ok(value),
        _ => Err(Corrupt),
    }
}

/// The value whose encoding these bytes begin with, and what follows it.
///
/// # Errors
/// [`Corrupt`]: they do not begin with one.
pub fn decode_front<'i, T: Deserialize<'i>>(bytes: &'i [u8]) -> Result<(T, &'i [u8]), Corrupt> {
    let mut reader = reader::Reader(bytes);
    let value = T::deserialize(&mut reader)?;
    Ok((value, reader.0))
}

#[cfg(test)]
mod tests;
