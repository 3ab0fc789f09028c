use super::*;
use crate::{
    checkpoint::{CosignerKey, cosign},
    digest::{DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, OutputDigest, PackageDigest, StateRoot},
    receipt::RECEIPT_FORMAT,
    trust_policy::TrustPolicy,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reprise_abi::{OutcomeClass, decode_canonical};

fn key(secret: u8) -> SigningKey {
    SigningKey::from_secret(&[secret; 32])
}

fn receipt(seq: u64) -> Receipt {
    Receipt {
        format: RECEIPT_FORMAT,
        ledger: LedgerId::from_bytes([1; 32]),
        seq,
        epoch: 4,
        protocol_epoch: 3,
        engine_profile: EngineProfileDigest::from_bytes([2; 32]),
        package: PackageDigest::from_bytes([3; 32]),
        input: InputDigest::from_bytes([4; 32]),
        logical_time_ms: 5,
        prior_state: StateRoot::from_bytes([6; 32]),
        next_state: StateRoot::from_bytes([7; 32]),
        diff: DiffDigest::from_bytes([8; 32]),
        execution: ExecutionRoot::from_bytes([9; 32]),
        output: OutputDigest::from_bytes([10; 32]),
        class: OutcomeClass::Accepted,
        code: 0,
        fuel: 11,
        previous: LeafHash::from_bytes([12; 32]),
    }
}

/// Of 100 receipts, signed by these, each at the time that is its number.
fn mark(signers: &[u8]) -> FinalMark {
    let unsigned = FinalMark::unsigned(receipt(99), LogRoot::from_bytes([13; 32]));
    signers.iter().fold(unsigned, |mark, secret| mark.signed(&key(*secret), u64::from(*secret)))
}

#[test]
fn nothing_in_a_mark_is_left_unsigned() {
    let whole = mark(&[1, 2]);
    assert_eq!((whole.size(), whole.verify()), (100, Ok(())));
    assert_eq!(decode_canonical(&encode(&whole)), Ok(whole.clone()));
    let changes: [fn(&mut FinalMark); 8] = [
        |mark| mark.receipt.seq += 1,
        |mark| mark.receipt.epoch += 1,
        |mark| mark.receipt.next_state = StateRoot::from_bytes([0; 32]),
        |mark| mark.receipt.execution = ExecutionRoot::from_bytes([0; 32]),
        |mark| mark.log_root = LogRoot::EMPTY,
        |mark| mark.votes[1].signer = key(3).public(),
        |mark| mark.votes[1].time_s += 1,
        |mark| mark.votes[1].attested = mark.votes[1].cosigned,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = whole.clone();
        change(&mut changed);
        assert!(matches!(changed.verify(), Err(FinalityError::BadSignature(_))), "change {at}");
    }
}

#[test]
fn votes_are_few_and_each_signer_has_one() {
    // The codec writes nothing that breaks a rule.
    let read = |mark: &FinalMark| decode_canonical::<FinalMark>(&postcard::to_allocvec(mark).unwrap());
    let rule = |mark: &FinalMark| match read(mark) {
        Err(CodecError::Invalid { rule, .. }) => rule,
        other => panic!("{other:?}"),
    };
    assert_eq!(rule(&mark(&[])), "there are 1 to 32 votes");
    let mut twice = mark(&[1]);
    twice.votes.push(twice.votes[0]);
    assert_eq!(rule(&twice), "votes ascend strictly by signer");
    let again = mark(&[1]).signed(&key(1), 77);
    assert_eq!((again.votes.len(), again.votes[0].time_s, again.verify()), (1, 77, Ok(())));
    let most: Vec<u8> = (1..=33).collect();
    assert!(read(&mark(&most[..32])).is_ok());
    assert!(matches!(read(&mark(&most)), Err(CodecError::Malformed { .. })));
    assert_eq!(rule(&FinalMark { format: 2, ..mark(&[1]) }), "the format version is 1");
    assert_eq!(rule(&FinalMark { receipt: receipt(LOG_SIZE_MAX), ..mark(&[1]) }), "a log has at most 2^48 receipts");
}

/// The same bytes as a witness writes into a note.
#[test]
fn a_cosignature_is_the_one_that_others_read() {
    let mark = mark(&[2]);
    let line = cosign(&mark.checkpoint().sign(&key(1)), "w.example", &key(2), 2).unwrap();
    let written = STANDARD.decode(line.rsplit(' ').next().unwrap()).unwrap();
    assert!(written.ends_with(mark.votes[0].cosigned.as_bytes()));
}

#[test]
fn who_vouches_is_for_whoever_verifies() {
    let mark = mark(&[1, 2]);
    let [one, two, three, four] = [1, 2, 3, 4].map(|secret| key(secret).public());
    let vouched = |trust: Trust| mark.vouched(&trust).map(|vouchers| (vouchers.signers.len(), vouchers.known));
    assert_eq!(vouched(Trust::GenesisRecord), Err(NotVouched::Nobody));
    assert_eq!(vouched(Trust::Attester(one)), Err(NotVouched::One));
    assert_eq!(vouched(Trust::Attester(three)), Err(NotVouched::One));
    let members = |attester, others: &[PublicKey]| Trust::Members { attester, others: others.to_vec() };
    assert_eq!(vouched(members(one, &[two, three])), Ok((2, 3)));
    assert_eq!(vouched(members(one, &[one, three])), Err(NotVouched::TooFew { found: 1, known: 2 }));
    assert_eq!(vouched(members(one, &[two, three, four])), Err(NotVouched::TooFew { found: 2, known: 4 }));

    let log = Checkpoint::note_key(mark.ledger(), one);
    let policy = |group: &str, quorum: &str| {
        let witness = |(name, key)| format!("witness {name} {}\n", CosignerKey::new("w.example", key).unwrap());
        let all: String = [("b", two), ("c", three), ("d", four)].map(witness).concat();
        let text = format!("log {log}\n{all}group members {group} b c d\nquorum {quorum}\n");
        Trust::Policy(TrustPolicy::parse(text.as_bytes()).unwrap())
    };
    assert_eq!(vouched(policy("any", "members")), Ok((1, 3)));
    let few = PolicyRefusal::NoQuorum { found: 1, known: 3 };
    assert_eq!(vouched(policy("2", "members")), Err(NotVouched::Policy(few)));
    assert_eq!(vouched(policy("any", "none")), Err(NotVouched::Policy(PolicyRefusal::NoWitnesses)));
}
