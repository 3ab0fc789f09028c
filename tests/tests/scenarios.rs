//! Every scenario, on every engine: the same diffs and roots, the receipts of both guests equal to the byte, what the
//! file expects, and the golden trace that is committed. `REPRISE_BLESS=1` writes the traces.

mod support;

use reprise::{
    engine::on_engine_thread,
    node::{EngineChoice, read_package},
    scenario::{Played, Scenario, Stage, difference, package_for, trace},
};
use reprise_tests::fixture;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ENGINES: [EngineChoice; 3] = [EngineChoice::Cranelift, EngineChoice::Pulley, EngineChoice::Native];

/// What stands in a folder, in the order of names.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().collect()
}

/// The policies that have scenarios: the names of the folders.
fn policies() -> Vec<String> {
    let folders = entries(&fixture("scenarios")).into_iter().filter(|path| path.is_dir());
    folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn files(policy: &str) -> Vec<PathBuf> {
    let files = entries(&fixture("scenarios").join(policy)).into_iter();
    files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn trace_path(policy: &str, file: &Path) -> PathBuf {
    fixture("traces").join(policy).join(format!("{}.txt", stem(file)))
}

#[test]
fn every_engine_plays_every_scenario_the_same_way() {
    let play_all = || policies().iter().for_each(|policy| play(policy));
    on_engine_thread("scenarios", play_all).unwrap().join().unwrap();
}

fn play(policy: &str) {
    let files = files(policy);
    assert!(!files.is_empty(), "{policy} has no scenario");
    let package = package_for(policy, &files[0]).unwrap_or_else(|| panic!("{policy} has no package"));
    let package = read_package(&package).unwrap();
    let mut stages = ENGINES.map(|engine| Stage::new(policy, Some(&package), engine).unwrap());
    for file in &files {
        let scenario = Scenario::read(file).unwrap();
        assert_eq!(scenario.policy, policy, "{}: the folder has the policy's name", file.display());
        let played = stages.each_mut().map(|stage| stage.play(&scenario).unwrap());
        for (engine, played) in ENGINES.iter().zip(&played) {
            if let Some(difference) = difference(&scenario, played) {
                panic!("{} with {}: {difference}", file.display(), engine.name());
            }
        }
        same(file, &played);
        holds_its_trace(&trace_path(policy, file), &trace(&played[0]));
        assert_eq!(
            trace(&stages[0].play(&scenario).unwrap()),
            trace(&played[0]),
            "{}: the second time",
            file.display()
        );
    }
}

fn same(file: &Path, [cranelift, pulley, native]: &[Played; 3]) {
    let file = file.display();
    let steps = cranelift.steps().count();
    assert!(steps > 0 && pulley.steps().count() == steps && native.steps().count() == steps, "{file}");
    for ((cranelift, pulley), native) in cranelift.steps().zip(pulley.steps()).zip(native.steps()) {
        let receipt = &cranelift.sealed.receipt;
        let step = format!("{file}, sequence number {}", receipt.seq);
        assert_eq!(cranelift.sealed.receipt_bytes, pulley.sealed.receipt_bytes, "{step}");
        assert_eq!(cranelift.sealed.record, native.sealed.record, "{step}");
        let roots = (receipt.next_state, receipt.execution, cranelift.calls);
        let native_receipt = &native.sealed.receipt;
        assert_eq!(roots, (native_receipt.next_state, native_receipt.execution, native.calls), "{step}");
        assert_eq!(cranelift.calls, pulley.calls, "{step}");
    }
    assert_eq!(cranelift.views, pulley.views, "{file}");
    for (view, shown) in &cranelift.views {
        // Native code has no fuel to run out of.
        if shown["failed"] != "out of fuel" {
            assert_eq!(*shown, native.views[view], "{file}: view {view:?}");
        }
    }
}

fn holds_its_trace(path: &Path, found: &str) {
    if std::env::var_os("REPRISE_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{} line {}", path.display(), line + 1);
    }
    assert_eq!(found, expected, "{}", path.display());
}

#[test]
fn every_trace_is_of_a_scenario() {
    let scenarios: BTreeSet<PathBuf> =
        policies().iter().flat_map(|policy| files(policy).into_iter().map(|file| trace_path(policy, &file))).collect();
    let folders = entries(&fixture("traces")).into_iter().filter(|path| path.is_dir());
    let traces: BTreeSet<PathBuf> = folders.flat_map(|folder| entries(&folder)).collect();
    assert_eq!(traces, scenarios);
}

#[test]
fn every_row_that_a_scenario_names_is_in_the_coverage_table() {
    let table = fs::read_to_string(fixture("../docs/coverage.md")).unwrap();
    let ids: BTreeSet<&str> = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()).collect();
    assert!(ids.contains("E1") && ids.contains("X12"), "the table is not read");
    for file in policies().iter().flat_map(|policy| files(policy)) {
        let scenario = Scenario::read(&file).unwrap();
        assert!(!scenario.rows.is_empty(), "{} names no row", file.display());
        for row in &scenario.rows {
            assert!(ids.contains(row.as_str()), "{}: there is no row {row}", file.display());
        }
    }
}

#[test]
fn the_command_says_what_differs_first() {
    let bench = support::Bench::empty();
    let good = fixture("scenarios/lease/rank-loss.json");
    let text = fs::read_to_string(&good).unwrap();
    let wrong = bench.file("wrong.json", text.replacen("\"verdict\": \"recovered\"", "\"verdict\": \"fine\"", 1));
    let misspelt = bench.file("misspelt.json", text.replace("\"about\"", "\"abuot\""));
    let package = fixture("packages/lease-1.0.0.reprise").display().to_string();
    let good = good.display().to_string();

    bench.run(&["scenario", "check", &good]).says(0, &["ok", "rank-loss.json (14 steps)"]);
    let check = ["scenario", "check", &good, &wrong, &misspelt, "--package", &package, "--engine", "pulley"];
    let said = bench
        .run(&check)
        .says(1, &["misspelt.json:2:9: unknown field `abuot`", "expected \"fine\", found \"recovered\""]);
    let lines: Vec<&str> = said.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["ok", "DIFFERS", "FAILED"]);
    bench.run(&["scenario", "check", &wrong]).says(1, &["there is no package of policy `lease`"]);

    let run = bench.run(&["scenario", "run", &good, "--engine", "native"]);
    let words = [
        "5 event      observe: accepted",
        "-> restart.2.0 to orchestrator by 7000",
        "124 \"RankNotActive",
        "view report: {",
    ];
    run.says(0, &words);
    let run = bench.run(&["scenario", "run", &good, "--engine", "native", "--json"]).says(0, &[]);
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let observe = lines.iter().find(|line| line["kind"] == "observe").unwrap();
    assert_eq!((&observe["seq"], &observe["at_ms"], &observe["cause"]), (&5.into(), &2000.into(), &"event".into()));
    assert_eq!(lines.last().unwrap()["ok"], true);
}
