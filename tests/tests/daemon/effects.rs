//! Effects and timers of ledgers whose owner runs.

use crate::{
    bench::{Bench, Ended, ringing::TIMER_MS},
    cluster::Cluster,
};
use reprise::{
    effects::Owed,
    node::{Access, Node},
};
use reprise_receipts::system::outbox;
use reprise_tests::SplitMix;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Child, Stdio},
};

const KILLS: usize = 12;
const SEED: u64 = 0x7265_7072_6973_650c;
/// Events of one submission, and how many of them were submitted before.
const BATCH: usize = 12;
const OVERLAP: usize = 3;
/// Logical time between two events.
const EVERY_MS: usize = 100;
/// 2023-11-14T22:13:00Z
const START_MS: usize = 1_699_999_980_000;

/// Events `from..to`, each with its time.
pub fn rings(from: usize, to: usize) -> String {
    let event = |n: usize| {
        let at_ms = n * EVERY_MS;
        let (minute, second, ms) = (13 + at_ms / 60_000, at_ms / 1_000 % 60, at_ms % 1_000);
        let time = format!("2023-11-14T22:{minute:02}:{second:02}.{ms:03}Z");
        format!("{{\"id\":\"{n:05}\",\"source\":\"test\",\"type\":\"work\",\"time\":\"{time}\"}}\n")
    };
    (from..to).map(event).collect()
}

/// After the timers of the events before this one.
pub fn after(n: usize) -> String {
    (START_MS + n * EVERY_MS + TIMER_MS).to_string()
}

/// What the driver of a node wrote down, whole lines.
fn delivered(bench: &Bench) -> Vec<Value> {
    let files = fs::read_dir(bench.node().join("effects")).into_iter().flatten();
    let text: String = files.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn delivered_keys(bench: &Bench) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for line in delivered(bench) {
        assert_eq!((&line["driver"], &line["payload"]["text"]), (&"bell".into(), &line["key"]), "{line}");
        *keys.entry(line["key"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    keys
}

/// Kind, answer and logical time of each step. Every step is accepted: the policy traps on what it has heard before.
pub fn steps(bench: &Bench) -> Vec<[String; 3]> {
    let lines = bench.run(&["replay", "incident", "--json"]).says(0, &[]).stdout;
    let step = |line: &str| {
        let step: Value = serde_json::from_str(line).unwrap();
        assert_eq!(step["outcome"], "accepted", "{step}");
        ["kind", "answer", "logical time"].map(|name| step[name].to_string())
    };
    lines.lines().map(step).collect()
}

fn receipts(status: &Value) -> u64 {
    status["ledgers"][0]["receipts"].as_u64().unwrap_or(0)
}

/// The few keys that are read of the state say what the whole of it says.
#[test]
fn what_is_owed_is_what_the_state_says() {
    let cluster = Cluster::ringing("");
    cluster.bench(0).submit(&rings(0, 5)).says(0, &["new receipts"]);
    let node = Node::open(&cluster.bench(0).node(), Access::Write).unwrap();
    let entry = node.find_ledger("incident").unwrap();
    for stored in [0, 5] {
        let (owed, open) = (Owed::read(node.journal(), &entry).unwrap(), node.open_ledger(&entry).unwrap());
        assert_eq!((owed.size(), owed.logical_time_ms()), (5, open.head.logical_time_ms()));
        assert_eq!((owed.view().epoch, owed.state_root()), (1, Some(open.head.state_root())));
        let pending: Vec<_> = outbox::pending(owed.view().state).collect();
        assert_eq!((pending.len(), &pending), (5, &outbox::pending(open.head.state()).collect()));
        assert_eq!(node.journal().read(entry.no).unwrap().state_at().unwrap(), stored);
        node.journal().bring_state_forward(entry.no).unwrap();
    }
}

/// Offline and running, the same is said, and the same receipts are made.
#[test]
fn drivers_and_advance_do_the_same_on_a_running_node() {
    let [mut running, calm] = [(); 2].map(|()| Cluster::ringing(""));
    running.start(0);
    let both = |args: &[&str]| {
        let [one, other] = [&running, &calm].map(|cluster| cluster.bench(0).json(args));
        assert_eq!(one, other, "{args:?}");
        one
    };
    for cluster in [&running, &calm] {
        cluster.bench(0).submit(&rings(0, 5)).says(0, &["new receipts"]);
    }
    assert_eq!(delivered_keys(running.bench(0)).len(), 0, "no driver is configured");
    let drivers = both(&["ledger", "drivers", "incident", "--set", "bell=log"]);
    assert_eq!(drivers[0]["kind"], "log");
    // The file is read again: what has waited is delivered without a word.
    running.until(0, |status| receipts(status) == 10);
    calm.bench(0).json(&["advance", "incident", "--to", &START_MS.to_string()]);
    assert_eq!(both(&["advance", "incident", "--to", &START_MS.to_string()])["results of effects"], 0);
    let advanced = both(&["advance", "incident", "--to", &after(4)]);
    assert_eq!((&advanced["timers and deadlines"], &advanced["results of effects"]), (&5.into(), &5.into()));
    assert_eq!(both(&["ledger", "drivers", "incident", "--unset", "bell"]), Value::Array(vec![]));
    running.bench(0).run(&["ledger", "drivers", "incident", "--set", "bell"]).says(64, &["DRIVER=KIND"]);
    running.bench(0).run(&["advance", "nothing"]).says(1, &["no ledger"]);
    running.stop(0);
    for cluster in [&running, &calm] {
        cluster.bench(0).run(&["verify", "incident"]).says(0, &["match", "20"]);
    }
    assert_eq!(steps(running.bench(0)), steps(calm.bench(0)));
    assert_eq!(delivered_keys(running.bench(0)), delivered_keys(calm.bench(0)));
}

/// The node is killed in the middle of deliveries, again and again.
#[test]
fn a_killed_node_delivers_every_effect_and_every_result_has_one_receipt() {
    let mut cluster = Cluster::ringing("");
    cluster.bench(0).run(&["ledger", "drivers", "incident", "--set", "bell=log"]).says(0, &["log"]);
    let (mut random, mut sent) = (SplitMix(SEED), 0);
    for kill in 0..KILLS {
        cluster.start(0);
        let (from, to) = (sent - OVERLAP.min(sent), sent + BATCH);
        let mut submitting = submit(cluster.bench(0), &rings(from, to));
        sent = to;
        let before = delivered(cluster.bench(0)).len() as u64;
        let lines = random.below(2 * BATCH as u64);
        if kill % 3 == 0 {
            // At any moment, perhaps before anything is there.
            (0..random.below(20_000_000)).for_each(|n| _ = std::hint::black_box(n));
        } else {
            cluster.until_anything(|| {
                let there = delivered(cluster.bench(0)).len() as u64;
                there >= before + lines.min(BATCH as u64) || submitting.try_wait().unwrap().is_some()
            });
        }
        cluster.kill(0);
        submitting.wait().unwrap();
    }
    cluster.start(0);
    cluster.bench(0).submit(&rings(0, sent)).says(0, &["new receipts"]);
    cluster.bench(0).json(&["advance", "incident", "--to", &after(sent)]);
    cluster.stop(0);
    let mut answers: BTreeMap<[String; 2], usize> = BTreeMap::new();
    for [kind, answer, _] in steps(cluster.bench(0)) {
        *answers.entry([kind, answer]).or_default() += 1;
    }
    // Each event, its timer, and the results of both.
    assert_eq!((answers.len(), answers.values().max()), (4 * sent, Some(&1)));
    let keys = delivered_keys(cluster.bench(0));
    let expected: BTreeSet<_> = (0..sent).flat_map(|n| [format!("w{n:05}"), format!("t{n:05}")]).collect();
    assert_eq!(keys.into_keys().collect::<BTreeSet<_>>(), expected, "each is delivered, under one key");
    cluster.bench(0).run(&["verify", "incident"]).says(0, &["match"]);
}

fn submit(bench: &Bench, lines: &str) -> Child {
    let file = bench.file("events.jsonl", lines);
    let mut submit = bench.command();
    submit.args(["submit", "incident", &file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Without a majority a step may be durable here and never acknowledged: nothing of it is done.
#[test]
fn nothing_is_delivered_before_a_majority_has_the_step() {
    let mut cluster = Cluster::three_ringing(&rings(0, 2));
    cluster.bench(0).run(&["ledger", "drivers", "incident", "--set", "bell=log"]).says(0, &["log"]);
    cluster.start_all();
    // Two events, and the results of both.
    cluster.until(0, |status| receipts(status) == 4);
    let mut next = 2;
    let (mut submitting, ordered, before) = loop {
        cluster.kill(1);
        cluster.kill(2);
        let before = receipts(&cluster.bench(0).json(&["status"]));
        let mut submitting = submit(cluster.bench(0), &rings(next, next + 1));
        let status = cluster.until(0, |status| receipts(status) > before || submitting.try_wait().unwrap().is_some());
        if receipts(&status) > before {
            break (submitting, next, before);
        }
        // It had noticed already that nobody is there.
        next += 1;
        cluster.start(1);
        cluster.start(2);
        cluster.until(0, |status| status["ledgers"][0]["can go on"] == true);
    };
    let key = format!("w{ordered:05}");
    let status = cluster.until(0, |status| status["ledgers"][0]["service"].as_str().unwrap().contains("stale"));
    assert_eq!(status["ledgers"][0]["answers that wait"], 1, "{status}");
    assert!(!delivered_keys(cluster.bench(0)).contains_key(&key), "the step was not acknowledged");
    cluster.start(1);
    cluster.start(2);
    assert!(submitting.wait().unwrap().success());
    // The event, and the result of its effect.
    cluster.until(0, |status| receipts(status) == before + 2);
    assert!(delivered_keys(cluster.bench(0)).contains_key(&key));
    assert_eq!(cluster.agreed_size(), before + 2);
    cluster.stop_all();
    for node in 0..3 {
        cluster.bench(node).run(&["verify", "incident"]).says(0, &["match"]);
    }
}

/// The new owner delivers what the old one left, under its epoch.
#[test]
fn the_next_owner_delivers_what_is_left() {
    let mut cluster = Cluster::three_ringing(&rings(0, 3));
    for node in [0, 1] {
        cluster.bench(node).run(&["ledger", "drivers", "incident", "--set", "bell=log"]).says(0, &["log"]);
    }
    cluster.bench(0).run(&["ledger", "drivers", "incident", "--unset", "bell"]).says(0, &[]);
    cluster.start_all();
    cluster.grant(1, 2);
    cluster.until(1, |status| receipts(status) == 7);
    assert!(delivered(cluster.bench(1)).iter().all(|line| line["epoch"] == 2));
    assert_eq!(delivered_keys(cluster.bench(1)).into_keys().collect::<Vec<_>>(), ["w00000", "w00001", "w00002"]);
    // Who owned it before follows, and delivers nothing even if it could.
    cluster.until(0, |status| receipts(status) == 7);
    cluster.bench(0).run(&["ledger", "drivers", "incident", "--set", "bell=log"]).says(0, &["log"]);
    cluster.bench(1).submit(&rings(3, 4)).says(0, &["new receipts"]);
    cluster.until(0, |status| receipts(status) == 9);
    assert_eq!(delivered_keys(cluster.bench(0)).len(), 0);
    cluster.bench(0).run(&["advance", "incident"]).says(1, &["inputs are ordered by b"]);
    cluster.stop_all();
}

#[test]
fn timers_fire_by_the_clock_where_the_ledger_follows_it() {
    let mut cluster = Cluster::ringing("\n[[ledger]]\nname = \"incident\"\nowner = \"a\"\nclock = \"wall\"\n");
    cluster.start(0);
    let ring = "{\"id\":\"now\",\"source\":\"test\",\"type\":\"work\"}\n";
    cluster.bench(0).submit(ring).says(0, &["new receipts"]);
    // Nothing else happens: the timer's time comes.
    cluster.until(0, |status| receipts(status) == 2);
    cluster.bench(0).run(&["ledger", "drivers", "incident", "--set", "bell=log"]).says(0, &["log"]);
    cluster.until(0, |status| receipts(status) == 4);
    cluster.stop(0);
    let kinds: Vec<String> = steps(cluster.bench(0)).into_iter().map(|[kind, ..]| kind).collect();
    assert_eq!(kinds, ["\"work\"", "\"reprise.timer\"", "\"reprise.effect\"", "\"reprise.effect\""]);
    assert_eq!(delivered_keys(cluster.bench(0)).len(), 2);
    // The node shares the ledger with nobody, so it goes on without running.
    Ended::from(cluster.bench(0).command().args(["advance", "incident"]).output().unwrap()).says(0, &["timers"]);
}
