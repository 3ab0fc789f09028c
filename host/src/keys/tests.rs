use super::*;
use std::fs;

#[test]
fn a_new_key_is_private_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    let secret = create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(*read(&path).unwrap(), *secret);
    assert!(matches!(create(&path), Err(KeyError::File { .. })), "an existing key is never overwritten");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    create(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(read(&path), Err(KeyError::Mode { mode: 0o640, .. })));
}

#[test]
fn what_is_not_a_key_is_refused() {
    for text in ["", "reprise-secret-key-v1 12", "reprise-secret-key-v1 zz", "0011"] {
        assert!(parse(text).is_none(), "{text:?}");
    }
    assert!(parse(&format!("{HEADER}{}", "é".repeat(32))).is_none());
}

#[test]
fn the_node_key_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(node(dir.path()), Err(KeyError::File { .. })), "a directory without keys is no node");
    fs::create_dir(dir.path().join("keys")).unwrap();
    let key = node(dir.path()).unwrap().public();
    assert_eq!(node(dir.path()).unwrap().public(), key);
    let path = dir.path().join("keys/node.key");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}
