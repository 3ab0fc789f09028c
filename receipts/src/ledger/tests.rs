use super::*;
use crate::{
    SigningKey,
    command::{COMMAND_KIND, Command},
    genesis::PROTOCOL_EPOCH,
    system::Halt,
};
use reprise_abi::{Event, OutcomeClass, Rejection, TrapKind, limits::GUEST_FAULTS_MAX};

fn operator() -> SigningKey {
    SigningKey::from_secret(&[7; 32])
}

fn head() -> Head {
    let key = operator().public();
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

fn input(head: &Head, kind: &str, payload: Vec<u8>) -> Input {
    let event = Event { id: head.next_seq().to_string(), source: "test".to_owned(), kind: kind.to_owned(), payload };
    Input { seq: head.next_seq(), epoch: 1, logical_time_ms: head.logical_time_ms() + 1, event }
}

/// Seals the next input with this outcome, and gives its receipt.
fn seal(head: &mut Head, outcome: Outcome) -> Result<Receipt, OrderError> {
    let input = input(head, "event", Vec::new());
    let work = head.prepare(&input)?;
    Ok(head.seal(&input, &work, Executed::answered(outcome)).receipt)
}

fn trap() -> Outcome {
    Outcome::Trapped(TrapKind::Unreachable)
}

fn accepted() -> Outcome {
    Outcome::Accepted { answer: Vec::new() }
}

#[test]
fn guest_faults_in_a_row_halt_the_ledger_and_an_operator_lifts_the_halt() {
    let mut head = head();
    for _ in 0..GUEST_FAULTS_MAX {
        assert_eq!(seal(&mut head, trap()).unwrap().class, OutcomeClass::Trapped);
    }
    let halt = Halt { seq: GUEST_FAULTS_MAX - 1, class: OutcomeClass::Trapped };
    assert_eq!(seal(&mut head, accepted()), Err(OrderError::Halted(halt)));

    let order = |halted_at, key: &SigningKey| encode(&Command::Resume { halted_at }.sign(head.ledger(), key));
    let stranger = input(&head, COMMAND_KIND, order(halt.seq, &SigningKey::from_secret(&[8; 32])));
    assert_eq!(head.prepare(&stranger), Ok(Work::Refuse(Refusal::Command(CommandError::TooFewSignatures))));
    let other_halt = input(&head, COMMAND_KIND, order(halt.seq + 1, &operator()));
    assert_eq!(head.prepare(&other_halt), Ok(Work::Refuse(Refusal::Command(CommandError::NotHalted))));
    let resume = input(&head, COMMAND_KIND, order(halt.seq, &operator()));
    let work = head.prepare(&resume).unwrap();
    assert_eq!(work, Work::Resume);
    head.seal(&resume, &work, Executed::answered(accepted()));
    assert_eq!(seal(&mut head, accepted()).unwrap().class, OutcomeClass::Accepted);
}

#[test]
fn a_step_that_is_no_fault_ends_the_row() {
    let mut head = head();
    let rejected = || Outcome::Rejected(Rejection { code: 1, detail: String::new() });
    for outcome in [trap(), trap(), rejected(), trap(), trap(), accepted(), trap()] {
        seal(&mut head, outcome).unwrap();
    }
    assert_eq!(system::halt(head.state()), None);
    assert_eq!(system::guest_faults(head.state()), 1);
}

#[test]
fn a_broken_invariant_halts_at_once() {
    let mut head = head();
    let violation = reprise_abi::Violation { invariant: "one owner".to_owned(), detail: String::new() };
    seal(&mut head, Outcome::InvariantViolated(violation)).unwrap();
    assert_eq!(system::halt(head.state()), Some(Halt { seq: 0, class: OutcomeClass::InvariantViolated }));
}

#[test]
fn an_upgrade_is_good_for_one_place_and_one_predecessor() {
    let head = head();
    let [from, to, other] = [2, 3, 4].map(|n| PackageDigest::from_bytes([n; 32]));
    let prepare = |from, at| {
        let command = Command::Upgrade { from, to, at }.sign(head.ledger(), &operator());
        head.prepare(&input(&head, COMMAND_KIND, encode(&command)))
    };
    assert_eq!(prepare(from, 0), Ok(Work::Migrate { to }));
    assert_eq!(prepare(from, 1), Ok(Work::Refuse(Refusal::Command(CommandError::OtherPlace))));
    assert_eq!(prepare(other, 0), Ok(Work::Refuse(Refusal::Command(CommandError::OtherPackage))));
}

#[test]
fn receipts_form_a_chain_and_order_is_held() {
    let mut head = head();
    let first = seal(&mut head, accepted()).unwrap();
    let second = seal(&mut head, accepted()).unwrap();
    assert_eq!(first.previous, LeafHash::NONE);
    assert_eq!(second.previous, LeafHash::of(&encode(&first)));
    assert_eq!(second.prior_state, first.next_state);
    let next = input(&head, "event", Vec::new());
    let refused = |change: fn(&mut Input)| {
        let mut input = next.clone();
        change(&mut input);
        head.prepare(&input).unwrap_err()
    };
    assert_eq!(refused(|i| i.seq = 7), OrderError::Sequence { expected: 2, found: 7 });
    assert_eq!(refused(|i| i.epoch = 0), OrderError::Epoch { expected: 1, found: 0 });
    assert_eq!(refused(|i| i.logical_time_ms = 1), OrderError::Time { last: 2, found: 1 });
    assert_eq!(refused(|i| i.event.id = "1".to_owned()), OrderError::Duplicate { first: 1 });
}

mod epochs;
mod owed;
