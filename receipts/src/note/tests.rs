use super::*;
use crate::SigningKey;

#[test]
fn every_key_reads_what_it_shows() {
    let mut with_plus = 0;
    for secret in 0..64 {
        let key = NoteKey::new("example.org/a", SigningKey::from_secret(&[secret; 32]).public()).unwrap();
        let shown = key.to_string();
        with_plus += usize::from(shown.matches('+').count() > 2);
        assert_eq!(NoteKey::parse(&shown).unwrap(), key, "{shown}");
    }
    assert!(with_plus > 0, "some keys have a plus sign in their base64");
}
