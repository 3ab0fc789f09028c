//! Nodes that run: real processes on loopback, stopped, killed and started again.

#[path = "../support/mod.rs"]
mod bench;
mod bundles;
mod cluster;
mod effects;
mod finality;
mod hostile;
mod kills;
mod operators;
mod reads;
mod reconcile;
mod roots;
mod succession;

use bench::{events, fixture};
use cluster::Cluster;
use std::fs;

/// Events of the incident from this one on.
fn events_from(first: usize) -> String {
    let all = fs::read_to_string(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
    all.lines().skip(first).map(|line| format!("{line}\n")).collect()
}

#[test]
fn commands_reach_a_running_node_and_it_stops_when_told() {
    let mut cluster = Cluster::alone();
    let bench = cluster.bench(0);
    bench.run(&["peers"]).says(1, &["no node runs", "reprise node run"]);
    cluster.start(0);
    cluster.bench(0).submit(&events(30)).says(0, &["new receipts", "30"]);
    cluster.bench(0).submit(&events(30)).says(0, &["duplicates", "30"]);
    let status = cluster.bench(0).json(&["status"]);
    assert_eq!((&status["ledgers"][0]["receipts"], &status["ledgers"][0]["role"]), (&30.into(), &"owner".into()));
    // What only reads is answered by the running node; what changes something is refused, and does not wait.
    cluster.bench(0).run(&["receipts", "list", "incident"]).says(0, &["29"]);
    cluster
        .bench(0)
        .run(&["ledger", "create", "l", "--package", "lease"])
        .says(1, &["a node runs in", "reprise node stop"]);
    cluster.stop(0);
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
    assert_eq!(cluster.bench(0).receipts(), 30);
}

#[test]
fn three_nodes_share_a_ledger_and_agree() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.bench(0).submit(&events_from(20)).says(0, &["new receipts"]);
    let all = cluster.agreed_size();
    assert!(all > 100);
    // A replica orders nothing, and says who does.
    cluster.bench(1).submit(&events(1)).says(1, &["submit there", " a"]);
    let rows = cluster.bench(0).json(&["federation", "status"]);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let peers = cluster.bench(0).json(&["peers"]);
    assert!(peers.as_array().unwrap().iter().all(|peer| peer["connections"] == 1), "{peers}");
    cluster.stop_all();
    for node in 0..3 {
        assert_eq!(cluster.bench(node).receipts(), all);
        cluster.bench(node).run(&["verify", "incident"]).says(0, &["match"]);
    }
}

#[test]
fn a_replica_that_was_killed_catches_up_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.kill(1);
    cluster.bench(0).submit(&events_from(20)).says(0, &["new receipts"]);
    cluster.start(1);
    let all = cluster.agreed_size();
    cluster.kill(0);
    cluster.start(0);
    assert_eq!(cluster.agreed_size(), all, "what was acknowledged is there after the owner was killed");
    cluster.stop_all();
    for node in 0..3 {
        cluster.bench(node).run(&["verify", "incident"]).says(0, &["match"]);
    }
}

#[test]
fn a_revoked_peer_is_not_let_in_until_it_is_allowed_again() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.agreed_size();
    cluster.bench(0).run(&["peer", "revoke", "nobody"]).says(1, &["nobody", "reprise peers"]);
    cluster.bench(0).run(&["peer", "revoke", "c"]).says(0, &["c", "false"]);
    let alone = |peers: usize| move |status: &serde_json::Value| status["connected peers"] == peers;
    cluster.until(0, alone(1));
    cluster.until(2, alone(1));
    cluster.bench(0).submit(&events_from(20)).says(0, &["new receipts"]);
    // Not after a start either, whoever calls whom.
    cluster.stop(0);
    cluster.start(0);
    cluster.until(0, |status| status["ledgers"][0]["can go on"] == true);
    let peers = cluster.bench(0).json(&["peers"]);
    let c = peers.as_array().unwrap().iter().find(|peer| peer["name"] == "c").unwrap();
    assert_eq!(c["revoked"], true, "{peers}");
    cluster.until(2, alone(1));
    cluster.bench(0).run(&["peer", "allow", "c"]).says(0, &["c", "true"]);
    cluster.until(2, alone(2));
    cluster.agreed_size();
    cluster.stop_all();
}

#[test]
fn without_a_majority_nothing_is_ordered() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start(0);
    cluster.bench(0).submit(&events_from(20)).says(1, &["no majority"]);
    cluster.start(2);
    cluster.until(0, |status| status["ledgers"][0]["can go on"] == true);
    cluster.bench(0).submit(&events_from(20)).says(0, &["new receipts"]);
    cluster.stop_all();
}
