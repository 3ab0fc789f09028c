//! Bundles and evidence between nodes: exported by one, verified by a stranger, imported by another.

mod support;

use reprise::{
    bundles::{self, BundleFileError, Moment, Watch},
    journal::{Group, Journal, JournalError, RawRow, tamper::Record},
    node::{Access, Node},
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{
    AttestationBody, LeafHash, NoteKey, PublicKey, Receipt, Sealed, SigningKey, bundle::Trust, log::LogTail,
};
use std::fs;
use support::{Bench, package, publisher};

const EVENTS: usize = 300;

fn key(bench: &Bench) -> String {
    bench.json(&["key", "show"])["attester"].as_str().unwrap().to_owned()
}

/// A bundle of the ledger `incident` in a new file.
fn export(bench: &Bench, name: &str, args: &[&str]) -> String {
    let file = bench.node().with_file_name(name).display().to_string();
    bench.run(&[&["bundle", "export", "incident", "--out", &file], args].concat()).says(0, &["digest"]);
    file
}

fn with_package() -> Bench {
    let bench = Bench::with_node();
    bench.run(&["package", "add", &package(), "--publisher", &publisher()]).says(0, &["lease"]);
    bench
}

#[test]
fn a_stranger_verifies_a_file_with_the_key_alone() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    let stranger = Bench::empty();
    for (name, args) in [
        ("receipts", ["--kind", "receipt", "--from", "40", "--to", "90"].as_slice()),
        ("whole", &["--kind", "replay"]),
        ("replay", &["--kind", "replay", "--from", "100", "--to", "200"]),
        ("checkpoint", &["--kind", "checkpoint"]),
    ] {
        let file = export(&bench, name, args);
        stranger.run(&["verify", &file, "--key", &key]).says(0, &["match"]);
        stranger.run(&["bundle", "inspect", &file]).says(0, &["incident", "sections"]);
        stranger.run(&["verify", &file, "--key", &"5".repeat(64)]).says(1, &["the ledger's attester is"]);
        stranger.run(&["bundle", "verify", &file]).says(64, &["--key"]);
    }
    let replay =
        stranger.json(&["verify", &bench.node().with_file_name("replay").display().to_string(), "--key", &key]);
    assert_eq!(replay["steps done again"], 100);
    let mut bytes = fs::read(bench.node().with_file_name("replay")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = stranger.file("damaged", bytes);
    stranger.run(&["verify", &damaged, "--key", &key]).says(1, &["its trailer says"]);
}

#[test]
fn a_ledger_moves_in_parts() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    let beginning = export(&bench, "beginning", &["--kind", "receipt", "--to", "150"]);
    let rest = export(&bench, "rest", &["--kind", "replay", "--from", "100"]);
    let other = with_package();
    other.run(&["bundle", "import", &rest, "--key", &key]).says(1, &["begins with receipt 100", "0 receipts are here"]);
    let mut damaged = fs::read(&beginning).unwrap();
    let at = damaged.len() - 40;
    damaged[at] ^= 1;
    let damaged = other.file("damaged", damaged);
    other.run(&["bundle", "import", &damaged, "--key", &key]).says(1, &["damaged"]);
    other.run(&["ledger", "list"]).says(0, &["(none)"]);
    other.run(&["bundle", "import", &beginning, "--key", &key]).says(0, &["150"]);
    other.run(&["bundle", "import", &rest, "--key", &key]).says(0, &["new receipts"]);
    assert_eq!(other.receipts(), bench.receipts());
    other.run(&["bundle", "import", &beginning, "--key", &key]).says(0, &["new receipts  0"]);
    let [here, there] = [&other, &bench].map(|bench| bench.json(&["ledger", "show", "incident"]));
    assert_eq!(here["log root"], there["log root"]);
    other.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn a_ledger_begins_with_a_checkpoint() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    let file = export(&bench, "checkpoint", &["--kind", "checkpoint"]);
    let other = with_package();
    other.run(&["bundle", "import", &file, "--key", &key]).says(0, &["checkpoint"]);
    let [here, there] = [&other, &bench].map(|bench| bench.json(&["ledger", "show", "incident"]));
    assert_eq!(here["state root"], there["state root"]);
    assert_eq!(here["log root"], there["log root"]);
}

/// An import that was interrupted goes on: what it had staged is not visible, and is not staged again.
#[test]
fn an_interrupted_import_goes_on() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    let file = export(&bench, "all", &["--kind", "receipt"]);
    let digest = bench.json(&["bundle", "inspect", &file])["digest"].as_str().unwrap().to_owned();
    let other = with_package();
    {
        let from = Node::open(&bench.node(), Access::Read).unwrap();
        let entry = from.find_ledger("incident").unwrap();
        let steps = sealed(from.journal(), entry.no, 100);
        let node = Node::open(&other.node(), Access::Write).unwrap();
        let no = node.journal().begin_import(digest.parse().unwrap(), None).unwrap();
        node.journal().commit(no, &Group { steps: &steps, ..Group::default() }).unwrap();
        assert_eq!(node.journal().ledgers().unwrap(), []);
    }
    other.run(&["bundle", "import", &file, "--key", &key]).says(0, &[]);
    assert_eq!(other.receipts(), bench.receipts());
    other.run(&["verify", "incident"]).says(0, &["match"]);
}

/// The ledger grows by other bundles between two attempts: what the first one staged is not moved over what came.
#[test]
fn an_import_that_goes_on_after_the_ledger_grew_overlaps_nothing() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    let part = |to: &str| export(&bench, to, &["--kind", "receipt", "--to", to]);
    let (first, more, all) = (part("100"), part("150"), part("300"));
    let digest = bench.json(&["bundle", "inspect", &all])["digest"].as_str().unwrap().parse().unwrap();
    let other = with_package();
    other.run(&["bundle", "import", &first, "--key", &key]).says(0, &["100"]);
    {
        let from = Node::open(&bench.node(), Access::Read).unwrap();
        let steps = sealed(from.journal(), from.find_ledger("incident").unwrap().no, 200).split_off(100);
        let node = Node::open(&other.node(), Access::Write).unwrap();
        let no = node.journal().begin_import(digest, Some(100)).unwrap();
        node.journal().commit(no, &Group { steps: &steps, ..Group::default() }).unwrap();
    }
    other.run(&["bundle", "import", &more, "--key", &key]).says(0, &["50"]);
    {
        let node = Node::open(&other.node(), Access::Write).unwrap();
        let no = node.find_ledger("incident").unwrap().no;
        let refused = node.journal().append_import(digest, no).unwrap_err();
        assert!(matches!(refused, JournalError::Meets { staged: 100, size: 150 }), "{refused}");
    }
    other.run(&["bundle", "import", &all, "--key", &key]).says(0, &["150"]);
    assert_eq!(other.receipts(), bench.receipts());
    other.run(&["verify", "incident"]).says(0, &["match"]);
    other.run(&["doctor", "incident"]).says(0, &["damaged"]);
}

#[test]
fn what_was_staged_goes_when_it_came_another_way() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    let (part, all) =
        (export(&bench, "p", &["--kind", "receipt", "--to", "150"]), export(&bench, "a", &["--kind", "receipt"]));
    let digest = bench.json(&["bundle", "inspect", &part])["digest"].as_str().unwrap().parse().unwrap();
    let other = with_package();
    {
        let node = Node::open(&other.node(), Access::Write).unwrap();
        node.journal().begin_import(digest, None).unwrap();
    }
    other.run(&["bundle", "import", &all, "--key", &key]).says(0, &["300"]);
    other.run(&["bundle", "import", &part, "--key", &key]).says(0, &["new receipts  0"]);
    let node = Node::open(&other.node(), Access::Read).unwrap();
    assert_eq!(node.journal().import(digest).unwrap(), None);
}

/// Rows that overlap, as an import left them once: the doctor names them, and removes them where they are the same.
#[test]
fn the_doctor_finds_rows_that_overlap() {
    let bench = Bench::with_events(EVENTS);
    {
        let node = Node::open(&bench.node(), Access::Write).unwrap();
        let (journal, entry) = (node.journal(), node.find_ledger("incident").unwrap());
        let mut steps = sealed(journal, entry.no, EVENTS as u64);
        let last = steps.split_off(EVENTS - 20);
        let filed: Vec<_> =
            journal.read(entry.no).unwrap().attestations(0..u64::MAX).unwrap().map(Result::unwrap).collect();
        let attestation = decode_canonical(&filed.last().unwrap().1).unwrap();
        let state = steps.iter().fold(reprise_receipts::StateTrie::new(), |mut state, step| {
            state.apply(&step.record.diff).unwrap();
            state
        });
        journal.cut(entry.no, EVENTS as u64 - 20, &state).unwrap();
        let group = Group { steps: &last, tiles: &[], attestation: Some(&attestation) };
        journal.commit(entry.no, &group).unwrap();
        let (first, steps) = (last[3].receipt.seq, &last[3..9]);
        // Under a number that no ledger has, to have the bytes of a row.
        journal.commit(99, &Group { steps, ..Group::default() }).unwrap();
        let bytes = journal.raw_rows(99, 0).unwrap().next().unwrap().unwrap().bytes;
        journal.mend_row(entry.no, &RawRow { first, bytes }).unwrap();
    }
    bench.run(&["doctor", "incident"]).says(1, &["overlaps the row before it", "add --repair"]);
    bench.run(&["doctor", "incident", "--repair"]).says(0, &["its steps are the same"]);
    bench.run(&["doctor", "incident"]).says(0, &[]);
    bench.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn an_imported_checkpoint_keeps_its_ancestry() {
    let bench = Bench::with_ledger();
    let key = key(&bench);
    for count in [100, 200, 300] {
        bench.submit(&support::events(count)).says(0, &[]);
        bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    }
    let file = export(&bench, "third", &["--kind", "checkpoint"]);
    let last = bench.json(&["checkpoint", "show", "incident"])["receipts"].to_string();
    let begins = with_package();
    begins.run(&["bundle", "import", &file, "--key", &key]).says(0, &[]);
    let continues = with_package();
    let steps = export(&bench, "steps", &["--kind", "receipt"]);
    continues.run(&["bundle", "import", &steps, "--key", &key]).says(0, &[]);
    continues.run(&["bundle", "import", &file, "--key", &key]).says(0, &[]);
    let takes = with_package();
    let from = begins.node().display().to_string();
    takes.run(&["recover", "take", "incident", "--from", &from]).says(0, &[&last]);
    let stranger = Bench::empty();
    for node in [&begins, &continues, &takes] {
        let again = export(node, "again", &["--kind", "checkpoint"]);
        stranger.run(&["verify", &again, "--key", &key]).says(0, &["match"]);
        assert_eq!(fs::read(&again).unwrap(), fs::read(&file).unwrap());
    }
}

/// What a verifier would refuse gets no name.
#[test]
fn an_export_that_would_be_refused_is_not_put_in_place() {
    let bench = Bench::with_events(EVENTS);
    {
        let node = Node::open(&bench.node(), Access::Write).unwrap();
        let no = node.find_ledger("incident").unwrap().no;
        assert!(node.journal().tamper(no, &Record::Input(70), 3, 1).unwrap());
    }
    let out = bench.node().with_file_name("bundle").display().to_string();
    let export = ["bundle", "export", "incident", "--kind", "receipt", "--out", &out];
    bench.run(&export).says(1, &["would be refused", "reprise doctor"]);
    assert!(!fs::exists(&out).unwrap() && !fs::exists(out + ".part").unwrap());
}

#[test]
fn a_dry_run_of_an_import_brings_nothing() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    let (part, rest) = (
        export(&bench, "part", &["--kind", "receipt", "--to", "120"]),
        export(&bench, "rest", &["--kind", "replay", "--from", "100"]),
    );
    let other = with_package();
    let dry = |file: &str| other.run(&["bundle", "import", file, "--key", &key, "--dry-run"]);
    dry(&part).says(0, &["would come  120", "imported"]);
    dry(&rest).says(1, &["begins with receipt 100"]);
    other.run(&["ledger", "list"]).says(0, &["(none)"]);
    other.run(&["bundle", "import", &part, "--key", &key]).says(0, &[]);
    let plan = other.json(&["bundle", "import", &rest, "--key", &key, "--dry-run"]);
    assert_eq!((&plan["receipts that are here"], &plan["receipts that would come"]), (&120.into(), &180.into()));
    assert_eq!(other.receipts(), 120);
}

/// Stops an import when it is at a moment for the n-th time.
struct StopAt {
    moment: Moment,
    left: usize,
    stopped: bool,
}

impl Watch for StopAt {
    fn at(&mut self, moment: Moment) -> Result<(), BundleFileError> {
        if moment == self.moment && self.left == 0 {
            self.stopped = true;
            return Err(BundleFileError::Stopped);
        }
        self.left -= usize::from(moment == self.moment);
        Ok(())
    }
}

/// Where imports are stopped: at every moment, and between groups that are staged at several.
const STOPS: [(Moment, usize); 9] = [
    (Moment::Verified, 0),
    (Moment::Packages, 0),
    (Moment::Staging, 0),
    (Moment::Staging, 1),
    (Moment::Staging, 2),
    (Moment::Staging, 9),
    (Moment::Staged, 0),
    (Moment::Checked, 0),
    (Moment::Published, 0),
];

/// What must be the same however an import got there.
fn end(node: &Node) -> String {
    let ledgers = node.journal().ledgers().unwrap();
    let mut all = String::new();
    for entry in &ledgers {
        let (open, start) = node.start_ledger(entry).unwrap();
        assert!(!start.is_degraded(), "{start:?}");
        let reader = node.journal().read(entry.no).unwrap();
        let attestations = reader.attestations(0..u64::MAX).unwrap().map(|filed| filed.unwrap().0);
        let checkpoints = node.journal().checkpoints(entry.no).unwrap().into_iter().map(|c| c.record.claim.size);
        let (size, root) = (open.head.next_seq(), open.head.state_root());
        let (log, seqs, sizes) = (open.tail.root(), attestations.collect::<Vec<_>>(), checkpoints.collect::<Vec<_>>());
        all += &format!("{} {size} {root} {log} {seqs:?} {sizes:?}\n", entry.id);
    }
    all
}

/// An import that dies at any of its steps goes on, and ends in the same place: a new ledger, more of one that is here,
/// a ledger that begins with a checkpoint, and one more checkpoint of a ledger that is here.
#[test]
fn an_import_stopped_at_any_moment_goes_on() {
    let bench = Bench::with_events(EVENTS);
    let key: PublicKey = Node::open(&bench.node(), Access::Read).unwrap().attester().unwrap().public();
    bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    let part = export(&bench, "part", &["--kind", "receipt", "--to", "120"]);
    let replay = export(&bench, "replay", &["--kind", "replay", "--from", "120", "--to", "140"]);
    let all = export(&bench, "all", &["--kind", "receipt"]);
    let checkpoint = export(&bench, "checkpoint", &["--kind", "checkpoint"]);
    let cases = [vec![&all], vec![&part, &all], vec![&checkpoint], vec![&all, &checkpoint], vec![&part, &replay]];
    for files in cases {
        let (last, before) = files.split_last().unwrap();
        let import = |node: &Node, file: &str| bundles::import(node, file.as_ref(), Trust::Attester(key)).unwrap();
        let begun = |upto: &[&String]| {
            let dir = tempfile::tempdir().unwrap();
            let node = Node::init(&dir.path().join("node")).unwrap();
            reprise_tests::share_compiled_code(node.dir());
            node.trust_publisher(&NoteKey::parse(&publisher()).unwrap()).unwrap();
            upto.iter().for_each(|file| drop(import(&node, file)));
            (dir, node)
        };
        let (_dir, node) = begun(&files);
        let expected = end(&node);
        let mut stops = 0;
        for (moment, left) in STOPS {
            let (dir, node) = begun(before);
            let visible = end(&node);
            let mut watch = StopAt { moment, left, stopped: false };
            let stopped = bundles::import_watched(&node, last.as_ref(), Trust::Attester(key), &mut watch);
            if !watch.stopped {
                stopped.unwrap();
                continue;
            }
            assert!(matches!(stopped, Err(BundleFileError::Stopped)), "{moment:?}");
            drop(node);
            let node = Node::open(&dir.path().join("node"), Access::Write).unwrap();
            assert_eq!(end(&node) == visible, moment != Moment::Published, "{moment:?}: nothing shows before the end");
            import(&node, last);
            assert_eq!(end(&node), expected, "{moment:?}");
            stops += 1;
        }
        assert!(stops >= 5, "only {stops} moments in {files:?}");
    }
}

fn sealed(journal: &Journal, no: u32, count: u64) -> Vec<Sealed> {
    let steps = journal.read(no).unwrap().steps(0..count).unwrap();
    let of = |step: reprise::journal::StoredStep| Sealed {
        receipt: decode_canonical(step.receipt()).unwrap(),
        receipt_bytes: step.receipt().to_vec(),
        leaf: LeafHash::of(step.receipt()),
        record: decode_canonical(step.record()).unwrap(),
        record_bytes: step.record().to_vec(),
        input_bytes: step.input().to_vec(),
    };
    steps.map(|step| of(step.unwrap().unwrap())).collect()
}

/// Makes the last receipt of `incident` claim another state, and signs that.
fn lie(bench: &Bench) -> u64 {
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    let entry = node.find_ledger("incident").unwrap();
    let size = node.journal().read(entry.no).unwrap().size().unwrap();
    let mut steps = sealed(node.journal(), entry.no, size);
    let last = steps.last_mut().unwrap();
    last.receipt.next_state = last.receipt.prior_state;
    last.receipt_bytes = encode::<Receipt>(&last.receipt);
    last.leaf = LeafHash::of(&last.receipt_bytes);
    let mut tail = LogTail::new();
    steps.iter().for_each(|step| tail.append(step.leaf));
    let last = steps.pop().unwrap();
    let body = AttestationBody::of(&last.receipt, last.leaf, tail.root());
    let attestation = body.sign(&node.attester().unwrap());
    let state = steps.iter().fold(reprise_receipts::StateTrie::new(), |mut state, step| {
        state.apply(&step.record.diff).unwrap();
        state
    });
    node.journal().cut(entry.no, size - 1, &state).unwrap();
    let group = Group { steps: &[last], tiles: &[], attestation: Some(&attestation) };
    node.journal().commit(entry.no, &group).unwrap();
    size - 1
}

#[test]
fn a_lie_in_a_receipt_is_evidence() {
    let bench = Bench::with_events(EVENTS);
    let (key, seq) = (key(&bench), lie(&bench));
    bench.run(&["verify", "incident"]).says(1, &["divergent", "next state root"]);
    let file = bench.node().with_file_name("fault").display().to_string();
    let number = seq.to_string();
    bench.run(&["evidence", "make", "fault", "incident", &number, "--out", &file]).says(0, &[]);
    let stranger = Bench::empty();
    stranger.run(&["evidence", "show", &file]).says(0, &["execution fault"]);
    stranger.run(&["verify", &file, "--key", &key]).says(0, &["holds", &number]);
    stranger.run(&["verify", &file]).says(64, &["is evidence", "--key"]);
    for engine in ["cranelift", "pulley", "native"] {
        stranger.run(&["evidence", "verify", &file, "--key", &key, "--engine", engine]).says(0, &["holds", &number]);
    }
    stranger.run(&["evidence", "verify", &file, "--key", &"5".repeat(64)]).says(1, &["does not hold"]);
    let honest = (seq - 1).to_string();
    let none = bench.node().with_file_name("none").display().to_string();
    let make = ["evidence", "make", "fault", "incident", &honest, "--out", &none];
    bench.run(&make).says(1, &["nothing to prove"]);
}

#[test]
fn two_histories_under_one_key_are_evidence() {
    let bench = Bench::with_events(EVENTS);
    let key = key(&bench);
    let before = export(&bench, "before", &["--kind", "receipt"]);
    lie(&bench);
    let after = export(&bench, "after", &["--kind", "receipt"]);
    let stranger = Bench::empty();
    for kind in ["equivocation", "fork"] {
        let file = stranger.node().with_file_name(kind).display().to_string();
        stranger.run(&["evidence", "make", kind, &before, &after, "--out", &file]).says(0, &[kind]);
        stranger.run(&["evidence", "verify", &file, "--key", &key]).says(0, &["holds"]);
        let other = SigningKey::from_secret(&[1; 32]).public().to_string();
        stranger.run(&["evidence", "verify", &file, "--key", &other]).says(1, &["does not hold"]);
        let twice = stranger.node().with_file_name(format!("{kind}-twice")).display().to_string();
        stranger.run(&["evidence", "make", kind, &before, &before, "--out", &twice]).says(1, &["nothing to prove"]);
    }
}
