//! Operators' commands that a running node orders: the same is said, and the same receipts are made, as without one.

use crate::{
    bench::{Bench, ringing},
    cluster::Cluster,
    effects::rings,
};
use reprise_abi::limits::GUEST_FAULTS_MAX;
use serde_json::Value;

/// Events that trap, as many as halt a ledger: the policy has heard their id before.
fn traps() -> String {
    let trap = |n: u64| {
        format!("{{\"id\":\"00000\",\"source\":\"again-{n}\",\"type\":\"work\",\"time\":\"2023-11-14T22:13:01Z\"}}\n")
    };
    (0..GUEST_FAULTS_MAX).map(trap).collect()
}

/// What the receipts say, but for what differs between two ledgers.
fn log(bench: &Bench) -> Vec<[Value; 3]> {
    let rows = bench.json(&["receipts", "list", "incident"]);
    let row = |row: &Value| ["seq", "kind", "outcome"].map(|name| row[name].clone());
    rows.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_halt_is_lifted_and_a_package_put_in_force_while_the_node_runs() {
    let [mut running, calm] = [(); 2].map(|()| {
        let cluster = Cluster::ringing("");
        ringing::add(cluster.bench(0), "1.1.0");
        cluster
    });
    running.start(0);
    let both = |args: &[&str], code: i32| {
        let args = [args, &["--json"]].concat();
        let [one, other] = [&running, &calm].map(|cluster| cluster.bench(0).run(&args).says(code, &[]));
        assert_eq!((&one.stdout, &one.stderr), (&other.stdout, &other.stderr), "{args:?}");
        one
    };
    for cluster in [&running, &calm] {
        cluster.bench(0).submit(&rings(0, 2)).says(0, &["new receipts"]);
        cluster.bench(0).submit(&traps());
        cluster.bench(0).submit(&rings(2, 3)).says(1, &["halted"]);
    }
    both(&["ledger", "resume", "incident"], 0).says(0, &["accepted"]);
    both(&["ledger", "resume", "incident"], 1).says(1, &["is not halted"]);
    both(&["ledger", "upgrade", "incident", "--package", "missing"], 1).says(1, &["no package `missing`"]);
    both(&["ledger", "upgrade", "incident", "--package", "ringing@1.1.0"], 0).says(0, &["accepted"]);
    both(&["ledger", "upgrade", "incident", "--package", "ringing@1.0.0"], 1).says(1, &["may not take over"]);
    for cluster in [&running, &calm] {
        cluster.bench(0).submit(&rings(2, 4)).says(0, &["new receipts"]);
    }
    running.stop(0);
    for cluster in [&running, &calm] {
        cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
    }
    assert_eq!(log(running.bench(0)), log(calm.bench(0)));
}

/// Who has not the operator's key gets a receipt that says so, and changes nothing.
#[test]
fn a_command_of_somebody_else_is_rejected() {
    let mut cluster = Cluster::ringing("");
    cluster.bench(0).submit(&rings(0, 1)).says(0, &["new receipts"]);
    cluster.bench(0).submit(&traps());
    let other = Bench::with_node();
    std::fs::copy(other.node().join("keys/operator.key"), cluster.bench(0).node().join("keys/operator.key")).unwrap();
    cluster.start(0);
    cluster.bench(0).run(&["ledger", "resume", "incident"]).says(1, &["rejected", "8002"]);
    cluster.bench(0).submit(&rings(1, 2)).says(1, &["halted"]);
    cluster.stop(0);
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
}
