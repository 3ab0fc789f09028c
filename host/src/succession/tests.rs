use super::*;
use reprise_receipts::SigningKey;

#[test]
fn a_grant_survives_its_file() {
    let key = |byte| SigningKey::from_secret(&[byte; 32]);
    let ledger = LedgerId::from_bytes([3; 32]);
    let command = Command::Epoch { to: 7, owner: key(1).public(), attester: key(2).public(), roster: 4 };
    let both = command.clone().sign(ledger, &key(5)).joined(command.sign(ledger, &key(6))).unwrap();
    let text = to_file(ledger, &both);
    assert_eq!(of_file(&text), Some((ledger, both.clone())));
    assert!(text.len() <= GRANT_FILE_BYTES_MAX);
    for bad in [text.replace("grant", "grand"), format!("{text} x"), text.replace(' ', ""), text[..100].to_owned()] {
        assert_eq!(of_file(&bad), None, "{bad}");
    }
}
