//! What a quorum has signed: kept by every member, and shown running, offline and to strangers.

use crate::{
    bench::{Bench, events},
    cluster::Cluster,
    events_from,
};
use serde_json::{Value, json};

fn ledger(status: &Value) -> &Value {
    &status["ledgers"][0]
}

#[test]
fn every_member_keeps_the_proof_of_the_last_final_window() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.bench(0).submit(&events_from(20)).says(0, &["new receipts"]);
    let all = cluster.agreed_size();
    let mut signed = 0;
    for node in 0..3 {
        let status = cluster.until(node, |status| ledger(status)["final mark"]["receipts"] == all);
        let mark = &ledger(&status)["final mark"];
        assert_eq!(
            (&ledger(&status)["final"], &mark["of"], &mark["rule"]),
            (&json!(all), &json!(3), &json!("majority"))
        );
        let votes = mark["votes"].as_u64().unwrap();
        assert!(votes >= 2 && mark["signed by"].as_array().unwrap().len() as u64 == votes, "{mark}");
        assert!(mark["signed by"].as_array().unwrap().iter().all(|name| ["a", "b", "c"].iter().any(|it| name == it)));
        signed += votes;
    }
    assert!(signed >= 6);
    // It is durable: one is killed, the others stop.
    cluster.kill(1);
    cluster.stop_all();
    for node in 0..3 {
        let bench = cluster.bench(node);
        let status = bench.json(&["status"]);
        assert_eq!(ledger(&status)["final mark"]["receipts"], all, "{node}");
        let report = bench.json(&["verify", "incident"]);
        assert_eq!((&report["verdict"], &report["final"]), (&json!("match"), &json!(format!("0..{all}"))), "{node}");
        assert_eq!(report["attested only"], Value::Null, "{node}");
    }
    // A stranger who knows the three keys is shown the same by a replica's bundle.
    let bundle = cluster.bench(2).node().with_file_name("final.bundle").display().to_string();
    let export = ["bundle", "export", "incident", "--kind", "receipt", "--from", "30", "--to", "60", "--out", &bundle];
    cluster.bench(2).run(&export).says(0, &[]);
    let keys: Vec<String> = (0..3)
        .map(|node| cluster.bench(node).json(&["key", "show"])["attester"].as_str().unwrap().to_owned())
        .collect();
    let keys = ["--key", &keys[0], "--key", &keys[1], "--key", &keys[2]];
    let report = Bench::empty().json(&[&["verify", &bundle], keys.as_slice()].concat());
    assert_eq!((&report["final"], &report["final mark"]["receipts"]), (&json!("30..60"), &json!(all)));
}

/// The word of one member is its attestation: nothing more is kept of it.
#[test]
fn a_member_alone_makes_nothing_final() {
    let mut cluster = Cluster::alone();
    cluster.start(0);
    cluster.bench(0).submit(&events(30)).says(0, &["30"]);
    let status = cluster.until(0, |status| ledger(status)["final"] == 30);
    assert_eq!(ledger(&status)["final mark"], Value::Null);
    cluster.stop(0);
    assert_eq!(ledger(&cluster.bench(0).json(&["status"]))["final mark"], Value::Null);
}
