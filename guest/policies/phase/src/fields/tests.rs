use super::*;

#[test]
fn what_is_not_as_it_should_be_is_named() {
    let detail = |json: &str| {
        let mut fields = match Fields::read(json.as_bytes()) {
            Ok(fields) => fields,
            Err(no) => return reprise_guest::abi::Rejection::from(no).detail,
        };
        let all = fields.take::<u32>("node").and_then(|_| fields.end());
        all.map_or_else(|no| reprise_guest::abi::Rejection::from(no).detail, |()| "good".into())
    };
    assert_eq!(detail(r#"{"node":3}"#), "good");
    assert_eq!(detail("{}"), "MalformedPayload: missing field `node`");
    assert_eq!(detail(r#"{"node":4294967296}"#), "MalformedPayload: malformed field `node`");
    assert_eq!(detail(r#"{"node":3,"g":1}"#), "MalformedPayload: unknown field `g`");
    assert!(detail(r#"{"node":3,"node":3}"#).contains("unknown field `node`"));
    assert_eq!(detail(r#"{"nod":3}"#), "MalformedPayload: missing field `node`");
    assert_eq!(detail(r#"{"node":"3"}"#), "MalformedPayload: malformed field `node`");
    assert_eq!(detail(r#"{"node":null}"#), "MalformedPayload: missing field `node`");
    assert!(detail("[]").starts_with("MalformedPayload: expected an object"));
}
