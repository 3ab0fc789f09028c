//! Bundles between running nodes, and a member that begins with nothing but its keys and its configuration.

use crate::{
    bench::events,
    cluster::Cluster,
    hostile::{Hostile, Lie},
    kills::heartbeat,
};
use reprise::daemon::rejected;
use reprise_federation::limits::QUARANTINE_OBJECT_BYTES_MAX;

/// Receipts that the ledger has when the newcomer comes, at least.
const HISTORY: u64 = 2_000;

fn history() -> String {
    events(20) + &(0..HISTORY).map(heartbeat).collect::<String>()
}

fn more(from: u64) -> String {
    (from..from + 50).map(heartbeat).collect()
}

/// The newcomer, which has the receipts from `verified_from` on, takes part: without it there is no majority, and what was submitted is acknowledged.
#[track_caller]
fn counts(cluster: &mut Cluster, verified_from: u64) {
    cluster.until(2, |status| status["ledgers"][0]["can go on"] == true);
    let all = cluster.agreed_size();
    assert!(all > HISTORY);
    cluster.bench(0).submit(&more(HISTORY)).says(0, &["new receipts"]);
    let signed = cluster.agreed_size();
    assert!(signed >= all + 50);
    cluster.until(2, |status| status["ledgers"][0]["final"] == signed);
    cluster.stop(1);
    cluster.bench(0).submit(&more(HISTORY + 50)).says(0, &["new receipts"]);
    let owner = cluster.until(0, |status| status["ledgers"][0]["can go on"] == true)["ledgers"][0]["receipts"].clone();
    cluster.until(2, |status| status["ledgers"][0]["attested up to"] == owner);
    cluster.stop(0);
    cluster.stop(2);
    cluster.bench(2).run(&["verify", "incident", "--range", &format!("{verified_from}..")]).says(0, &["match"]);
    assert_eq!(cluster.bench(2).receipts(), owner.as_u64().unwrap());
}

#[test]
fn a_member_with_keys_and_configuration_alone_begins_over_the_link() {
    let mut cluster = Cluster::with(2, &history(), false);
    cluster.start(2);
    cluster.until(2, |status| status["ledgers"][0]["waits for"] == "a connection to one of its members");
    // The owner makes checkpoints of itself; a member that has its receipts of a replay bundle has none.
    cluster.start(1);
    cluster.until(2, |status| status["ledgers"][0]["receipts"].as_u64() >= Some(HISTORY));
    cluster.start(0);
    counts(&mut cluster, 0);
}

#[test]
fn a_new_member_begins_with_the_checkpoint_of_a_peer() {
    let mut cluster = Cluster::with(2, &history(), true);
    cluster.start(0);
    cluster.start(2);
    cluster.until(2, |status| status["ledgers"][0]["receipts"].as_u64() >= Some(HISTORY));
    cluster.stop(2);
    let shown = cluster.bench(2).json(&["checkpoint", "list", "incident"]);
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    cluster.start(2);
    cluster.start(1);
    counts(&mut cluster, 20 + HISTORY);
}

#[test]
fn a_new_member_that_is_killed_again_and_again_begins_again() {
    let mut cluster = Cluster::with(2, &history(), true);
    cluster.start(0);
    for moment in ["checkpoint bundle", "replay bundle", "taking in", "replay bundle"] {
        cluster.start(2);
        let ledger = |status: &serde_json::Value| status["ledgers"][0].clone();
        cluster.until(2, |status| {
            let waits = ledger(status)["waits for"].clone();
            waits.as_str().is_some_and(|waits| waits.contains(moment)) || ledger(status)["role"].is_string()
        });
        cluster.kill(2);
    }
    cluster.start(2);
    cluster.start(1);
    counts(&mut cluster, 20 + HISTORY);
    let left = std::fs::read_dir(cluster.bench(2).node().join("federation/bundles")).unwrap();
    assert_eq!(left.count(), 0, "no file is left");
    cluster.bench(2).run(&["doctor", "incident"]).says(0, &[]);
}

#[test]
fn a_damaged_bundle_is_rejected_and_another_member_is_asked() {
    for lie in [Lie::OneByteIsAnother, Lie::ShorterThanAnnounced, Lie::NothingComes, Lie::OfAnotherLedger] {
        let mut cluster = Cluster::with(2, &events(60), false);
        let hostile = Hostile::instead_of(&cluster, 1, 2, lie);
        cluster.start(2);
        hostile.lies_to(&cluster, 2);
        cluster.until(2, |status| {
            let waits = status["ledgers"][0]["waits for"].as_str().unwrap_or_default().to_owned();
            waits.contains("another member") && waits.contains("`b`")
        });
        cluster.start(0);
        cluster.until(2, |status| status["ledgers"][0]["receipts"].as_u64() >= Some(40));
        let kept = rejected::list(&cluster.bench(2).node()).unwrap();
        let of_bundles = kept.iter().filter(|record| record.reason.contains("bundle")).count();
        assert_eq!(of_bundles > 0, lie.is_seen_in_the_file(), "{lie:?}: {kept:?}");
        if lie == Lie::OneByteIsAnother {
            is_looked_after(&cluster, &kept[kept.len() - 1]);
        }
        let peers = cluster.bench(2).json(&["federation", "status"]);
        let row = peers.as_array().unwrap().iter().find(|row| row["peer"] == "b").unwrap();
        assert_eq!(row["wrong answers"].as_u64() > Some(0), lie.is_seen_in_the_file(), "{lie:?}: {row}");
        cluster.stop(2);
        cluster.bench(2).run(&["verify", "incident"]).says(0, &["match"]);
    }
}

/// An operator looks at what a peer sent, takes it elsewhere, and removes it, while the node runs.
fn is_looked_after(cluster: &Cluster, kept: &rejected::RejectedRecord) {
    let (bench, number) = (cluster.bench(2), kept.number.to_string());
    let quarantine = |args: &[&str]| bench.run(&[&["quarantine"], args, &["--record", &number]].concat());
    bench.run(&["quarantine", "list", "--peers"]).says(0, &[&number, &kept.reason]);
    quarantine(&["show"]).says(0, &[&kept.reason, &kept.digest]);
    let out = bench.node().with_file_name("rejected.bin");
    let out = out.to_str().unwrap();
    quarantine(&["export", "--out", out]).says(0, &[]);
    quarantine(&["export", "--out", out]).says(1, &["rejected.bin"]);
    assert_eq!(std::fs::metadata(out).unwrap().len(), kept.length.min(QUARANTINE_OBJECT_BYTES_MAX as u64));
    quarantine(&["drop", "--dry-run"]).says(0, &["would be removed"]);
    quarantine(&["drop"]).says(0, &["removed"]);
    quarantine(&["show"]).says(1, &["there is no object"]);
}

#[test]
fn an_operator_gets_verified_bundles_of_a_peer() {
    let mut cluster = Cluster::with(3, &events(60), true);
    cluster.start_all();
    let all = cluster.agreed_size();
    let (key, end) = (cluster.attester(0).to_owned(), all.to_string());
    let fetch = |more: &[&str]| {
        let args = ["bundle", "fetch", "incident", "--from-peer", "a"];
        cluster.bench(1).run(&[&args, more].concat())
    };
    for (kind, range) in [("receipt", ["10", "30"]), ("replay", ["0", &end]), ("replay", ["20", "25"])] {
        let out = cluster.bench(1).node().join(format!("{kind}-{}", range[0]));
        let out = out.to_str().unwrap();
        let wanted = ["--kind", kind, "--from", range[0], "--to", range[1], "--out", out];
        fetch(&wanted).says(0, &["match", kind]);
        cluster.bench(1).run(&["verify", out, "--key", &key]).says(0, &["match"]);
        fetch(&wanted).says(1, &["is there already"]);
    }
    let out = cluster.bench(1).node().join("checkpoint");
    let out = out.to_str().unwrap();
    fetch(&["--kind", "checkpoint", "--out", out]).says(0, &["match", "checkpoint"]);
    cluster.bench(1).run(&["verify", out, "--key", &key]).says(0, &["match"]);

    let nowhere = cluster.bench(1).node().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let refused = |more: &[&str], words: &[&str]| {
        fetch(&[more, ["--out", nowhere].as_slice()].concat()).says(1, words);
        assert!(!std::path::Path::new(nowhere).exists());
    };
    refused(&["--kind", "receipt", "--to", "100000"], &["does not reach that far"]);
    refused(&["--kind", "checkpoint", "--to", "7"], &["not kept"]);
    refused(&["--kind", "receipt", "--from", "9", "--to", "9"], &["no range"]);
    let stranger = ["bundle", "fetch", "incident", "--from-peer", "x", "--kind", "receipt", "--out", nowhere];
    cluster.bench(1).run(&stranger).says(1, &["no peer is called `x`"]);
    // The owner's own ledger is not shared with anybody.
    cluster.stop(2);
    let gone = ["bundle", "fetch", "incident", "--from-peer", "c", "--kind", "receipt", "--out", nowhere];
    cluster.bench(1).run(&gone).says(1, &["not connected"]);
    cluster.stop_all();
    cluster.bench(1).run(&gone).says(1, &["no node runs"]);
}
