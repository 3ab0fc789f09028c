//! Objects from outside: payloads of events, arguments of views, answers of drivers.
//!
//! Every member that any of them can have stands in one table, `MEMBERS`, with its type. One reader over that table
//! reads them all: a reader for each of thirty payloads would be a third of the component.

use core::fmt;
use reprise_guest::typed;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Signed,
    Flag,
    Texts,
    Objects,
}

/// Every member, ascending by name.
const MEMBERS: [(&str, Type); 57] = [
    ("account", Type::Text),
    ("accounts", Type::Number),
    ("after", Type::Number),
    ("amount", Type::Signed),
    ("buy", Type::Number),
    ("checkpoint", Type::Number),
    ("critical", Type::Flag),
    ("dependency", Type::Text),
    ("disk_percent", Type::Number),
    ("drill", Type::Text),
    ("entry_price", Type::Number),
    ("fallback", Type::Text),
    ("fee_ppm", Type::Number),
    ("fees", Type::Number),
    ("filled", Type::Number),
    ("idempotency_key", Type::Text),
    ("idle_ms", Type::Number),
    ("kind", Type::Text),
    ("lag_ms", Type::Number),
    ("last", Type::Number),
    ("leverage", Type::Number),
    ("lsn", Type::Number),
    ("margin", Type::Number),
    ("match", Type::Number),
    ("memory_percent", Type::Number),
    ("method", Type::Text),
    ("node", Type::Text),
    ("nodes", Type::Objects),
    ("ok", Type::Flag),
    ("operation", Type::Text),
    ("operator", Type::Text),
    ("operators", Type::Texts),
    ("order", Type::Number),
    ("place", Type::Text),
    ("price", Type::Number),
    ("quantity", Type::Number),
    ("recovery", Type::Number),
    ("region", Type::Text),
    ("regions", Type::Texts),
    ("remaining", Type::Number),
    ("request", Type::Text),
    ("role", Type::Text),
    ("root_cause", Type::Text),
    ("sell", Type::Number),
    ("sequence", Type::Number),
    ("service", Type::Text),
    ("services", Type::Objects),
    ("side", Type::Text),
    ("size", Type::Number),
    ("subject", Type::Text),
    ("symbol", Type::Text),
    ("token", Type::Number),
    ("total", Type::Number),
    ("trade", Type::Number),
    ("transaction", Type::Text),
    ("valid", Type::Flag),
    ("zone", Type::Text),
];

/// What a member holds, once it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// True or false.
    Flag(bool),
    /// Texts.
    Texts(Vec<String>),
    /// Objects.
    Objects(Vec<Payload>),
}

/// An object that was read: a payload, the arguments of a view, the answer of a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(Vec<(&'static str, Value)>);

impl Payload {
    /// Reads an object; nothing when it is none, or has a member that nobody knows.
    #[must_use]
    #[inline(never)]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        typed::json::read(bytes).ok()
    }

    /// It has all of these members that may not be left out, and no others.
    ///
    /// # Errors
    /// What is wrong with which member.
    #[inline(never)]
    pub fn fits(&self, members: &[(&'static str, bool)]) -> Result<(), (&'static str, &'static str)> {
        let has = |name: &str| self.0.iter().any(|(known, _)| *known == name);
        if let Some((name, _)) = members.iter().find(|(name, optional)| !optional && !has(name)) {
            return Err(("missing", name));
        }
        match self.0.iter().find(|(name, _)| members.iter().all(|(known, _)| known != name)) {
            Some((name, _)) => Err(("unknown", name)),
            None => Ok(()),
        }
    }

    /// Takes a member out; its nothing if it is not there.
    #[inline(never)]
    pub fn take<T: Member>(&mut self, name: &'static str) -> T {
        T::of(self.remove(name)).unwrap_or_default()
    }

    #[inline(never)]
    fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Payload, A::Error> {
        let mut members: Vec<(&'static str, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let Ok(at) = MEMBERS.binary_search_by_key(&name.as_str(), |(known, _)| known) else {
                return Err(A::Error::unknown_field(&name, &[]));
            };
            let (name, of) = MEMBERS[at];
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::duplicate_field(name));
            }
            let value = match of {
                Type::Text => Value::Text(map.next_value()?),
                Type::Number => Value::Number(map.next_value()?),
                Type::Signed => Value::Signed(map.next_value()?),
                Type::Flag => Value::Flag(map.next_value()?),
                Type::Texts => Value::Texts(map.next_value()?),
                Type::Objects => Value::Objects(map.next_value()?),
            };
            members.push((name, value));
        }
        Ok(Payload(members))
    }
}

/// A type that a member can be taken as.
pub trait Member: Default {
    /// It may be left out.
    const OPTIONAL: bool = false;
    /// The member, if it is there and of that type.
    fn of(value: Option<Value>) -> Option<Self>;
}

macro_rules! member {
    ($($type:ty: $variant:ident),+) => {$(
        impl Member for $type {
            fn of(value: Option<Value>) -> Option<Self> {
                if let Some(Value::$variant(value)) = value { Some(value) } else { None }
            }
        }
    )+};
}
member!(String: Text, u64: Number, i64: Signed, bool: Flag, Vec<String>: Texts, Vec<Payload>: Objects);

/// A member that may be left out.
impl<T: Member> Member for Option<T> {
    const OPTIONAL: bool = true;

    fn of(value: Option<Value>) -> Option<Self> {
        if value.is_some() { T::of(value).map(Some) } else { Some(None) }
    }
}

/// One member of an object, if it is there.
#[must_use]
pub fn member<T: Member>(object: &[u8], name: &'static str) -> Option<T> {
    Payload::read(object)?.take(name)
}
