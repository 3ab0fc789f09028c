use super::*;
use crate::{
    SigningKey,
    checkpoint::cosign,
    digest::LogRoot,
    note::{NoteError as NoteKeyError, NoteSigner},
};

fn ledger() -> LedgerId {
    LedgerId::from_bytes([0xab; 32])
}

fn key(secret: u8) -> SigningKey {
    SigningKey::from_secret(&[secret; 32])
}

fn log_key() -> String {
    Checkpoint::note_key(ledger(), key(1).public()).to_string()
}

fn witness_key(secret: u8) -> String {
    CosignerKey::new(&format!("w{secret}.example"), key(secret).public()).unwrap().to_string()
}

fn checkpoint() -> SignedCheckpoint {
    Checkpoint { ledger: ledger(), size: 3, log_root: LogRoot::from_bytes([5; 32]) }.sign(&key(1))
}

/// A checkpoint cosigned by these witnesses, each at the time that is its number.
fn cosigned(witnesses: &[u8]) -> SignedCheckpoint {
    witnesses.iter().fold(checkpoint(), |signed, secret| {
        let line = cosign(&signed, &format!("w{secret}.example"), &key(*secret), u64::from(*secret)).unwrap();
        signed.with_signature(&line).unwrap()
    })
}

fn policy(lines: &str) -> TrustPolicy {
    TrustPolicy::parse(format!("log {}\n{lines}", log_key()).as_bytes()).unwrap()
}

/// The example of `c2sp.org/tlog-policy`: two of three, and one of three others.
fn two_levels() -> TrustPolicy {
    let witness = |name: &str, secret| format!("witness {name} {}\n", witness_key(secret));
    let x: String = [10, 11, 12].map(|secret| witness(&format!("X{secret}"), secret)).concat();
    let y: String = [20, 21, 22].map(|secret| witness(&format!("Y{secret}"), secret)).concat();
    policy(&format!(
        "\n# X\n{x}group X-witnesses 2 X10 X11 X12\n \t\n{y}group Y-witnesses any Y20 Y21 Y22\n\t# both\n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    ))
}

#[test]
fn the_attester_alone_is_a_policy() {
    let policy = TrustPolicy::of_attester(ledger(), key(1).public());
    assert_eq!(policy.check(&checkpoint()).unwrap().log.key(), key(1).public());
    assert_eq!(policy, super::tests::policy("quorum none\n"));
    let stranger = TrustPolicy::of_attester(ledger(), key(2).public());
    assert_eq!(stranger.check(&checkpoint()), Err(PolicyRefusal::Unsigned(ledger())));
    let other = LedgerId::from_bytes([1; 32]);
    let other_ledger = TrustPolicy::of_attester(other, key(1).public());
    assert_eq!(other_ledger.check(&checkpoint()), Err(PolicyRefusal::UnknownLog(ledger())));
}

#[test]
fn quorums_of_groups_hold_as_they_say() {
    let policy = two_levels();
    let all: [u8; 6] = [10, 11, 12, 20, 21, 22];
    for set in 0..1_u32 << all.len() {
        let signers: Vec<u8> =
            (0..).zip(all).filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, secret)| secret).collect();
        let quorum = (set & 0b111).count_ones() >= 2 && set & 0b111_000 != 0;
        match policy.check(&cosigned(&signers)) {
            Ok(approval) => {
                assert!(quorum, "{signers:?}");
                let times: Vec<u64> = approval.cosigners.iter().map(|cosigner| cosigner.time_s).collect();
                assert_eq!(times, signers.iter().map(|secret| u64::from(*secret)).collect::<Vec<_>>());
            }
            Err(refusal) => {
                assert!(!quorum, "{signers:?}");
                assert_eq!(refusal, PolicyRefusal::NoQuorum { found: signers.len(), known: 6 });
            }
        }
    }
}

#[test]
fn unknown_signatures_say_nothing_and_bad_ones_everything() {
    let policy = policy(&format!("witness a {}\nquorum a\n", witness_key(10)));
    assert!(policy.check(&cosigned(&[30, 10, 31])).is_ok());
    assert_eq!(policy.check(&cosigned(&[30])), Err(PolicyRefusal::NoQuorum { found: 0, known: 1 }));
    // A cosignature of another checkpoint.
    let other = Checkpoint { size: 4, ..*checkpoint().checkpoint() }.sign(&key(1));
    let line = cosign(&other, "w10.example", &key(10), 9).unwrap();
    let moved = checkpoint().with_signature(&line).unwrap();
    assert_eq!(policy.check(&moved), Err(PolicyRefusal::BadSignature));
    // The witness's key as a log's: another type is another key.
    let name = "w10.example";
    let as_log = NoteSigner::new(name, &key(10)).sign_note(&checkpoint().checkpoint().body()).unwrap();
    let line = as_log.lines().last().unwrap().to_owned();
    let plain = checkpoint().with_signature(&line).unwrap();
    assert_eq!(policy.check(&plain), Err(PolicyRefusal::NoQuorum { found: 0, known: 1 }));
    // Witnesses without the log.
    let text = checkpoint().text().split_once("\n\n").unwrap().0.to_owned();
    let line = cosign(&checkpoint(), name, &key(10), 9).unwrap();
    let unsigned = SignedCheckpoint::parse(format!("{text}\n\n{line}\n").as_bytes()).unwrap();
    assert_eq!(policy.check(&unsigned), Err(PolicyRefusal::Unsigned(ledger())));
}

#[test]
fn a_log_may_have_two_keys() {
    let second = Checkpoint::note_key(ledger(), key(2).public());
    let policy = policy(&format!("log {second} https://log.example/\nquorum none\n"));
    assert_eq!(policy.logs().len(), 2);
    let by_second = checkpoint().checkpoint().sign(&key(2));
    assert_eq!(policy.check(&by_second).unwrap().log, second);
    assert_eq!(policy.check(&checkpoint()).unwrap().log.key(), key(1).public());
}

#[test]
fn what_is_not_a_policy_is_refused_with_its_line() {
    use LineError as E;
    let (log, w10, w11) = (log_key(), witness_key(10), witness_key(11));
    let group = "group <name> <all | any | number> <name>...";
    let cases: Vec<(String, usize, LineError)> = vec![
        ("quorum none".into(), 1, E::Unterminated),
        ("quorum none\r\n".into(), 1, E::ControlCharacter),
        ("\nlogs x\n".into(), 2, E::Keyword),
        ("log\n".into(), 1, E::Items("log <key> [<url>]")),
        (format!("log {log} u v\n"), 1, E::Items("log <key> [<url>]")),
        (format!("log {w10}\n"), 1, E::LogKey),
        ("log \u{e9}+1+\n".into(), 1, E::LogKey),
        (format!("log {log}\n# again\nlog {log}\n"), 3, E::SameKey),
        (format!("witness {w10}\n"), 1, E::Items("witness <name> <key> [<url>]")),
        (format!("witness a {log}\n"), 1, E::WitnessKey),
        (format!("witness a {w10}\nwitness b {w10}\n"), 2, E::SameKey),
        (format!("witness a {w10}\nwitness a {w11}\n"), 2, E::SameName),
        (format!("witness none {w10}\n"), 1, E::SameName),
        (format!("witness a {w10}\ngroup a any a\n"), 2, E::SameName),
        ("group\n".into(), 1, E::Items(group)),
        ("group g any\n".into(), 1, E::Items(group)),
        ("group g any b\n".into(), 1, E::UnknownName),
        ("group g any none\n".into(), 1, E::UnknownName),
        ("group g any g\n".into(), 1, E::UnknownName),
        (format!("witness a {w10}\ngroup g 2 a\n"), 2, E::Threshold),
        (format!("witness a {w10}\ngroup g 0 a\n"), 2, E::Threshold),
        (format!("witness a {w10}\ngroup g 01 a\n"), 2, E::Threshold),
        (format!("witness a {w10}\ngroup g some a\n"), 2, E::Threshold),
        (format!("witness a {w10}\ngroup g all a a\n"), 2, E::SameMember),
        (format!("witness a {w10}\ngroup g any a\ngroup h any a\n"), 3, E::SameMember),
        ("quorum\n".into(), 1, E::Items("quorum <name | none>")),
        ("quorum a\n".into(), 1, E::UnknownName),
        (format!("quorum a\nwitness a {w10}\n"), 1, E::UnknownName),
        ("quorum none\nquorum none\n".into(), 2, E::SameQuorum),
    ];
    for (text, line, error) in cases {
        assert_eq!(TrustPolicy::parse(text.as_bytes()), Err(PolicyError::Line { line, error }), "{text}");
    }
    assert_eq!(TrustPolicy::parse(b"# nothing\n"), Err(PolicyError::NoQuorum));
    assert_eq!(TrustPolicy::parse(b""), Err(PolicyError::NoQuorum));
    let long = vec![b'\n'; POLICY_BYTES_MAX + 1];
    assert_eq!(TrustPolicy::parse(&long), Err(PolicyError::TooLong { len: long.len() }));
}

#[test]
fn policies_are_bounded_but_large_enough() {
    let witnesses = |count: u8| -> String {
        (0..count).map(|secret| format!("witness {secret} {}\n", witness_key(secret + 40))).collect()
    };
    let groups: String = (0..32).map(|index| format!("group g{index} any {index}\n")).collect();
    let full = format!("{}{groups}quorum g31\n", witnesses(32));
    assert_eq!(TrustPolicy::parse(full.as_bytes()).unwrap().rules.len(), 64);
    let too_many = TrustPolicy::parse(format!("{}quorum none\n", witnesses(97)).as_bytes());
    assert_eq!(too_many, Err(PolicyError::Line { line: 97, error: LineError::TooMany }));
}

#[test]
fn names_are_bytes() {
    let mut text = b"witness \xff\xfe ".to_vec();
    text.extend_from_slice(witness_key(10).as_bytes());
    text.extend_from_slice(b"\nquorum \xff\xfe\n");
    assert_eq!(TrustPolicy::parse(&text).unwrap().rules[0].name, b"\xff\xfe");
}

#[test]
fn a_weak_key_is_no_key() {
    // The point of order one.
    let weak = [&[4_u8, 1][..], &[0; 31]].concat();
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = format!("w+{:08x}+{}", signed_note::key_id("w", &weak), STANDARD.encode(&weak));
    assert_eq!(CosignerKey::parse(&text), Err(NoteKeyError::Key));
}
