use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct Everything {
    small: u8,
    large: u64,
    signed: i64,
    ratio: f64,
    flag: bool,
    text: String,
    maybe: Option<u32>,
    list: Vec<Kind>,
    pair: (u8, String),
    map: BTreeMap<String, u32>,
    nothing: (),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Number(u32),
    Named { a: u8, b: Option<String> },
    Pair(u8, u8),
}

const EVERYTHING: &str = r#" { "small": 255, "large": 18446744073709551615, "signed": -9223372036854775808,
    "ratio": -1.5e2, "flag": true, "text": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é", "maybe": null,
    "list": ["plain", {"number": 7}, {"named": {"a": 1, "b": "x"}}, {"pair": [1, 2]}],
    "pair": [1, "two"], "map": {"x": 1, "y": 2}, "nothing": null } "#;

#[test]
fn reads_everything_as_serde_json_does() {
    let ours: Everything = read(EVERYTHING.as_bytes()).unwrap();
    assert_eq!(ours, serde_json::from_str(EVERYTHING).unwrap());
    assert_eq!(ours.text, "a\"\\/\u{8}\u{c}\n\r\té😀 é");
}

#[test]
fn says_what_is_wrong_and_where() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Beat {
        rank: u32,
    }
    let cases = [
        ("", "expected struct Beat at byte 0"),
        ("[3]", "expected struct Beat at byte 0"),
        ("{}", "missing field `rank` at byte 1"),
        (r#"{"rank":3"#, "expected a comma at byte 9"),
        (r#"{"rank":3,}"#, "a comma too many at byte 10"),
        (r#"{"rank":3}x"#, "expected the end of the text at byte 10"),
        (r#"{"rank":-1}"#, "expected u32 at byte 10"),
        (r#"{"rank":1.0}"#, "expected u32 at byte 11"),
        (r#"{"rank":-0}"#, "expected u32 at byte 10"),
        (r#"{"rank":4294967296}"#, "expected u32 at byte 18"),
        (r#"{"rank":03}"#, "not a number at byte 10"),
        (r#"{"rank":"3"}"#, "expected u32 at byte 8"),
        (r#"{"rank":1,"rank":1}"#, "repeated field `rank` at byte 16"),
        (r#"{"rank":1,"rang":1}"#, "unknown field `rang` at byte 16"),
        (r#"{rank:1}"#, "expected a name at byte 1"),
        (r#"{"rank" 1}"#, "expected a colon at byte 8"),
        ("{\"ra\nnk\":1}", "control character in a string at byte 4"),
        (r#"{"\ud800":1}"#, "half a surrogate pair at byte 8"),
        (r#"{"\x":1}"#, "unknown escape at byte 4"),
        (r#"{"ra"#, "a string without end at byte 4"),
    ];
    for (text, expected) in cases {
        assert_eq!(read::<Beat>(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
    }
    assert_eq!(read::<Beat>(b"{\"\xff\":1}").unwrap_err().to_string(), "not UTF-8 at byte 2");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    let skip = |text: &str| read::<serde::de::IgnoredAny>(text.as_bytes()).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(skip(&nested(32)), Ok(()));
    assert_eq!(skip(&nested(33)), Err("nested too deep at byte 32".into()));
}

/// Texts that are JSON, nearly JSON, or made of its characters.
fn texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-c\"\\\\\u{e9}]{0,3}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    let text = tree.prop_map(|value| value.to_string());
    let broken = (text.clone(), any::<prop::sample::Index>(), "[\\[\\]{}:,\"0-9eE.+\\-\\\\a-u \u{1}]{0,2}").prop_map(
        |(text, at, with)| {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            chars.splice(at..=at, with.chars());
            chars.into_iter().collect()
        },
    );
    prop_oneof![text, broken, "[\\[\\]{}:,\"0-9eE.+\\-truefalsn \\\\]{0,12}"]
}

/// The same value; serde_json gives some fractions the neighbour of the nearest number.
fn same(theirs: &serde_json::Value, ours: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (theirs, ours) {
        (Array(theirs), Array(ours)) => theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(t, o)| same(t, o)),
        (Object(theirs), Object(ours)) => {
            theirs.len() == ours.len() && theirs.iter().all(|(name, t)| ours.get(name).is_some_and(|o| same(t, o)))
        }
        (Number(t), Number(o)) if t.is_f64() && o.is_f64() => {
            let (t, o) = (t.as_f64().unwrap(), o.as_f64().unwrap());
            (t - o).abs() <= t.abs() * 1e-15 + f64::MIN_POSITIVE
        }
        _ => theirs == ours,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn accepts_exactly_what_serde_json_accepts(text in texts()) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(read::<serde::de::IgnoredAny>(text.as_bytes()).is_ok(), theirs, "{}", text);
    }

    #[test]
    fn reads_the_same_value_as_serde_json(text in texts()) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        if let Ok(ours) = read::<serde_json::Value>(text.as_bytes()) {
            prop_assert!(theirs.is_ok_and(|theirs| same(&theirs, &ours)), "{}", text);
        } else if let Ok(theirs) = theirs {
            prop_assert!(false, "{} is {}", text, theirs);
        }
    }
}

#[test]
fn an_object_is_taken_apart_by_name() {
    let text = br#"{"a":7,"b":"x","c":[1,-2,null],"d":{"e":true},"f":null,"g":1.5}"#;
    let mut it = Object::read(text).unwrap();
    assert_eq!((it.number("a", 7), it.number("a", 7)), (Ok(7), Err(Wrong::Missing("a"))));
    assert_eq!(it.text("b").unwrap(), "x");
    assert_eq!(it.list("c"), Ok(vec![Value::Number(1), Value::OtherNumber, Value::Null]));
    assert_eq!(
        it.clone().end(),
        it.clone().rest().first().map(|(name, _)| Err(Wrong::Unknown(name.to_string()))).unwrap()
    );
    let mut inner = it.maybe_object("d").unwrap().unwrap();
    assert_eq!((inner.truth("e"), inner.end()), (Ok(true), Ok(())));
    assert_eq!(it.maybe_number("f", 9), Ok(None), "null is as good as none");
    assert_eq!(it.number("g", 9), Err(Wrong::Malformed("g")));
    assert_eq!(it.end(), Ok(()));
    assert_eq!(Object::read(br#"{"a":300}"#).unwrap().number("a", 255), Err(Wrong::Malformed("a")));
    let mut twice = Object::read(br#"{"a":1,"a":2}"#).unwrap();
    assert_eq!((twice.number("a", 9), twice.end()), (Ok(1), Err(Wrong::Unknown("a".into()))));
    assert_eq!(Object::read(br#"{"a":1}"#).unwrap().only(), Some(("a".into(), Value::Number(1))));
    assert_eq!(Object::read(br#"{"a":1,"b":2}"#).unwrap().only(), None);
}

#[test]
fn what_is_no_object_is_refused_with_its_place() {
    for (text, why) in [
        ("", "expected a value at byte 0"),
        ("[]", "expected an object at byte 0"),
        (r#"{"a":1}x"#, "expected the end of the text at byte 7"),
        (r#"{"a":tru}"#, "expected a value at byte 5"),
    ] {
        assert_eq!(Object::read(text.as_bytes()).unwrap_err().to_string(), why, "{text}");
    }
}

#[test]
fn a_text_has_so_many_items_and_no_more() {
    let list = |items: u32| format!("[{}]", vec!["1"; items as usize].join(","));
    assert_eq!(read::<Vec<u8>>(list(ITEMS_MAX).as_bytes()).unwrap().len(), ITEMS_MAX as usize);
    let error = read::<Vec<u8>>(list(ITEMS_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "too many items at byte 8192");
    let halves = format!("{{\"a\":{},\"b\":{}}}", list(ITEMS_MAX / 2), list(ITEMS_MAX / 2));
    assert!(Object::read(halves.as_bytes()).is_err(), "all of them together");
}
