use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(json: &mut Json) -> Value {
    serde_json::from_slice(&json.done()).unwrap()
}

#[test]
fn what_is_written_is_what_a_general_library_reads() {
    let mut json = Json::object();
    json.text("name", "a\"b\\c\nd\u{1f}\u{e9}").number("n", 7_u8).number("big", u64::MAX).flag("yes", true);
    json.maybe("some", Some(0)).maybe("none", None).maybe_text("word", Some("x")).maybe_text("no word", None);
    json.signed("least", i64::MIN)
        .signed("most", i64::MAX)
        .texts("names", &["x".into(), "y".into()])
        .texts("empty", &[]);
    json.numbers("numbers", &[1_u32, 20])
        .signed_numbers("phi", &[-1, i32::MIN])
        .nested("inner")
        .null("nothing")
        .close()
        .list("list");
    for n in 0..2_u32 {
        json.item().number("n", n).nested("deeper").close().close();
    }
    json.item_text("{").item_signed(-1).item_number(2).close().flag("no", false);
    json.verbatim("inside", &Json::object().number("n", 1_u8).done());
    let expected = json!({
        "name": "a\"b\\c\nd\u{1f}\u{e9}", "n": 7, "big": u64::MAX, "yes": true, "some": 0, "none": null, "word": "x",
        "no word": null, "least": i64::MIN, "most": i64::MAX, "names": ["x", "y"], "empty": [], "numbers": [1, 20], "phi": [-1, i32::MIN],
        "inner": { "nothing": null }, "list": [{ "n": 0, "deeper": {} }, { "n": 1, "deeper": {} }, "{", -1, 2],
        "no": false, "inside": { "n": 1 },
    });
    assert_eq!(read(&mut json), expected);
}

#[test]
fn an_empty_object_and_whatever_is_left_open() {
    assert_eq!(Json::object().done(), b"{}");
    assert_eq!(Json::object().list("a").item().nested("b").done(), br#"{"a":[{"b":{}}]}"#);
    assert_eq!(Json::object().close().close().number("n", 1_u8).done(), br#"{"n":1}"#, "the outermost stays open");
}

#[derive(serde::Serialize)]
enum Kind {
    Unit,
    New(i64),
    Pair(u8, String),
    Named { a: u64, b: Option<bool> },
}

#[derive(serde::Serialize)]
struct Record<'t> {
    kinds: Vec<Kind>,
    tuple: (u16, i32, char, ()),
    names: std::collections::BTreeMap<&'t str, u32>,
    numbers: std::collections::BTreeMap<i64, [u8; 2]>,
    nothing: Vec<u8>,
    maybe: Option<Box<Record<'t>>>,
}

#[test]
fn a_value_is_written_as_a_general_library_writes_it() {
    let record = |maybe| Record {
        kinds: vec![Kind::Unit, Kind::New(-7), Kind::Pair(3, "\"".into()), Kind::Named { a: u64::MAX, b: Some(false) }],
        tuple: (9, i32::MIN, 'é', ()),
        names: [("b", 1), ("a", 2)].into(),
        numbers: [(-1, [1, 2]), (10, [3, 4])].into(),
        nothing: vec![],
        maybe,
    };
    let record = record(Some(Box::new(record(None))));
    assert_eq!(String::from_utf8(of(&record)).unwrap(), serde_json::to_string(&record).unwrap());
}

proptest! {
    #[test]
    fn every_string_and_number_comes_back(name in any::<String>(), value in any::<String>(), n in any::<u64>(), i in any::<i64>()) {
        let mut json = Json::object();
        json.list("list").item().text(&name, &value).close().item_number(n).item_signed(i);
        prop_assert_eq!(read(&mut json), json!({ "list": [{ name: value }, n, i] }));
    }
}
