//! Ledgers that change their owner.

use crate::{bench::events, cluster::Cluster};

fn epoch_of(status: &serde_json::Value) -> (u64, String) {
    let ledger = &status["ledgers"][0];
    (ledger["epoch"].as_u64().unwrap_or(0), ledger["owner"].as_str().unwrap_or_default().to_owned())
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
