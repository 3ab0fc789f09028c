use super::*;
use crate::{
    incident::{Incident, Mode},
    moves::{Move, Transfer},
    order::Order,
    state::{CapsuleId, NodeId},
};
use proptest::prelude::*;

fn round_trip<T: Stored + PartialEq + std::fmt::Debug>(value: &T) {
    let mut bytes = Vec::new();
    value.store(&mut bytes);
    let mut rest = bytes.as_slice();
    assert_eq!(T::load(&mut rest).as_ref(), Some(value));
    assert!(rest.is_empty());
    for end in 0..bytes.len() {
        assert_eq!(T::load(&mut &bytes[..end]), None, "a beginning is no value");
    }
}

#[test]
fn records_come_back_and_their_beginnings_do_not() {
    round_trip(&Move {
        since_ms: u64::MAX,
        dealt: 300,
        after: Some(CapsuleId(u32::MAX)),
        flying: 0,
        stuck: 1,
        drained: true,
    });
    round_trip(&Incident {
        number: 1,
        reason: "é\"".into(),
        mode: Some(Mode::Byzantine),
        since_ms: 128,
        ended_ms: None,
        pending: 127,
        cleared: false,
    });
    let transfer = Transfer { from: NodeId(1), to: NodeId(2), failed: 2, capsules: vec![CapsuleId(3), CapsuleId(400)] };
    for order in [
        Order::Revive(NodeId(0)),
        Order::Lead(9),
        Order::Transfer(transfer),
        Order::Evict(NodeId(7), 1),
        Order::Capture("halt-1".into()),
        Order::Check(3),
        Order::Restore(NodeId(8), 4),
    ] {
        round_trip(&order);
    }
}

#[test]
fn every_value_has_one_encoding() {
    let number = |bytes: &[u8]| read_number(&mut &*bytes);
    assert_eq!(number(&[0x80, 0x00]), None, "a needless byte");
    assert_eq!(number(&[0xff; 11]), None);
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None, "65 bits");
    assert_eq!(bool::load(&mut [2_u8].as_slice()), None);
    assert_eq!(u32::load(&mut [0xff, 0xff, 0xff, 0xff, 0x1f].as_slice()), None);
    assert_eq!(Order::load(&mut [7_u8, 0].as_slice()), None, "no such variant");
    assert_eq!(String::load(&mut [1_u8, 0xff].as_slice()), None);
}

proptest! {
    #[test]
    fn numbers_come_back(value: u64) {
        let mut bytes = Vec::new();
        write_number(value, &mut bytes);
        prop_assert_eq!(read_number(&mut bytes.as_slice()), Some(value));
    }
}
