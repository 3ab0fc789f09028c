use super::*;

#[test]
fn what_is_written_is_json() {
    let mut json = Json::object();
    json.text("name", "a\"b\\c\nd\u{1f}\u{e9}").number("n", 7).count("big", u64::MAX).truth("yes", true);
    json.maybe("some", Some(0)).maybe("none", None).texts("names", &["x".into(), "y".into()]).texts("empty", &[]);
    json.numbers("phi", &[-1, 0, i32::MIN]).open("inner", '{').null("nothing").close('}').open("list", '[');
    for n in 0..2 {
        json.item().number("n", n).close('}');
    }
    json.close(']').truth("no", false);
    let read: serde_json::Value = serde_json::from_slice(&json.done()).unwrap();
    let expected = serde_json::json!({
        "name": "a\"b\\c\nd\u{1f}\u{e9}", "n": 7, "big": u64::MAX, "yes": true, "some": 0, "none": null, "names": ["x", "y"],
        "empty": [], "phi": [-1, 0, i32::MIN], "inner": { "nothing": null }, "list": [{ "n": 0 }, { "n": 1 }], "no": false,
    });
    assert_eq!(read, expected);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&Json::object().done()).unwrap(), serde_json::json!({}));
}

#[test]
fn numbers_in_decimal() {
    for value in [0, 9, 10, 12_345, u64::MAX] {
        assert_eq!(decimal(value, false), value.to_string());
    }
    assert_eq!(decimal(42, true), "-42");
}
