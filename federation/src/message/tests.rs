use super::*;
use crate::list::List;
use reprise_receipts::{SigningKey, checkpoint::SignedCheckpoint, trust_policy::TrustPolicy};

fn secret(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

#[test]
fn an_enrolment_is_of_two_keys_that_are_both_there() {
    let (node, receipts) = (secret(1), secret(2));
    let enrolment = Enrolment::new(&node, &receipts);
    assert_eq!(enrolment.verify(NodeKey(node.public())), Ok(()));
    let other = NodeKey(secret(3).public());
    assert_eq!(enrolment.verify(other), Err(EnrolmentError::OtherNode { expected: other, found: enrolment.node }));
    // Somebody claims a receipt-signing key that it does not hold.
    let stolen = Enrolment { by_receipts: enrolment.by_node, ..enrolment };
    assert_eq!(stolen.verify(enrolment.node), Err(EnrolmentError::BadSignature));
    let claimed = Enrolment { node: other, by_node: Enrolment::new(&secret(3), &receipts).by_node, ..enrolment };
    assert_eq!(claimed.verify(other), Err(EnrolmentError::BadSignature));
    let same = Enrolment::new(&node, &node);
    assert_eq!(same.verify(NodeKey(node.public())), Err(EnrolmentError::SameKey));
}

#[test]
fn versions_must_meet() {
    let hello = Hello::new(Enrolment::new(&secret(1), &secret(2)));
    let with = |version_min, version_max| Hello { version_min, version_max, ..hello.clone() }.version_with_us();
    assert_eq!(hello.version_with_us(), Some(PROTOCOL_VERSION));
    assert_eq!((with(0, 9), with(3, 9), with(2, 2), with(0, 2)), (Some(4), Some(4), Some(2), Some(2)));
    assert_eq!((with(0, 1), with(5, 9)), (None, None));
    let backwards = Message::Hello(Hello { version_min: 2, version_max: 1, ..hello });
    assert!(backwards.validate().is_err());
}

fn vote() -> Vote {
    let zero = reprise_receipts::attestation::Signature::from_bytes([0; 64]);
    let unsigned = Vote {
        ledger: LedgerId::from_bytes([1; 32]),
        epoch: 3,
        size: 12,
        log_root: LogRoot::from_bytes([2; 32]),
        leaf: reprise_receipts::LeafHash::from_bytes([3; 32]),
        ordered_in: Some(1),
        state_root: reprise_receipts::StateRoot::from_bytes([4; 32]),
        execution: reprise_receipts::ExecutionRoot::from_bytes([5; 32]),
        signer: secret(9).public(),
        attested: zero,
        time_s: 1_700_000_000,
        cosigned: zero,
    };
    unsigned.sign(&secret(9))
}

#[test]
fn a_vote_is_an_attestation_and_a_cosignature_that_other_tools_read() {
    let vote = vote();
    assert_eq!(vote.verify(), Ok(()));
    assert_eq!(vote.attestation().verify(&vote.signer), Ok(()));
    // The line goes into the checkpoint as `receipts` and every C2SP tool expect it.
    let attester = secret(7);
    let line = vote.cosignature("node.example/n1").unwrap();
    let signed: SignedCheckpoint = vote.checkpoint().sign(&attester).with_signature(&line).unwrap();
    let log = reprise_receipts::checkpoint::Checkpoint::note_key(vote.ledger, attester.public());
    let witness = reprise_receipts::checkpoint::CosignerKey::new("node.example/n1", vote.signer).unwrap();
    let policy = format!("log {log}\nwitness n1 {witness}\nquorum n1\n");
    let approval = TrustPolicy::parse(policy.as_bytes()).unwrap().check(&signed).unwrap();
    assert_eq!(approval.cosigners[0].time_s, 1_700_000_000);
}

#[test]
fn what_a_vote_says_cannot_be_changed() {
    let good = vote();
    let other_root = Vote { log_root: LogRoot::from_bytes([8; 32]), ..good };
    let other_leaf = Vote { leaf: reprise_receipts::LeafHash::from_bytes([8; 32]), ..good };
    let other_time = Vote { time_s: 1, ..good };
    let other_signer = Vote { signer: secret(8).public(), ..good };
    for changed in [other_root, other_leaf, other_time, other_signer] {
        assert_eq!(changed.verify(), Err(VoteError::BadSignature(changed.signer)));
    }
}

#[test]
fn messages_keep_their_bounds() {
    let ledger = LedgerId::from_bytes([1; 32]);
    let step = |bytes: usize| Step { input: vec![0; bytes], receipt: Vec::new() };
    let append = |steps: Vec<Step>, first: u64, head: u64| {
        let mark = |size| Mark { size, log_root: LogRoot::EMPTY };
        let (before, head) = (mark(first), mark(head));
        Message::Append(Append { ledger, epoch: 1, base: 0, before, steps: List::first(steps), head, committed: 0 })
    };
    assert!(append(vec![step(40_000)], 0, 1).validate().is_ok());
    assert!(append(vec![step(40_000), step(10_000)], 0, 2).validate().is_err());
    assert!(append(vec![step(1)], 4, 4).validate().is_err());
    assert!(append(vec![step(1)], u64::MAX, u64::MAX).validate().is_err());
    let subtrees = |level, first, count| {
        Message::Ask(Ask { request: 1, question: Question::Subtrees { ledger, level, first, count } })
            .validate()
            .is_ok()
    };
    assert!(subtrees(0, 0, 16) && subtrees(11, 0, 16) && !subtrees(11, 1, 16));
    assert!(!subtrees(12, 0, 1) && !subtrees(0, 0, 0) && !subtrees(0, 0, 17) && !subtrees(0, u64::MAX, 1));
    assert!(!subtrees(200, 0, 1));
    let bundle = |kind, from, to| {
        let question = Question::Bundle(BundleQuery { ledger, kind, from, to, transfer: 1 });
        Message::Ask(Ask { request: 1, question }).validate().is_ok()
    };
    use reprise_receipts::{bundle::BundleKind, log::LOG_SIZE_MAX};
    assert!(bundle(BundleKind::Receipt, 5, Some(6)) && bundle(BundleKind::Replay, 5, None));
    assert!(!bundle(BundleKind::Receipt, 5, Some(5)) && !bundle(BundleKind::Replay, LOG_SIZE_MAX, None));
    assert!(bundle(BundleKind::Checkpoint, 0, Some(6)) && !bundle(BundleKind::Checkpoint, 1, Some(6)));
    assert!(!bundle(BundleKind::Receipt, 0, Some(LOG_SIZE_MAX + 1)));
    let offer = |to, bytes| {
        let digest = reprise_receipts::digest::BundleDigest::from_bytes([1; 32]);
        Message::Answer(Answer { request: 1, reply: Reply::Bundle(BundleOffer { to, bytes, digest }) })
            .validate()
            .is_ok()
    };
    assert!(offer(1, 1) && !offer(0, 1) && !offer(1, 0));
    assert!(offer(1, crate::limits::BUNDLE_BYTES_MAX) && !offer(1, crate::limits::BUNDLE_BYTES_MAX + 1));
    let roots = |size, name: &str, args: usize| {
        let view = Some(View { name: name.to_owned(), args: vec![7; args] });
        let question = Question::Roots(RootsQuery { ledger, size, view });
        Message::Ask(Ask { request: 1, question }).validate().is_ok()
    };
    assert!(roots(1, "v", 4_096) && !roots(0, "v", 0) && !roots(LOG_SIZE_MAX + 1, "v", 0));
    assert!(
        !roots(1, "", 0) && roots(1, &"v".repeat(128), 0) && !roots(1, &"v".repeat(129), 0) && !roots(1, "v", 4_097)
    );
    let range = |first, end, of, bytes_max| {
        let question = Question::Range { ledger, first, end, of, transfer: 1, bytes_max };
        Message::Ask(Ask { request: 1, question }).validate().is_ok()
    };
    assert!(range(5, 6, 6, 1) && !range(5, 5, 6, 1) && !range(5, 7, 6, 1) && !range(0, 9_000, 9_000, 1));
    assert!(!range(5, 6, 6, u64::MAX));
}

/// The largest message of each kind that its own bounds allow fits a frame.
#[test]
fn the_longest_messages_fit_a_frame() {
    let ledger = LedgerId::from_bytes([0xff; 32]);
    let head = |number: u16| crate::ledgers::LedgerHead {
        ledger: LedgerId::from_bytes(std::array::from_fn(
            |at| if at == 0 { (number >> 8) as u8 } else { number as u8 },
        )),
        epoch: u64::MAX,
        size: reprise_receipts::log::LOG_SIZE_MAX,
        log_root: LogRoot::EMPTY,
        state_root: reprise_receipts::StateRoot::from_bytes([1; 32]),
    };
    let heads = List::first((0..crate::limits::HEADS_MAX as u16).map(head));
    let answer = |reply| Message::Answer(Answer { request: u32::MAX, reply });
    assert!(answer(Reply::Heads(HeadPage { heads, more: true })).to_frame().len() <= FRAME_BYTES_MAX);
    let start = |number: u64| crate::ledgers::EpochStart {
        epoch: u64::MAX - 1_000 + number,
        first: u64::MAX - 1_000 + number,
        leaf: reprise_receipts::LeafHash::NONE,
    };
    let epochs = List::first((0..crate::limits::EPOCHS_MAX as u64).map(start));
    assert!(answer(Reply::Epochs(epochs)).to_frame().len() <= FRAME_BYTES_MAX);
    let ids = (0..crate::limits::CHUNK_IDS_MAX).map(|_| reprise_receipts::digest::ChunkId::from_bytes([1; 32]));
    let question = Question::Chunks { ledger, transfer: u64::MAX, ids: List::first(ids) };
    assert!(Message::Ask(Ask { request: u32::MAX, question }).to_frame().len() <= FRAME_BYTES_MAX);
    let evidence = EvidenceNote { file: vec![1; EVIDENCE_FRAME_BYTES_MAX] };
    assert!(Message::Evidence(evidence).to_frame().len() <= FRAME_BYTES_MAX);
    // Many small steps cost the most beside their bytes.
    let steps = vec![Step { input: vec![1; 24], receipt: vec![1; 24] }; crate::limits::APPEND_STEPS_MAX];
    let mark = Mark { size: 1_024, log_root: LogRoot::EMPTY };
    let append = Append {
        ledger,
        epoch: u64::MAX,
        base: 1,
        before: Mark::EMPTY,
        steps: List::first(steps),
        head: mark,
        committed: 0,
    };
    assert!(Message::Append(append).to_frame().len() <= FRAME_BYTES_MAX);
}
