//! JSON into types: strict, small, with the place of every mistake.
//!
//! A general JSON library is most of a small policy's size, and size is paid for in every fresh instance. This one reads
//! what RFC 8259 allows and no more, structs from objects only, integers exactly. Every part that does not depend on a
//! type is one function that is shared.

mod reader;
mod value;

pub use value::{Object, Value, Wrong};

use core::fmt;
use reader::{Number, Reader};
use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor, value::StrDeserializer,
    },
};
use std::borrow::Cow;

/// Values may be nested this deep.
pub const DEPTH_MAX: u32 = 32;
/// Items of all lists and members of all objects of a text, together. An item costs at most 2,500 units of fuel, so the
/// longest payload that is not what a policy expects is refused with half of a step's fuel left.
pub const ITEMS_MAX: u32 = 4_096;

/// What is wrong with a JSON text, and where. One pointer, because every result of every read has room for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(Box<Problem>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    text: String,
    at: Option<usize>,
}

impl JsonError {
    #[cold]
    #[inline(never)]
    fn new(text: &str) -> Self {
        Self(Box::new(Problem { text: text.into(), at: None }))
    }

    /// Says where, unless that is known already.
    fn at(mut self, place: usize) -> Self {
        self.0.at.get_or_insert(place);
        self
    }

    #[cold]
    #[inline(never)]
    fn expected(what: &dyn Expected) -> Self {
        Self::new(&format!("expected {what}"))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.0.text, self.0.at.unwrap_or_default())
    }
}

impl core::error::Error for JsonError {}

/// The defaults print the value that was found, which links the printing of floating-point numbers.
impl Error for JsonError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(&problem.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }

    fn unknown_variant(variant: &str, _: &'static [&'static str]) -> Self {
        Self::new(&["unknown variant `", variant, "`"].concat())
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::new(&["unknown field `", field, "`"].concat())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(&["missing field `", field, "`"].concat())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(&["repeated field `", field, "`"].concat())
    }
}

/// Reads one value, which is the whole text.
///
/// # Errors
/// [`JsonError`]: not UTF-8, not JSON, not of the type, or something follows.
pub fn read<'i, T: Deserialize<'i>>(bytes: &'i [u8]) -> Result<T, JsonError> {
    read_with(bytes, |reader| T::deserialize(reader))
}

pub(super) fn read_with<'i, T>(
    bytes: &'i [u8],
    read: impl FnOnce(&mut Reader<'i>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let value = read(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| error.at(reader.at()))
}

fn unexpected<'i, V: Visitor<'i>>(visitor: &V) -> JsonError {
    JsonError::expected(visitor)
}

/// A fraction; a number beyond the range of `f64` is an error rather than infinity.
fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

macro_rules! integers {
    ($($method:ident)+) => {$(
        #[inline(never)]
        fn $method<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
            match self.number()? {
                Some(Number::Unsigned(n)) => visitor.visit_u64(n),
                Some(Number::Negative(n)) => visitor.visit_i64(n),
                _ => Err(unexpected(&visitor)),
            }
        }
    )+};
}

macro_rules! floats {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
            match self.number_text()?.and_then(finite) {
                Some(number) => visitor.visit_f64(number),
                None => Err(unexpected(&visitor)),
            }
        }
    )+};
}

macro_rules! strings {
    ($($method:ident)+) => {$(
        #[inline(never)]
        fn $method<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
            match self.string()? {
                Some(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
                Some(Cow::Owned(text)) => visitor.visit_string(text),
                None => Err(unexpected(&visitor)),
            }
        }
    )+};
}

macro_rules! unsupported {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'i>>(self, _: V) -> Result<V::Value, JsonError> {
            Err(JsonError::new("a type that JSON does not have"))
        }
    )+};
}

impl<'i> Deserializer<'i> for &mut Reader<'i> {
    type Error = JsonError;

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }
    floats! { deserialize_f32 deserialize_f64 }
    strings! { deserialize_str deserialize_string deserialize_identifier deserialize_char }
    unsupported! { deserialize_bytes deserialize_byte_buf }

    fn deserialize_any<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.peek() {
            Some(b'"') => self.deserialize_str(visitor),
            Some(b'{') => self.deserialize_map(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'n') => self.deserialize_unit(visitor),
            _ => match self.number()? {
                Some(Number::Unsigned(n)) => visitor.visit_u64(n),
                Some(Number::Negative(n)) => visitor.visit_i64(n),
                Some(Number::Other(text)) => match finite(text) {
                    Some(number) => visitor.visit_f64(number),
                    None => Err(unexpected(&visitor)),
                },
                None => Err(unexpected(&visitor)),
            },
        }
    }

    #[inline(never)]
    fn deserialize_bool<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.take_word("true") {
            visitor.visit_bool(true)
        } else if self.take_word("false") {
            visitor.visit_bool(false)
        } else {
            Err(unexpected(&visitor))
        }
    }

    fn deserialize_unit<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.take_word("null") { visitor.visit_unit() } else { Err(unexpected(&visitor)) }
    }

    fn deserialize_unit_struct<V: Visitor<'i>>(self, _: &'static str, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.take_word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'i>>(self, _: &'static str, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(never)]
    fn deserialize_seq<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if !self.open(b'[')? {
            return Err(unexpected(&visitor));
        }
        let value = visitor.visit_seq(Items { reader: self, first: true })?;
        self.close(b']')?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'i>>(self, _: usize, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'i>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_seq(visitor)
    }

    #[inline(never)]
    fn deserialize_map<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if !self.open(b'{')? {
            return Err(unexpected(&visitor));
        }
        let value = visitor.visit_map(Items { reader: self, first: true })?;
        self.close(b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'i>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_map(visitor)
    }

    #[inline(never)]
    fn deserialize_enum<V: Visitor<'i>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        if let Some(name) = self.string()? {
            return visitor.visit_enum(StrDeserializer::<JsonError>::new(&name));
        }
        if !self.open(b'{')? {
            return Err(unexpected(&visitor));
        }
        let value = visitor.visit_enum(&mut *self)?;
        self.close(b'}')?;
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.skip()?;
        visitor.visit_unit()
    }
}

/// The items of an array or the members of an object.
struct Items<'r, 'i> {
    reader: &'r mut Reader<'i>,
    first: bool,
}

impl<'i> SeqAccess<'i> for Items<'_, 'i> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'i>>(&mut self, seed: T) -> Result<Option<T::Value>, JsonError> {
        if self.reader.next_item(&mut self.first, b']')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'i> MapAccess<'i> for Items<'_, 'i> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'i>>(&mut self, seed: K) -> Result<Option<K::Value>, JsonError> {
        if self.reader.next_member(&mut self.first)? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'i>>(&mut self, seed: V) -> Result<V::Value, JsonError> {
        self.reader.colon()?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'i> EnumAccess<'i> for &mut Reader<'i> {
    type Error = JsonError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'i>>(self, seed: V) -> Result<(V::Value, Self), JsonError> {
        let name = seed.deserialize(&mut *self)?;
        self.colon()?;
        Ok((name, self))
    }
}

impl<'i> VariantAccess<'i> for &mut Reader<'i> {
    type Error = JsonError;

    /// A variant that holds nothing is `{}` where an object is asked for.
    fn unit_variant(self) -> Result<(), JsonError> {
        if self.open(b'{')? { self.close(b'}') } else { Err(JsonError::new("expected {}")) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'i>>(self, seed: T) -> Result<T::Value, JsonError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'i>>(self, _: usize, visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'i>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, JsonError> {
        self.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests;
