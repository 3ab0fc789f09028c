//! Values that derive `Serialize`, as JSON. Writing cannot fail, so nothing after it asks.

use super::{Json, TEXT_BYTES_USUAL};
use crate::never::Never;
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

/// A value as compact JSON, as a general library writes it: records are objects, variants their names.
///
/// Where many types are written, this is larger than calls of [`Json`], and shorter to read.
///
/// ```
/// #[derive(serde::Serialize)]
/// struct View { epoch: u64, ranks: Vec<u32>, plan: Option<String> }
/// let view = View { epoch: 3, ranks: vec![1, 2], plan: None };
/// assert_eq!(reprise_guest::json::of(&view), br#"{"epoch":3,"ranks":[1,2],"plan":null}"#);
/// ```
///
/// # Panics
/// A fraction, raw bytes, or a key of a map that is neither a string nor a number: JSON has no place for them here.
#[must_use]
pub fn of<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut json = Json { text: Vec::with_capacity(TEXT_BYTES_USUAL), open: Vec::new() };
    let Ok(()) = value.serialize(&mut json);
    json.text
}

impl Json {
    #[inline(never)]
    fn value_digits(&mut self, value: u64, negative: bool) {
        let key = self.key_follows();
        self.digits(value, negative);
        if key {
            self.raw(b"\"");
        }
    }

    /// A number that is a name stands between quotes. Answers whether it does.
    fn key_follows(&mut self) -> bool {
        let key = self.open.last() == Some(&KEY);
        if key {
            self.raw(b"\"");
        }
        key
    }

    #[inline(never)]
    fn variant(&mut self, name: &str) {
        self.raw(b"{").quote(name).raw(b":");
    }
}

/// On the stack of what is open: the next value is a name.
const KEY: u8 = 0;

/// What is being written, and what ends it.
pub struct Parts<'j> {
    json: &'j mut Json,
    end: &'static [u8],
}

macro_rules! numbers {
    ($($method:ident($int:ty) $value:ident => $digits:expr, $negative:expr);+ $(;)?) => {$(
        #[inline]
        fn $method(self, $value: $int) -> Result<(), Never> {
            self.value_digits($digits, $negative);
            Ok(())
        }
    )+};
}

macro_rules! absent {
    ($($method:ident($type:ty) $what:literal),+ $(,)?) => {$(
        fn $method(self, _: $type) -> Result<(), Never> {
            panic!($what)
        }
    )+};
}

impl<'j> Serializer for &'j mut Json {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Parts<'j>;
    type SerializeTuple = Parts<'j>;
    type SerializeTupleStruct = Parts<'j>;
    type SerializeTupleVariant = Parts<'j>;
    type SerializeMap = Parts<'j>;
    type SerializeStruct = Parts<'j>;
    type SerializeStructVariant = Parts<'j>;

    numbers! {
        serialize_u8(u8) value => value.into(), false;
        serialize_u16(u16) value => value.into(), false;
        serialize_u32(u32) value => value.into(), false;
        serialize_u64(u64) value => value, false;
        serialize_i8(i8) value => value.unsigned_abs().into(), value < 0;
        serialize_i16(i16) value => value.unsigned_abs().into(), value < 0;
        serialize_i32(i32) value => value.unsigned_abs().into(), value < 0;
        serialize_i64(i64) value => value.unsigned_abs(), value < 0;
    }

    absent! { serialize_f32(f32) "a fraction", serialize_f64(f64) "a fraction", serialize_bytes(&[u8]) "raw bytes" }

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.raw(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Never> {
        self.quote(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Never> {
        self.quote(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    #[inline(never)]
    fn serialize_unit(self) -> Result<(), Never> {
        self.raw(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Never> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        self.variant(variant);
        let Ok(()) = value.serialize(&mut *self);
        self.raw(b"}");
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'j>, Never> {
        self.raw(b"[");
        Ok(Parts { json: self, end: b"]" })
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Parts<'j>, Never> {
        self.serialize_seq(None)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'j>, Never> {
        self.serialize_seq(None)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'j>, Never> {
        self.variant(variant);
        self.raw(b"[");
        Ok(Parts { json: self, end: b"]}" })
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'j>, Never> {
        self.raw(b"{");
        Ok(Parts { json: self, end: b"}" })
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'j>, Never> {
        self.serialize_map(None)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'j>, Never> {
        self.variant(variant);
        self.raw(b"{");
        Ok(Parts { json: self, end: b"}}" })
    }
}

/// Items of a list.
macro_rules! items {
    ($($part:ident: $method:ident),+) => {$(
        impl $part for Parts<'_> {
            type Ok = ();
            type Error = Never;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                self.json.comma();
                value.serialize(&mut *self.json)
            }

            #[inline]
            fn end(self) -> Result<(), Never> {
                self.json.raw(self.end);
                Ok(())
            }
        }
    )+};
}

items!(SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field);
items!(SerializeTupleVariant: serialize_field);

/// Members of an object.
macro_rules! members {
    ($($part:ident),+) => {$(
        impl $part for Parts<'_> {
            type Ok = ();
            type Error = Never;

            #[inline(never)]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Never> {
                self.json.name(name);
                value.serialize(&mut *self.json)
            }

            #[inline]
            fn end(self) -> Result<(), Never> {
                self.json.raw(self.end);
                Ok(())
            }
        }
    )+};
}

members!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Never;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        self.json.comma().open.push(KEY);
        let Ok(()) = key.serialize(&mut *self.json);
        self.json.open.pop();
        self.json.raw(b":");
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(&mut *self.json)
    }

    #[inline]
    fn end(self) -> Result<(), Never> {
        self.json.raw(self.end);
        Ok(())
    }
}
