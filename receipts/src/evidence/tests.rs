//! Evidence that holds, and mutants of it that do not.

use super::*;
use crate::{
    Genesis, Head, SigningKey, StateTrie,
    attestation::AttestationBody,
    checkpoint::Checkpoint,
    digest::{EngineProfileDigest, LeafHash, LogRoot, PackageDigest},
    genesis::PROTOCOL_EPOCH,
    ledger::Executed,
    log::{LogTail, TileSource, prove_inclusion},
};
use reprise_abi::{Event, Input, Outcome};
use std::collections::BTreeMap;

fn key() -> SigningKey {
    SigningKey::from_secret(&[7; 32])
}

fn genesis() -> Genesis {
    Genesis {
        format: 1,
        name: "test".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::from_bytes([1; 32]),
        package: PackageDigest::from_bytes([2; 32]),
        epoch: 1,
        attester: key().public(),
        operators: vec![key().public()],
        operator_threshold: 1,
    }
}

fn ledger() -> LedgerId {
    genesis().ledger_id()
}

/// A log of leaves that begin alike and differ from some sequence number on.
struct Log {
    tail: LogTail,
    leaves: Vec<LeafHash>,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

fn log(size: u64, differs_from: u64) -> Log {
    let leaf = |seq: u64| LeafHash::of(&[seq as u8, u8::from(seq >= differs_from)]);
    let leaves: Vec<_> = (0..size).map(leaf).collect();
    let mut tail = LogTail::new();
    leaves.iter().for_each(|leaf| tail.append(*leaf));
    let tiles = tail.clone().take_dirty_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes));
    Log { tiles: tiles.collect(), tail, leaves }
}

impl Log {
    fn source(&self) -> impl TileSource + '_ {
        |level: u8, index: u64| self.tiles.get(&(level, index)).cloned()
    }

    fn note(&self) -> SignedHead {
        let checkpoint = Checkpoint { ledger: ledger(), size: self.tail.size(), log_root: self.tail.root() };
        SignedHead::Checkpoint(checkpoint.sign(&key()).text().to_owned())
    }

    fn attested(&self) -> SignedHead {
        let (seq, leaf) = (self.tail.size() - 1, *self.leaves.last().unwrap());
        SignedHead::Attestation(
            AttestationBody { ledger: ledger(), seq, leaf, log_root: self.tail.root(), epoch: None }.sign(&key()),
        )
    }
}

fn attestation(seq: u64, leaf: u8) -> Attestation {
    let (leaf, log_root) = (LeafHash::from_bytes([leaf; 32]), LogRoot::EMPTY);
    AttestationBody { ledger: ledger(), seq, leaf, log_root, epoch: None }.sign(&key())
}

fn fork(one: &Log, other: &Log, at: Option<u64>) -> Result<Fork, EvidenceError> {
    let leaves = |seq: u64| [one, other].map(|log| log.leaves[seq as usize]);
    let at = at.map(|seq| Difference { seq, leaves: leaves(seq), receipts: None });
    Fork::new((one.note(), &one.source()), (other.attested(), &other.source()), at).unwrap()
}

#[test]
fn two_bodies_for_one_place_are_an_equivocation() {
    let check = |first, second| Equivocation::new(first, second).verify(&key().public());
    assert_eq!(check(attestation(3, 1), attestation(3, 2)), Ok(()));
    assert_eq!(check(attestation(3, 1), attestation(3, 1)), Err(EvidenceError::Same));
    let other_seq = check(attestation(3, 1), attestation(4, 2));
    assert!(matches!(other_seq, Err(EvidenceError::OtherSeq { .. })), "{other_seq:?}");
    let mut foreign = attestation(3, 2);
    foreign.body.ledger = LedgerId::from_bytes([9; 32]);
    let unsigned = check(attestation(3, 1), foreign.clone());
    assert!(matches!(unsigned, Err(EvidenceError::Attestation(_))), "{unsigned:?}");
    let other_ledger = check(attestation(3, 1), foreign.body.sign(&key()));
    assert!(matches!(other_ledger, Err(EvidenceError::OtherLedger { .. })), "{other_ledger:?}");
    let another_key = SigningKey::from_secret(&[8; 32]);
    let not_hers = Equivocation::new(attestation(3, 1), attestation(3, 2)).verify(&another_key.public());
    assert!(matches!(not_hers, Err(EvidenceError::Attestation(_))), "{not_hers:?}");
}

#[test]
fn two_logs_that_contradict_are_a_fork() {
    let verify = |fork: Result<Fork, EvidenceError>| fork.and_then(|fork| fork.verify(&key().public()));
    assert_eq!(verify(fork(&log(9, 9), &log(9, 5), None)), Ok(()), "of the same size");
    assert_eq!(verify(fork(&log(9, 9), &log(300, 5), Some(5))), Ok(()), "the second is longer");
    assert_eq!(verify(fork(&log(300, 5), &log(9, 9), Some(8))), Ok(()), "the first is longer");
    assert_eq!(verify(fork(&log(9, 9), &log(9, 9), None)), Err(EvidenceError::Same));
    let unproved = verify(fork(&log(9, 9), &log(300, 5), None));
    assert_eq!(unproved, Err(EvidenceError::NoDifference { first: 9, second: 300 }));
    assert_eq!(verify(fork(&log(9, 9), &log(300, 5), Some(4))), Err(EvidenceError::Same), "they do not differ there");
    let mut wrong = fork(&log(9, 9), &log(300, 5), Some(5)).unwrap();
    wrong.at.as_mut().unwrap().first.0 = LeafHash::from_bytes([1; 32]);
    assert!(matches!(wrong.verify(&key().public()), Err(EvidenceError::Proof(_))));
}

/// A ledger of two steps, the second of which is signed with another state than it leads to.
fn fault(honest: bool) -> ExecutionFault {
    let mut head = Head::genesis(genesis());
    let mut seal = |seq| {
        let event = Event { id: format!("{seq}"), source: "s".to_owned(), kind: "k".to_owned(), payload: vec![] };
        let input = Input { seq, epoch: 1, logical_time_ms: seq, event };
        let work = head.prepare(&input).unwrap();
        let before = head.clone();
        (head.seal(&input, &work, Executed::answered(Outcome::Accepted { answer: vec![] })), before)
    };
    let (first, _) = seal(0);
    let (second, before) = seal(1);
    let mut state = before.state().clone();
    let mut receipt = second.receipt.clone();
    if !honest {
        receipt.next_state = receipt.prior_state;
    }
    let receipt = encode(&receipt);
    let mut tail = LogTail::new();
    tail.append(first.leaf);
    tail.append(LeafHash::of(&receipt));
    let body = AttestationBody {
        epoch: Some(1),
        ledger: ledger(),
        seq: 1,
        leaf: LeafHash::of(&receipt),
        log_root: tail.root(),
    };
    let tiles = tail.take_dirty_tiles();
    let source = |level: u8, index: u64| {
        tiles.iter().find(|tile| (tile.level, tile.index) == (level, index)).map(|tile| tile.hashes.clone())
    };
    let mut touched = crate::witness::Touched::new();
    let input: Input = decode_canonical(&second.input_bytes).unwrap();
    crate::system::reads::before_step(&before, &input.event).iter().for_each(|read| touched.note(&state, read));
    ExecutionFault {
        genesis: genesis(),
        head: SignedHead::Attestation(body.sign(&key())),
        proof: prove_inclusion(&source, 2, 1).unwrap(),
        before: Some(first.receipt_bytes),
        receipt,
        input: second.input_bytes,
        witness: Some(crate::witness::Witness::of(&mut state, &touched)),
        packages: Vec::new(),
    }
}

/// Doing the step of an opened fault again, without an engine.
fn redone(fault: &ExecutionFault) -> (crate::Receipt, crate::Receipt) {
    let OpenFault { mut head, receipt, input, .. } = fault.open(&key().public()).unwrap();
    let work = head.prepare(&input).unwrap();
    let executed = Executed::answered(Outcome::Accepted { answer: vec![] });
    (head.seal(&input, &work, executed).receipt, receipt)
}

#[test]
fn a_receipt_that_replays_to_another_is_a_fault() {
    let (found, signed) = redone(&fault(true));
    assert_eq!(found, signed);
    let (found, signed) = redone(&fault(false));
    assert_ne!(found.next_state, signed.next_state);
}

#[test]
fn parts_of_a_fault_belong_together() {
    let refused = |change: fn(&mut ExecutionFault)| {
        let mut changed = fault(false);
        change(&mut changed);
        changed.open(&key().public()).unwrap_err()
    };
    let mismatch = |what| EvidenceError::Mismatch(what);
    assert_eq!(
        refused(|fault| fault.input = encode(&Input { seq: 9, ..decode_canonical(&fault.input).unwrap() })),
        mismatch("input")
    );
    assert_eq!(refused(|fault| fault.genesis.nonce = [1; 16]), mismatch("genesis record"));
    assert_eq!(refused(|fault| fault.before = None), mismatch("receipt before it"));
    assert_eq!(refused(|fault| fault.before = Some(fault.receipt.clone())), mismatch("receipt before it"));
    assert_eq!(refused(|fault| fault.witness = None), mismatch("witness"));
    let other_receipt = |fault: &mut ExecutionFault| fault.receipt = super::tests::fault(true).receipt;
    assert!(matches!(refused(other_receipt), EvidenceError::Proof(_)));
    assert!(matches!(refused(|fault| fault.proof = prove_nothing()), EvidenceError::Proof(_)));
    let none = crate::witness::Witness::of(&mut StateTrie::new(), &crate::witness::Touched::new());
    let mut without = fault(false);
    without.witness = Some(none);
    assert!(matches!(without.open(&key().public()), Err(EvidenceError::Witness(_))));
    let stranger = SigningKey::from_secret(&[8; 32]).public();
    assert!(matches!(fault(false).open(&stranger), Err(EvidenceError::Attestation(_))));
}

fn prove_nothing() -> crate::log::InclusionProof {
    let one = log(1, 1);
    prove_inclusion(&one.source(), 1, 0).unwrap()
}

#[test]
fn no_mutant_of_a_file_is_evidence() {
    let equivocation = Evidence::Equivocation(Box::new(Equivocation::new(attestation(3, 1), attestation(3, 2))));
    let forked = Evidence::Fork(Box::new(fork(&log(9, 9), &log(300, 5), Some(5)).unwrap()));
    for evidence in [equivocation, forked] {
        let file = evidence.to_file();
        assert_eq!(Evidence::from_file(&file), Ok(evidence));
        for at in 0..file.len() * 8 {
            let mut mutant = file.clone();
            mutant[at / 8] ^= 1 << (at % 8);
            let holds = match Evidence::from_file(&mutant) {
                Ok(Evidence::Equivocation(both)) => both.verify(&key().public()).is_ok(),
                Ok(Evidence::Fork(fork)) => fork.verify(&key().public()).is_ok(),
                Ok(Evidence::ExecutionFault(_)) | Err(_) => false,
            };
            assert!(!holds, "bit {at} of {}", evidence_name(&file));
        }
    }
}

fn evidence_name(file: &[u8]) -> &'static str {
    Evidence::from_file(file).unwrap().kind()
}

/// The file of an execution fault with a list of so many parts that take no bytes to speak of.
fn fault_with_parts(parts: u64) -> Vec<u8> {
    let fault = ExecutionFault {
        genesis: genesis(),
        head: SignedHead::Checkpoint(String::new()),
        proof: prove_inclusion(&log(1, 9).source(), 1, 0).unwrap(),
        before: None,
        receipt: vec![1],
        input: vec![1],
        witness: None,
        packages: Vec::new(),
    };
    let mut file = Evidence::ExecutionFault(Box::new(fault)).to_file();
    // In the place of no witness and no packages: a witness of many entries with empty keys and values.
    file.truncate(file.len() - 2);
    file.extend_from_slice(&[1, 1, 0]);
    let mut rest = parts;
    while rest >= 0x80 {
        file.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    file.push(rest as u8);
    (0..parts).for_each(|_| file.extend_from_slice(&[0, 1, 0, 0]));
    file.push(0);
    file
}

#[test]
fn lists_are_counted_before_they_are_decoded() {
    let few = Evidence::from_file(&fault_with_parts(3));
    assert!(!matches!(few, Err(EvidenceError::TooMany)), "{few:?}");
    let many = Evidence::from_file(&fault_with_parts(1 << 20));
    assert_eq!(many, Err(EvidenceError::TooMany));
    let mut long = EVIDENCE_MAGIC.to_vec();
    long.extend_from_slice(&EVIDENCE_VERSION.to_le_bytes());
    long.resize(long.len() + EVIDENCE_BYTES_MAX + 1, 0);
    assert_eq!(Evidence::from_file(&long), Err(EvidenceError::TooLong));
}
