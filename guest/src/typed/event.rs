//! Inputs as typed events.
//!
//! An input is to serde what an externally tagged enum is: the kind is the tag, the payload the content. Reading it that
//! way needs no buffering, and both ways to be wrong keep their own rejection.

use super::json::{self, JsonError};
use crate::{
    policy::StepInput,
    rejection::{Code, SdkCode},
};
use core::fmt;
use reprise_abi::Rejection;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, EnumAccess, Error, VariantAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

/// Reads an input into an event enum: `kind` names the variant, `payload` is the JSON of what the variant holds.
///
/// ```
/// # use reprise_guest::{StepInput, typed};
/// #[derive(serde::Deserialize, PartialEq, Debug)]
/// #[serde(rename_all = "snake_case")]
/// enum Event {
///     Heartbeat(Heartbeat),
/// }
/// #[derive(serde::Deserialize, PartialEq, Debug)]
/// #[serde(deny_unknown_fields)]
/// struct Heartbeat {
///     rank: u32,
/// }
/// let input = StepInput { kind: "heartbeat".into(), payload: br#"{"rank":3}"#.to_vec(), ..StepInput::default() };
/// assert_eq!(typed::event::<Event>(&input), Ok(Event::Heartbeat(Heartbeat { rank: 3 })));
/// ```
///
/// # Errors
/// [`SdkCode::UnknownKind`], or [`SdkCode::MalformedPayload`] with what is wrong and where.
pub fn event<'i, E: Deserialize<'i>>(input: &'i StepInput) -> Result<E, Rejection> {
    E::deserialize(Tagged { kind: &input.kind, payload: &input.payload }).map_err(|unread| match unread {
        Unread::Kind => SdkCode::UnknownKind.because(["`", &input.kind, "`"].concat()),
        Unread::Payload(error) => malformed(&input.kind, &error),
    })
}

/// Reads the payload of an input whose kind is already known.
///
/// # Errors
/// [`SdkCode::MalformedPayload`] with what is wrong and where.
pub fn payload<'i, E: Deserialize<'i>>(input: &'i StepInput) -> Result<E, Rejection> {
    json::read(&input.payload).map_err(|error| malformed(&input.kind, &error))
}

/// The payload of an input as an object, to be taken apart by name.
///
/// # Errors
/// [`SdkCode::MalformedPayload`] with what is wrong and where.
pub fn object(input: &StepInput) -> Result<json::Object<'_>, Rejection> {
    json::Object::read(&input.payload).map_err(|error| malformed(&input.kind, &error))
}

fn malformed(kind: &str, error: &JsonError) -> Rejection {
    SdkCode::MalformedPayload.because(format!("`{kind}`: {error}"))
}

#[derive(Debug)]
enum Unread {
    Kind,
    Payload(JsonError),
}

impl Error for Unread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Kind
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Kind
    }
}

impl core::error::Error for Unread {}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("unknown kind"),
            Self::Payload(error) => error.fmt(f),
        }
    }
}

struct Tagged<'i> {
    kind: &'i str,
    payload: &'i [u8],
}

impl<'i> Deserializer<'i> for Tagged<'i> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'i>>(self, _: V) -> Result<V::Value, Unread> {
        Err(Unread::Kind)
    }

    fn deserialize_enum<V: Visitor<'i>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'i>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'i> EnumAccess<'i> for Tagged<'i> {
    type Error = Unread;
    type Variant = Payload<'i>;

    fn variant_seed<V: DeserializeSeed<'i>>(self, seed: V) -> Result<(V::Value, Payload<'i>), Unread> {
        let variant = seed.deserialize(StrDeserializer::<Unread>::new(self.kind))?;
        Ok((variant, Payload(self.payload)))
    }
}

struct Payload<'i>(&'i [u8]);

impl<'i> VariantAccess<'i> for Payload<'i> {
    type Error = Unread;

    /// The payload of an event that says nothing is `{}`.
    fn unit_variant(self) -> Result<(), Unread> {
        json::read_with(self.0, |json| json.unit_variant()).map_err(Unread::Payload)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'i>>(self, seed: T) -> Result<T::Value, Unread> {
        json::read_with(self.0, |json| seed.deserialize(json)).map_err(Unread::Payload)
    }

    fn tuple_variant<V: Visitor<'i>>(self, len: usize, visitor: V) -> Result<V::Value, Unread> {
        json::read_with(self.0, |json| json.deserialize_tuple(len, visitor)).map_err(Unread::Payload)
    }

    fn struct_variant<V: Visitor<'i>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Unread> {
        json::read_with(self.0, |json| json.deserialize_struct("", fields, visitor)).map_err(Unread::Payload)
    }
}
