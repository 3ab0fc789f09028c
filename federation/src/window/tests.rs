use super::*;
use crate::{
    list::List,
    membership::{Durability, Member, Quorum},
    message::NodeKey,
};
use reprise_abi::{OutcomeClass, encode};
use reprise_receipts::{
    AttestationBody, DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LedgerId, LogRoot,
    OutputDigest, PackageDigest, SigningKey, StateRoot, attestation::Signature, genesis::PROTOCOL_EPOCH,
    receipt::RECEIPT_FORMAT,
};

fn secret(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

fn roster(voting: u8, quorum: Quorum) -> Roster {
    let member = |byte: u8| Member {
        node: NodeKey(secret(byte).public()),
        receipts: secret(byte + 100).public(),
        observer: byte > voting,
    };
    let mut members: Vec<_> = (1..=voting + 1).map(member).collect();
    members.sort_by_key(|member| member.node);
    Roster {
        ledger: LedgerId::from_bytes([1; 32]),
        number: 1,
        first_epoch: 1,
        first_owner: NodeKey(secret(1).public()),
        members: List::first(members),
        quorum,
        durability: Durability::Majority,
        window: WindowRule { receipts: 10, every_ms: 500 },
        operators: List::first([secret(50).public()]),
        operator_threshold: 1,
    }
}

fn vote(by: u8, size: u64, root: u8) -> Vote {
    let zero = Signature::from_bytes([0; 64]);
    let unsigned = Vote {
        ledger: LedgerId::from_bytes([1; 32]),
        epoch: 1,
        size,
        log_root: LogRoot::from_bytes([root; 32]),
        leaf: LeafHash::from_bytes([root; 32]),
        ordered_in: Some(1),
        state_root: StateRoot::from_bytes([root; 32]),
        execution: ExecutionRoot::from_bytes([root; 32]),
        signer: secret(by + 100).public(),
        attested: zero,
        time_s: 1,
        cosigned: zero,
    };
    unsigned.sign(&secret(by + 100))
}

#[test]
fn windows_open_at_multiples_or_after_a_while() {
    let rule = WindowRule { receipts: 10, every_ms: 500 };
    let mut windows = Windows::default();
    assert_eq!(windows.due(100, &rule, 9, 0), None);
    assert_eq!(windows.due(100, &rule, 25, 0), Some(20));
    assert_eq!(windows.due(200, &rule, 25, 20), None);
    assert_eq!(windows.due(600, &rule, 25, 20), Some(25));
    assert_eq!(windows.due(2_000, &rule, 25, 25), None);
    assert_eq!(windows.due(2_000, &rule, 31, 25), Some(30));
}

/// Each of the roots counts by itself, also those that are signed only through the receipt.
#[test]
fn a_vote_that_differs_in_one_root_makes_nothing_final() {
    let ours = vote(1, 10, 1);
    let other = vote(2, 10, 9);
    let differing = [
        Vote { log_root: other.log_root, ..vote(2, 10, 1) },
        Vote { leaf: other.leaf, ..vote(2, 10, 1) },
        Vote { state_root: other.state_root, ..vote(2, 10, 1) },
        Vote { execution: other.execution, ..vote(2, 10, 1) },
    ];
    let is_final = |theirs: Vote| {
        let mut windows = Windows::default();
        assert_eq!((windows.note(ours), windows.note(theirs)), (Noted::New, Noted::New));
        windows.final_beyond(0, &roster(3, Quorum::Majority)).is_some()
    };
    assert!(is_final(vote(2, 10, 1)));
    for theirs in differing {
        assert!(!is_final(theirs), "{theirs:?}");
    }
}

#[test]
fn a_quorum_of_equal_votes_is_final_and_no_fewer() {
    for (voting, quorum, needed) in [(3, Quorum::Majority, 2), (4, Quorum::TwoThirds, 3), (5, Quorum::TwoThirds, 4)] {
        let (roster, mut windows) = (roster(voting, quorum), Windows::default());
        // One who says something else, and an observer, who does not count.
        windows.note(vote(voting, 10, 9));
        windows.note(vote(voting + 1, 10, 1));
        for by in 1..needed {
            assert_eq!(windows.note(vote(by, 10, 1)), Noted::New);
            assert_eq!(windows.final_beyond(0, &roster), None, "{by} of {voting}");
        }
        if needed < voting {
            windows.note(vote(needed, 10, 1));
            let window = windows.final_beyond(0, &roster).unwrap();
            assert_eq!((window.mark.size, window.votes.len()), (10, usize::from(needed)));
            assert!(window.verify(&roster));
            assert!(!FinalWindow { votes: window.votes[1..].to_vec(), ..window.clone() }.verify(&roster));
            let mut forged = window.clone();
            forged.votes[0].log_root = LogRoot::from_bytes([7; 32]);
            assert!(!forged.verify(&roster));
            let twice = vec![window.votes[0]; usize::from(needed)];
            assert!(!FinalWindow { votes: twice, ..window }.verify(&roster));
            assert_eq!(windows.final_beyond(10, &roster), None);
        }
    }
}

/// What is kept of a window is what a stranger can check: with the receipt that its members attested, and no other.
#[test]
fn a_final_window_becomes_a_proof() {
    let (roster, receipt) = (roster(3, Quorum::Majority), receipt(9));
    let body = AttestationBody::of(&receipt, LeafHash::of(&encode(&receipt)), LogRoot::from_bytes([1; 32]));
    let votes = |epochs: &[Option<u64>]| {
        let vote = |(by, ordered_in): (u8, &Option<u64>)| {
            let unsigned = Vote { leaf: body.leaf, ordered_in: *ordered_in, ..vote(by, 10, 1) };
            unsigned.sign(&secret(by + 100))
        };
        let votes: Vec<Vote> = (1..).zip(epochs).map(vote).collect();
        FinalWindow { mark: Mark { size: 10, log_root: votes[0].log_root }, votes }
    };
    let mark = votes(&[Some(1); 3]).proof(&receipt, &roster).unwrap();
    assert_eq!((mark.size(), mark.votes.len(), mark.verify()), (10, 3, Ok(())));
    // Who names another epoch for the same receipt is left out.
    let mark = votes(&[Some(1), Some(1), Some(7)]).proof(&receipt, &roster).unwrap();
    assert_eq!((mark.votes.len(), mark.verify()), (2, Ok(())));
    assert_eq!(votes(&[Some(1), Some(7)]).proof(&receipt, &roster), None);
    let other = Receipt { fuel: 1, ..receipt };
    assert_eq!(votes(&[Some(1); 3]).proof(&other, &roster), None);
}

fn receipt(seq: u64) -> Receipt {
    Receipt {
        format: RECEIPT_FORMAT,
        ledger: LedgerId::from_bytes([1; 32]),
        seq,
        epoch: 1,
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::from_bytes([2; 32]),
        package: PackageDigest::from_bytes([3; 32]),
        input: InputDigest::from_bytes([4; 32]),
        logical_time_ms: 5,
        prior_state: StateRoot::from_bytes([6; 32]),
        next_state: StateRoot::from_bytes([1; 32]),
        diff: DiffDigest::from_bytes([7; 32]),
        execution: ExecutionRoot::from_bytes([1; 32]),
        output: OutputDigest::from_bytes([8; 32]),
        class: OutcomeClass::Accepted,
        code: 0,
        fuel: 0,
        previous: LeafHash::NONE,
    }
}

#[test]
fn two_votes_on_one_size_are_evidence_and_count_no_more() {
    let (roster, mut windows) = (roster(3, Quorum::Majority), Windows::default());
    windows.note(vote(1, 10, 1));
    assert_eq!(windows.note(vote(1, 10, 1)), Noted::Nothing);
    let Noted::Contradicts(evidence) = windows.note(vote(1, 10, 2)) else { panic!("no evidence") };
    let Evidence::Equivocation(both) = *evidence else { panic!("other evidence") };
    assert_eq!(both.verify(&secret(101).public()), Ok(()));
    assert!(windows.is_excluded(&secret(101).public()));
    windows.note(vote(2, 10, 1));
    assert_eq!(windows.note(vote(1, 20, 1)), Noted::Nothing);
    assert_eq!(windows.final_beyond(0, &roster), None);
    windows.note(vote(3, 10, 1));
    assert!(windows.final_beyond(0, &roster).is_some());
}

#[test]
fn members_vote_on_what_the_owner_opened_and_they_have() {
    let mut windows = Windows::default();
    let owner = secret(101).public();
    windows.note(vote(2, 30, 1));
    windows.note(vote(1, 10, 1));
    windows.note(vote(1, 20, 1));
    assert_eq!(windows.wanted(&owner, 9, 0), None);
    assert_eq!(windows.wanted(&owner, 19, 0), Some(10));
    assert_eq!(windows.wanted(&owner, 50, 0), Some(20));
    assert_eq!(windows.wanted(&owner, 50, 20), None);
    assert_eq!(windows.wanted(&owner, 5, 20), None);
}

#[test]
fn one_member_fills_no_memory() {
    let mut windows = Windows::default();
    for size in 1..200 {
        windows.note(vote(2, size, 1));
    }
    let key = secret(102).public();
    assert_eq!(windows.of(&key).count(), OPEN_WINDOWS_MAX);
    assert_eq!(windows.of(&key).last().map(|vote| vote.size), Some(199));
    windows.forget(199);
    assert_eq!(windows.of(&key).count(), 1);
}
