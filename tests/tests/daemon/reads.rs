//! Commands that read a node that runs.

use crate::{
    bench::{Bench, Ended, events, fixture},
    cluster::Cluster,
    events_from,
    reconcile::flip,
};
use std::{collections::BTreeMap, fs, path::Path};

/// What reads a ledger of 60 receipts with a checkpoint over all of them. `@` is what files are called in this round.
const READS: &[&str] = &[
    "key show",
    "package list",
    "ledger list",
    "ledger show incident",
    "ledger show nobody",
    "ledger drivers incident",
    "ledger set incident",
    "receipts list incident",
    "receipts list incident --range 3..9",
    "receipts list incident --range 3..900",
    "receipts show incident 7",
    "receipts show incident 7000",
    "receipts prove incident 7 --out @.proof",
    "state scan incident",
    "state get incident no-such-key",
    "state view incident",
    "state view incident cluster --out @.projection",
    "state check-projection @.projection",
    "verify incident",
    "verify @.projection",
    "verify incident --range 10..20 --engine native",
    "replay incident 10..20 --changes",
    "checkpoint list incident",
    "checkpoint show incident",
    "checkpoint drop incident 60 --dry-run",
    "recover rollback incident --to 30 --attested --reason test --dry-run",
    "recover restore incident --dry-run",
    "recover rebuild incident --dry-run",
    "recover runtime incident",
    "recover resume incident --dry-run",
    "doctor incident",
    "quarantine list incident",
    "quarantine list --peers",
    "bundle export incident --kind receipt --from 5 --to 50 --out @.receipts",
    "bundle export incident --kind replay --out @.replay",
    "bundle export incident --kind checkpoint --out @.checkpoint",
    "archive write incident --archive @.archive",
    "archive hydrate incident --archive @.archive --dry-run",
    "archive prune incident --archive @.archive --keep 5 --dry-run",
    "log serve-dir incident @.log",
    "evidence make fault incident 5 --out @.fault",
];

/// How each of them ends, to people and to programs, without what is of this round only.
fn ask_all(bench: &Bench, round: &str) -> BTreeMap<String, (i32, String, String)> {
    let room = format!("{}/", bench.node().parent().unwrap().display());
    let mut ended = BTreeMap::new();
    for json in [false, true] {
        let round = format!("{round}-{json}");
        for line in READS {
            let mut args: Vec<String> = line.split(' ').map(|word| word.replace('@', &round)).collect();
            args.extend(json.then(|| "--json".to_owned()));
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let Ended { code, stdout, stderr } = bench.run(&args);
            let plain = |text: String| -> String {
                let text = text.replace(&room, "").replace(&round, "@");
                text.lines().filter(|line| !line.starts_with("made")).map(|line| format!("{line}\n")).collect()
            };
            let stdout = if json { without_times(&stdout) } else { stdout };
            ended.insert(format!("{line} {json}"), (code, plain(stdout), plain(stderr)));
        }
    }
    ended
}

/// A plan says when it was made.
fn without_times(stdout: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(stdout) else { return stdout.to_owned() };
    value.as_object_mut().and_then(|record| record.remove("made"));
    value.to_string()
}

/// Files of a round, by their names without it, with their content.
fn files(room: &Path, round: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![room.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(room).unwrap().display().to_string();
            if path.is_dir() {
                dirs.extend((name != "node").then_some(path));
            } else if name.starts_with(round) {
                found.insert(name.replace(round, ""), fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_reads_says_the_same_of_a_running_node_and_after_it_stopped() {
    let mut cluster = Cluster::alone();
    cluster.bench(0).submit(&events(60)).says(0, &[]);
    cluster.bench(0).run(&["checkpoint", "create", "incident"]).says(0, &[]);
    cluster.start(0);
    let running = ask_all(cluster.bench(0), "running");
    cluster.stop(0);
    // The journal is free as soon as `node stop` has ended.
    let stopped = ask_all(cluster.bench(0), "stopped");
    for (line, running) in &running {
        assert_eq!(running, &stopped[line], "{line}");
    }
    let refused: Vec<_> = running.iter().filter(|(_, (code, ..))| *code != 0).collect();
    assert!(refused.len() <= 2 * 9, "most of them answer: {refused:#?}");
    let room = cluster.bench(0).node().parent().unwrap().to_owned();
    let files = |round| files(&room, round);
    assert!(files("running").len() > 20);
    assert!(files("running") == files("stopped"), "relative paths are the client's, and the content is the same");
}

#[test]
fn what_changes_a_running_node_is_refused_and_what_adds_to_it_is_not() {
    let mut cluster = Cluster::alone();
    cluster.start(0);
    let bench = cluster.bench(0);
    bench.submit(&events(30)).says(0, &["30"]);
    for line in [
        "ledger create other --package lease",
        "ledger set incident --keep 1",
        "recover rollback incident --to 5 --attested --reason test",
        "doctor incident --repair",
        "advance incident",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        bench.run(&args).says(1, &["a node runs in", "reprise node stop"]);
    }
    bench.run(&["status", "--fresh"]).says(64, &["--fresh"]);
    bench.run(&["receipts", "list", "incident", "--range", "x"]).says(64, &["is not a range"]);

    let package = fixture("packages/capsule-1.0.0.reprise").display().to_string();
    bench.run(&["package", "add", &package]).says(0, &["capsule"]);
    bench.run(&["package", "list"]).says(0, &["capsule"]);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &["receipts", "30", "holds"]);
    bench.submit(&events(60)).says(0, &["new receipts"]);
    let made = bench.json(&["checkpoint", "create", "incident"]);
    assert_eq!((&made["receipts"], &made["restorable"]), (&60.into(), &true.into()));
    bench.run(&["recover", "restore", "incident", "--dry-run"]).says(0, &["carried out", "false"]);
    cluster.stop(0);
    cluster.bench(0).run(&["recover", "restore", "incident"]).says(0, &["carried out", "true"]);
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn a_ledger_verifies_at_any_moment_while_it_goes_on() {
    let mut cluster = Cluster::alone();
    cluster.start(0);
    let bench = cluster.bench(0);
    let all = events_from(0);
    let file = bench.file("all.jsonl", &all);
    let mut submitting = bench.command().args(["submit", "incident", &file]).spawn().unwrap();
    let (mut moments, mut last) = (0, 0);
    while submitting.try_wait().unwrap().is_none() {
        let verdict = bench.json(&["verify", "incident"]);
        assert_eq!(verdict["verdict"], "match", "{verdict}");
        let to = verdict["to"].as_u64().unwrap();
        assert!(to >= last, "{to} after {last}");
        (moments, last) = (moments + 1, to);
    }
    assert!(moments > 1, "the ledger went on while it was verified");
    // What stands still is attested to its end.
    let size = bench.receipts();
    while bench.json(&["verify", "incident"])["to"] != size {}
    cluster.stop(0);
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn what_may_be_out_of_date_is_marked_and_refused_when_that_is_asked_for() {
    let mut cluster = Cluster::of_three(&events(20));
    cluster.start_all();
    cluster.bench(0).submit(&events(40)).says(0, &["new receipts"]);
    assert_eq!(cluster.agreed_size(), 40);
    for node in 0..3 {
        let current = cluster.bench(node).run(&["receipts", "list", "incident", "--fresh"]).says(0, &[]);
        assert!(current.stderr.is_empty(), "{}", current.stderr);
    }
    cluster.bench(1).run(&["checkpoint", "create", "incident"]).says(1, &["only the owner", " a"]);

    let is_stale = |status: &serde_json::Value| status["ledgers"][0]["service"].as_str().unwrap().contains("stale");
    cluster.kill(0);
    cluster.kill(2);
    cluster.until(1, is_stale);
    let replica = cluster.bench(1);
    replica.run(&["receipts", "show", "incident", "39"]).says(0, &["stale since", "as of receipt 39", "owner, a"]);
    replica.run(&["verify", "incident"]).says(0, &["match", "stale since"]);
    let rows = replica.json(&["receipts", "list", "incident", "--range", "0..3"]);
    assert!(rows.as_array().unwrap().iter().all(|row| row["stale"]["as of receipt"] == 39), "{rows}");
    let ledgers = replica.json(&["ledger", "list"]);
    let of = |name: &str| ledgers.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!((&of("incident")["stale"]["suspended"], &of("node")["stale"]), (&false.into(), &().into()));
    let refused = replica.run(&["state", "scan", "incident", "--fresh"]).says(1, &["stale since", "without --fresh"]);
    assert!(refused.stdout.is_empty());
    replica.run(&["receipts", "list", "node", "--fresh"]).says(0, &[]);

    // An owner without a quorum does not know whether it still is.
    cluster.start(0);
    cluster.kill(1);
    cluster.until(0, is_stale);
    cluster.bench(0).run(&["receipts", "list", "incident"]).says(0, &["stale", "quorum"]);
    cluster.bench(0).run(&["receipts", "list", "incident", "--fresh"]).says(1, &["quorum"]);
    // Where no node runs, nobody knows.
    cluster.bench(1).run(&["receipts", "list", "incident", "--fresh"]).says(1, &["no node runs"]);
    cluster.bench(1).run(&["receipts", "list", "incident"]).says(0, &[]);
    cluster.stop_all();
}

#[test]
fn what_is_read_of_a_suspended_ledger_says_so_and_why() {
    let mut cluster = Cluster::of_three(&events(60));
    flip(cluster.bench(1));
    cluster.start(1);
    cluster.until(1, |status| status["ledgers"][0]["service"].as_str().unwrap().contains("suspended"));
    let shown = cluster.bench(1).run(&["receipts", "show", "incident", "7", "--json"]).says(0, &["suspended: ledger"]);
    let stale = &shown.json()["stale"];
    assert_eq!(stale["suspended"], true);
    assert!(stale["why"].as_str().unwrap().contains("not what its receipts say"), "{stale}");
    cluster.bench(1).run(&["receipts", "list", "incident", "--fresh"]).says(1, &["suspended: ledger"]);
    cluster.bench(1).run(&["verify", "incident"]).says(1, &["divergent", "suspended: ledger"]);
    cluster.stop(1);
}
