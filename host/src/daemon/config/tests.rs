use super::*;
use reprise_receipts::SigningKey;

fn key(no: u8) -> String {
    SigningKey::from_secret(&[no; 32]).public().to_string()
}

fn sample() -> String {
    format!(
        "name = \"a\"\nlisten = \"127.0.0.1:7400\"\n\n[[peer]]\nname = \"b\"\naddress = \"127.0.0.1:7401\"\n\
         key = \"{}\"\nreceipts = \"{}\"\n\n[[ledger]]\nname = \"incident\"\nowner = \"a\"\nreplicas = [\"b\"]\n\
         durability = \"majority\"\nwindow = {{ receipts = 64, every_ms = 500 }}\n",
        key(1),
        key(2)
    )
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    fs::write(&path, text).unwrap();
    let error = NodeConfig::read(&path).unwrap_err().to_string();
    let error = error.strip_prefix(&format!("{}:", path.display())).unwrap();
    assert_eq!(error, expected);
}

#[test]
fn a_configuration_is_read() {
    let config = NodeConfig::parse(&sample()).unwrap();
    assert_eq!((config.name.as_str(), config.peers.len()), ("a", 1));
    assert_eq!(config.peers[0].address, Some(([127, 0, 0, 1], 7401).into()));
    let ledger = &config.ledgers[0];
    assert_eq!((ledger.owner.as_str(), ledger.replicas.as_slice()), ("a", ["b".to_owned()].as_slice()));
    assert_eq!((ledger.durability, ledger.quorum), (Durability::Majority, Quorum::Majority));
    assert_eq!(ledger.window, WindowRule { receipts: 64, every_ms: 500 });
    assert_eq!(ledger.clock, Clock::Events);
    let wall = NodeConfig::parse(&(sample() + "clock = \"wall\"\n")).unwrap();
    assert_eq!(wall.ledgers[0].clock, Clock::Wall);
    assert_eq!(ledger.id, None);
    let id = LedgerId::from_bytes([7; 32]);
    let with_id = sample().replace("name = \"incident\"", &format!("name = \"incident\"\nid = \"{id}\""));
    assert_eq!(NodeConfig::parse(&with_id).unwrap().ledgers[0].id, Some(id));
    let least = NodeConfig::parse("name = \"a\"").unwrap();
    assert!(least.listen.ip().is_loopback());
}

#[test]
fn what_is_wrong_has_a_line_and_a_column() {
    refused("name = \"a\"\nlisten = \"nowhere\"", "2:10: invalid socket address syntax");
    refused(
        &sample().replace("owner = \"a\"", "owner = \"x\""),
        "12:9: no node is called `x`: see `name` and `[[peer]]`",
    );
    refused(&sample().replace("[\"b\"]", "[\"b\", \"a\"]"), "13:18: `a` is a member already");
    refused(&sample().replace("name = \"b\"", "name = \"a\""), "5:8: the name `a` is taken");
    refused(&sample().replace(&key(1), "12"), "7:7: a public key is 64 hexadecimal digits");
    refused(&sample().replace(&key(2), &key(1)), "8:12: the key that attests is another key than the node key");
    refused(&sample().replace("every_ms = 500", "every_ms = 0"), "15:10: a window has at least 1 receipt and 1 ms");
    refused(
        &sample().replace("\"majority\"", "\"some\""),
        "14:14: unknown variant `some`, expected `local` or `majority`",
    );
    refused(
        &sample().replace("name = \"incident\"", "name = \"incident\"\nid = \"77\""),
        "12:6: the id of a ledger is 64 hexadecimal digits: see `reprise ledger show` on its owner",
    );
    let misspelt = NodeConfig::parse("name = \"a\"\nlisen = \"127.0.0.1:1\"").unwrap_err();
    assert!(misspelt.what.contains("lisen"), "{}", misspelt.what);
}
