use super::*;
use crate::message::Mark;
use reprise_abi::{Canonical, decode_canonical, encode};
use reprise_receipts::{LogRoot, SigningKey};

fn secret(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

fn node(byte: u8) -> NodeKey {
    NodeKey(secret(byte).public())
}

fn roster() -> Roster {
    let member = |byte: u8| Member { node: node(byte), receipts: secret(byte + 100).public(), observer: byte == 4 };
    let mut members: Vec<_> = (1..=4).map(member).collect();
    members.sort_by_key(|member| member.node);
    let mut operators: Vec<_> = (50..53).map(|byte| secret(byte).public()).collect();
    operators.sort();
    Roster {
        ledger: LedgerId::from_bytes([1; 32]),
        number: 7,
        first_epoch: 1,
        first_owner: node(1),
        members: List::first(members),
        quorum: Quorum::Majority,
        durability: Durability::Majority,
        window: WindowRule { receipts: 64, every_ms: 1_000 },
        operators: List::first(operators),
        operator_threshold: 2,
    }
}

fn grant(epoch: u64, owner: u8) -> Grant {
    Grant {
        ledger: LedgerId::from_bytes([1; 32]),
        epoch,
        owner: node(owner),
        attester: secret(owner + 100).public(),
        roster: 7,
    }
}

#[test]
fn quorums_intersect_as_they_must() {
    for voting in 1..=MEMBERS_MAX {
        let majority = Quorum::Majority.needed(voting);
        assert!(2 * majority > voting && majority <= voting, "{voting}");
        let two_thirds = Quorum::TwoThirds.needed(voting);
        let liars = (voting - 1) / 3;
        assert!(2 * two_thirds > voting + liars, "{voting}: two quorums share only liars");
        assert!(two_thirds <= voting, "{voting}");
    }
    assert_eq!((1..=7).map(|n| Quorum::TwoThirds.needed(n)).collect::<Vec<_>>(), [1, 2, 3, 3, 4, 5, 5]);
}

#[test]
fn those_that_are_asked_know_of_every_promise() {
    for voting in 2..=MEMBERS_MAX {
        assert_eq!(Quorum::Majority.witnesses(voting), voting - 1);
        // The quorum has the one that asks and `needed - 1` of the others; some may lie.
        let needed = Quorum::TwoThirds.needed(voting);
        let (asked, liars) = (Quorum::TwoThirds.witnesses(voting), voting - needed);
        let in_both = (asked + needed - 1).saturating_sub(voting - 1);
        assert!(in_both > liars || asked == voting - 1, "{voting}: {asked} asked");
    }
    assert_eq!((Quorum::Majority.witnesses(3), Quorum::TwoThirds.witnesses(7)), (2, 5));
}

#[test]
fn roles_follow_the_owner_and_observers_do_not_count() {
    let roster = roster();
    assert_eq!(roster.role(node(1), node(1)), Some(Role::Owner));
    assert_eq!(roster.role(node(1), node(2)), Some(Role::Replica));
    assert_eq!(roster.role(node(4), node(4)), Some(Role::Observer));
    assert_eq!(roster.role(node(9), node(1)), None);
    assert_eq!((roster.voting().count(), roster.needed()), (3, 2));
}

#[test]
fn a_grant_takes_enough_operators_and_names_a_voter() {
    let roster = roster();
    let (one, two, stranger) = (secret(50), secret(52), secret(60));
    assert!(grant(2, 2).sign(&[&one, &two]).verify(&roster).is_ok());
    let few = |found| Err(GrantError::TooFewSignatures { found, needed: 2 });
    assert_eq!(grant(2, 2).sign(&[&one]).verify(&roster).copied(), few(1));
    // The same operator twice is one, a stranger is none, and a signature of another grant is none.
    assert_eq!(grant(2, 2).sign(&[&one, &one]).verify(&roster).copied(), few(1));
    assert_eq!(grant(2, 2).sign(&[&one, &stranger]).verify(&roster).copied(), few(1));
    let moved = SignedGrant { grant: grant(3, 2), ..grant(2, 2).sign(&[&one, &two]) };
    assert_eq!(moved.verify(&roster).copied(), few(0));
    assert_eq!(grant(2, 4).sign(&[&one, &two]).verify(&roster).copied(), Err(GrantError::NotAVoter(node(4))));
    let attester = secret(103).public();
    let foreign = Grant { attester, ..grant(2, 2) }.sign(&[&one, &two]);
    assert_eq!(foreign.verify(&roster).copied(), Err(GrantError::OtherAttester(attester)));
    let other = Grant { roster: 6, ..grant(2, 2) };
    assert_eq!(other.sign(&[&one, &two]).verify(&roster).copied(), Err(GrantError::OtherRoster));
}

#[test]
fn an_epoch_never_goes_back_and_has_one_owner() {
    let roster = roster();
    let signed = |epoch, owner| grant(epoch, owner).sign(&[&secret(50), &secret(51)]);
    let mut standing = Standing::new(&roster);
    assert_eq!(standing.promise(&signed(1, 2), &roster), Err(GrantError::EpochTaken { epoch: 1, owner: node(1) }));
    assert_eq!(standing.promise(&signed(5, 2), &roster), Ok(true));
    assert_eq!(standing.promise(&signed(5, 2), &roster), Ok(false));
    assert_eq!(standing.promise(&signed(5, 3), &roster), Err(GrantError::EpochTaken { epoch: 5, owner: node(2) }));
    assert_eq!(standing.promise(&signed(4, 3), &roster), Err(GrantError::LowerEpoch { promised: 5, found: 4 }));
    assert_eq!((standing.promised, standing.owner, standing.log_epoch), (5, node(2), 1));
    assert_eq!(decode_canonical(&encode(&standing)), Ok(standing.clone()));
    assert!(Standing { promised: 6, ..standing.clone() }.validate().is_err());
    assert!(Standing { log_epoch: 6, ..standing }.validate().is_err());
}

#[test]
fn a_log_in_a_later_epoch_is_word_enough() {
    let roster = roster();
    let signed = |epoch, owner| grant(epoch, owner).sign(&[&secret(50), &secret(51)]);
    let mut standing = Standing::new(&roster);
    assert!(standing.catch_up(&signed(4, 2)));
    assert_eq!((standing.promised, standing.owner, standing.log_epoch), (4, node(2), 4));
    assert!(!standing.catch_up(&signed(4, 2)) && !standing.catch_up(&signed(3, 3)));
    // What is promised is not given to somebody else.
    assert_eq!(standing.promise(&signed(6, 3), &roster), Ok(true));
    assert!(!standing.catch_up(&signed(6, 2)));
    assert!(standing.catch_up(&signed(6, 3)));
    assert_eq!((standing.log_epoch, standing.validate()), (6, Ok(())));
}

#[test]
fn a_grant_is_the_command_of_the_ledger() {
    let signed = grant(2, 2).sign(&[&secret(50), &secret(51)]);
    let command = signed.to_command();
    assert_eq!(SignedGrant::of_command(LedgerId::from_bytes([1; 32]), &command), Some(signed));
    let other = reprise_receipts::command::Command::Resume { halted_at: 1 };
    let other = other.sign(LedgerId::from_bytes([1; 32]), &secret(50));
    assert_eq!(SignedGrant::of_command(LedgerId::from_bytes([1; 32]), &other), None);
}

#[test]
fn what_anybody_was_told_is_protected() {
    let mark = |size| Mark { size, log_root: LogRoot::EMPTY };
    let standing = Standing { committed: 5, signed: mark(9), last_final: mark(7), ..Standing::new(&roster()) };
    assert_eq!(standing.protected(), 9);
}

#[test]
fn a_roster_makes_sense() {
    let good = roster();
    assert!(good.validate().is_ok());
    let mut members = good.members.to_vec();
    members[0].receipts = members[1].receipts;
    let bad = [
        Roster { first_owner: node(4), ..good.clone() },
        Roster { first_owner: node(9), ..good.clone() },
        Roster { operator_threshold: 0, ..good.clone() },
        Roster { operator_threshold: 4, ..good.clone() },
        Roster { window: WindowRule { receipts: 0, every_ms: 1 }, ..good.clone() },
        Roster { members: List::first(members), ..good.clone() },
        Roster { members: List::first(good.members.iter().rev().copied()), ..good.clone() },
    ];
    for roster in bad {
        assert!(roster.validate().is_err(), "{roster:?}");
    }
}
