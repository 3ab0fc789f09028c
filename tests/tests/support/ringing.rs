//! The policy `ringing`, for which exactly once is the rule: every event sets a timer and rings a bell, every timer rings
//! one, and an input that comes a second time traps.

use super::{Bench, fixture, publisher};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Milliseconds from an event to its timer.
pub const TIMER_MS: usize = 500;

/// The policy as a module.
pub fn module() -> Vec<u8> {
    version("1.0.0")
}

fn version(version: &str) -> Vec<u8> {
    let part = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let default = |name: &str| part(fixture("hostile/defaults").join(name).with_extension("wat"));
    let policy = part(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outbox/ringing.wat"));
    let policy = policy.replace("ringing\\001.0.0", &format!("ringing\\00{version}"));
    let exports = ["memory", "cabi_realloc", "describe", "check", "view", "migrate"];
    let exports = exports.map(|name| match default(name) {
        // Its data is the policy's own.
        text if name == "describe" => text.lines().filter(|line| line.contains("export")).collect(),
        text => text,
    });
    let module = format!("(module\n{}{policy}{})", default("imports"), exports.concat());
    wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}"))
}

/// Builds the policy in a version, and takes it into a node.
pub fn add(bench: &Bench, of: &str) {
    let core = bench.file("ringing.wasm", version(of));
    let key = bench.file("publisher.key", fs::read(fixture("packages/example-publisher.key")).unwrap());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let (package, publisher) = (bench.file("ringing.reprise", ""), publisher());
    let name = publisher.split('+').next().unwrap();
    let signed = ["--publisher", name, "--key", &key, "--out", &package];
    bench.run(&[&["package", "build", "--core", &core], &signed[..]].concat()).says(0, &[]);
    bench.run(&["package", "add", &package, "--publisher", &publisher]).says(0, &["ringing"]);
}
