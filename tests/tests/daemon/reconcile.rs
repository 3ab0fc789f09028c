//! What a node does about differences by itself: each decision has its receipt on the node's own ledger.

use crate::{
    bench::{Bench, events, package, publisher},
    cluster::Cluster,
    events_from,
};
use reprise::{
    journal::tamper::Record,
    node::{Access, Node},
};
use serde_json::Value;
use std::fs;

/// Flips a byte of the stored state of a node that does not run: in a value of the policy, as late as there is one.
pub fn flip(bench: &Bench) {
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    let entry = node.find_ledger("incident").unwrap();
    node.journal().bring_state_forward(entry.no).unwrap();
    let records = node.journal().records(entry.no).unwrap();
    let of_policy = |(record, length): &&(Record, usize)| matches!(record, Record::State(_)) && *length > 4;
    let (record, length) = records.iter().rfind(of_policy).expect("the state has a value").clone();
    assert!(node.journal().tamper(entry.no, &record, length / 2, 0x10).unwrap());
}

/// The last decisions, in their order.
fn history(bench: &Bench) -> Vec<Value> {
    bench.json(&["reconcile", "--history"]).as_array().unwrap().clone()
}

/// Keys of everything that was ordered.
fn ordered(history: &[Value]) -> Vec<String> {
    let keys = history.iter().flat_map(|row| row["orders"].as_array().unwrap());
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// The steps that were ordered, without their numbers.
fn steps(history: &[Value]) -> Vec<String> {
    ordered(history).iter().map(|key| key.split('.').next().unwrap().to_owned()).collect()
}

/// The node verifies, and so does its own ledger: every decision replays.
fn verifies(bench: &Bench) {
    bench.run(&["verify", "incident"]).says(0, &["match"]);
    bench.run(&["verify", "node"]).says(0, &["match"]);
    bench.run(&["verify", "node", "--engine", "native"]).says(0, &["match"]);
}

fn is_sound(status: &Value) -> bool {
    status["ledgers"][0]["can go on"] == true && status["connected peers"] == 2
}

#[test]
fn a_flipped_byte_is_noticed_named_and_repaired_from_a_peer_without_a_person() {
    let mut cluster = Cluster::of_three(&events(60));
    // A snapshot to repair from: long ledgers make them by themselves.
    cluster.bench(0).run(&["checkpoint", "create", "incident"]).says(0, &[]);
    cluster.start_all();
    cluster.bench(0).submit(&events_from(60)).says(0, &["new receipts"]);
    let all = cluster.agreed_size();
    cluster.stop(1);
    flip(cluster.bench(1));
    cluster.start(1);
    cluster.until(1, is_sound);
    assert_eq!(cluster.agreed_size(), all);
    let history = history(cluster.bench(1));
    // A member that answers first may have no snapshot: then the next attempt asks another one first.
    let mut steps = steps(&history);
    steps.dedup();
    assert_eq!(steps, ["verify", "restore", "verify", "resume"], "{history:#?}");
    let named = history.iter().find_map(|row| row["first wrong"].as_u64()).expect("the first wrong step is named");
    assert!(named < all, "step {named} of {all}");
    let about: Vec<&Value> = history.iter().filter(|row| row["event"] == "suspended").collect();
    assert_eq!(about.len(), 1);
    assert_eq!((&about[0]["class"], &about[0]["ledger"]), (&"corrupt_here".into(), &"incident".into()));
    // It follows again.
    cluster.stop_all();
    for node in 0..3 {
        verifies(cluster.bench(node));
        assert_eq!(cluster.bench(node).receipts(), all);
    }
}

/// The stream with the chunks is short: it is there before the answer that announces it, or after.
#[test]
fn the_state_of_the_end_is_taken_from_the_running_owner() {
    let mut cluster = Cluster::of_three(&events(60));
    cluster.start_all();
    cluster.bench(0).submit(&events_from(60)).says(0, &["new receipts"]);
    let all = cluster.agreed_size();
    cluster.bench(0).run(&["checkpoint", "create", "incident"]).says(0, &[]);
    cluster.stop(2);
    flip(cluster.bench(2));
    cluster.start(2);
    cluster.until(2, is_sound);
    assert_eq!(cluster.agreed_size(), all);
    let history = history(cluster.bench(2));
    let mut steps = steps(&history);
    steps.dedup();
    assert_eq!(steps, ["verify", "restore", "verify", "resume"], "{history:#?}");
    cluster.stop_all();
    verifies(cluster.bench(2));
}

#[test]
fn a_plan_that_was_under_way_is_taken_up_after_a_crash() {
    let mut cluster = Cluster::of_three(&events(60));
    cluster.bench(0).run(&["checkpoint", "create", "incident"]).says(0, &[]);
    cluster.start_all();
    cluster.stop_all();
    flip(cluster.bench(1));
    // Nobody is there to repair from: the plan waits for its next attempt.
    cluster.start(1);
    cluster.until(1, |_| steps(&history(cluster.bench(1))).contains(&"restore".to_owned()));
    let before = history(cluster.bench(1));
    cluster.kill(1);
    cluster.start_all();
    cluster.until(1, is_sound);
    let after = history(cluster.bench(1));
    assert_eq!(after[..before.len()], before, "what was decided before the crash stays decided");
    // One plan from its beginning to its end: its number is the second part of each key.
    assert!(ordered(&after).iter().all(|key| key.split('.').nth(1) == Some("1")), "{:?}", ordered(&after));
    assert_eq!(steps(&after).last().unwrap(), "resume");
    cluster.agreed_size();
    cluster.stop_all();
    verifies(cluster.bench(1));
}

#[test]
fn an_owner_whose_state_is_damaged_orders_nothing_until_it_is_repaired() {
    let mut cluster = Cluster::of_three(&events(60));
    cluster.start_all();
    cluster.stop_all();
    flip(cluster.bench(0));
    cluster.start(0);
    let suspended =
        |status: &Value| status["ledgers"][0]["service"].as_str().is_some_and(|why| why.contains("suspended"));
    cluster.until(0, suspended);
    cluster.bench(0).submit(&events_from(60)).says(1, &["suspended"]);
    // No member has a snapshot: it is made from what is here, after as many attempts.
    cluster.start(1);
    cluster.start(2);
    cluster.until(0, is_sound);
    assert!(steps(&history(cluster.bench(0))).contains(&"rebuild".to_owned()));
    cluster.bench(0).submit(&events_from(60)).says(0, &["new receipts"]);
    cluster.agreed_size();
    cluster.stop_all();
    verifies(cluster.bench(0));
}

#[test]
fn a_replica_that_lost_its_disk_rebuilds() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.bench(0).submit(&events_from(20)).says(0, &["new receipts"]);
    let all = cluster.agreed_size();
    cluster.kill(2);
    lose_disk(cluster.bench(2));
    assert_eq!(cluster.bench(2).receipts(), 20);
    cluster.start_with(2, &["--rejoin"]);
    assert_eq!(cluster.agreed_size(), all);
    cluster.stop_all();
    verifies(cluster.bench(2));
    assert_eq!(cluster.bench(2).receipts(), all);
}

/// A new disk: what a person brings are the keys, the configuration and the bundle that every member began with.
fn lose_disk(bench: &Bench) {
    let (node, lost) = (bench.node(), bench.node().with_extension("lost"));
    fs::rename(&node, &lost).unwrap();
    bench.run(&["init"]).says(0, &[]);
    for entry in fs::read_dir(lost.join("keys")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, node.join("keys").join(path.file_name().unwrap())).unwrap();
    }
    fs::copy(lost.join("node.toml"), node.join("node.toml")).unwrap();
    bench.run(&["package", "add", &package(), "--publisher", &publisher()]).says(0, &[]);
    let bundle = bench.node().with_file_name("first.bundle").display().to_string();
    let owner = fs::read_to_string(bench.node().with_file_name("owner")).unwrap();
    bench.run(&["bundle", "import", &bundle, "--key", &owner]).says(0, &[]);
}

#[test]
fn what_would_be_decided_is_said_without_deciding() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.bench(0).run(&["reconcile", "--dry-run"]).says(1, &["no node runs"]);
    cluster.start_all();
    cluster.agreed_size();
    let rows = cluster.bench(1).json(&["reconcile", "--dry-run", "incident"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["ledger"] == "incident" && row["suspended"].is_null()), "{rows:?}");
    cluster.bench(1).run(&["reconcile"]).says(0, &["incident"]);
    cluster.bench(1).run(&["reconcile", "--dry-run", "odd"]).says(1, &["no ledger `odd`"]);
    // Only the node itself speaks to its own ledger.
    let file = cluster.bench(1).file("odd.jsonl", "{\"id\":\"1\",\"source\":\"x\",\"type\":\"pardon\",\"data\":{}}\n");
    cluster.bench(1).run(&["submit", "node", &file]).says(1, &["takes only what the node itself finds"]);
    let status = cluster.bench(1).json(&["status"]);
    assert_eq!(status["own ledger"]["name"], "node");
    cluster.stop_all();
}
