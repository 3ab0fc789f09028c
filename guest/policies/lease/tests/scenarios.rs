//! Every scenario under `fixtures/scenarios/lease` gives what it says: answers, effects, rejections, and at the end
//! report, plan hash, final cluster state and trace. `REPRISE_BLESS=1` writes what happened instead. The same files run
//! on every engine and on the real ledger in `tests/tests/scenarios.rs`.

mod support;

use std::{collections::BTreeSet, fs};

/// Scenarios that the source document asks for by name, and what else must not go missing.
const NAMES: [&str; 18] = [
    "action-retry",
    "checkpoint-mid-plan",
    "checkpoint-resume",
    "checkpoint-resume-elsewhere",
    "counters-at-max",
    "epoch-at-max",
    "exit-codes",
    "largest-cluster",
    "lease-conflict",
    "malformed",
    "network-partition",
    "network-partition-no-majority",
    "rank-loss",
    "rejoin",
    "restart-ordering",
    "restarts-used-up",
    "silence",
    "snapshots",
];

#[test]
fn every_scenario_gives_what_it_says() {
    let bless = std::env::var_os("REPRISE_BLESS").is_some();
    for name in NAMES {
        let expected = support::load(name);
        let (found, _) = support::run(expected.clone());
        if bless {
            fs::write(support::folder().join(format!("{name}.json")), support::pretty(&found)).unwrap();
            continue;
        }
        let (found_events, events) = (found["events"].as_array().unwrap(), expected["events"].as_array().unwrap());
        for (index, (found, expected)) in found_events.iter().zip(events).enumerate() {
            assert_eq!(found, expected, "{name}, event {index}");
        }
        assert_eq!(found["expect"], expected["expect"], "{name}, at the end");
    }
}

#[test]
fn no_scenario_is_forgotten() {
    let files = fs::read_dir(support::folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(files, NAMES.map(|name| format!("{name}.json")).into());
}

/// Outcomes are reproducible from (failure-event log, lease policy, checkpoint): a run of the same inputs has the same
/// three and the same report; one that differs in outcome differs in one of the three.
#[test]
fn the_three_hashes_tell_outcomes_apart() {
    let mut seen = Vec::new();
    for name in NAMES {
        let report = report(name);
        assert_eq!(report, self::report(name));
        if report["rejected"].is_null() {
            let hashes = ["failure_event_log_hash", "lease_policy_hash", "checkpoint_hash"].map(|h| report[h].clone());
            assert!(!seen.contains(&hashes), "{name} has the three hashes of another scenario");
            seen.push(hashes);
        }
    }
    assert!(seen.len() > 10);
}

/// Equivalence "E0" of the source document: whatever is refactored, these scenarios keep plan hash and final verdict.
/// Unlike the files, this table is not written by `REPRISE_BLESS`: a change of it is a new major version of the package.
#[test]
fn refactoring_keeps_plan_hash_and_verdict() {
    for (name, plan, verdict) in E0 {
        let report = report(name);
        assert_eq!(report["restart_plan_hash"], plan, "{name}");
        assert_eq!(report["final_cluster_state"]["verdict"], verdict, "{name}");
    }
}

/// What the report says at the end of a scenario.
fn report(name: &str) -> serde_json::Value {
    support::report(&mut support::run(support::load(name)).1)
}

const E0: [(&str, &str, &str); 6] = [
    ("rank-loss", "d5f504032b55212ab9743e8b921e55d464f8dca177c143b90f406f689c09b8cf", "recovered"),
    ("network-partition", "72ccdb84c07a8bae05bb3689b65081bfb01928b76300bc25dbce1aba4e313f6b", "recovered"),
    ("restart-ordering", "ca811141b31f20ab5c4ddbadc7f09965271c0b1e91f6274b411066b10e82ee1d", "recovered"),
    ("lease-conflict", "26894d8988a8619087b3c45bb9d5d971bafc900cb73517450f7dfcccde22d7ef", "recovered"),
    ("rejoin", "0e3e10244ab7ff4373c205112e6777dd454e68586f281e6ba746af01e2664a3a", "recovered"),
    ("checkpoint-resume-elsewhere", "0f71fecb9a2dcc790eb7623fd0dc9d5c164aa2992da57cdfe2b74839a0cbdf09", "recovered"),
];
