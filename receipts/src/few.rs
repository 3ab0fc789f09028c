//! Lists with a bound: decoding stops at the first item too many, and reserves nothing on the word of a count.

use core::{fmt, marker::PhantomData};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// A list of at most `MAX` items, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// An item does not decode, or there is one too many.
pub fn few<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Few::<T, MAX>(PhantomData))
}

struct Few<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Few<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        while let Some(item) = items.next_element()? {
            if few.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            few.push(item);
        }
        Ok(few)
    }
}
