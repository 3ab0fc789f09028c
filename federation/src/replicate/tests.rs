use super::*;
use crate::{
    list::List,
    membership::{Durability, Member, Quorum, WindowRule},
};
use reprise_receipts::{LedgerId, LogRoot, SigningKey};

fn secret(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

fn node(byte: u8) -> NodeKey {
    NodeKey(secret(byte).public())
}

/// Nodes 1 to `voting`, and an observer after them.
fn roster(voting: u8, quorum: Quorum) -> Roster {
    let member = |byte: u8| Member { node: node(byte), receipts: secret(byte + 100).public(), observer: byte > voting };
    let mut members: Vec<_> = (1..=voting + 1).map(member).collect();
    members.sort_by_key(|member| member.node);
    Roster {
        ledger: LedgerId::from_bytes([1; 32]),
        number: 1,
        first_epoch: 1,
        first_owner: node(1),
        members: List::first(members),
        quorum,
        durability: Durability::Majority,
        window: WindowRule { receipts: 10, every_ms: 500 },
        operators: List::first([secret(50).public()]),
        operator_threshold: 1,
    }
}

fn lead(base: u64, roster: &Roster) -> Lead {
    Lead::new(3, Mark { size: base, log_root: LogRoot::EMPTY }, roster, node(1))
}

#[test]
fn committed_is_what_a_quorum_has() {
    let roster = roster(5, Quorum::Majority);
    let mut lead = lead(0, &roster);
    assert_eq!(lead.count(10, &roster, node(1)), None);
    lead.agreed(1, node(2), 7);
    assert_eq!(lead.count(10, &roster, node(1)), None);
    // An observer has everything and counts nothing.
    lead.agreed(1, node(6), 10);
    assert_eq!(lead.count(10, &roster, node(1)), None);
    lead.agreed(1, node(3), 4);
    assert_eq!(lead.count(10, &roster, node(1)), Some(4));
    lead.agreed(1, node(4), 9);
    assert_eq!(lead.count(10, &roster, node(1)), Some(7));
    // A late word of less takes nothing back.
    lead.agreed(1, node(4), 2);
    assert_eq!(lead.count(10, &roster, node(1)), None);
    assert_eq!(lead.committed(), 7);
}

#[test]
fn nothing_counts_before_a_quorum_has_what_the_epoch_began_with() {
    let roster = roster(3, Quorum::Majority);
    let mut lead = lead(20, &roster);
    lead.agreed(1, node(2), 19);
    assert_eq!(lead.count(25, &roster, node(1)), None);
    lead.agreed(1, node(2), 20);
    assert_eq!(lead.count(25, &roster, node(1)), Some(20));
}

#[test]
fn steps_go_out_once_again_when_lost_and_not_without_end() {
    let roster = roster(3, Quorum::Majority);
    let mut lead = lead(0, &roster);
    let next = |lead: &mut Lead, now_ms, size| lead.next_for(now_ms, node(2), size, 500, 200);
    assert_eq!(next(&mut lead, 0, 3), Some(0));
    lead.pushed(0, node(2), 3);
    assert_eq!(next(&mut lead, 10, 3), None);
    assert_eq!(next(&mut lead, 10, 5), Some(3));
    lead.pushed(10, node(2), 5);
    // A sign of life, then everything that was not acknowledged once more.
    assert_eq!(next(&mut lead, 210, 5), Some(5));
    assert_eq!(next(&mut lead, 510, 5), Some(0));
    lead.agreed(520, node(2), 5);
    assert_eq!(next(&mut lead, 520, 5), Some(5));
    lead.pushed(520, node(2), 5);
    assert_eq!(next(&mut lead, 520, 100_000), Some(5));
    lead.pushed(520, node(2), 5 + IN_FLIGHT_STEPS_MAX);
    assert_eq!(next(&mut lead, 520, 100_000), None);
}

#[test]
fn a_gap_is_filled_once_however_often_it_is_reported() {
    let roster = roster(3, Quorum::Majority);
    let mut lead = lead(0, &roster);
    lead.pushed(0, node(2), 50);
    lead.needs(1, node(2), 10, 500);
    assert_eq!(lead.progress(node(2)).unwrap().sent, 10);
    lead.pushed(1, node(2), 50);
    for at_ms in 2..20 {
        lead.needs(at_ms, node(2), 10, 500);
        assert_eq!(lead.progress(node(2)).unwrap().sent, 50);
    }
    lead.needs(600, node(2), 10, 500);
    assert_eq!(lead.progress(node(2)).unwrap().sent, 10);
}

#[test]
fn a_quorum_is_heard_or_it_is_not() {
    let roster = roster(5, Quorum::Majority);
    let mut lead = lead(0, &roster);
    assert!(!lead.has_quorum(0, 100, &roster, node(1)));
    assert_eq!(lead.quorum_heard_ms(&roster, node(1)), None);
    lead.heard(10, node(2));
    lead.heard(10, node(6));
    assert!(!lead.has_quorum(20, 100, &roster, node(1)));
    lead.heard(30, node(3));
    assert!(lead.has_quorum(40, 100, &roster, node(1)));
    assert!(!lead.has_quorum(110, 100, &roster, node(1)));
    // The third of five, this node among them, was heard then.
    assert_eq!(lead.quorum_heard_ms(&roster, node(1)), Some(10));
}
