use super::*;
use crate::{
    ids::{Nodes, Phase, RunId},
    state::Order,
};

fn back<T: Stored + PartialEq + core::fmt::Debug>(value: &T) {
    let mut bytes = Vec::new();
    value.store(&mut bytes);
    let mut from = Reader::new(&bytes);
    assert_eq!(&T::load(&mut from), value);
    assert!(from.is_done());
    for len in 0..bytes.len() {
        let mut short = Reader::new(&bytes[..len]);
        T::load(&mut short);
        assert!(!short.is_done(), "{len} bytes of {bytes:?} are no encoding");
    }
}

#[test]
fn what_is_stored_comes_back_and_less_of_it_does_not() {
    for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        back(&number);
    }
    back(&String::from("grün"));
    back(&vec![Some(3_u64), None]);
    back(&RunId { g: 7, phase: Phase::Idle });
    back(&Order::Reconfigure(vec![1, 200], true));
    back(&Order::Resume(RunId { g: 1, phase: Phase::Analyze }, 3));
    back(&[9_u8; 32]);
    let mut nodes = Nodes::default();
    nodes.add(crate::ids::NodeId(4_095));
    back(&nodes);
}

#[test]
fn there_is_one_encoding() {
    for bad in [&[0x80, 0][..], &[0xff; 11], &[2]] {
        let mut from = Reader::new(bad);
        bool::load(&mut from);
        assert!(!from.is_done(), "{bad:?}");
    }
    // A length that nothing follows does not loop.
    let mut from = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    assert_eq!(Vec::<u64>::load(&mut from), vec![0_u64]);
    assert!(!from.is_done());
}
