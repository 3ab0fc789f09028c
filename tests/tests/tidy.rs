//! The rules about the source itself: budgets of length, direction of dependencies, where `unsafe` is, and that every
//! test that the coverage table names exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 600;
const LIB_LINES_MAX: usize = 80;
/// A policy is a crate with one subject; its `lib.rs` also holds the trait's implementation.
const POLICY_LIB_LINES_MAX: usize = 100;
const MAIN_LINES_MAX: usize = 20;

/// Files that may switch the lint `unsafe_code` off: one call of wasmtime, and what `wit-bindgen` generates.
const UNSAFE_ALLOWED: [&str; 2] = ["guest/src/component.rs", "host/src/engine/cache/deserialize.rs"];
/// The only file in which we write unsafe code ourselves.
const UNSAFE_WRITTEN: [&str; 1] = ["host/src/engine/cache/deserialize.rs"];
/// Engines, databases, command line and network belong to the host.
const HOST_ONLY: [&str; 6] = ["wasmtime", "redb", "clap", "quinn", "rustls", "tokio"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository that `keep` wants, by its path from the root, with its text.
fn files(keep: impl Fn(&Path) -> bool) -> BTreeMap<String, String> {
    let root = root();
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    dirs.push(path);
                }
            } else if keep(&path) {
                let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.insert(relative, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn rust_files() -> BTreeMap<String, String> {
    files(|path| path.extension().is_some_and(|extension| extension == "rs"))
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Text without comments and string literals would need a lexer; lines that begin as comments are enough here.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// What the tables of dependencies in a manifest name; those for development only when asked for.
fn dependencies(manifest: &str, development: bool) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section == "dependencies"
                || section == "build-dependencies"
                || section.starts_with("target.") && section.ends_with(".dependencies")
                || development && section == "dev-dependencies";
        } else if inside && !line.starts_with('#') {
            names.extend(line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    names
}

fn manifest_of(member: &str) -> String {
    fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap()
}

fn reprise_dependencies(member: &str) -> Vec<String> {
    dependencies(&manifest_of(member), false).into_iter().filter(|name| name.starts_with("reprise")).collect()
}

#[test]
fn files_keep_to_their_budgets() {
    let sources: Vec<_> = rust_files().into_iter().filter(|(path, _)| !is_test(path)).collect();
    assert!(sources.len() > 50, "the walk does not find the sources");
    let mut over = Vec::new();
    for (path, text) in sources {
        let budget = match path.rsplit('/').next().unwrap() {
            "lib.rs" if path.starts_with("guest/policies/") => POLICY_LIB_LINES_MAX,
            "lib.rs" => LIB_LINES_MAX,
            "main.rs" => MAIN_LINES_MAX,
            _ => FILE_LINES_MAX,
        };
        let lines = text.lines().count();
        if lines > budget {
            over.push(format!("{path}: {lines} lines, at most {budget} are allowed"));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[test]
fn dependencies_point_one_way() {
    assert_eq!(reprise_dependencies("abi"), [""; 0]);
    assert_eq!(reprise_dependencies("receipts"), ["reprise-abi"]);
    assert_eq!(reprise_dependencies("federation"), ["reprise-abi", "reprise-receipts"]);
    assert_eq!(reprise_dependencies("guest"), ["reprise-abi"]);
    for (path, manifest) in files(|path| path.ends_with("Cargo.toml")) {
        let names = dependencies(&manifest, false);
        if path == "host/Cargo.toml" {
            assert!(["wasmtime", "redb", "clap"].iter().all(|name| names.contains(*name)), "manifests are not parsed");
            continue;
        }
        // The tests may use everything: nothing depends on them.
        if path == "tests/Cargo.toml" {
            continue;
        }
        for name in HOST_ONLY {
            assert!(!names.contains(name), "{path} depends on {name}: only the host may");
        }
        if path.starts_with("guest/") {
            assert!(!names.contains("reprise") && !names.contains("reprise-receipts"), "{path} depends on the host");
        }
    }
}

#[test]
fn unsafe_code_is_where_it_is_known() {
    // Spelt in two, or this file would be found.
    let ours = ["{", "fn", "impl"].map(|what| format!("{} {what}", concat!("un", "safe")));
    let allowed = format!("allow({}", "unsafe_code");
    for (path, text) in rust_files() {
        let has = |what: &str| code_lines(&text).any(|line| line.contains(what));
        let written = ours.iter().any(|what| has(what));
        assert_eq!(written, UNSAFE_WRITTEN.contains(&path.as_str()), "{path}: code that is unsafe");
        assert_eq!(has(&allowed), UNSAFE_ALLOWED.contains(&path.as_str()), "{path}: `{allowed})`");
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""), "the workspace denies unsafe code");
}

/// `path::name` in backticks.
fn tests_named_in(cell: &str) -> Vec<(String, String)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.rsplit_once("::")).map(|(path, name)| (path.to_owned(), name.to_owned())).collect()
}

/// A function of this name has the attribute `#[test]`.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let is_head = |line: &str| line.starts_with(&head);
    lines.iter().enumerate().filter(|(_, line)| is_head(line)).any(|(at, _)| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with('#') || line.starts_with("//"));
        above.into_iter().any(|line| *line == "#[test]")
    })
}

#[test]
fn the_coverage_table_names_tests_that_exist() {
    let path = root().join("docs/coverage.md");
    let table = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let families = [("F", 15), ("U", 14), ("E", 14), ("H", 16), ("X", 17)];
    let mut missing: BTreeSet<String> =
        families.iter().flat_map(|(family, last)| (1..=*last).map(move |no| format!("{family}{no}"))).collect();
    let known = missing.clone();
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let id = cells[0].trim_matches(['*', '`']);
        if !known.contains(id) {
            continue;
        }
        if !missing.remove(id) {
            wrong.push(format!("{id} is there twice"));
        }
        let [_, state, _, tests] = cells[..] else {
            wrong.push(format!("{id}: expected the columns id, state, where, test"));
            continue;
        };
        if !["works", "partly", "planned"].contains(&state) {
            wrong.push(format!("{id}: `{state}` is no state"));
        }
        let tests = tests_named_in(tests);
        if state == "works" && tests.is_empty() {
            wrong.push(format!("{id} works, but no test is named"));
        }
        for (path, name) in tests {
            match fs::read_to_string(root().join(&path)) {
                Ok(text) if has_test(&text, &name) => {}
                Ok(_) => wrong.push(format!("{id}: {path} has no test `{name}`")),
                Err(error) => wrong.push(format!("{id}: {path}: {error}")),
            }
        }
    }
    wrong.extend(missing.into_iter().map(|id| format!("{id} is missing")));
    assert!(wrong.is_empty(), "docs/coverage.md:\n{}", wrong.join("\n"));
}
