use super::*;
use crate::daemon::world::RealWorld;
use reprise_federation::{Durability, List, Member, NodeKey, Quorum, Suspension, WindowRule};
use reprise_receipts::SigningKey;
use std::fs;

fn roster() -> Roster {
    let (node, receipts) = (SigningKey::from_secret(&[1; 32]).public(), SigningKey::from_secret(&[2; 32]).public());
    Roster {
        ledger: LedgerId::from_bytes([7; 32]),
        number: 1,
        first_epoch: 1,
        first_owner: NodeKey(node),
        members: List::first([Member { node: NodeKey(node), receipts, observer: false }]),
        quorum: Quorum::Majority,
        durability: Durability::Local,
        window: WindowRule { receipts: 1, every_ms: 1 },
        operators: List::first([receipts]),
        operator_threshold: 1,
    }
}

#[test]
fn what_was_written_last_is_read_and_damage_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let world = RealWorld::new(dir.path()).unwrap();
    let standings = Standings(&world);
    let mut standing = standings.read(&roster()).unwrap();
    assert_eq!(standing, Standing::new(&roster()));
    for committed in 1..5 {
        standing.committed = committed;
        standing.suspended = Some(Suspension::Ordered);
        standings.write(&standing).unwrap();
        assert_eq!(standings.read(&roster()).unwrap(), standing);
    }
    let path = dir.path().join("federation").join(name(roster().ledger));
    let mut bytes = fs::read(&path).unwrap();
    bytes.pop();
    fs::write(&path, bytes).unwrap();
    assert!(standings.read(&roster()).is_err(), "a damaged file is not the same as none");
}
