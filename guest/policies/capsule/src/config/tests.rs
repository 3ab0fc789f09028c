use super::*;

#[test]
fn the_digest_is_of_the_rules() {
    let mut key = [0; 32];
    key[..24].copy_from_slice(b"reprise capsule rules v1");
    assert_eq!(blake3::keyed_hash(&key, RULES.as_bytes()).as_bytes(), &RULES_DIGEST);
}

#[test]
fn names_are_visible_and_short() {
    for good in ["a", "root/a.1", &"x".repeat(64)] {
        assert_eq!(check_name("capsule", good), Ok(()));
    }
    for bad in ["", "a b", "\u{e4}", "a\n", &"x".repeat(65)] {
        assert!(check_name("capsule", bad).is_err(), "{bad:?}");
    }
}
