//! What members have made final: shown by `status` and `verify`, held against the log, taken along by bundles.

mod support;

use reprise::{
    journal::{Electorate, GuardedKey, KeptMark, tamper::Record},
    node::{Access, Node},
};
use reprise_abi::decode_canonical;
use reprise_federation::Quorum;
use reprise_receipts::{
    FinalMark, LedgerId, LogRoot, PublicKey, SigningKey, StateTrie, StepRecord,
    bundle::LogEdge,
    checkpoint::{Checkpoint, CosignerKey},
};
use serde_json::{Value, json};
use support::{Bench, package, publisher};

const EVENTS: usize = 300;
const FINAL: u64 = 200;

fn secret(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

/// The members b and c.
fn member(byte: u8) -> PublicKey {
    secret(byte).public()
}

const B: u8 = 0xb;
const C: u8 = 0xc;

fn attester(bench: &Bench) -> PublicKey {
    Node::open(&bench.node(), Access::Read).unwrap().attester().unwrap().public()
}

/// The members a, b and c have voted on a log of so many receipts, c another way or not at all.
fn mark(node: &Node, size: u64) -> FinalMark {
    let reader = node.journal().read(node.find_ledger("incident").unwrap().no).unwrap();
    let last = decode_canonical(&reader.receipt(size - 1).unwrap().unwrap()).unwrap();
    let unsigned = FinalMark::unsigned(last, LogEdge::of(size, &reader).unwrap().root());
    signed(unsigned, &node.attester().unwrap())
}

fn signed(mark: FinalMark, attester: &SigningKey) -> FinalMark {
    mark.signed(attester, 1_000).signed(&secret(B), 1_001)
}

fn keep(node: &Node, mark: FinalMark) {
    let mut voters = vec![node.attester().unwrap().public(), member(B), member(C)];
    voters.sort_unstable();
    let electorate = Some(Electorate { voters, rule: Quorum::Majority });
    let no = node.find_ledger("incident").unwrap().no;
    assert!(node.journal().put_final_mark(no, &KeptMark { mark, electorate }).unwrap());
}

/// A node `a` that knows b and c, with a ledger of which the first [`FINAL`] receipts are final.
fn bench() -> Bench {
    let bench = with_peers();
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    keep(&node, mark(&node, FINAL));
    bench
}

/// The same before anything is final.
fn with_peers() -> Bench {
    let bench = Bench::with_events(EVENTS);
    let peer = |name: &str, byte: u8| {
        format!("\n[[peer]]\nname = \"{name}\"\nkey = \"{}\"\nreceipts = \"{}\"\n", member(byte + 100), member(byte))
    };
    let config = ["name = \"a\"\n".to_owned(), peer("b", B), peer("c", C)].concat();
    std::fs::write(bench.node().join("node.toml"), config).unwrap();
    bench
}

fn signers(mark: &Value) -> Vec<String> {
    let mut signers: Vec<String> = serde_json::from_value(mark["signed by"].clone()).unwrap();
    signers.sort();
    signers
}

#[test]
fn status_and_verify_say_what_is_final_and_what_is_only_attested() {
    let bench = bench();
    let status = bench.json(&["status"]);
    let mark = &status["ledgers"][0]["final mark"];
    assert_eq!([&mark["receipts"], &mark["votes"], &mark["of"]], [FINAL, 2, 3]);
    assert_eq!((&mark["rule"], signers(mark)), (&json!("majority"), vec!["a".to_owned(), "b".to_owned()]));
    bench.run(&["status"]).says(0, &["votes 2", "rule majority"]);

    for (range, is_final, attested_only) in [
        ("0..300", json!("0..200"), json!("200..300")),
        ("0..100", json!("0..100"), Value::Null),
        ("150..250", json!("150..200"), json!("200..250")),
        ("200..300", Value::Null, json!("200..300")),
    ] {
        let report = bench.json(&["verify", "incident", "--range", range]);
        assert_eq!((&report["final"], &report["attested only"]), (&is_final, &attested_only), "{range}");
        assert_eq!((&report["verdict"], &report["final mark"]), (&json!("match"), mark), "{range}");
    }
    // Without the configuration the members are told by their keys.
    std::fs::remove_file(bench.node().join("node.toml")).unwrap();
    let mut keys = vec![attester(&bench).to_string(), member(B).to_string()];
    keys.sort();
    assert_eq!(signers(&bench.json(&["status"])["ledgers"][0]["final mark"]), keys);
}

#[test]
fn a_ledger_that_members_have_not_signed_has_no_mark() {
    let bench = Bench::with_events(30);
    assert_eq!(bench.json(&["status"])["ledgers"][0]["final mark"], Value::Null);
    assert_eq!(bench.json(&["verify", "incident"]).get("final"), None);
}

/// Each is the newest mark of the same ledger, and each is named.
#[test]
fn a_mark_that_contradicts_the_log_is_divergent_and_names_the_place() {
    let bench = bench();
    type Change = fn(FinalMark, &SigningKey) -> FinalMark;
    let cases: [(u64, Change, &str); 6] = [
        (210, |m, a| signed(FinalMark { log_root: LogRoot::EMPTY, ..m }, a), "final mark"),
        (
            220,
            |mut m, a| {
                m.receipt.fuel += 1;
                signed(m, a)
            },
            "which is final",
        ),
        (
            230,
            |mut m, _| {
                m.votes[0].time_s += 1;
                m
            },
            "signatures that hold",
        ),
        (
            240,
            |mut m, _| {
                m.votes.pop();
                m
            },
            "2 votes of 3 members",
        ),
        (
            250,
            |mut m, a| {
                m.receipt.ledger = LedgerId::from_bytes([1; 32]);
                signed(m, a)
            },
            "final mark",
        ),
        (
            260,
            |mut m, a| {
                m.receipt.seq = 399;
                signed(m, a)
            },
            "400 receipts, which are final",
        ),
    ];
    for (size, change, word) in cases {
        {
            let node = Node::open(&bench.node(), Access::Write).unwrap();
            let changed = change(mark(&node, size), &node.attester().unwrap());
            keep(&node, changed);
        }
        let ended = bench.run(&["verify", "incident", "--json"]).says(1, &["divergent", "final mark", word]);
        // A log that is too short differs where it ends.
        let place = if size == 260 { EVENTS as u64 } else { size - 1 };
        assert_eq!(ended.json()["sequence number"], place, "{size}");
        if size == 220 {
            // The place is outside of the range, and chained to it.
            bench.run(&["verify", "incident", "--range", "0..50"]).says(1, &["which is final", "219"]);
            bench.run(&["verify", "incident", "--range", "250..300"]).says(1, &["which is final", "219"]);
        }
    }
    // A record that is damaged says nothing, and is not overlooked.
    {
        let node = Node::open(&bench.node(), Access::Write).unwrap();
        let no = node.find_ledger("incident").unwrap().no;
        let stored = node.journal().raw_guarded(no).unwrap();
        let (key, mut bytes) = stored.into_iter().find(|(key, _)| *key == GuardedKey::Final).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        node.journal().mend_guarded(no, key, &bytes).unwrap();
    }
    bench.run(&["verify", "incident"]).says(1, &["divergent", "a record that holds"]);
    bench.run(&["doctor", "incident"]).says(1, &["final mark"]);
    bench.run(&["doctor", "incident", "--repair"]).says(0, &["final mark", "repaired"]);
}

/// What a quorum has signed stays signed: a node that goes back below it is told so, until it has that history again.
#[test]
fn a_rollback_below_the_mark_is_divergent() {
    let bench = bench();
    let rollback = ["recover", "rollback", "incident", "--to", "99", "--attested", "--reason", "wrong parameters"];
    bench.run(&rollback).says(0, &[]);
    let words = ["divergent", "final mark", "200 receipts, which are final", "wrong parameters"];
    let ended = bench.run(&["verify", "incident", "--json"]).says(1, &words);
    assert_eq!(ended.json()["sequence number"], 100);
    bench.submit(&support::events(EVENTS)).says(0, &["new receipts"]);
    let ended = bench.run(&["verify", "incident", "--json"]).says(1, &["which is final", "wrong parameters"]);
    assert_eq!(ended.json()["sequence number"], 100, "the first receipt that took the place of a final one");
    assert_eq!(bench.json(&["status"])["ledgers"][0]["final mark"]["receipts"], FINAL);
    // A bundle of this history does not say that it is final.
    let out = bench.node().with_file_name("other").display().to_string();
    bench.run(&["bundle", "export", "incident", "--kind", "receipt", "--out", &out]).says(0, &["left out"]);
    assert_eq!(bench.json(&["bundle", "inspect", &out]).get("final mark"), None);
}

/// A rollback above the mark takes nothing back that is final.
#[test]
fn a_rollback_above_the_mark_matches() {
    let bench = bench();
    let rollback = ["recover", "rollback", "incident", "--to", "249", "--attested", "--reason", "test"];
    bench.run(&rollback).says(0, &[]);
    let report = bench.json(&["verify", "incident"]);
    assert_eq!((&report["final"], &report["attested only"]), (&json!("0..200"), &json!("200..250")));
}

/// Damage below the mark: the record is named first. What is lost altogether is missed, because it was final.
#[test]
fn damage_and_loss_below_the_mark_are_found() {
    let bench = bench();
    let tamper = |byte| {
        let node = Node::open(&bench.node(), Access::Write).unwrap();
        let no = node.find_ledger("incident").unwrap().no;
        assert!(node.journal().tamper(no, &Record::Receipt(50), byte, 1).unwrap());
    };
    tamper(60);
    bench.run(&["verify", "incident"]).says(1, &["divergent", "receipt record", "50"]);
    tamper(60);
    lose_the_end(&bench, 150);
    let ended = bench.run(&["verify", "incident", "--json"]).says(1, &["final mark", "150 receipts"]);
    assert_eq!(ended.json()["sequence number"], 150);
}

/// All receipts but the first `size` are gone, and nothing tells why.
fn lose_the_end(bench: &Bench, size: u64) {
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    let no = node.find_ledger("incident").unwrap().no;
    let mut state = StateTrie::new();
    for step in node.journal().read(no).unwrap().steps(0..size).unwrap() {
        let record: StepRecord = decode_canonical(step.unwrap().unwrap().record()).unwrap();
        state.apply(&record.diff).unwrap();
    }
    node.journal().cut(no, size, &state).unwrap();
}

/// A rollback from before the mark took nothing back of it, and is not blamed.
#[test]
fn an_earlier_rollback_does_not_explain_what_is_lost() {
    let bench = with_peers();
    let rollback = ["recover", "rollback", "incident", "--to", "49", "--attested", "--reason", "long ago"];
    bench.run(&rollback).says(0, &[]);
    bench.submit(&support::events(EVENTS)).says(0, &["new receipts"]);
    {
        let node = Node::open(&bench.node(), Access::Write).unwrap();
        keep(&node, mark(&node, FINAL));
    }
    bench.run(&["verify", "incident"]).says(0, &["0..200"]);
    lose_the_end(&bench, 150);
    let ended = bench.run(&["verify", "incident", "--json"]).says(1, &["final mark", "150 receipts"]);
    assert_eq!(ended.json()["sequence number"], 150);
    assert!(!ended.json()["found"].as_str().unwrap().contains("rollback"));
}

fn export(bench: &Bench, name: &str, args: &[&str]) -> String {
    let file = bench.node().with_file_name(name).display().to_string();
    bench.run(&[&["bundle", "export", "incident", "--out", &file], args].concat()).says(0, &["digest"]);
    file
}

#[test]
fn a_bundle_takes_the_mark_along_and_whoever_verifies_says_whose_votes_count() {
    let bench = bench();
    bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    let (a, stranger) = (attester(&bench), Bench::empty());
    let [key_a, key_b, key_c] = [a, member(B), member(C)].map(|key| key.to_string());
    let cases: [(&str, &[&str], Value, Value); 5] = [
        ("before", &["--kind", "receipt", "--from", "40", "--to", "90"], json!("40..90"), Value::Null),
        ("across", &["--kind", "replay", "--from", "150", "--to", "250"], json!("150..200"), json!("200..250")),
        ("after", &["--kind", "receipt", "--from", "220", "--to", "260"], Value::Null, json!("220..260")),
        ("whole", &["--kind", "replay"], json!("0..200"), json!("200..300")),
        ("checkpoint", &["--kind", "checkpoint"], json!("0..200"), json!("200..300")),
    ];
    for (name, args, is_final, attested_only) in cases {
        let file = export(&bench, name, args);
        let report = stranger.json(&["verify", &file, "--key", &key_a, "--key", &key_b, "--key", &key_c]);
        assert_eq!((&report["final"], &report["attested only"]), (&is_final, &attested_only), "{name}");
        assert_eq!(report["vouched for by"], "2 of the 3 keys given", "{name}");
        let one = stranger.json(&["verify", &file, "--key", &key_a]);
        assert_eq!((&one["verdict"], &one["final"]), (&json!("match"), &Value::Null), "{name}");
        assert!(one["why nothing is final"].as_str().unwrap().contains("keys of the other members"), "{one}");
        let few = stranger.json(&["bundle", "verify", &file, "--key", &key_a, "--key", &key_c]);
        assert_eq!((&few["verdict"], &few["final"]), (&json!("match"), &Value::Null), "{name}");
        assert!(few["why nothing is final"].as_str().unwrap().contains("1 of the 2 keys"), "{few}");
        let inspected = stranger.json(&["bundle", "inspect", &file]);
        let mut keys = vec![key_a.clone(), key_b.clone()];
        keys.sort();
        assert_eq!((&inspected["final mark"]["receipts"], signers(&inspected["final mark"])), (&json!(FINAL), keys));
        stranger.run(&["bundle", "inspect", &file]).says(0, &["nor vouches for those of a final mark"]);
    }
}

/// Members as witnesses of a C2SP policy: their votes are cosignatures.
#[test]
fn a_trust_policy_names_the_members_as_witnesses() {
    let bench = bench();
    let ledger = Node::open(&bench.node(), Access::Read).unwrap().find_ledger("incident").unwrap().id;
    let (log, stranger) = (Checkpoint::note_key(ledger, attester(&bench)), Bench::empty());
    let witness = |name: &str, byte| CosignerKey::new(name, member(byte)).unwrap();
    let policy = |quorum: &str| {
        let (b, c) = (witness("b.example", B), witness("c.example", C));
        let text = format!("log {log}\nwitness b {b}\nwitness c {c}\ngroup both all b c\nquorum {quorum}\n");
        stranger.file(quorum, text)
    };
    let all_final = export(&bench, "final", &["--kind", "receipt", "--to", "150"]);
    let beyond = export(&bench, "beyond", &["--kind", "receipt"]);
    let verify = |file: &str, quorum: &str| stranger.run(&["verify", file, "--trust", &policy(quorum), "--json"]);
    let report = verify(&all_final, "b").says(0, &["match"]).json();
    assert_eq!((&report["final"], &report["attested only"]), (&json!("0..150"), &Value::Null));
    assert_eq!(report["vouched for by"], "the quorum of the trust policy");
    assert!(signers(&report["final mark"]).contains(&"b.example".to_owned()), "{report}");
    // Logs of others than those that attested it may be named beside: whoever may own the ledger one day.
    let beside = format!("log {}\n", Checkpoint::note_key(ledger, member(C)));
    let policy = stranger.file("beside", beside + &std::fs::read_to_string(policy("b")).unwrap());
    stranger.run(&["verify", &all_final, "--trust", &policy]).says(0, &["match"]);
    // c has not signed, and b has not signed the last receipts of the other bundle.
    verify(&all_final, "both").says(1, &["not a quorum"]);
    verify(&beyond, "b").says(1, &["not a quorum"]);
    let report = verify(&beyond, "none").says(0, &["match"]).json();
    assert!(report["why nothing is final"].as_str().unwrap().contains("no quorum of witnesses"), "{report}");
}

#[test]
fn an_import_keeps_the_mark_when_it_is_vouched_for_and_its_log_is_here() {
    let bench = bench();
    let [key_a, key_b, key_c] = [attester(&bench), member(B), member(C)].map(|key| key.to_string());
    let (part, whole) =
        (export(&bench, "part", &["--kind", "receipt", "--to", "150"]), export(&bench, "all", &["--kind", "receipt"]));
    let other = Bench::with_node();
    other.run(&["package", "add", &package(), "--publisher", &publisher()]).says(0, &[]);
    let kept = || other.json(&["status"])["ledgers"][0]["final mark"].clone();
    let import = |file: &str, keys: &[&String]| {
        let keys = keys.iter().flat_map(|key| ["--key", key.as_str()]);
        let args: Vec<&str> = ["bundle", "import", file].into_iter().chain(keys).collect();
        other.json(&args)["final"].clone()
    };
    assert_eq!(import(&part, &[&key_a, &key_b]), Value::Null, "the mark speaks of receipts that are not here");
    assert_eq!(import(&whole, &[&key_a, &key_c]), Value::Null, "half of those who are trusted");
    assert_eq!(kept(), Value::Null);
    other.run(&["verify", "incident"]).says(0, &["match"]);
    assert_eq!(import(&whole, &[&key_a, &key_b, &key_c]), FINAL);
    let mark = kept();
    assert_eq!([&mark["receipts"], &mark["votes"], &mark["of"]], [&json!(FINAL), &json!(2), &Value::Null]);
    let report = other.json(&["verify", "incident"]);
    assert_eq!((&report["final"], &report["attested only"]), (&json!("0..200"), &json!("200..300")));
    // And it goes on from there.
    let again = export(&other, "again", &["--kind", "receipt", "--to", "200"]);
    Bench::empty().run(&["verify", &again, "--key", &key_a, "--key", &key_b]).says(0, &["0..200", "2 of the 2 keys"]);
}

/// Of two marks of one ledger the one of more receipts stays.
#[test]
fn a_mark_gives_way_to_a_larger_one_only() {
    let bench = bench();
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    let no = node.find_ledger("incident").unwrap().no;
    for (size, is_kept) in [(150, false), (FINAL, false), (250, true), (201, false)] {
        let kept = KeptMark { mark: mark(&node, size), electorate: None };
        assert_eq!(node.journal().put_final_mark(no, &kept).unwrap(), is_kept, "{size}");
    }
    assert_eq!(node.journal().final_mark(no).unwrap().unwrap().mark.size(), 250);
}
