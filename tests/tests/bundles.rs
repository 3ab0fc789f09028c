//! Bundles and evidence between nodes: exported by one, verified by a stranger, imported by another.

mod support;

use reprise::{
    journal::{Group, Journal},
    node::{Access, Node},
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{AttestationBody, LeafHash, Receipt, Sealed, SigningKey, log::LogTail};
use std::fs;
use support::{Bench, package, publisher};

const EVENTS: usize = 300;

fn key(bench: &Bench) -> String {
    bench.json(&["key", "show"])["attester"].as_str().unwrap().to_owned()
}

/// A bundle of the ledger `incident` in a new file.
fn export(bench: &Bench, name: &str, args: &[&str]) -> String {
    let file = bench.node().with_file_name(name).display().to_string();
    bench.run(&[&["bundle", "export", "--ledger", "incident", "--out", &file], args].concat()).says(0, &["digest"]);
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
        let no = node.journal().begin_import(digest.parse().unwrap()).unwrap();
        node.journal().commit(no, &Group { steps: &steps, ..Group::default() }).unwrap();
        assert_eq!(node.journal().ledgers().unwrap(), []);
    }
    other.run(&["bundle", "import", &file, "--key", &key]).says(0, &[]);
    assert_eq!(other.receipts(), bench.receipts());
    other.run(&["verify", "incident"]).says(0, &["match"]);
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
    let body = AttestationBody { ledger: entry.id, seq: size - 1, leaf: last.leaf, log_root: tail.root() };
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
    bench.run(&["evidence", "make", "fault", "--ledger", "incident", "--seq", &number, "--out", &file]).says(0, &[]);
    let stranger = Bench::empty();
    stranger.run(&["evidence", "show", &file]).says(0, &["execution fault"]);
    for engine in ["cranelift", "pulley", "native"] {
        stranger.run(&["evidence", "verify", &file, "--key", &key, "--engine", engine]).says(0, &["holds", &number]);
    }
    stranger.run(&["evidence", "verify", &file, "--key", &"5".repeat(64)]).says(1, &["does not hold"]);
    let honest = (seq - 1).to_string();
    let none = bench.node().with_file_name("none").display().to_string();
    let make = ["evidence", "make", "fault", "--ledger", "incident", "--seq", &honest, "--out", &none];
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
