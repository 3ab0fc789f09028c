//! Drills on live nodes: each injects its fault, recovers within its objective, and leaves a result that holds.

mod support;

use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};
use support::{Bench, Ended};

fn names(bench: &Bench) -> BTreeSet<String> {
    let listed = bench.run(&["drill", "--list", "--json"]).json();
    let name = |drill: &Value| drill["drill"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn every_drill_meets_its_objective_and_leaves_a_ledger_that_holds() {
    let bench = Bench::with_node();
    let results = bench.run(&["drill", "all", "--json"]).json();
    let results = results.as_array().unwrap();
    let drilled: BTreeSet<String> = results.iter().map(|result| result["drill"].as_str().unwrap().to_owned()).collect();
    assert_eq!(drilled, names(&bench));
    for result in results {
        assert_eq!(result["result"], "met", "{result}");
        assert_eq!(result["consistent"], true, "{result}");
        assert!(result["receipts"].as_u64().unwrap() > 0, "{result}");
        let kept = PathBuf::from(result["kept in"].as_str().unwrap());
        let stored: Value = serde_json::from_slice(&fs::read(kept.join("result.json")).unwrap()).unwrap();
        assert_eq!(stored, *result);
        let nodes = ["node", "new-node"].map(|node| kept.join(node));
        let node = nodes.iter().rfind(|node| node.join("journal.redb").exists()).unwrap();
        let verdict = Command::new(support::program()).args(["verify", "drill", "--json", "--dir"]).arg(node).output();
        let verdict = Ended::from(verdict.unwrap()).json();
        assert_eq!((&verdict["verdict"], &verdict["state root"]), (&"match".into(), &result["end root"]), "{result}");
    }
}

#[test]
fn a_drill_that_misses_its_objective_says_so() {
    let bench = Bench::with_node();
    let missed = bench.run(&["drill", "capsule-drift", "--objective", "5699", "--json"]);
    missed.says(1, &[r#""result":"too slow""#, r#""recovery":"5.7 s""#]);
    bench.run(&["drill", "capsule-drift", "--objective", "5700"]).says(0, &["met"]);
}

#[test]
fn unknown_drill() {
    Bench::with_node().run(&["drill", "flood"]).says(64, &["no drill `flood`", "capsule-drift"]);
    Bench::empty().run(&["drill", "kill"]).says(70, &["reprise init"]);
}
