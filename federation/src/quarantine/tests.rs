use super::*;
use reprise_receipts::SigningKey;

fn origin() -> NodeKey {
    NodeKey(SigningKey::from_secret(&[1; 32]).public())
}

#[test]
fn the_oldest_go_first_and_it_stays_known() {
    let mut quarantine = Quarantine::after(40);
    for at in 0..QUARANTINE_RECORDS_MAX as u64 + 10 {
        quarantine.add(at, origin(), None, Reason::Malformed, &[7; 3]);
    }
    assert_eq!(quarantine.records().count(), QUARANTINE_RECORDS_MAX);
    assert_eq!(quarantine.records().next().map(|record| record.number), Some(51));
    assert_eq!(quarantine.dropped(), Dropped { records: 10, bytes: 30, last: 50 });
}

#[test]
fn bytes_are_bounded_and_a_long_object_is_named_by_all_of_it() {
    let mut quarantine = Quarantine::default();
    let long = vec![9; QUARANTINE_OBJECT_BYTES_MAX + 5];
    for _ in 0..200 {
        quarantine.add(1, origin(), None, Reason::Continuity, &long);
    }
    let kept: usize = quarantine.records().map(|record| record.bytes.len()).sum();
    assert!(kept <= QUARANTINE_BYTES_MAX && kept > QUARANTINE_BYTES_MAX - QUARANTINE_OBJECT_BYTES_MAX);
    let last = quarantine.records().last().unwrap().clone();
    assert_eq!((last.len, last.bytes.len()), (long.len() as u64, QUARANTINE_OBJECT_BYTES_MAX));
    assert_ne!(last.digest, derive("reprise 2026 quarantine v1", &last.bytes));
    assert!(quarantine.remove(last.number) && !quarantine.remove(last.number));
    assert!(quarantine.record(last.number).is_none());
    // Room that was made is used again.
    let dropped = quarantine.dropped().records;
    quarantine.add(2, origin(), None, Reason::Continuity, &long);
    assert_eq!(quarantine.dropped().records, dropped);
}
