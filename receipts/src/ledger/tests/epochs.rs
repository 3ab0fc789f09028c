//! Epochs: which input may begin one, and what nothing may.

use super::*;
use crate::{attesters::Attesters, command::SignedCommand, system::epochs};

/// Decodes any 32 bytes as a key.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wrapped(PublicKey);

impl reprise_abi::Canonical for Wrapped {
    const KIND: &'static str = "key";
    const BYTES_MAX: usize = 32;
}

fn key(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

fn command(to: u64) -> Command {
    Command::Epoch { to, owner: key(20).public(), attester: key(21).public(), roster: 1 }
}

fn grant(head: &Head, to: u64) -> SignedCommand {
    command(to).sign(head.ledger(), &operator())
}

/// The input that carries this command, under this epoch.
fn carried(head: &Head, epoch: u64, signed: &SignedCommand) -> Input {
    Input { epoch, ..input(head, COMMAND_KIND, encode(signed)) }
}

/// Begins an epoch by the rules, and gives the receipt.
fn begin(head: &mut Head, to: u64) -> Receipt {
    let (signed, input) = (grant(head, to), carried(head, to, &grant(head, to)));
    let work = head.prepare(&input).unwrap();
    assert_eq!(work, Work::Epoch(Box::new(signed)));
    head.seal(&input, &work, Executed::answered(accepted())).receipt
}

fn of_protocol_2() -> Head {
    Head::genesis(Genesis { protocol_epoch: 2, ..head().genesis_record().clone() })
}

#[test]
fn a_signed_command_begins_the_epoch_of_its_input() {
    let mut head = head();
    seal(&mut head, accepted()).unwrap();
    let receipt = begin(&mut head, 5);
    assert_eq!((receipt.epoch, receipt.class), (5, OutcomeClass::Accepted));
    let term = *head.term();
    assert_eq!((term.epoch, term.first_seq, term.attester), (5, 1, key(21).public()));
    assert_eq!(term.owner, Some(key(20).public()));
    let attesters = Attesters::of_state(head.genesis_record(), head.state());
    assert_eq!([0, 1, 9].map(|seq| *attesters.at(seq)), [operator(), key(21), key(21)].map(|key| key.public()));
    assert_eq!(head.epoch(), 5);
    assert_eq!(head.prepare(&input(&head, "event", Vec::new())), Err(OrderError::Epoch { expected: 5, found: 1 }));
}

#[test]
fn nothing_else_comes_under_another_epoch() {
    let head = head();
    let refused = |input: Input| match head.prepare(&input) {
        Err(OrderError::Epoch { expected: 1, found }) => assert_eq!(found, input.epoch),
        other => panic!("{other:?}"),
    };
    refused(Input { epoch: 2, ..input(&head, "event", Vec::new()) });
    refused(carried(&head, 2, &grant(&head, 3)));
    refused(carried(&head, 0, &grant(&head, 0)));
    refused(carried(&head, 2, &command(2).sign(head.ledger(), &key(9))));
    refused(carried(&head, 2, &command(2).sign(LedgerId::from_bytes([9; 32]), &operator())));
    refused(carried(&head, 2, &Command::Resume { halted_at: 0 }.sign(head.ledger(), &operator())));
    let no_key = |attester| Command::Epoch { to: 2, owner: key(20).public(), attester, roster: 1 };
    let weak: PublicKey = reprise_abi::decode_canonical::<Wrapped>(&[0; 32]).unwrap().0;
    refused(carried(&head, 2, &no_key(weak).sign(head.ledger(), &operator())));
}

#[test]
fn under_the_epoch_in_force_the_command_is_rejected() {
    let mut head = head();
    for to in [0, 1, 2] {
        let refusal = Work::Refuse(Refusal::Command(CommandError::OtherEpoch));
        assert_eq!(head.prepare(&carried(&head, 1, &grant(&head, to))), Ok(refusal), "{to}");
    }
    assert_eq!(CommandError::OtherEpoch as u32, 8_007);
    begin(&mut head, 2);
    let again = Input { epoch: 2, ..carried(&head, 2, &grant(&head, 2)) };
    assert_eq!(head.prepare(&again), Ok(Work::Refuse(Refusal::Command(CommandError::OtherEpoch))));
}

#[test]
fn a_ledger_of_protocol_epoch_2_does_not_know_the_command() {
    let head = of_protocol_2();
    let signed = grant(&head, 2);
    let foreign = OrderError::Epoch { expected: 1, found: 2 };
    assert_eq!(head.prepare(&carried(&head, 2, &signed)), Err(foreign));
    let malformed = Work::Refuse(Refusal::Command(CommandError::Malformed));
    assert_eq!(head.prepare(&carried(&head, 1, &signed)), Ok(malformed));
    assert_eq!(head.genesis_record().supported(), Ok(()));
    let reads = crate::system::reads::before_step(&head, &input(&head, "event", Vec::new()).event);
    let of_epochs = |read: &crate::witness::Read| match read {
        crate::witness::Read::Get { key } | crate::witness::Read::Scan { prefix: key, .. } => epochs::is_told_by(key),
    };
    assert!(!reads.iter().any(of_epochs), "a witness of such a ledger shows no epochs");
}

#[test]
fn an_epoch_begins_on_a_halted_ledger_and_before_what_is_due_and_lifts_no_halt() {
    let mut head = head();
    let set = TimerChange::Set(reprise_abi::Timer { id: "late".to_owned(), due_ms: 3, payload: Vec::new() });
    let first = input(&head, "event", Vec::new());
    let work = head.prepare(&first).unwrap();
    head.seal(&first, &work, Executed { timers: vec![set], ..Executed::answered(accepted()) });
    for _ in 0..GUEST_FAULTS_MAX {
        if seal(&mut head, trap()).is_err() {
            break;
        }
    }
    let due = head.due_input(100).expect("the timer is due");
    let (signed, next) = (grant(&head, 2), head.next_seq());
    let ahead = Input { logical_time_ms: 50, ..carried(&head, 2, &signed) };
    assert_eq!(head.prepare(&ahead), Ok(Work::Epoch(Box::new(signed))));
    begin(&mut head, 2);
    let later = head.due_input(100).expect("it still is");
    assert_eq!((later.event, later.epoch, later.seq), (due.event, 2, next + 1));

    let mut halted = super::head();
    let violation = reprise_abi::Violation { invariant: "one owner".to_owned(), detail: String::new() };
    seal(&mut halted, Outcome::InvariantViolated(violation)).unwrap();
    let halt = system::halt(halted.state());
    begin(&mut halted, 2);
    assert_eq!((system::halt(halted.state()), halt.is_some()), (halt, true));
}

#[test]
fn its_idempotency_key_is_answered_once() {
    let mut head = head();
    let receipt = begin(&mut head, 2);
    let repeated = Input { seq: head.next_seq(), ..carried(&head, 3, &grant(&head, 3)) };
    let id = receipt.seq.to_string();
    let repeated = Input { event: Event { id, ..repeated.event }, ..repeated };
    assert_eq!(head.prepare(&repeated), Err(OrderError::Duplicate { first: receipt.seq }));
}

/// Whatever is offered, in whatever order: epochs of receipts never go down.
#[test]
fn no_receipt_of_a_lower_epoch_follows() {
    for seed in 0..40_u64 {
        let mut head = head();
        let (mut number, mut last, mut begun) = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, 1, 0);
        let mut random = |below: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) % below
        };
        for _ in 0..200 {
            let (epoch, to) = (random(8), random(8));
            let offered = match random(3) {
                0 => carried(&head, epoch, &grant(&head, to)),
                1 => carried(&head, to, &grant(&head, to)),
                _ => Input { epoch, ..input(&head, "event", Vec::new()) },
            };
            let Ok(work) = head.prepare(&offered) else { continue };
            let outcome = match &work {
                Work::Refuse(refusal) => Outcome::Rejected((*refusal).into()),
                _ => accepted(),
            };
            begun += u64::from(matches!(work, Work::Epoch(_)));
            let receipt = head.seal(&offered, &work, Executed::answered(outcome)).receipt;
            assert!(receipt.epoch >= last, "seed {seed}");
            assert_eq!(receipt.epoch > last, matches!(work, Work::Epoch(_)), "seed {seed}");
            last = receipt.epoch;
        }
        assert!(begun > 0, "seed {seed}: no epoch began");
    }
}

/// An owner that was rolled back under a higher epoch signs the same place again: that is no evidence against it.
#[test]
fn a_fenced_owner_has_not_equivocated() {
    use crate::{
        attestation::AttestationBody,
        digest::LogRoot,
        evidence::{Equivocation, EvidenceError},
    };
    let mut before = head();
    seal(&mut before, accepted()).unwrap();
    let mut after = before.clone();
    let one = seal(&mut before, accepted()).unwrap();
    let other = begin(&mut after, 2);
    let attest = |receipt: &Receipt| {
        AttestationBody::of(receipt, LeafHash::of(&encode(receipt)), LogRoot::EMPTY).sign(&operator())
    };
    assert_eq!(one.seq, other.seq);
    let both = Equivocation::new(attest(&one), attest(&other));
    assert_eq!(both.verify(&operator().public()), Err(EvidenceError::OtherEpoch));
    let mut unfenced = head();
    seal(&mut unfenced, accepted()).unwrap();
    let again = seal(&mut unfenced, trap()).unwrap();
    assert_eq!(Equivocation::new(attest(&one), attest(&again)).verify(&operator().public()), Ok(()));
}
