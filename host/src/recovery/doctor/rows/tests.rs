use super::*;
use reprise_abi::{Diff, Event, Input, Outcome, encode};
use reprise_receipts::{Executed, Genesis, Head, SigningKey, genesis::PROTOCOL_EPOCH};

fn genesis() -> Genesis {
    let key = SigningKey::from_secret(&[7; 32]).public();
    Genesis {
        format: 1,
        name: "rows".to_owned(),
        nonce: [1; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: reprise_receipts::EngineProfileDigest::from_bytes([1; 32]),
        package: reprise_receipts::PackageDigest::from_bytes([2; 32]),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    }
}

/// A row of so many steps, written out as the journal writes it.
fn row(steps: usize) -> RawRow {
    let mut head = Head::genesis(genesis());
    let (mut lengths, mut parts) = (Vec::new(), Vec::new());
    for seq in 0..steps as u64 {
        let event = Event { id: seq.to_string(), source: "s".to_owned(), kind: "k".to_owned(), payload: vec![1; 9] };
        let input = Input { seq, epoch: 1, logical_time_ms: seq, event };
        let work = head.prepare(&input).unwrap();
        let sealed = head.seal(&input, &work, Executed::answered(Outcome::Accepted { answer: Vec::new() }));
        for part in [sealed.input_bytes, sealed.receipt_bytes, sealed.record_bytes] {
            lengths.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
            parts.extend(part);
        }
    }
    let count = u32::try_from(steps).unwrap().to_le_bytes().to_vec();
    RawRow { first: 0, bytes: [count, lengths, parts].concat() }
}

#[test]
fn every_byte_of_the_lengths_is_mended() {
    let right = row(5);
    assert_eq!(right.open().unwrap().len(), 5);
    assert!(encode(&Diff::default()).len() < 4, "a step without changes is short");
    for at in 0..RawRow::header_bytes(5) {
        for (mask, next) in [(0x01, Some(5)), (0x80, None), (0x55, Some(5))] {
            let mut damaged = right.clone();
            damaged.bytes[at] ^= mask;
            assert!(damaged.open().is_err(), "byte {at}");
            assert_eq!(mend_lengths(&damaged, next), Some(right.clone()), "byte {at}, mask {mask:#x}, next {next:?}");
        }
    }
}
