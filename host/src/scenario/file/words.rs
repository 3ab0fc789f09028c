//! The parts of a file that can be written in more than one way.

use reprise_abi::OutcomeClass;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use std::fmt;

/// What must come of one event: an object, or the outcome alone.
#[derive(Clone, Debug, Default)]
pub struct StepExpect {
    /// How it ends.
    pub outcome: Option<ExpectedOutcome>,
    /// The code within the outcome.
    pub code: Option<u32>,
    /// The sentence of a rejection.
    pub detail: Option<String>,
    /// What the answer must contain.
    pub answer: Option<Value>,
    /// The effects, in order, each a subset of `{key, driver, deadline_ms, payload, compensator}`.
    pub effects: Option<Vec<Map<String, Value>>>,
}

/// How an event ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpectedOutcome {
    /// With a receipt of this class.
    Class(OutcomeClass),
    /// With the receipt of the same event before.
    Duplicate,
    /// Without a receipt.
    Refused,
}

/// Where and why the ledger stands still.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halted {
    /// The step after which it stands still.
    pub seq: Option<u64>,
    /// How that step ended.
    pub class: Option<String>,
}

/// A member that is there, even as `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl ExpectedOutcome {
    /// Its name in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Class(class) => class.name(),
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }

    const ALL: [Self; 8] = [
        Self::Class(OutcomeClass::Accepted),
        Self::Class(OutcomeClass::Rejected),
        Self::Class(OutcomeClass::Trapped),
        Self::Class(OutcomeClass::OutOfFuel),
        Self::Class(OutcomeClass::LimitExceeded),
        Self::Class(OutcomeClass::InvariantViolated),
        Self::Duplicate,
        Self::Refused,
    ];

    fn named<E: de::Error>(name: &str) -> Result<Self, E> {
        let found = Self::ALL.into_iter().find(|outcome| outcome.name() == name);
        found.ok_or_else(|| E::unknown_variant(name, &NAMES))
    }
}

const NAMES: [&str; 8] =
    ["accepted", "rejected", "trapped", "out of fuel", "limit exceeded", "invariant violated", "duplicate", "refused"];

impl<'de> Deserialize<'de> for ExpectedOutcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(deserializer)?)
    }
}

/// What a [`StepExpect`] is when it is an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepObject {
    outcome: Option<ExpectedOutcome>,
    code: Option<u32>,
    detail: Option<String>,
    #[serde(default, deserialize_with = "present")]
    answer: Option<Value>,
    effects: Option<Vec<Map<String, Value>>>,
}

impl<'de> Deserialize<'de> for StepExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = StepExpect;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an outcome, or an object with `outcome`, `code`, `detail`, `answer`, `effects`")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<StepExpect, E> {
                Ok(StepExpect { outcome: Some(ExpectedOutcome::named(name)?), ..StepExpect::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StepExpect, A::Error> {
                let StepObject { outcome, code, detail, answer, effects } =
                    StepObject::deserialize(MapAccessDeserializer::new(map))?;
                Ok(StepExpect { outcome, code, detail, answer, effects })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// `false`, or an object.
pub(super) fn halted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Halted>, D::Error> {
    struct Either;
    impl<'de> Visitor<'de> for Either {
        type Value = Option<Halted>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("`false`, or an object with `seq` and `class`")
        }
        fn visit_bool<E: de::Error>(self, halted: bool) -> Result<Self::Value, E> {
            if halted { Err(E::invalid_value(de::Unexpected::Bool(true), &self)) } else { Ok(None) }
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Halted::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    deserializer.deserialize_any(Either)
}
