//! A recovery plan that dies at any moment is resumed, and ends in the same place.

#[path = "support/book.rs"]
mod book;

use book::{Book, Recorded};
use reprise::{
    bundles::{self, ExportOptions},
    journal::{Journal, LedgerEntry, Quarantined},
    node::{EngineChoice, Node},
    recovery::{
        self, Module, Moment, Plan, PlanStep, RecoveryError, Site, Stop, Watch, Way, checkpoint_restore, host,
        replay_reconstruction, rollback,
    },
};
use reprise_receipts::bundle::{BundleKind, Trust};
use reprise_tests::disk::MemoryDisk;
use std::{fs, path::Path, sync::Arc};

const STEPS: u64 = 500;
const SIZE: u64 = 321;
/// Crashes in the middle of disk operations that are tried.
const DISK_CRASHES: usize = 40;

/// Stops a plan at its n-th moment.
struct StopAt {
    left: usize,
    stopped: Option<(Moment, PlanStep)>,
}

impl Watch for StopAt {
    fn at(&mut self, moment: Moment, step: &PlanStep) -> Result<(), Stop> {
        if self.left == 0 {
            self.stopped = Some((moment, step.clone()));
            return Err(Stop);
        }
        self.left -= 1;
        Ok(())
    }
}

/// Where a plan ends: what must be the same however it got there.
#[derive(Debug, PartialEq)]
struct End {
    size: u64,
    state_root: String,
    rewinds: usize,
    cases: Vec<Vec<Quarantined>>,
    checkpoints: Vec<u64>,
}

fn end(journal: &Journal, entry: &LedgerEntry) -> End {
    let (open, start) = host::start(journal, entry).unwrap();
    assert!(!start.is_degraded(), "{start:?}");
    assert_eq!(journal.running_plan(entry.no).unwrap(), None);
    let cases = journal.cases(entry.no).unwrap();
    End {
        size: open.head.next_seq(),
        state_root: open.head.state_root().to_string(),
        rewinds: journal.rewinds(entry.no).unwrap().len(),
        cases: cases.iter().map(|(no, _)| journal.quarantined(entry.no, *no).unwrap()).collect(),
        checkpoints: journal.checkpoints(entry.no).unwrap().iter().map(|c| c.record.claim.size).collect(),
    }
}

/// A ledger, and a plan for it.
struct Case {
    damage: fn(&Book),
    plan: fn(&Site<'_>) -> Plan,
}

const ROLLBACK: Case = Case { damage: |_| {}, plan: |site| roll_back(site, Way::StoredState) };
const ROLLBACK_BY_SNAPSHOT: Case = Case { damage: |_| {}, plan: |site| roll_back(site, Way::Snapshot { size: 300 }) };
const RESTORE: Case =
    Case { damage: |_| {}, plan: |site| checkpoint_restore::plan(site, Some(200), "test", 1).unwrap() };
const REBUILD: Case = Case {
    damage: |book| {
        let record = reprise::journal::tamper::Record::StepRecord(77);
        assert!(book.journal().tamper(book.entry.no, &record, 30, 4).unwrap());
    },
    plan: |site| {
        let survey = replay_reconstruction::survey(site).unwrap();
        replay_reconstruction::plan(site, &survey, "test", 1).unwrap()
    },
};

fn roll_back(site: &Site<'_>, way: Way) -> Plan {
    let reason = "test".to_owned();
    let options = rollback::Options { size: SIZE, way: Some(way), attested: true, reason, now_ms: 1 };
    rollback::plan(site, &options).unwrap().plan
}

fn book() -> (Book, Recorded) {
    Book::recorded(STEPS, 100)
}

/// Copies of one closed node, so that every crash begins with the same bytes.
struct Copies {
    book: Book,
    recorded: Recorded,
    journal: Vec<u8>,
}

impl Copies {
    fn new(case: &Case) -> Self {
        let (book, recorded) = book();
        (case.damage)(&book);
        let dir = book.close();
        let journal = fs::read(dir.path().join("node/journal.redb")).unwrap();
        Self { book: Book::reopen(dir), recorded, journal }
    }

    /// The node as it was.
    fn again(self) -> Self {
        let Self { book, recorded, journal } = self;
        let dir = book.close();
        fs::write(dir.path().join("node/journal.redb"), &journal).unwrap();
        Self { book: Book::reopen(dir), recorded, journal }
    }
}

fn every_moment(case: &Case) {
    let mut copies = Copies::new(case);
    let plan = (case.plan)(&copies.book.site());
    recovery::carry_out(&copies.book.site(), &plan, &mut recovery::NoWatch).unwrap();
    let expected = end(copies.book.journal(), &copies.book.entry);
    let mut moments = 0;
    loop {
        copies = copies.again();
        let mut watch = StopAt { left: moments, stopped: None };
        let plan = (case.plan)(&copies.book.site());
        let carried_out = recovery::carry_out(&copies.book.site(), &plan, &mut watch);
        let Some(stopped) = watch.stopped else {
            carried_out.unwrap();
            break;
        };
        assert!(matches!(carried_out, Err(RecoveryError::Stopped)), "{stopped:?}");
        let book = Book::reopen(copies.book.close());
        let unfinished = recovery::carry_out(&book.site(), &plan, &mut recovery::NoWatch).unwrap_err();
        assert!(matches!(unfinished, RecoveryError::Unfinished), "{stopped:?}: {unfinished}");
        recovery::resume(&book.site(), &mut recovery::NoWatch).unwrap().unwrap();
        assert_eq!(end(book.journal(), &book.entry), expected, "{stopped:?}");
        copies.book = book;
        moments += 1;
    }
    assert!(moments >= 3 * plan.steps.len() - 2, "only {moments} moments in {} steps", plan.steps.len());
    copies.recorded.go_on(&copies.book, expected.size);
}

#[test]
fn a_rollback_stopped_at_any_moment_is_resumed() {
    every_moment(&ROLLBACK);
    every_moment(&ROLLBACK_BY_SNAPSHOT);
}

#[test]
fn a_restore_stopped_at_any_moment_is_resumed() {
    every_moment(&RESTORE);
}

#[test]
fn a_rebuild_stopped_at_any_moment_is_resumed() {
    every_moment(&REBUILD);
}

/// At every moment a plan is given up, or that is refused with the reason and it is brought to its end.
fn every_moment_abandoned(case: &Case) -> (usize, usize) {
    let mut copies = Copies::new(case);
    let is_rebuild = (case.plan)(&copies.book.site()).module == Module::ReplayReconstruction;
    // A damaged step is in the way of a start-up, until it is rebuilt.
    let before = (!is_rebuild).then(|| end(copies.book.journal(), &copies.book.entry));
    let (mut given_up, mut refused) = (0, 0);
    for moment in 0.. {
        copies = copies.again();
        let mut watch = StopAt { left: moment, stopped: None };
        let plan = (case.plan)(&copies.book.site());
        let carried_out = recovery::carry_out(&copies.book.site(), &plan, &mut watch);
        let Some(stopped) = watch.stopped else {
            carried_out.unwrap();
            break;
        };
        let book = Book::reopen(copies.book.close());
        match recovery::abandon(&book.site(), true) {
            Ok(abandoned) => {
                given_up += 1;
                let abandoned = abandoned.unwrap();
                assert_eq!(book.journal().running_plan(book.entry.no).unwrap(), None);
                if abandoned.undone {
                    assert_eq!(Some(end(book.journal(), &book.entry)), before, "{stopped:?}");
                }
                if plan.module == Module::CheckpointRestore {
                    assert_eq!(Some(end(book.journal(), &book.entry)), before, "{stopped:?}");
                }
            }
            Err(RecoveryError::PastAbandoning { size: SIZE }) => {
                refused += 1;
                recovery::resume(&book.site(), &mut recovery::NoWatch).unwrap().unwrap();
                assert_eq!(end(book.journal(), &book.entry).size, SIZE);
            }
            Err(other) => panic!("{stopped:?}: {other}"),
        }
        if is_rebuild {
            let plan = (case.plan)(&book.site());
            recovery::carry_out(&book.site(), &plan, &mut recovery::NoWatch).unwrap();
            end(book.journal(), &book.entry);
        }
        copies.book = book;
    }
    (given_up, refused)
}

#[test]
fn a_plan_is_given_up_at_any_moment_or_says_why_not() {
    let (given_up, refused) = every_moment_abandoned(&ROLLBACK);
    assert!(given_up > 6 && refused > 1, "{given_up} given up, {refused} refused");
    for case in [RESTORE, REBUILD] {
        let (given_up, refused) = every_moment_abandoned(&case);
        assert!(given_up > 3 && refused == 0, "{given_up} given up, {refused} refused");
    }
}

#[test]
fn the_next_start_goes_on_by_itself() {
    let (book, recorded) = book();
    let plan = roll_back(&book.site(), Way::StoredState);
    let mut watch = StopAt { left: 7, stopped: None };
    recovery::carry_out(&book.site(), &plan, &mut watch).unwrap_err();
    let book = Book::reopen(book.close());
    let (open, _) = book.node.start_ledger(&book.entry).unwrap();
    assert_eq!(open.head.next_seq(), SIZE);
    assert_eq!(open.head.state_root(), recorded.state_root(SIZE));
    drop(open);
    recorded.go_on(&book, SIZE);
}

/// A journal on an image of a disk.
fn open(image: Vec<u8>) -> (MemoryDisk, Arc<Journal>, LedgerEntry) {
    let memory = MemoryDisk::of(image);
    let journal = Arc::new(Journal::on_backend(memory.clone()).unwrap());
    let entry = journal.ledgers().unwrap().remove(0);
    (memory, journal, entry)
}

fn site<'a>(journal: &'a Arc<Journal>, entry: &'a LedgerEntry) -> Site<'a> {
    Site { journal, entry, dir: Path::new("/nonexistent"), engine: EngineChoice::Native }
}

#[test]
fn a_power_cut_between_any_two_disk_operations_of_a_rollback_is_resumed() {
    let copies = Copies::new(&ROLLBACK);
    let (memory, journal, entry) = open(copies.journal.clone());
    let plan = (ROLLBACK.plan)(&site(&journal, &entry));
    let base = memory.lock().image.clone();
    let from = memory.lock().operations.len();
    recovery::carry_out(&site(&journal, &entry), &plan, &mut recovery::NoWatch).unwrap();
    let expected = end(&journal, &entry);
    let operations = memory.lock().operations[from..].to_vec();
    drop(journal);
    assert!(operations.len() > DISK_CRASHES, "{} operations", operations.len());
    for crash in (0..operations.len()).step_by(operations.len() / DISK_CRASHES) {
        let mut image = base.clone();
        operations[..crash].iter().for_each(|operation| operation.apply(&mut image));
        operations[crash].torn().apply(&mut image);
        let (_, journal, entry) = open(image);
        let site = site(&journal, &entry);
        match recovery::resume(&site, &mut recovery::NoWatch).unwrap() {
            Some(_) => assert_eq!(end(&journal, &entry), expected, "operation {crash}"),
            // The power was cut before the plan was begun, or after it was done.
            None => {
                let found = end(&journal, &entry);
                assert!(found == expected || found.size == STEPS, "operation {crash}: {} receipts", found.size);
            }
        }
    }
}

/// The same for imports: a new ledger, and more of one that is here.
#[test]
fn a_power_cut_between_any_two_disk_operations_of_an_import_goes_on() {
    let (book, _) = book();
    let export = |to: u64| {
        let file = book.dir.path().join(format!("{to}.bundle"));
        let options =
            ExportOptions { kind: BundleKind::Receipt, range: 0..to, dir: book.node.dir().to_owned(), signer: None };
        bundles::export(book.journal(), &book.entry, options, &file).unwrap();
        file
    };
    let (half, all) = (export(256), export(STEPS));
    let open = |image: Vec<u8>| {
        let memory = MemoryDisk::of(image);
        let node = Node::with_journal(Path::new("/nonexistent"), Journal::on_backend(memory.clone()).unwrap());
        (memory, node)
    };
    let import = |node: &Node, file: &Path| bundles::import(node, file, Trust::Attester(book.key.public())).unwrap();
    for before in [None, Some(&half)] {
        let (memory, node) = open(Vec::new());
        before.map(|file| import(&node, file));
        let (base, from) = {
            let disk = memory.lock();
            (disk.image.clone(), disk.operations.len())
        };
        let entry = import(&node, &all).entry;
        let expected = end(node.journal(), &entry);
        assert_eq!(expected.size, STEPS);
        let operations = memory.lock().operations[from..].to_vec();
        drop(node);
        assert!(operations.len() > DISK_CRASHES, "{} operations", operations.len());
        for crash in (0..operations.len()).step_by(operations.len() / DISK_CRASHES) {
            let mut image = base.clone();
            operations[..crash].iter().for_each(|operation| operation.apply(&mut image));
            operations[crash].torn().apply(&mut image);
            let (_, node) = open(image);
            let visible = node.journal().ledgers().unwrap().first().map(|entry| end(node.journal(), entry).size);
            assert!([before.map(|_| 256), Some(STEPS)].contains(&visible), "operation {crash}: {visible:?}");
            let again = import(&node, &all).entry;
            assert_eq!(end(node.journal(), &again), expected, "operation {crash}");
            assert_eq!(node.journal().ledgers().unwrap().len(), 1);
        }
    }
}
