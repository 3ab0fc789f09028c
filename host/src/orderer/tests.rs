use super::*;
use reprise_abi::{Outcome, limits::IDEMPOTENCY_RETENTION_MS};
use reprise_receipts::{
    EngineProfileDigest, Executed, Genesis, PackageDigest, SigningKey,
    command::{Command, CommandError},
    genesis::PROTOCOL_EPOCH,
    ledger::{Refusal as LedgerRefusal, Work},
};

fn head() -> Head {
    let key = SigningKey::from_secret(&[7; 32]).public();
    Head::genesis(Genesis {
        format: 1,
        name: "test".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::from_bytes([1; 32]),
        package: PackageDigest::from_bytes([2; 32]),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    })
}

fn proposal(id: &str, payload: &str, time_ms: u64) -> Proposal {
    let (source, kind) = ("rank-1".to_owned(), "heartbeat".to_owned());
    let event = Event { id: id.to_owned(), source, kind, payload: payload.as_bytes().to_vec() };
    Proposal { tag: 0, event, time_ms: Some(time_ms), origin: Origin::Submitted }
}

/// Orders an event, and has it accepted when it gets a place.
fn order(head: &mut Head, proposal: Proposal) -> Result<Ordered, Refusal> {
    let ordered = LocalOrderer::new(TimeSource::Event).order(head, proposal)?;
    if let Ordered::Next(input) = &ordered {
        let work = head.prepare(input).expect("the orderer gives only inputs that may be the next one");
        head.seal(input, &work, Executed::answered(Outcome::Accepted { answer: Vec::new() }));
    }
    Ok(ordered)
}

#[test]
fn a_duplicate_gets_the_first_answer_for_a_day() {
    let mut head = head();
    assert!(matches!(order(&mut head, proposal("a", "{}", 1_000)), Ok(Ordered::Next(_))));
    let last_moment = 1_000 + IDEMPOTENCY_RETENTION_MS - 1;
    assert_eq!(order(&mut head, proposal("a", "{}", last_moment)), Ok(Ordered::Duplicate { first: 0 }));
    assert_eq!(order(&mut head, proposal("a", "{1}", 2_000)), Err(Refusal::Conflict { first: 0 }));
    let again = order(&mut head, proposal("a", "{}", last_moment + 1));
    assert!(matches!(again, Ok(Ordered::Next(input)) if input.seq == 1), "after a day the key is free again");
}

#[test]
fn logical_time_never_goes_back() {
    let mut head = head();
    let stamped = |ordered| match ordered {
        Ok(Ordered::Next(input)) => Input::clone(&input).logical_time_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(stamped(order(&mut head, proposal("a", "", 5_000))), 5_000);
    assert_eq!(stamped(order(&mut head, proposal("b", "", 3_000))), 5_000);
    assert_eq!(stamped(order(&mut head, proposal("c", "", 5_001))), 5_001);
}

#[test]
fn kinds_of_the_host_are_not_for_submitters() {
    let mut wanted = proposal("a", "", 1);
    wanted.event.kind = "reprise.timer".to_owned();
    assert_eq!(order(&mut head(), wanted), Err(Refusal::HostKind));
}

#[test]
fn a_command_without_signatures_is_rejected_by_the_ledger() {
    let mut wanted = proposal("a", "", 1);
    wanted.event.kind = COMMAND_KIND.to_owned();
    let head = head();
    let ordered = LocalOrderer::default().order(&head, wanted);
    let Ok(Ordered::Next(input)) = ordered else { panic!("{ordered:?}") };
    let work = head.prepare(&input).unwrap();
    assert_eq!(work, Work::Refuse(LedgerRefusal::Command(CommandError::Malformed)));
}

#[test]
fn only_the_new_owner_orders_a_grant_and_only_one_that_rises() {
    let key = SigningKey::from_secret(&[7; 32]);
    let (head, stranger) = (head(), SigningKey::from_secret(&[8; 32]));
    let command = |to| Command::Epoch { to, owner: key.public(), attester: key.public(), roster: 1 };
    let grant = |to, by: &SigningKey| Proposal::of_grant(&head, &command(to).sign(head.ledger(), by));
    let order = |proposal| LocalOrderer::default().order(&head, proposal);
    let Ok(Ordered::Next(input)) = order(grant(3, &key)) else { panic!("it rises and is signed") };
    assert_eq!((input.epoch, input.seq), (3, 0));
    assert_eq!(order(grant(1, &key)), Err(Refusal::NotGranted { in_force: 1 }));
    assert_eq!(order(grant(3, &stranger)), Err(Refusal::NotGranted { in_force: 1 }));
    assert_eq!(order(Proposal { origin: Origin::Submitted, ..grant(3, &key) }), Err(Refusal::Grant));
}
