use super::*;
use serde_json::{Value, json};

#[test]
fn writes_what_a_general_library_reads() {
    let text = Json::verb("x\"\\\n\u{1}é")
        .num("n", u64::MAX)
        .maybe("none", None)
        .maybe("some", Some(0))
        .flag("yes", true)
        .nums("list", &[1, 20, u32::MAX])
        .nums("empty", &[])
        .list("objects", vec![Json::object(), Json::object().flag("no", false)])
        .nested("inner", Json::object().text("a", ""))
        .end();
    let read: Value = serde_json::from_slice(&text).unwrap();
    let expected = json!({
        "do": "x\"\\\n\u{1}é", "n": u64::MAX, "none": null, "some": 0, "yes": true, "list": [1, 20, u32::MAX],
        "empty": [], "objects": [{}, {"no": false}], "inner": {"a": ""},
    });
    assert_eq!(read, expected);
}

#[test]
fn decimals() {
    for value in [0, 9, 10, 4_294_967_296, u64::MAX] {
        assert_eq!(decimal(value), value.to_string());
    }
}
