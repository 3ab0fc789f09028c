use super::*;

/// A change here is a change of every receipt from then on: a new profile, made on purpose.
const DIGEST: &str = "81660e0f78ec2e371ff418903e90d58c6e267e712d87829f73a50c9709a9eadb";

#[test]
fn the_profile_is_the_one_that_receipts_were_made_under() {
    let profile = EngineProfile::current();
    assert_eq!(profile.digest().to_string(), DIGEST, "{}", profile.text());
}

#[test]
fn every_proposal_is_named() {
    let profile = EngineProfile::current();
    for expected in
        ["proposal simd = off", "proposal tail-call = off", "proposal bulk-memory = on", "proposal gc = off"]
    {
        assert!(profile.text().lines().any(|line| line == expected), "{expected}\n{}", profile.text());
    }
    let named = profile.text().lines().filter(|line| line.starts_with("proposal ")).count();
    assert_eq!(named, WasmFeatures::all().iter_names().count());
}

#[test]
fn a_name_stands_for_one_thing() {
    let profile = EngineProfile::current();
    let mut names: Vec<&str> = profile.text().lines().filter_map(|line| line.split_once(" = ")).map(|l| l.0).collect();
    let lines = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), lines);
}

#[test]
fn the_lock_file_has_the_version_that_the_profile_names() {
    let lock = include_str!("../../../../Cargo.lock");
    let found = lock.split("[[package]]").find(|package| package.contains("name = \"wasmtime\"\n"));
    assert!(found.unwrap().contains(&format!("version = \"{WASMTIME_VERSION}\"\n")));
}
