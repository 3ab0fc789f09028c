use super::*;
use reprise_federation::{NodeKey, quarantine::Reason};
use reprise_receipts::SigningKey;

fn rejected(number: u64, bytes: usize) -> Rejected {
    Rejected {
        number,
        at_ms: 1,
        origin: NodeKey(SigningKey::from_secret(&[7; 32]).public()),
        ledger: None,
        reason: Reason::Malformed,
        len: bytes as u64,
        digest: [3; 32],
        bytes: vec![number as u8; bytes],
    }
}

/// Keeps these, waits for the disk, and opens the store again.
fn kept(node: &Path, all: impl IntoIterator<Item = Rejected>) -> RejectedStore {
    DirBuilder::new().recursive(true).create(dir(node)).unwrap();
    let store = RejectedStore::open(node).unwrap();
    let mut keeper = Keeper {
        dir: dir(node),
        kept: numbers(node)
            .unwrap()
            .into_iter()
            .map(|n| (n, fs::metadata(path(&dir(node), n)).unwrap().len()))
            .collect(),
        dropped: dropped(node).unwrap(),
        last: store.last_number(),
    };
    for rejected in all {
        keeper.keep(&rejected).unwrap();
    }
    RejectedStore::open(node).unwrap()
}

#[test]
fn what_is_kept_is_there_after_a_restart_and_numbers_go_on() {
    let node = tempfile::tempdir().unwrap();
    let store = kept(node.path(), [rejected(1, 10), rejected(2, 300)]);
    assert_eq!(store.last_number(), 2);
    let all = list(node.path()).unwrap();
    assert_eq!(all.iter().map(|record| (record.number, record.length)).collect::<Vec<_>>(), [(1, 10), (2, 300)]);
    let (record, bytes) = read(node.path(), 2).unwrap().unwrap();
    assert_eq!((record.reason.as_str(), bytes), ("the frame does not decode", vec![2; 300]));
    assert!(remove(node.path(), 2).unwrap());
    assert!(!remove(node.path(), 2).unwrap());
    assert_eq!(read(node.path(), 2).unwrap(), None);
}

#[test]
fn the_oldest_go_and_what_went_is_known() {
    let node = tempfile::tempdir().unwrap();
    let object = QUARANTINE_OBJECT_BYTES_MAX;
    let fit = (QUARANTINE_BYTES_MAX / object) as u64;
    kept(node.path(), (1..=fit + 2).map(|number| rejected(number, object)));
    let all = list(node.path()).unwrap();
    assert!((all.len() as u64) < fit + 2);
    assert_eq!(all.last().unwrap().number, fit + 2);
    let gone = dropped(node.path()).unwrap();
    assert_eq!((gone.records, gone.last), (all[0].number - 1, all[0].number - 1));
    // A number that never came is counted, too: it came more quickly than the disk took it.
    kept(node.path(), [rejected(fit + 5, 1)]);
    assert!(dropped(node.path()).unwrap().records >= gone.records + 2);
}
