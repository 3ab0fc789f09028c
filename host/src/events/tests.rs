use super::*;

fn check(line: &str, expected: &str) {
    let found = match parse(line.as_bytes(), 1) {
        Ok(proposal) => format!(
            "{} {} {} {:?} {}",
            proposal.event.id,
            proposal.event.source,
            proposal.event.kind,
            proposal.time_ms,
            String::from_utf8_lossy(&proposal.event.payload)
        ),
        Err(error) => error.to_string(),
    };
    assert!(found.contains(expected), "{line}\n found {found}\n expected {expected}");
}

#[test]
fn a_cloud_event_becomes_a_proposal_and_its_data_stays_as_it_is() {
    check(
        r#"{"specversion":"1.0","id":"1","source":"r3","type":"heartbeat","time":"2026-03-14T02:17:09.120Z","data":{"b": 1,"a":18446744073709551616}}"#,
        r#"1 r3 heartbeat Some(1773454629120) {"b": 1,"a":18446744073709551616}"#,
    );
    check(r#"{"id":"1","source":"r3","type":"tick"}"#, "1 r3 tick None ");
}

#[test]
fn what_is_no_event_is_refused_with_the_reason() {
    check("{", "EOF");
    check(r#"{"source":"r3","type":"tick"}"#, "missing field `id`");
    check(r#"{"id":"1","source":"r3","type":"tick","tiem":"x"}"#, "unknown field `tiem`");
    check(r#"{"id":"1","source":"r3","type":"tick","time":"yesterday"}"#, "expected RFC 3339");
    check(r#"{"id":"","source":"r3","type":"tick"}"#, "`id` is empty");
    check(r#"{"id":"1","source":"r3","type":"tick","specversion":"0.3"}"#, "only \"1.0\"");
    let long = "x".repeat(70_000);
    check(&format!(r#"{{"id":"1","source":"r3","type":"t","data":"{long}"}}"#), "the payload is 70002 bytes long");
}

#[test]
fn errors_name_the_line_and_blank_lines_count() {
    let text = "{\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}\n\n   \nnonsense\n";
    let lines: Vec<_> = EventLines::new(text.as_bytes()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].as_ref().unwrap().tag, 1);
    assert_eq!(lines[1].as_ref().unwrap_err().line, 4);
}

#[test]
fn a_line_without_end_is_bounded() {
    let endless = io::BufReader::new(io::repeat(b'x'));
    let first = EventLines::new(endless).next().unwrap();
    assert!(matches!(first.unwrap_err().kind, LineErrorKind::TooLong));
}
