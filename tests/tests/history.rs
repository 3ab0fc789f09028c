//! History that can be moved and rewound: restore at every checkpoint, roll back to random points, rebuild from inputs
//! alone. Each ends at the recorded root, and goes on from there to the recorded end.
//!
//! `REPRISE_HISTORY_STEPS` sets the number of steps: there are ten checkpoints, and a rollback for every 250 steps.

#[path = "support/book.rs"]
mod book;

use book::{Book, Recorded, Running, proposals};
use reprise::{
    journal::{CaseKind, Journal, QuarantinedKind},
    node::{EngineChoice, PackageExecutors},
    pipeline::{Request, Signer, Stays},
    recovery::{
        self, NoWatch, PlanStep, RecoveryError, Way,
        checkpoint_restore::{self, RestorePoint},
        host, replay_reconstruction,
        rollback::{self, Options},
    },
    runner::Runner,
};
use reprise_receipts::{LeafHash, Verdict};
use reprise_tests::SplitMix;

const STEPS_DEFAULT: u64 = 4_000;
const CHECKPOINTS: u64 = 10;
const STEPS_PER_ROLLBACK: u64 = 250;
const SEED: u64 = 0x7265_7072_6973_6507;

fn steps() -> u64 {
    std::env::var("REPRISE_HISTORY_STEPS").map_or(STEPS_DEFAULT, |text| text.parse().unwrap())
}

fn options(size: u64, way: Option<Way>) -> Options {
    Options { size, way, attested: true, reason: "a test goes back".to_owned(), now_ms: 1_000 }
}

#[test]
fn every_checkpoint_restores_on_a_new_node_and_goes_on_to_the_end() {
    let steps = steps();
    let (book, recorded) = Book::recorded(steps, steps / CHECKPOINTS);
    let sizes: Vec<u64> = book.checkpoints().iter().map(|checkpoint| checkpoint.record.claim.size).collect();
    assert_eq!(sizes, (1..=CHECKPOINTS).map(|n| n * steps / CHECKPOINTS).collect::<Vec<_>>());
    for size in sizes {
        let point = RestorePoint::of_journal(book.journal(), &book.entry, Some(size)).unwrap();
        let chunks = book.journal().chunks(book.entry.no).unwrap();
        let new = Book::empty();
        let entry = checkpoint_restore::take_over(new.node.journal(), &point, |id| chunks.chunk(id)).unwrap();
        let new = Book { entry, ..new };
        recorded.holds(&new, size);
        recorded.go_on(&new, size);
        assert_eq!(new.checkpoints()[0].record, point.checkpoint.record);
    }
}

/// A checkpoint does not say in which epoch it was signed, so that two of one size are a fork, whoever ordered what.
#[test]
fn what_may_still_be_taken_back_gets_no_checkpoint_until_it_may_not() {
    let book = Book::new(100);
    let stays = Stays::nothing();
    let start = || book.start(Signer::of_what(stays.clone(), book.key.clone()));
    let mut all = proposals(230).into_iter();
    let feed = |running: &Running, proposals: &mut dyn Iterator<Item = _>| {
        for proposal in proposals {
            running.requests.send(Request::from(proposal)).unwrap();
            running.answers.recv().unwrap();
        }
    };
    let running = start();
    feed(&running, &mut all.by_ref().take(120));
    drop(running.requests);
    running.thread.join().unwrap().unwrap();
    assert!(book.checkpoints().is_empty(), "not at the end either");

    // The next life makes up for it with its first step; while the pipeline stands still, it is signed as soon as its receipts
    // stay.
    let running = start();
    feed(&running, &mut all);
    stays.raise(120);
    running.requests.send(Request::Advance { tag: 0, to_ms: 0 }).unwrap();
    running.answers.recv().unwrap();
    assert!(book.checkpoints().is_empty());
    stays.raise(121);
    while book.checkpoints().is_empty() {
        std::thread::yield_now();
    }
    drop(running.requests);
    running.thread.join().unwrap().unwrap();
    let sizes: Vec<u64> = book.checkpoints().iter().map(|checkpoint| checkpoint.record.claim.size).collect();
    assert_eq!(sizes, [121]);
}

#[test]
fn a_snapshot_and_the_diffs_after_it_give_the_state_of_the_end() {
    let (book, recorded) = Book::recorded(1_000, 300);
    for checkpoint in book.checkpoints() {
        let size = checkpoint.record.claim.size;
        let plan = checkpoint_restore::plan(&book.site(), Some(size), "test", 1).unwrap();
        recovery::carry_out(&book.site(), &plan, &mut NoWatch).unwrap();
        recorded.holds(&book, 1_000);
    }
    recorded.verifies(&book);
}

#[test]
fn rolled_back_anywhere_the_ledger_has_the_state_of_then_and_goes_on_to_the_end() {
    let steps = steps();
    let (book, recorded) = Book::recorded(steps, steps / CHECKPOINTS);
    let mut random = SplitMix(SEED);
    for round in 0..steps / STEPS_PER_ROLLBACK {
        let size = random.below(steps);
        let kept = book.checkpoints().iter().rfind(|c| c.record.claim.size <= size).map(|c| c.record.claim.size);
        let way = match (round % 3, kept) {
            (0, _) => None,
            (1, Some(size)) => Some(Way::Snapshot { size }),
            _ => Some(Way::StoredState),
        };
        let rollback = rollback::plan(&book.site(), &options(size, way)).unwrap();
        recovery::carry_out(&book.site(), &rollback.plan, &mut NoWatch).unwrap();
        recorded.holds(&book, size);
        assert!(book.checkpoints().iter().all(|checkpoint| checkpoint.record.claim.size <= size));
        recorded.go_on(&book, size);
    }
    let rewinds = book.journal().rewinds(book.entry.no).unwrap();
    assert_eq!(rewinds.len() as u64, steps / STEPS_PER_ROLLBACK);
    recorded.verifies(&book);
}

#[test]
fn inputs_alone_rebuild_every_receipt() {
    let steps = steps();
    let (book, recorded) = Book::recorded(steps, 0);
    let new = Book::empty();
    for (_, package) in book.journal().packages().unwrap() {
        new.journal().put_package(&package).unwrap();
    }
    let entry = new.journal().put_ledger(&book.entry.genesis).unwrap();
    let executors = PackageExecutors::new(new.journal().clone(), EngineChoice::Native, new.node.dir());
    let mut runner = Runner::new(Box::new(executors));
    let inputs = recorded.inputs.iter().cloned().map(Ok);
    let (mut state, tail) = replay_reconstruction::from_inputs(new.journal(), &entry, &mut runner, inputs).unwrap();
    let new = Book { entry, ..new };
    assert_eq!(state.root(), recorded.state_root(steps));
    assert_eq!(tail.root(), recorded.log_root);
    recorded.holds(&new, steps);
}

#[test]
fn what_is_cut_off_is_kept_byte_for_byte_with_reason_and_range() {
    let (book, recorded) = Book::recorded(600, 200);
    let before = book.checkpoints();
    let rollback = rollback::plan(&book.site(), &options(250, None)).unwrap();
    assert_eq!(rollback.attested, Some(600));
    recovery::carry_out(&book.site(), &rollback.plan, &mut NoWatch).unwrap();
    let cases = book.journal().cases(book.entry.no).unwrap();
    let [(no, case)] = cases.as_slice() else { panic!("{cases:?}") };
    assert_eq!((case.kind.clone(), case.from, case.to), (CaseKind::CutOff, 250, 600));
    assert_eq!(case.reason, "a test goes back");
    let kept = book.journal().quarantined(book.entry.no, *no).unwrap();
    let of = |kind| kept.iter().filter(move |record| record.kind == kind);
    assert!(of(QuarantinedKind::Input).map(|record| &record.bytes).eq(&recorded.inputs[250..]));
    assert!(of(QuarantinedKind::Receipt).map(|record| &record.bytes).eq(&recorded.receipts[250..]));
    assert_eq!(of(QuarantinedKind::StepRecord).count(), 350);
    assert!(of(QuarantinedKind::Attestation).next().is_some());
    let notes: Vec<_> = of(QuarantinedKind::Note).map(|record| (record.seq, record.bytes.clone())).collect();
    let expected = before[1..].iter().map(|c| (c.record.claim.size, c.note.text().as_bytes().to_vec()));
    assert_eq!(notes, expected.collect::<Vec<_>>());
    let rewinds = book.journal().rewinds(book.entry.no).unwrap();
    assert_eq!((rewinds[0].size, rewinds[0].old_size, rewinds[0].attested), (250, 600, Some(600)));
    assert_eq!(rewinds[0].old_leaf, LeafHash::of(&recorded.receipts[599]));
    assert_eq!(rewinds[0].old_log_root, recorded.log_root);
}

#[test]
fn attested_receipts_are_only_cut_off_when_that_is_asked_for() {
    let (book, _) = Book::recorded(300, 0);
    let refused = rollback::plan(&book.site(), &Options { attested: false, ..options(100, None) }).unwrap_err();
    assert!(matches!(refused, RecoveryError::Attested { attested: 299 }), "{refused}");
    let beyond = rollback::plan(&book.site(), &options(300, None)).unwrap_err();
    assert!(matches!(beyond, RecoveryError::Beyond { size: 300, wanted: 300 }), "{beyond}");
}

#[test]
fn a_start_up_goes_around_a_damaged_state_and_says_so() {
    let (book, recorded) = Book::recorded(1_000, 300);
    book.journal().bring_state_forward(book.entry.no).unwrap();
    let records = book.journal().records(book.entry.no).unwrap();
    let is_state = |record: &_| matches!(record, reprise::journal::tamper::Record::State(_));
    let (state, _) = records.into_iter().find(|(record, _)| is_state(record)).unwrap();
    assert!(book.journal().tamper(book.entry.no, &state, 0, 1).unwrap());
    let dir = book.close();
    let read_only = Journal::open_read_only(&dir.path().join("node/journal.redb")).unwrap();
    let entry = read_only.ledgers().unwrap().remove(0);
    let (open, start) = host::start(&read_only, &entry).unwrap();
    assert_eq!(start.way, Way::Snapshot { size: 900 });
    assert_eq!((start.diffs, start.passed_over.len()), (100, 1));
    assert_eq!(open.head.state_root(), recorded.state_root(1_000));
    drop(read_only);
    let book = Book::reopen(dir);
    let (_, start) = host::start(book.journal(), &book.entry).unwrap();
    assert!(start.is_degraded());
    let (_, start) = host::start(book.journal(), &book.entry).unwrap();
    assert!(!start.is_degraded(), "the state was stored anew: {start:?}");
    recorded.verifies(&book);
}

#[test]
fn replay_reconstruction_names_the_first_damaged_step_and_replaces_what_is_attested() {
    let (book, recorded) = Book::recorded(500, 0);
    for (seq, byte) in [(321, 40), (123, 7)] {
        let record = reprise::journal::tamper::Record::StepRecord(seq);
        assert!(book.journal().tamper(book.entry.no, &record, byte, 0x10).unwrap());
    }
    let survey = replay_reconstruction::survey(&book.site()).unwrap();
    assert_eq!((survey.differing, survey.first.as_ref().unwrap().seq), (2, 123));
    let plan = replay_reconstruction::plan(&book.site(), &survey, "test", 1).unwrap();
    recovery::carry_out(&book.site(), &plan, &mut NoWatch).unwrap();
    recorded.holds(&book, 500);
    recorded.verifies(&book);
    let kept = book.journal().quarantined(book.entry.no, 0).unwrap();
    assert_eq!(kept.iter().filter(|record| record.kind == QuarantinedKind::StepRecord).count(), 2);
}

#[test]
fn nothing_is_rebuilt_that_no_signature_reaches() {
    let (book, _) = Book::recorded(500, 100);
    let (journal, no) = (book.journal(), book.entry.no);
    journal.remove_checkpoints_over(no, 300).unwrap();
    let filed: Vec<_> =
        journal.read(no).unwrap().attestations(300..500).unwrap().map(|filed| filed.unwrap().0).collect();
    filed.into_iter().for_each(|seq| journal.mend_attestation(no, seq, None).unwrap());
    for seq in [123, 450] {
        assert!(journal.tamper(no, &reprise::journal::tamper::Record::StepRecord(seq), 40, 0x10).unwrap());
    }
    let survey = replay_reconstruction::survey(&book.site()).unwrap();
    assert_eq!((survey.first.as_ref().unwrap().seq, survey.last, survey.proven), (123, Some(450), 300));
    let refused = replay_reconstruction::plan(&book.site(), &survey, "test", 1).unwrap_err();
    assert!(matches!(refused, RecoveryError::Unproven { seq: 450, proven: 300 }), "{refused}");
}

#[test]
fn a_rebuild_that_comes_to_another_log_writes_nothing() {
    let (book, recorded) = Book::recorded(500, 0);
    let record = reprise::journal::tamper::Record::StepRecord(123);
    assert!(book.journal().tamper(book.entry.no, &record, 40, 0x10).unwrap());
    let damaged = book.journal().read(book.entry.no).unwrap().record(123).unwrap();
    let survey = replay_reconstruction::survey(&book.site()).unwrap();
    let mut plan = replay_reconstruction::plan(&book.site(), &survey, "test", 1).unwrap();
    let PlanStep::Rebuild { log_root, .. } = &mut plan.steps[0] else { panic!("{plan:?}") };
    *log_root = reprise_receipts::LogRoot::EMPTY;
    let refused = recovery::carry_out(&book.site(), &plan, &mut NoWatch).unwrap_err();
    assert!(matches!(refused, RecoveryError::Divergent(_)), "{refused}");
    assert_eq!(book.journal().read(book.entry.no).unwrap().record(123).unwrap(), damaged);
    assert_eq!(book.journal().cases(book.entry.no).unwrap(), []);
    recovery::abandon(&book.site(), true).unwrap().unwrap();
    let plan = replay_reconstruction::plan(&book.site(), &survey, "test", 1).unwrap();
    recovery::carry_out(&book.site(), &plan, &mut NoWatch).unwrap();
    recorded.verifies(&book);
}

#[test]
fn a_ledger_that_begins_with_a_checkpoint_is_verified_rebuilt_and_rolled_back_from_there() {
    let (book, recorded) = Book::recorded(1_000, 300);
    let point = RestorePoint::of_journal(book.journal(), &book.entry, Some(600)).unwrap();
    let chunks = book.journal().chunks(book.entry.no).unwrap();
    let new = Book::empty();
    let entry = checkpoint_restore::take_over(new.node.journal(), &point, |id| chunks.chunk(id)).unwrap();
    let new = Book { entry, ..new };
    let matches = |to: u64| match new.verify() {
        Verdict::Match(range) => {
            assert_eq!((range.from, range.to, range.state_root), (600, to, recorded.state_root(to)));
        }
        other => panic!("{other:?}"),
    };
    matches(600);
    recorded.go_on(&new, 600);
    matches(1_000);
    for record in [reprise::journal::tamper::Record::StepRecord(777), reprise::journal::tamper::Record::LogTile(0, 2)] {
        assert!(new.journal().tamper(new.entry.no, &record, 40, 0x10).unwrap());
        assert!(matches!(new.verify(), Verdict::Divergent(_)), "{record}");
    }
    let survey = replay_reconstruction::survey(&new.site()).unwrap();
    assert_eq!((survey.from, survey.size, survey.last), (600, 1_000, Some(777)));
    let plan = replay_reconstruction::plan(&new.site(), &survey, "test", 1).unwrap();
    recovery::carry_out(&new.site(), &plan, &mut NoWatch).unwrap();
    matches(1_000);
    let before = rollback::plan(&new.site(), &options(599, None)).unwrap_err();
    assert!(matches!(before, RecoveryError::BeforeOrigin { first: 600 }), "{before}");
    for size in [890, 600] {
        let rollback = rollback::plan(&new.site(), &options(size, None)).unwrap();
        recovery::carry_out(&new.site(), &rollback.plan, &mut NoWatch).unwrap();
        recorded.holds(&new, size);
        recorded.go_on(&new, size);
    }
    matches(1_000);
}

#[test]
fn a_plan_whose_state_cannot_be_made_is_not_begun() {
    let (book, _) = Book::recorded(500, 0);
    book.journal().bring_state_forward(book.entry.no).unwrap();
    let rollback = rollback::plan(&book.site(), &options(250, Some(Way::StoredState))).unwrap();
    let records = book.journal().records(book.entry.no).unwrap();
    let is_state = |record: &_| matches!(record, reprise::journal::tamper::Record::State(_));
    let (state, _) = records.into_iter().find(|(record, _)| is_state(record)).unwrap();
    assert!(book.journal().tamper(book.entry.no, &state, 0, 1).unwrap());
    let refused = recovery::carry_out(&book.site(), &rollback.plan, &mut NoWatch).unwrap_err();
    assert!(matches!(refused, RecoveryError::OtherState { .. } | RecoveryError::Journal(_)), "{refused}");
    assert_eq!(book.journal().running_plan(book.entry.no).unwrap(), None);
    let other_way = rollback::plan(&book.site(), &options(250, None)).unwrap();
    recovery::carry_out(&book.site(), &other_way.plan, &mut NoWatch).unwrap();
}

impl Recorded {
    /// The whole ledger verifies.
    #[track_caller]
    fn verifies(&self, book: &Book) {
        let verdict = book.verify();
        let size = self.receipts.len() as u64;
        assert!(matches!(&verdict, Verdict::Match(range) if range.to == size), "{verdict:?}");
    }
}
