//! Reading.

use core::fmt::{self, Display};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor, value::U32Deserializer,
};

/// What is not read yet.
pub struct Reader<'i>(pub &'i [u8]);

/// The bytes are no encoding of the type. Nothing more is said: state is written by the same types, so this is another
/// version's, and a sentence for each way would be linked into every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an encoding of this type")
    }
}

impl core::error::Error for Corrupt {}

impl Error for Corrupt {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn missing_field(_: &'static str) -> Self {
        Self
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

impl<'i> Reader<'i> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt)?;
        self.0 = rest;
        Ok(*first)
    }

    /// LEB128, at most `bits` of them.
    #[inline(never)]
    fn number(&mut self, bits: u32) -> Result<u64, Corrupt> {
        if let Some((byte @ 0..=0x7f, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.0.split_first().ok_or(Corrupt)?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            // What does not fit: shifted there and back again it is another number.
            if shift >= bits || (part << shift) >> shift != part {
                return Err(Corrupt);
            }
            value |= part << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return if bits == 64 || value >> bits == 0 { Ok(value) } else { Err(Corrupt) };
            }
        }
    }

    #[inline(never)]
    fn signed(&mut self, bits: u32) -> Result<i64, Corrupt> {
        let value = self.number(bits)?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A length, not more than what is left: every item is a byte at least, but for those that are none at all.
    #[inline]
    fn length(&mut self) -> Result<usize, Corrupt> {
        usize::try_from(self.number(32)?).map_err(|_| Corrupt)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'i [u8], Corrupt> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'i [u8], Corrupt> {
        let length = self.length()?;
        self.take(length)
    }

    #[inline(never)]
    fn text(&mut self) -> Result<&'i str, Corrupt> {
        core::str::from_utf8(self.bytes()?).map_err(|_| Corrupt)
    }

    #[inline(never)]
    fn is_some(&mut self) -> Result<bool, Corrupt> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Corrupt),
        }
    }
}

macro_rules! numbers {
    ($($method:ident: $visit:ident($int:ty) by $by:ident($bits:literal)),+ $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
            visitor.$visit(self.$by($bits)? as $int)
        }
    )+};
}

impl<'i> Deserializer<'i> for &mut Reader<'i> {
    type Error = Corrupt;

    numbers! {
        deserialize_u16: visit_u16(u16) by number(16),
        deserialize_u32: visit_u32(u32) by number(32),
        deserialize_u64: visit_u64(u64) by number(64),
        deserialize_i16: visit_i16(i16) by signed(16),
        deserialize_i32: visit_i32(i32) by signed(32),
        deserialize_i64: visit_i64(i64) by signed(64),
    }

    /// The bytes do not say what they are.
    fn deserialize_any<V: Visitor<'i>>(self, _: V) -> Result<V::Value, Corrupt> {
        Err(Corrupt)
    }

    fn deserialize_ignored_any<V: Visitor<'i>>(self, _: V) -> Result<V::Value, Corrupt> {
        Err(Corrupt)
    }

    fn deserialize_identifier<V: Visitor<'i>>(self, _: V) -> Result<V::Value, Corrupt> {
        Err(Corrupt)
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_bool(self.is_some()?)
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_u8(self.byte()?)
    }

    #[inline]
    fn deserialize_i8<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_i8(self.byte()?.cast_signed())
    }

    fn deserialize_f32<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        let bytes = self.take(4)?.try_into().map_err(|_| Corrupt)?;
        visitor.visit_f32(f32::from_bits(u32::from_le_bytes(bytes)))
    }

    fn deserialize_f64<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        let bytes = self.take(8)?.try_into().map_err(|_| Corrupt)?;
        visitor.visit_f64(f64::from_bits(u64::from_le_bytes(bytes)))
    }

    fn deserialize_char<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        let mut letters = self.text()?.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => visitor.visit_char(letter),
            _ => Err(Corrupt),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        if self.is_some()? { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'i>>(self, _: &'static str, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'i>>(self, _: &'static str, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        let left = self.length()?;
        visitor.visit_seq(Parts { reader: self, left })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'i>>(self, left: usize, visitor: V) -> Result<V::Value, Corrupt> {
        visitor.visit_seq(Parts { reader: self, left })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'i>>(
        self,
        _: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Corrupt> {
        self.deserialize_tuple(left, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, Corrupt> {
        let left = self.length()?;
        visitor.visit_map(Parts { reader: self, left })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'i>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Corrupt> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'i>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Corrupt> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Parts of a sequence, record or map.
struct Parts<'r, 'i> {
    reader: &'r mut Reader<'i>,
    left: usize,
}

impl Parts<'_, '_> {
    #[inline]
    fn next(&mut self) -> bool {
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        more
    }

    /// How many to make room for: not more than there can be.
    fn hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.0.len()))
    }
}

impl<'i> SeqAccess<'i> for Parts<'_, 'i> {
    type Error = Corrupt;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'i>>(&mut self, seed: T) -> Result<Option<T::Value>, Corrupt> {
        if self.next() { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'i> MapAccess<'i> for Parts<'_, 'i> {
    type Error = Corrupt;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'i>>(&mut self, seed: K) -> Result<Option<K::Value>, Corrupt> {
        if self.next() { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'i>>(&mut self, seed: V) -> Result<V::Value, Corrupt> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'i> EnumAccess<'i> for &mut Reader<'i> {
    type Error = Corrupt;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'i>>(self, seed: V) -> Result<(V::Value, Self), Corrupt> {
        let index = self.number(32)? as u32;
        Ok((seed.deserialize(U32Deserializer::<Corrupt>::new(index))?, self))
    }
}

impl<'i> VariantAccess<'i> for &mut Reader<'i> {
    type Error = Corrupt;

    #[inline]
    fn unit_variant(self) -> Result<(), Corrupt> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'i>>(self, seed: T) -> Result<T::Value, Corrupt> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'i>>(self, length: usize, visitor: V) -> Result<V::Value, Corrupt> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'i>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Corrupt> {
        self.deserialize_tuple(fields.len(), visitor)
    }
}
