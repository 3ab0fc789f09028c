//! Payloads and answers as JSON: for files that people write and read, never for what is hashed.

use serde_json::{Map, Value, json};

/// Bytes as JSON where they parse, else as `{"text": ...}` or `{"hex": ...}`.
pub(crate) fn shown(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).expect("half a byte is a digit")).collect()
}

/// A value as compact JSON, object members in the order of their names.
pub(crate) fn compact(value: &Value) -> Vec<u8> {
    sorted(value).to_string().into_bytes()
}

/// Whatever the map is kept as: the bytes of a scenario's events are part of its golden traces.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Every string replaced by what `replace` says, where it says something.
pub(crate) fn replace_strings(value: &Value, replace: &impl Fn(&str) -> Option<Value>) -> Value {
    match value {
        Value::String(text) => replace(text).unwrap_or_else(|| value.clone()),
        Value::Array(items) => Value::Array(items.iter().map(|item| replace_strings(item, replace)).collect()),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), replace_strings(value, replace)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

/// Where a value does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON pointer to the place (RFC 6901), empty for the whole.
    pub at: String,
    /// What should be there.
    pub expected: Value,
    /// What is there; `None` for nothing.
    pub found: Option<Value>,
}

/// The first place where `found` does not match: an object must have every expected member, an array the same length,
/// anything else must be equal.
pub(crate) fn mismatch(expected: &Value, found: &Value) -> Option<Mismatch> {
    mismatch_at(String::new(), expected, found)
}

fn mismatch_at(at: String, expected: &Value, found: &Value) -> Option<Mismatch> {
    match (expected, found) {
        (Value::Object(members), Value::Object(there)) => members.iter().find_map(|(name, expected)| {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            match there.get(name) {
                Some(found) => mismatch_at(at, expected, found),
                None => Some(Mismatch { at, expected: expected.clone(), found: None }),
            }
        }),
        (Value::Array(items), Value::Array(there)) if items.len() == there.len() => {
            let pairs = items.iter().zip(there).enumerate();
            pairs.into_iter().find_map(|(n, (expected, found))| mismatch_at(format!("{at}/{n}"), expected, found))
        }
        _ if expected == found => None,
        _ => Some(Mismatch { at, expected: expected.clone(), found: Some(found.clone()) }),
    }
}

/// A name matches a pattern: itself, or its beginning followed by `*`.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}
