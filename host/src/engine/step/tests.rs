use super::*;

#[test]
fn seeds_are_those_of_the_format() {
    let ledger = LedgerId::from_bytes([5; 32]);
    let mut bytes = vec![5; 32];
    bytes.extend([0x04, 0x03, 0x02, 0x01, 0, 0, 0, 0]);
    let expected = blake3::derive_key("reprise 2026 step seed v1", &bytes);
    let words = seed(ledger, 0x0102_0304);
    assert_eq!(words.map(u64::to_le_bytes).concat(), expected);
    assert_ne!(seed(ledger, 0x0102_0305), words);
    assert_ne!(seed(LedgerId::from_bytes([6; 32]), 0x0102_0304), words);
}

#[test]
fn sentences_are_cut_at_a_character() {
    let cut = |detail: String| bounded_rejection(Rejection { code: 1, detail }).detail;
    assert_eq!(cut("short".into()), "short");
    assert_eq!(cut("x".repeat(DETAIL_BYTES_MAX)).len(), DETAIL_BYTES_MAX);
    assert_eq!(cut("x".repeat(DETAIL_BYTES_MAX + 1)).len(), DETAIL_BYTES_MAX);
    let accented = format!("x{}", "é".repeat(DETAIL_BYTES_MAX));
    assert_eq!(cut(accented.clone()), accented[..DETAIL_BYTES_MAX - 1]);
}

#[test]
fn a_violation_has_a_name() {
    let violation = |invariant: String| bounded_violation(Violation { invariant, detail: String::new() });
    let too_long = GuestFault::LimitExceeded(LimitKind::Name);
    assert_eq!(violation(String::new()), Err(too_long));
    assert_eq!(violation("n".repeat(NAME_BYTES_MAX + 1)), Err(too_long));
    assert!(violation("n".repeat(NAME_BYTES_MAX)).is_ok());
}

#[test]
fn an_answer_has_a_limit() {
    assert!(bounded_answer(vec![0; ANSWER_BYTES_MAX]).is_ok());
    let too_long = bounded_answer(vec![0; ANSWER_BYTES_MAX + 1]);
    assert_eq!(too_long, Err(GuestFault::LimitExceeded(LimitKind::Answer)));
}
