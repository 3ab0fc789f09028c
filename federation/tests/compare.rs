//! What finding a difference costs, counted in round trips and bytes, and that it finds the right place.

#[path = "support/leaves.rs"]
mod leaves;
mod support;

use leaves::Leaves;
use proptest::{prelude::*, test_runner::Config};
use reprise_federation::{
    Mark, Message,
    compare::{
        ChunkSearch, Divergence, ForkSide, Likeness, Relation, Search, SearchError, Uncomparable, classify,
        classify_states, compare_roots, heads_digest, join_chunks, respond, split_chunks,
    },
    ledgers::{EpochStart, contains, mark_at, subtree_roots},
    message::{Answer, Ask, Projected, Question, Reply, Roots},
};
use reprise_receipts::{
    AttestationBody, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LogRoot, PackageDigest, Receipt,
    SigningKey, StateRoot, StateTrie,
    checkpoint::{CHECKPOINT_FORMAT, CheckpointClaim, CheckpointRecord},
    digest::{ChunkId, ContinuityRoot, ProjectionRoot, derive},
    evidence::Evidence,
    snapshot::{Manifest, SNAPSHOT_FORMAT, write_snapshot},
};
use std::collections::BTreeMap;
use support::{
    ledger::{End, MemoryLedger},
    ledger_id,
};

#[derive(Default)]
struct Cost {
    round_trips: u32,
    bytes: usize,
}

impl Cost {
    /// Asks, through the bytes of both frames.
    fn ask(&mut self, question: Question, peer: &Leaves) -> Reply {
        let ask = Message::Ask(Ask { request: 77, question }).to_frame();
        let Message::Ask(asked) = Message::from_frame(&ask).unwrap() else { panic!("another message") };
        let response = respond(&asked.question, &[peer.ledger_head(ledger_id())], peer);
        let answer = Message::Answer(Answer { request: 77, reply: response.reply }).to_frame();
        self.round_trips += 1;
        self.bytes += ask.len() + answer.len();
        let Message::Answer(answered) = Message::from_frame(&answer).unwrap() else { panic!("another message") };
        answered.reply
    }
}

/// The whole comparison, from the digest on.
fn compare(ours: &Leaves, theirs: &Leaves) -> (Result<Relation, SearchError>, Cost) {
    let mut cost = Cost::default();
    let page = match cost.ask(Question::Digest(heads_digest(&[ours.ledger_head(ledger_id())])), theirs) {
        Reply::Same => return (Ok(Relation::Same), cost),
        Reply::Heads(page) => page,
        other => panic!("{other:?}"),
    };
    let their_mark = Mark { size: page.heads[0].size, log_root: page.heads[0].log_root };
    let mut search = Search::new(ledger_id(), ours.head, their_mark, ours);
    while let Some(question) = search.question() {
        let reply = cost.ask(question, theirs);
        if let Err(error) = search.answer(&reply, ours) {
            return (Err(error), cost);
        }
    }
    (Ok(search.relation().unwrap()), cost)
}

const MILLION: u64 = 1_000_000;

#[test]
fn equal_nodes_agree_in_one_round_trip_and_under_a_kibibyte() {
    let (ours, theirs) = (Leaves::new(MILLION, MILLION, &[(1, 0)]), Leaves::new(MILLION, MILLION, &[(1, 0)]));
    let (relation, cost) = compare(&ours, &theirs);
    assert_eq!(relation, Ok(Relation::Same));
    assert_eq!(cost.round_trips, 1);
    assert!(cost.bytes < 1_024, "{} bytes", cost.bytes);
    println!("equal: {} bytes", cost.bytes);
}

#[test]
fn a_replica_behind_by_one_is_found_in_two_round_trips() {
    let (ours, theirs) = (Leaves::new(MILLION - 1, MILLION, &[]), Leaves::new(MILLION, MILLION, &[]));
    let (relation, cost) = compare(&ours, &theirs);
    assert_eq!(relation, Ok(Relation::Behind));
    assert_eq!(cost.round_trips, 2);
    assert!(cost.bytes < 1_024, "{} bytes", cost.bytes);
    println!("behind by one: {} bytes", cost.bytes);
    // The one that is ahead needs nothing but the heads.
    let (relation, cost) = compare(&theirs, &ours);
    assert_eq!((relation, cost.round_trips), (Ok(Relation::Ahead), 1));
}

/// 3 and log16(1,000,000), rounded up.
const FORK_ROUND_TRIPS_MAX: u32 = 3 + 5;

#[test]
fn a_fork_is_located_within_eight_round_trips_and_16_kibibytes() {
    let ours = Leaves::new(MILLION, u64::MAX, &[(1, 0)]);
    // At both ends, at the edges of subtrees, and where the right edge is ragged.
    for (fork, size) in
        [(0, MILLION), (65_535, MILLION), (500_000, 999_999), (999_936, MILLION + 70_000), (999_999, MILLION)]
    {
        let theirs = Leaves::new(size, fork, &[(1, 0)]);
        let (relation, cost) = compare(&ours, &theirs);
        assert_eq!(relation, Ok(Relation::Forked { at: fork }), "{size}");
        assert!(cost.round_trips <= FORK_ROUND_TRIPS_MAX, "{fork} {size}: {} round trips", cost.round_trips);
        assert!(cost.bytes <= 16 * 1_024, "{fork} {size}: {} bytes", cost.bytes);
        println!("fork at {fork}: {} round trips, {} bytes", cost.round_trips, cost.bytes);
    }
}

#[test]
fn epochs_make_the_way_shorter() {
    const SIZE: u64 = 70_000;
    let (fork, of_old) = (50_003, FORK_ROUND_TRIPS_MAX - 1);
    let ours = Leaves::new(SIZE, u64::MAX, &[(1, 0), (2, 100), (4, 50_000)]);
    let theirs = Leaves::new(SIZE, fork, &[(1, 0), (2, 100), (4, 50_000), (5, 50_010)]);
    let (relation, cost) = compare(&ours, &theirs);
    assert_eq!(relation, Ok(Relation::Forked { at: fork }));
    assert!(cost.round_trips <= of_old);
    // Where an epoch begins elsewhere, the logs differ there at the latest.
    let moved = Leaves::new(SIZE, 49_998, &[(1, 0), (2, 100), (4, 50_003)]);
    let (relation, cost) = compare(&ours, &moved);
    assert_eq!(relation, Ok(Relation::Forked { at: 49_998 }));
    assert!(cost.round_trips <= of_old);
    // Tables that lie lead to nothing, and cost no more.
    let lying = Leaves { epochs: vec![EpochStart { first: 100, ..ours.epochs[2] }], ..Leaves::new(SIZE, fork, &[]) };
    let (relation, cost) = compare(&ours, &lying);
    assert!(relation.is_err());
    assert!(cost.round_trips <= of_old);
}

/// A peer that answers with hashes of its own invention is caught in a contradiction.
#[test]
fn invented_subtrees_contradict_each_other() {
    let (ours, theirs) = (Leaves::new(5_000, u64::MAX, &[]), Leaves::new(5_000, 123, &[]));
    let mut search = Search::new(ledger_id(), ours.head, theirs.head, &ours);
    let mut cost = Cost::default();
    let mut caught = false;
    while let Some(question) = search.question() {
        let mut reply = cost.ask(question, &theirs);
        if let Reply::Subtrees(roots) = &reply {
            let invented = roots.iter().map(|root| root.map(|byte| byte ^ 1));
            reply = Reply::Subtrees(reprise_federation::List::first(invented));
        }
        if search.answer(&reply, &ours).is_err() {
            caught = true;
            break;
        }
    }
    assert!(caught);
    // Equal logs, said to be different.
    let claimed = Mark { log_root: LogRoot::from_bytes([9; 32]), ..ours.head };
    let mut search = Search::new(ledger_id(), ours.head, claimed, &ours);
    let error = loop {
        let question = search.question().expect("no result");
        if let Err(error) = search.answer(&cost.ask(question, &ours), &ours) {
            break error;
        }
    };
    assert_eq!(error, SearchError::Descent(reprise_federation::compare::DescentError::NoDifference));
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_first_difference_is_found(size in 1_u64..700, other in 1_u64..700, fork in 0_u64..700, epochs in prop::collection::btree_map(1_u64..9, 0_u64..700, 0..4)) {
        let mut first = 0;
        let starts: Vec<(u64, u64)> = epochs
            .into_iter()
            .map(|(epoch, step)| {
                first += step % 200;
                (epoch, first)
            })
            .collect();
        let (ours, theirs) = (Leaves::new(size, u64::MAX, &starts), Leaves::new(other, fork, &starts));
        let (relation, _) = compare(&ours, &theirs);
        let common = size.min(other);
        let expected = if fork < common {
            Relation::Forked { at: fork }
        } else {
            match size.cmp(&other) {
                std::cmp::Ordering::Less => Relation::Behind,
                std::cmp::Ordering::Equal => Relation::Same,
                std::cmp::Ordering::Greater => Relation::Ahead,
            }
        };
        prop_assert_eq!(relation, Ok(expected));
    }

    #[test]
    fn marks_and_subtrees_are_those_of_the_leaves(size in 1_u64..1_000, at in 0_u64..1_000, level in 0_u8..3) {
        let log = Leaves::new(size, u64::MAX, &[]);
        let at = at.min(size);
        let shorter = Leaves::new(at, u64::MAX, &[]);
        prop_assert_eq!(mark_at(&log, ledger_id(), at), Some(shorter.head));
        prop_assert!(contains(&log, ledger_id(), &shorter.head));
        prop_assert_eq!(mark_at(&log, ledger_id(), size + 1), None);
        let width = 1_u64 << (4 * level);
        let complete = size / width;
        prop_assert_eq!(subtree_roots(&log, ledger_id(), level, complete, 1), None);
        if complete > 0 {
            let root = subtree_roots(&log, ledger_id(), level, 0, 1).unwrap()[0];
            prop_assert_eq!(root, *Leaves::new(width, u64::MAX, &[]).head.log_root.as_bytes());
        }
    }
}

fn receipt() -> Receipt {
    let mut ledger = MemoryLedger::new(ledger_id());
    let mut end = End::START;
    ledger.append(end.order(ledger_id(), 1, b"one"));
    ledger.append(end.order(ledger_id(), 1, b"two"));
    reprise_abi::decode_canonical(&ledger.steps[1].receipt).unwrap()
}

fn side(receipt: Receipt) -> ForkSide {
    ForkSide { receipt, attestation: None }
}

#[test]
fn a_fork_is_classified_by_what_the_receipts_share() {
    let ours = receipt();
    let kind = |theirs: Receipt| classify(&side(ours.clone()), &side(theirs)).divergence;
    let other = Receipt { next_state: StateRoot::from_bytes([9; 32]), ..ours.clone() };
    assert_eq!(kind(other.clone()), Divergence::ExecutionFault { at: 1 });
    assert_eq!(kind(Receipt { input: InputDigest::of(b"x"), ..other.clone() }), Divergence::Forked { at: 1 });
    assert_eq!(kind(Receipt { epoch: 2, ..other.clone() }), Divergence::Forked { at: 1 });
    let package = Receipt { package: PackageDigest::from_bytes([7; 32]), ..other.clone() };
    assert_eq!(kind(package), Divergence::Incomparable(Uncomparable::Package));
    let engine = Receipt { engine_profile: EngineProfileDigest::from_bytes([7; 32]), ..other.clone() };
    assert_eq!(kind(engine), Divergence::Incomparable(Uncomparable::Engine));
    let rules = Receipt { protocol_epoch: 9, ..other };
    assert_eq!(kind(rules), Divergence::Incomparable(Uncomparable::ProtocolEpoch));
}

#[test]
fn one_key_on_both_sides_is_equivocation_with_evidence() {
    let key = SigningKey::from_secret(&[5; 32]);
    let signed = |receipt: &Receipt, root: u8, by: &SigningKey| {
        let leaf = LeafHash::of(&reprise_abi::encode(receipt));
        let log_root = LogRoot::from_bytes([root; 32]);
        let body = AttestationBody { ledger: ledger_id(), ..AttestationBody::of(receipt, leaf, log_root) };
        ForkSide { receipt: receipt.clone(), attestation: Some(body.sign(by)) }
    };
    let ours = receipt();
    // An owner that lost its epoch signs what took the place of its receipts.
    let moved = Receipt { epoch: ours.epoch + 1, ..ours.clone() };
    let classified = classify(&signed(&ours, 1, &key), &signed(&moved, 2, &key));
    assert_eq!((classified.divergence, classified.evidence), (Divergence::Forked { at: 1 }, None));
    let theirs = Receipt { fuel: ours.fuel + 1, input: InputDigest::from_bytes([7; 32]), ..ours.clone() };
    let classified = classify(&signed(&ours, 1, &key), &signed(&theirs, 2, &key));
    assert_eq!(classified.divergence, Divergence::Equivocation { at: 1 });
    let Some(Evidence::Equivocation(both)) = classified.evidence else { panic!("no evidence") };
    assert_eq!(both.verify(&key.public()), Ok(()));
    let other = SigningKey::from_secret(&[6; 32]);
    let classified = classify(&signed(&ours, 1, &key), &signed(&theirs, 2, &other));
    assert_eq!(classified.divergence, Divergence::Forked { at: 1 });
    assert_eq!(classified.evidence, None);
}

#[test]
fn the_receipt_says_whose_state_is_damaged() {
    let (log, right, wrong) =
        (Leaves::new(3, 9, &[]).head, StateRoot::from_bytes([1; 32]), StateRoot::from_bytes([2; 32]));
    assert_eq!(classify_states((&log, right), (&log, right), right), None);
    assert_eq!(classify_states((&log, wrong), (&log, right), right), Some(Divergence::CorruptHere));
    assert_eq!(classify_states((&log, right), (&log, wrong), right), Some(Divergence::CorruptThere));
    let other = Leaves::new(4, 9, &[]).head;
    assert_eq!(classify_states((&log, right), (&other, wrong), right), None);
}

#[test]
fn a_state_that_differs_in_one_key_of_ten_thousand_moves_a_twentieth_at_most() {
    const KEYS: u64 = 200_000;
    const CHANGED: u64 = KEYS / 10_000;
    let key = |number: u64| derive("test key", &number.to_le_bytes());
    let build = |changed: u64| {
        let mut state = StateTrie::new();
        for number in 0..KEYS {
            let value = if number < changed {
                b"another value of 32 bytes length"
            } else {
                b"some value of 32 bytes in length"
            };
            state.insert(&key(number), value);
        }
        let (mut chunks, root) = (BTreeMap::<ChunkId, Vec<u8>>::new(), state.root());
        let manifest = write_snapshot(&state, root, &mut chunks);
        (manifest, chunks)
    };
    let ((_, mut ours), (manifest, theirs)) = (build(0), build(CHANGED));
    let whole: usize = theirs.values().map(Vec::len).sum();
    let mut search = ChunkSearch::new(&manifest, |id| ours.contains_key(&id));
    let (mut moved, mut round_trips) = (0, 0);
    while !search.is_complete() {
        let ids = search.next_ids();
        round_trips += 1;
        moved += 40 + ids.len() * 32;
        for id in ids.iter() {
            let bytes = &theirs[id];
            moved += bytes.len() + 4;
            search.accept(*id, bytes, |id| ours.contains_key(&id)).unwrap();
            ours.insert(*id, bytes.clone());
        }
    }
    println!("{moved} of {whole} bytes in {round_trips} round trips");
    assert!(moved * 20 <= whole, "{moved} of {whole}");
    // What is there now is the whole of it.
    assert!(ChunkSearch::new(&manifest, |id| ours.contains_key(&id)).is_complete());
    let mut restorer = reprise_receipts::snapshot::Restorer::new(manifest);
    while let Some(id) = restorer.wanted() {
        restorer.accept(&ours[&id]).unwrap();
    }
    // Chunks that nobody asked for, or that are others, are not taken.
    let mut search = ChunkSearch::new(&manifest, |_| false);
    let first = manifest.first.unwrap();
    assert!(search.accept(ChunkId::from_bytes([1; 32]), b"", |_| false).is_err());
    assert!(search.accept(first, b"rubbish", |_| false).is_err());
    assert_eq!(search.next_ids().to_vec(), [first]);
}

#[test]
fn a_stream_of_chunks_comes_apart_as_it_was_put_together() {
    let chunks: [&[u8]; 4] = [b"one", b"", b"three", &[7; 300]];
    let stream = join_chunks(chunks);
    assert_eq!(split_chunks(&stream), Some(chunks.to_vec()));
    assert_eq!(split_chunks(b""), Some(Vec::new()));
    for cut in [1, 4, 6, stream.len() - 1] {
        assert_eq!(split_chunks(&stream[..cut]), None, "{cut}");
    }
    assert_eq!(split_chunks(&vec![0; 4 * 1_024]).map(|chunks| chunks.len()), Some(1_024));
    assert_eq!(split_chunks(&vec![0; 4 * 1_025]), None);
    assert_eq!(split_chunks(&[0xff; 64]), None);
}

/// A checkpoint of 8 receipts, after the checkpoints that lead to `before`.
fn checkpoint(log: u8, state: u8, before: u8) -> CheckpointRecord {
    let snapshot = Manifest {
        format: SNAPSHOT_FORMAT,
        state_root: StateRoot::from_bytes([state; 32]),
        keys: 0,
        bytes: 0,
        first: None,
    };
    let log_root = LogRoot::from_bytes([log; 32]);
    let (format, ledger) = (CHECKPOINT_FORMAT, ledger_id());
    let claim = CheckpointClaim { format, ledger, size: 8, log_root, logical_time_ms: 5, snapshot };
    claim.after(ContinuityRoot::from_bytes([before; 32]))
}

#[test]
fn roots_are_compared_one_by_one() {
    let projection = |number| Some(Projected::Root(ProjectionRoot::from_bytes([number; 32])));
    let ours = Roots {
        size: 9,
        log_root: LogRoot::from_bytes([1; 32]),
        state_root: StateRoot::from_bytes([2; 32]),
        execution: ExecutionRoot::from_bytes([3; 32]),
        checkpoint: Some(checkpoint(4, 5, 6)),
        projection: projection(7),
    };
    let then = Some((LogRoot::from_bytes([4; 32]), StateRoot::from_bytes([5; 32])));
    let names = ["log root", "state root", "execution root", "checkpoint", "continuity root", "projection root"];
    let same = compare_roots(&ours, &ours, then);
    assert_eq!(same.named(), names.map(|name| (name, Likeness::Same)));
    assert_eq!(same.difference(), None);

    // One root of the peer is another: it alone is named.
    let other = [
        (Roots { log_root: LogRoot::from_bytes([9; 32]), ..ours.clone() }, "log root"),
        (Roots { state_root: StateRoot::from_bytes([9; 32]), ..ours.clone() }, "state root"),
        (Roots { execution: ExecutionRoot::from_bytes([9; 32]), ..ours.clone() }, "execution root"),
        (Roots { projection: projection(9), ..ours.clone() }, "projection root"),
        (Roots { projection: Some(Projected::Refused), ..ours.clone() }, "projection root"),
    ];
    for (theirs, name) in other {
        let compared = compare_roots(&ours, &theirs, then);
        assert_eq!(compared.difference(), Some(name));
        let differing = compared.named().into_iter().filter(|(_, likeness)| *likeness != Likeness::Same);
        assert_eq!(differing.collect::<Vec<_>>(), [(name, Likeness::Differs)]);
    }
    // A checkpoint claims another log or another state than the receipts here give.
    for wrong in [checkpoint(9, 5, 6), checkpoint(4, 9, 6)] {
        let compared = compare_roots(&ours, &Roots { checkpoint: Some(wrong), ..ours.clone() }, then);
        assert_eq!((compared.difference(), compared.continuity), (Some("checkpoint"), Likeness::Unknown));
    }
    // Another owner's line of checkpoints contradicts nothing, and neither does what one side lacks.
    let apart = compare_roots(&ours, &Roots { checkpoint: Some(checkpoint(4, 5, 9)), ..ours.clone() }, then);
    assert_eq!((apart.difference(), apart.checkpoint), (None, Likeness::Same));
    assert_eq!(apart.continuity, Likeness::Unknown);
    let lacking = Roots { checkpoint: None, projection: Some(Projected::Missing), ..ours.clone() };
    let (here, there) = (compare_roots(&lacking, &ours, then), compare_roots(&ours, &lacking, None));
    assert_eq!(
        (here.checkpoint, here.continuity, here.projection),
        (Likeness::Same, Likeness::Unknown, Likeness::Unknown)
    );
    assert_eq!((there.checkpoint, there.difference()), (Likeness::Unknown, None));
}
