use super::*;
use redb::backends::InMemoryBackend;
use reprise_receipts::{EngineProfileDigest, SigningKey, StateRoot, genesis::PROTOCOL_EPOCH};

pub(super) fn genesis(nonce: u8) -> Genesis {
    let key = SigningKey::from_secret(&[7; 32]).public();
    Genesis {
        format: 1,
        name: "test".to_owned(),
        nonce: [nonce; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::from_bytes([1; 32]),
        package: PackageDigest::from_bytes([2; 32]),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    }
}

#[test]
fn ledgers_keep_their_numbers_and_are_apart() {
    let journal = Journal::on_backend(InMemoryBackend::new()).unwrap();
    let first = journal.put_ledger(&genesis(1)).unwrap();
    let second = journal.put_ledger(&genesis(2)).unwrap();
    assert_eq!((first.no, second.no), (0, 1));
    assert_eq!(journal.ledgers().unwrap(), [first.clone(), second]);
    let reader = journal.read(first.no).unwrap();
    assert_eq!(reader.size().unwrap(), 0);
    assert!(reader.last_receipt().unwrap().is_none());
    assert_eq!(reader.state().unwrap().root(), reprise_receipts::StateTrie::new().root());
    assert_ne!(reader.state().unwrap().root(), StateRoot::from_bytes([0; 32]));
}

#[test]
fn a_genesis_record_that_is_not_its_name_is_damage() {
    let journal = Journal::on_backend(InMemoryBackend::new()).unwrap();
    let entry = journal.put_ledger(&genesis(1)).unwrap();
    assert!(journal.tamper(entry.no, &tamper::Record::Genesis, 3, 1).unwrap());
    let error = journal.ledgers().unwrap_err();
    assert!(error.to_string().starts_with(&format!("genesis record {} is damaged", entry.id)), "{error}");
}

#[test]
fn another_format_is_refused_with_its_name() {
    let journal = Journal::on_backend(InMemoryBackend::new()).unwrap();
    assert!(journal.tamper(0, &tamper::Record::Format, FORMAT.len() - 1, 3).unwrap());
    let error = journal.check_format().map(|_| ()).unwrap_err();
    assert!(matches!(&error, JournalError::Format { found } if found == "reprise journal v1"), "{error}");
}

#[test]
fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.redb");
    drop(Journal::create(&path).unwrap());
    let journal = Journal::open_read_only(&path).unwrap();
    assert!(matches!(journal.put_ledger(&genesis(1)), Err(JournalError::ReadOnly)));
    assert!(matches!(Journal::open(&path), Err(JournalError::Locked)));
    assert!(matches!(Journal::create(&path), Err(JournalError::Exists)));
    assert!(matches!(Journal::open(&dir.path().join("none")), Err(JournalError::NotThere)));
}

#[test]
fn a_moment_stays_as_it_is_while_the_journal_goes_on_and_writes_nothing() {
    let journal = Journal::on_backend(InMemoryBackend::new()).unwrap();
    let first = journal.put_ledger(&genesis(1)).unwrap();
    let moment = journal.moment().unwrap();
    let same = moment.moment().unwrap();
    journal.put_ledger(&genesis(2)).unwrap();
    assert_eq!(moment.ledgers().unwrap(), std::slice::from_ref(&first));
    assert_eq!(same.ledgers().unwrap(), std::slice::from_ref(&first));
    assert_eq!((journal.ledgers().unwrap().len(), journal.moment().unwrap().ledgers().unwrap().len()), (2, 2));
    assert_eq!(moment.read(first.no).unwrap().size().unwrap(), 0);
    assert!(!moment.is_writable());
    assert!(matches!(moment.put_ledger(&genesis(3)), Err(JournalError::ReadOnly)));
}
