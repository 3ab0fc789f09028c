//! Ledgers that change their owner.

use crate::{bench::events, cluster::Cluster, events_from};
use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

/// Some events from this one on.
fn some_from(first: usize) -> String {
    events_from(first).lines().take(300).map(|line| format!("{line}\n")).collect()
}

fn epoch_of(status: &serde_json::Value) -> (u64, String) {
    let ledger = &status["ledgers"][0];
    (ledger["epoch"].as_u64().unwrap_or(0), ledger["owner"].as_str().unwrap_or_default().to_owned())
}

/// The owner is killed while events are submitted; a replica is granted the ledger, and goes on with it; the old owner
/// comes back and follows.
#[test]
fn a_killed_owner_is_replaced_under_load_and_follows_when_it_returns() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    let (before, after) = (events_from(20), some_from(20));
    let mut submit = cluster.bench(0).command();
    let mut submitting = submit
        .args(["submit", "incident", "-", "--each"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut events_in = submitting.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        for line in before.lines() {
            if writeln!(events_in, "{line}").is_err() {
                break;
            }
        }
    });
    // Some are acknowledged, others are on their way.
    let mut answers = BufReader::new(submitting.stdout.take().unwrap()).lines();
    let acknowledged: Vec<serde_json::Value> =
        answers.by_ref().take(10).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    cluster.kill(0);
    feeding.join().unwrap();
    let _ = submitting.wait();
    let last = acknowledged.iter().filter_map(|answer| answer["seq"].as_u64()).max().unwrap();

    cluster.grant(1, 2);
    cluster.until(1, |status| epoch_of(status) == (2, "b".to_owned()) && status["ledgers"][0]["can go on"] == true);
    cluster.bench(1).submit(&after).says(0, &["new receipts"]);
    cluster.start(0);
    cluster.until(0, |status| epoch_of(status) == (2, "b".to_owned()));
    cluster.bench(0).submit(&events(1)).says(1, &["submit there", " b"]);
    let all = cluster.agreed_with(1);
    assert!(all > last, "what was acknowledged is there");
    let rows = cluster.bench(2).json(&["federation", "status"]);
    assert!(rows.as_array().unwrap().iter().all(|row| row["epoch"] == 2 && row["owner"] == "b"), "{rows}");
    cluster.stop_all();
    for node in 0..3 {
        assert_eq!(cluster.bench(node).receipts(), all);
        cluster.bench(node).run(&["verify", "incident"]).says(0, &["match"]);
        let ledger = cluster.bench(node).json(&["ledger", "show", "incident"]);
        assert_eq!(ledger["epochs"].as_array().unwrap().len(), 2, "{ledger}");
    }
    for answer in &acknowledged {
        let seq = answer["seq"].to_string();
        let receipt = cluster.bench(0).json(&["receipts", "show", "incident", &seq]);
        assert_eq!(receipt["leaf hash"], answer["leaf"], "receipt {seq} was acknowledged");
    }
}

/// What the owner has beyond the quorum is taken back when it returns, and kept aside.
#[test]
fn what_only_the_old_owner_has_goes_to_quarantine() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.bench(0).submit(&events(40)).says(0, &["new receipts"]);
    let agreed = cluster.agreed_size();
    cluster.stop_all();
    // By itself it orders more, which nobody else has.
    let more = cluster.bench(0).file("more.jsonl", events(60));
    cluster.bench(0).run(&["submit", "incident", &more]).says(1, &["shared with other members", "reprise node run"]);
    cluster.bench(0).run(&["submit", "incident", &more, "--alone"]).says(0, &["new receipts"]);
    assert!(cluster.bench(0).receipts() > agreed);
    cluster.start(1);
    cluster.start(2);
    cluster.grant(1, 2);
    cluster.until(1, |status| epoch_of(status) == (2, "b".to_owned()) && status["ledgers"][0]["can go on"] == true);
    cluster.bench(1).submit(&some_from(20)).says(0, &["new receipts"]);
    cluster.start(0);
    let all = cluster.agreed_with(1);
    cluster.stop_all();
    for node in 0..3 {
        assert_eq!(cluster.bench(node).receipts(), all);
        cluster.bench(node).run(&["verify", "incident"]).says(0, &["match"]);
    }
    let cases = cluster.bench(0).json(&["quarantine", "list", "incident"]);
    assert!(!cases.as_array().unwrap().is_empty(), "{cases}");
    // Under the epoch that is over the old owner orders nothing, not even by itself.
    let alone = ["submit", "incident", &more, "--alone"];
    cluster.bench(0).run(&alone).says(1, &["epoch 2", "granted to this node"]);
    // What the new owner made is verified elsewhere, by its key.
    let bundle = cluster.bench(2).node().join("moved.bundle");
    let bundle = bundle.to_str().unwrap();
    cluster.bench(2).run(&["bundle", "export", "incident", "--kind", "replay", "--out", bundle]).says(0, &[]);
    cluster.bench(0).run(&["verify", bundle, "--key", cluster.attester(1)]).says(0, &["match"]);
    cluster.bench(0).run(&["verify", bundle, "--key", cluster.attester(0)]).says(1, &["attester"]);
}

/// Attested receipts were taken back: what takes their places is of a higher epoch, so no two signatures of the owner
/// contradict each other.
#[test]
fn after_a_rollback_the_owner_goes_on_under_a_higher_epoch() {
    let mut cluster = Cluster::alone();
    cluster.bench(0).submit(&events(30)).says(0, &["30"]);
    let taken_back = ["recover", "rollback", "incident", "--to", "20", "--attested", "--reason", "test"];
    let export = |cluster: &Cluster, name: &str| {
        let path = cluster.bench(0).node().join(name).to_str().unwrap().to_owned();
        cluster.bench(0).run(&["bundle", "export", "incident", "--kind", "receipt", "--out", &path]).says(0, &[]);
        path
    };
    let one = export(&cluster, "one.bundle");
    cluster.bench(0).run(&taken_back).says(0, &[]);
    cluster.bench(0).submit(&events(40)).says(0, &["new receipts"]);
    let other = export(&cluster, "other.bundle");
    let receipt = cluster.bench(0).json(&["receipts", "show", "incident", "21"]);
    assert_eq!((&receipt["epoch"], &receipt["kind"]), (&2.into(), &"reprise.command".into()), "{receipt}");
    let evidence = cluster.bench(0).node().join("evidence");
    let evidence = evidence.to_str().unwrap();
    let make = |kind: &str| cluster.bench(0).run(&["evidence", "make", kind, &one, &other, "--out", evidence]);
    make("equivocation").says(1, &[]);
    make("fork").says(1, &[]);
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
    // A running node does the same, and grants move it further.
    cluster.bench(0).run(&taken_back).says(0, &[]);
    cluster.start(0);
    // The second one is cut off with its epoch, which does not come again.
    cluster.until(0, |status| epoch_of(status).0 == 3 && status["ledgers"][0]["can go on"] == true);
    cluster.grant(0, 7);
    cluster.until(0, |status| epoch_of(status).0 == 7 && status["ledgers"][0]["can go on"] == true);
    cluster.bench(0).submit(&events(25)).says(0, &["new receipts"]);
    cluster.stop(0);
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
}
