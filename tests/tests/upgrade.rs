//! A policy is replaced in the middle of its ledger: the operator's command is an input, `migrate` runs, and the whole
//! history verifies with both packages.

mod support;

use std::fs;
use support::{Bench, fixture};

/// A policy without events of its own: version `version`, with this `migrate`.
fn core_module(name: &str, version: &str, migrate: &str) -> Vec<u8> {
    assert_eq!((name.len(), version.len()), (7, 5), "the fixture's pointers say so");
    let default = |part: &str| fs::read_to_string(fixture(&format!("hostile/defaults/{part}.wat"))).unwrap();
    let parts = ["imports", "memory", "cabi_realloc", "check", "step", "view"].map(default).concat();
    let describe = default("describe").replace("hostile\\001.0.0", &format!("{name}\\00{version}"));
    wat::parse_str(format!("(module {parts} {describe} {migrate})")).unwrap()
}

/// Writes one key.
const MIGRATE: &str = r#"(func (export "migrate") (param i32 i32) (result i32)
    (call $put (i32.const 576) (i32.const 7) (local.get 0) (local.get 1)) (i32.const 0))"#;
/// Traps.
const BROKEN: &str = r#"(func (export "migrate") (param i32 i32) (result i32) (unreachable))"#;

/// A node that knows these versions of `stepper`, and a ledger `l` of 1.0.0 with three receipts.
fn bench(versions: &[(&str, &str, &str)]) -> Bench {
    let bench = Bench::with_node();
    let key = bench.file("publisher.key", fs::read(fixture("packages/example-publisher.key")).unwrap());
    std::process::Command::new("chmod").args(["600", &key]).status().unwrap();
    for (name, version, migrate) in versions {
        let core = bench.file("core.wasm", core_module(name, version, migrate));
        let package = bench.file("p.reprise", []);
        let publisher = "publisher.reprise.example";
        let build = ["package", "build", "--core", &core, "--publisher", publisher, "--key", &key, "--out", &package];
        bench.run(&build).says(0, &[version]);
        bench.run(&["package", "add", &package, "--publisher", &support::publisher()]).says(0, &[name]);
    }
    bench.run(&["ledger", "create", "l", "--package", "stepper@1.0.0"]).says(0, &["l"]);
    bench.run(&["submit", "l", &bench.file("events", event_lines(0))]).says(0, &["3"]);
    bench
}

fn event_lines(from: u32) -> String {
    let line = |n| format!("{{\"id\":\"{n}\",\"source\":\"t\",\"type\":\"e\",\"time\":\"2026-01-01T00:00:0{n}Z\"}}\n");
    (from..from + 3).map(line).collect()
}

#[test]
fn an_upgrade_migrates_and_the_whole_history_verifies() {
    let bench = bench(&[("stepper", "1.0.0", BROKEN), ("stepper", "1.1.0", MIGRATE)]);
    let before = bench.json(&["ledger", "show", "l"])["package"].clone();
    bench.run(&["ledger", "upgrade", "l", "--package", "stepper@1.1.0"]).says(0, &["accepted"]);
    assert_ne!(bench.json(&["ledger", "show", "l"])["package"], before);
    let kept = bench.run(&["state", "get", "l", "stepper"]).says(0, &[]);
    assert!(kept.stdout.contains("1.0.0"), "`migrate` was told which version it takes over from: {}", kept.stdout);
    bench.run(&["submit", "l", &bench.file("events", event_lines(3))]).says(0, &["3"]);
    for engine in ["cranelift", "pulley"] {
        bench.run(&["verify", "l", "--engine", engine]).says(0, &["match", "7"]);
    }
    bench.run(&["verify", "l", "--engine", "native"]).says(2, &["native"]);
}

#[test]
fn what_may_not_take_over_is_refused_before_it_is_ordered() {
    let versions = [("stepper", "1.1.0", MIGRATE), ("stepper", "1.0.0", BROKEN), ("another", "2.0.0", MIGRATE)];
    let bench = bench(&versions);
    let refused = |package: &str, why: &str| {
        bench.run(&["ledger", "upgrade", "l", "--package", package]).says(1, &["may not take over", why]);
    };
    refused("another@2.0.0", "another");
    refused("stepper@1.0.0", "1.0.0");
    bench.run(&["ledger", "upgrade", "l", "--package", "missing"]).says(1, &["no package `missing`"]);
    assert_eq!(bench.json(&["ledger", "show", "l"])["receipts"], 3);
}

#[test]
fn a_migration_that_fails_has_a_receipt_and_changes_nothing() {
    let bench = bench(&[("stepper", "1.0.0", MIGRATE), ("stepper", "1.2.0", BROKEN)]);
    let before = bench.json(&["ledger", "show", "l"])["package"].clone();
    bench.run(&["ledger", "upgrade", "l", "--package", "stepper@1.2.0"]).says(1, &["trapped"]);
    assert_eq!(bench.json(&["ledger", "show", "l"])["package"], before);
    bench.run(&["verify", "l"]).says(0, &["match", "4"]);
}
