use super::*;
use crate::{
    accounts::{Account, Update},
    database::{Database, Node},
    regions::Region,
    state::{Exchange, Sent, Touched},
};
use proptest::prelude::*;

fn round_trip<T: Stored + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = encoded(value);
    assert_eq!(decoded::<T>(Some(bytes.clone())).unwrap().as_ref(), Some(value));
    for end in 0..bytes.len() {
        assert!(decoded::<T>(Some(bytes[..end].into())).is_err(), "a beginning is no value");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(decoded::<T>(Some(longer)).is_err(), "nothing follows");
}

#[test]
fn records_come_back_and_their_beginnings_do_not() {
    round_trip(&Account { balance: u64::MAX, held: 0 });
    round_trip(&Update { account: "ann".into(), amount: i64::MIN, balance: 1 });
    for sent in [Sent::Stage(300), Sent::Call("a".into()), Sent::Probe(String::new()), Sent::Drill] {
        round_trip(&sent);
    }
    let node = Node { name: "db".into(), region: u32::MAX, failures: 1, lag_ms: 2, lsn: 3, fenced: true };
    let region = Region { name: "eu".into(), failures: 4 };
    round_trip(&Database { regions: vec![region], active: 0, nodes: vec![node.clone(), node], primary: 1, writes: 7 });
    let mut exchange = Exchange::new(1_000);
    exchange.touched = Touched { accounts: vec![("a".into(), 5)], orders: vec![1, 2], ..Touched::default() };
    round_trip(&Box::new(exchange));
}

proptest! {
    #[test]
    fn numbers_have_one_encoding(number: u64, signed: i64, other in prop::collection::vec(any::<u8>(), 0..12)) {
        round_trip(&number);
        round_trip(&signed);
        if let Ok(Some(number)) = decoded::<u64>(Some(other.clone())) {
            prop_assert_eq!(encoded(&number), other);
        }
    }

    #[test]
    fn no_bytes_are_too_strange_to_decode(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some(exchange)) = decoded::<Box<Exchange>>(Some(bytes.clone())) {
            prop_assert_eq!(encoded(&exchange), bytes);
        }
    }
}
