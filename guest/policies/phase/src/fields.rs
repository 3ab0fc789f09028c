//! What comes from outside, as JSON: events, the arguments of views, the answers of drivers.
//!
//! A reader for each kind of event would be an eighth of the component; here every kind takes what it has from one
//! object, and nothing may be left.

use crate::{
    error::{No, Refusal, malformed},
    params::SHORT_LIST_MAX,
};
use core::mem;
use reprise_guest::{
    text::join,
    typed::json::{JsonError, Object, Value},
};

/// An object, taken apart member by member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'i>(Object<'i>);

/// What can be taken from a [`Value`].
pub trait Field<'i>: Sized {
    /// The value, if it is of this type and within its range.
    fn of(value: Value<'i>) -> Option<Self>;
}

impl<'i> Fields<'i> {
    /// Reads the payload of an input or the arguments of a view; nothing at all is an empty object.
    ///
    /// # Errors
    /// [`reprise_guest::rejection::SdkCode::MalformedPayload`].
    #[inline(never)]
    pub fn read(bytes: &'i [u8]) -> Result<Self, Refusal> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        Object::read(bytes).map(Self).map_err(|error: JsonError| malformed(&error.to_string()))
    }

    /// Takes a member that may be left out or `null`.
    ///
    /// # Errors
    /// Malformed: not of its type, or out of its range.
    #[inline(never)]
    pub fn maybe<T: Field<'i>>(&mut self, name: &'static str) -> Result<Option<T>, Refusal> {
        match self.0.take(name) {
            None => Ok(None),
            Some(value) => T::of(value).map(Some).ok_or_else(|| wrong("malformed", name)),
        }
    }

    /// Takes a member.
    ///
    /// # Errors
    /// Malformed: missing, not of its type, or out of its range.
    #[inline(never)]
    pub fn take<T: Field<'i>>(&mut self, name: &'static str) -> Result<T, Refusal> {
        self.maybe(name)?.ok_or_else(|| wrong("missing", name))
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// Malformed: a member that this kind does not have, or a second one of a name.
    #[inline(never)]
    pub fn end(&mut self) -> Result<(), Refusal> {
        mem::take(&mut self.0).end().map_err(|left| {
            let (what, name) = left.parts();
            malformed(&join(&[what, " `", name, "`"]))
        })
    }
}

#[cold]
#[inline(never)]
fn wrong(what: &str, name: &str) -> Refusal {
    malformed(&join(&[what, " field `", name, "`"]))
}

impl<'i> Field<'i> for u64 {
    fn of(value: Value<'i>) -> Option<Self> {
        if let Value::Number(number) = value { Some(number) } else { None }
    }
}

impl<'i> Field<'i> for u32 {
    fn of(value: Value<'i>) -> Option<Self> {
        u64::of(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl<'i> Field<'i> for bool {
    fn of(value: Value<'i>) -> Option<Self> {
        if let Value::Truth(truth) = value { Some(truth) } else { None }
    }
}

impl<'i> Field<'i> for String {
    #[inline(never)]
    fn of(value: Value<'i>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.into_owned()) } else { None }
    }
}

impl<'i> Field<'i> for Fields<'i> {
    fn of(value: Value<'i>) -> Option<Self> {
        if let Value::Object(object) = value { Some(Self(object)) } else { None }
    }
}

impl<'i> Field<'i> for Vec<Value<'i>> {
    fn of(value: Value<'i>) -> Option<Self> {
        if let Value::List(values) = value { Some(values) } else { None }
    }
}

/// A list of whole numbers.
impl<'i> Field<'i> for Vec<u64> {
    #[inline(never)]
    fn of(value: Value<'i>) -> Option<Self> {
        let mut numbers = Self::new();
        for value in Vec::of(value)? {
            numbers.push(u64::of(value)?);
        }
        Some(numbers)
    }
}

impl<'i> Fields<'i> {
    /// Takes a list of at most 64 objects; none when it may be left out and is.
    ///
    /// # Errors
    /// [`No::BadList`], malformed.
    #[inline(never)]
    pub fn objects(&mut self, name: &'static str, optional: bool) -> Result<Vec<Self>, Refusal> {
        let values: Vec<Value<'i>> = if optional { self.maybe(name)?.unwrap_or_default() } else { self.take(name)? };
        if values.len() > SHORT_LIST_MAX {
            return Err(No::BadList.says(&["`", name, "` has at most 64 rows"]));
        }
        let mut objects = Vec::with_capacity(values.len());
        for value in values {
            objects.push(Self::of(value).ok_or_else(|| wrong("malformed", name))?);
        }
        Ok(objects)
    }
}

/// A text of 1 to 128 bytes.
///
/// # Errors
/// [`No::BadText`].
#[inline(never)]
pub fn bounded(name: &str, text: &str) -> Result<(), Refusal> {
    if (1..=crate::params::TEXT_MAX).contains(&text.len()) {
        return Ok(());
    }
    Err(No::BadText.says(&["`", name, "` is 1 to 128 bytes long"]))
}

#[cfg(test)]
mod tests;
