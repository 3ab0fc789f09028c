//! Any JSON, and objects that are taken apart by name.
//!
//! A reader for each record that an event can have is shorter to write and larger: with a dozen records it is a fifth of
//! a component. Here every record is read by the same code, and says by name what it has.

use super::{JsonError, Number, Reader, read_with};
use std::borrow::Cow;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'i> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Truth(bool),
    /// 0 to 2^64 - 1.
    Number(u64),
    /// Any other number.
    OtherNumber,
    /// A string.
    Text(Cow<'i, str>),
    /// An array.
    List(Vec<Value<'i>>),
    /// An object.
    Object(Object<'i>),
}

/// A JSON object. What is taken is gone, so that [`end`](Self::end) finds what is left: also a member that is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'i> {
    members: Vec<(Cow<'i, str>, Value<'i>)>,
}

/// What is wrong with an object's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A member is missing.
    Missing(&'static str),
    /// A member is not of its type, or not in its range.
    Malformed(&'static str),
    /// A member does not belong there.
    Unknown(String),
}

impl Wrong {
    /// What is wrong, and with which member.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Missing(name) => ("missing field", name),
            Self::Malformed(name) => ("malformed field", name),
            Self::Unknown(name) => ("unknown field", name),
        }
    }
}

impl<'i> Object<'i> {
    /// Reads an object, which is the whole text.
    ///
    /// # Errors
    /// [`JsonError`]: not UTF-8, not JSON, no object, or something follows.
    #[inline(never)]
    pub fn read(bytes: &'i [u8]) -> Result<Self, JsonError> {
        match read_with(bytes, value)? {
            Value::Object(object) => Ok(object),
            _ => Err(JsonError::new("expected an object").at(0)),
        }
    }

    /// Takes a member; `null` is as good as none.
    #[inline(never)]
    pub fn take(&mut self, name: &str) -> Option<Value<'i>> {
        let place = self.members.iter().position(|member| member.0 == name)?;
        Some(self.members.remove(place).1).filter(|value| *value != Value::Null)
    }

    /// A number up to `most`, if it is there.
    ///
    /// # Errors
    /// [`Wrong::Malformed`].
    #[inline(never)]
    pub fn maybe_number(&mut self, name: &'static str, most: u64) -> Result<Option<u64>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) if number <= most => Ok(Some(number)),
            Some(_) => Err(Wrong::Malformed(name)),
        }
    }

    /// A number up to `most`.
    ///
    /// # Errors
    /// [`Wrong::Missing`], [`Wrong::Malformed`].
    #[inline(never)]
    pub fn number(&mut self, name: &'static str, most: u64) -> Result<u64, Wrong> {
        self.maybe_number(name, most)?.ok_or(Wrong::Missing(name))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`Wrong::Missing`], [`Wrong::Malformed`].
    #[inline(never)]
    pub fn truth(&mut self, name: &'static str) -> Result<bool, Wrong> {
        match self.take(name) {
            Some(Value::Truth(truth)) => Ok(truth),
            None => Err(Wrong::Missing(name)),
            Some(_) => Err(Wrong::Malformed(name)),
        }
    }

    /// A string, if it is there.
    ///
    /// # Errors
    /// [`Wrong::Malformed`].
    #[inline(never)]
    pub fn maybe_text(&mut self, name: &'static str) -> Result<Option<Cow<'i, str>>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Wrong::Malformed(name)),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// [`Wrong::Missing`], [`Wrong::Malformed`].
    #[inline(never)]
    pub fn text(&mut self, name: &'static str) -> Result<Cow<'i, str>, Wrong> {
        self.maybe_text(name)?.ok_or(Wrong::Missing(name))
    }

    /// A list.
    ///
    /// # Errors
    /// [`Wrong::Missing`], [`Wrong::Malformed`].
    #[inline(never)]
    pub fn list(&mut self, name: &'static str) -> Result<Vec<Value<'i>>, Wrong> {
        match self.take(name) {
            Some(Value::List(items)) => Ok(items),
            None => Err(Wrong::Missing(name)),
            Some(_) => Err(Wrong::Malformed(name)),
        }
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// [`Wrong::Malformed`].
    #[inline(never)]
    pub fn maybe_object(&mut self, name: &'static str) -> Result<Option<Self>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(Wrong::Malformed(name)),
        }
    }

    /// The only member, and its name; nothing when there are none or more.
    #[must_use]
    pub fn only(self) -> Option<(Cow<'i, str>, Value<'i>)> {
        let mut members = self.members.into_iter();
        members.next().filter(|_| members.len() == 0)
    }

    /// The members that are left, as they stand.
    #[must_use]
    pub fn rest(self) -> Vec<(Cow<'i, str>, Value<'i>)> {
        self.members
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// [`Wrong::Unknown`].
    #[inline(never)]
    pub fn end(self) -> Result<(), Wrong> {
        match self.members.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Wrong::Unknown(name.into_owned())),
        }
    }
}

#[inline(never)]
fn value<'i>(reader: &mut Reader<'i>) -> Result<Value<'i>, JsonError> {
    // By its first byte: every question is a call.
    match reader.peek() {
        Some(b'{') => object(reader).map(Value::Object),
        Some(b'[') => list(reader).map(Value::List),
        Some(b'"') => Ok(Value::Text(reader.string()?.unwrap_or_default())),
        Some(b't') if reader.take_word("true") => Ok(Value::Truth(true)),
        Some(b'f') if reader.take_word("false") => Ok(Value::Truth(false)),
        Some(b'n') if reader.take_word("null") => Ok(Value::Null),
        _ => match reader.number()? {
            Some(Number::Unsigned(number)) => Ok(Value::Number(number)),
            Some(_) => Ok(Value::OtherNumber),
            None => Err(JsonError::new("expected a value")),
        },
    }
}

fn object<'i>(reader: &mut Reader<'i>) -> Result<Object<'i>, JsonError> {
    let mut object = Object::default();
    let mut first = true;
    reader.open(b'{')?;
    while reader.next_member(&mut first)? {
        let name = reader.string()?.unwrap_or_default();
        reader.colon()?;
        object.members.push((name, value(reader)?));
    }
    reader.close(b'}')?;
    Ok(object)
}

fn list<'i>(reader: &mut Reader<'i>) -> Result<Vec<Value<'i>>, JsonError> {
    let mut items = Vec::new();
    let mut first = true;
    reader.open(b'[')?;
    while reader.next_item(&mut first, b']')? {
        items.push(value(reader)?);
    }
    reader.close(b']')?;
    Ok(items)
}
