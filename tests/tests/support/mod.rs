//! The command `reprise` as a child process, with a directory of its own for each test.

#![allow(dead_code, reason = "every test program uses its part")]

pub mod ringing;

pub use reprise_tests::{program, share_compiled_code};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A file of the fixtures.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).canonicalize().unwrap()
}

pub fn package() -> String {
    fixture("packages/lease-1.0.0.reprise").display().to_string()
}

pub fn publisher() -> String {
    fs::read_to_string(fixture("packages/example-publisher.pub")).unwrap().trim().to_owned()
}

/// The first events of the incident, one line each.
pub fn events(count: usize) -> String {
    let all = fs::read_to_string(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
    all.lines().take(count).map(|line| format!("{line}\n")).collect()
}

/// How a command ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {}", output.status));
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// It ended with this code, and one of its streams says each of `words`.
    #[track_caller]
    pub fn says(self, code: i32, words: &[&str]) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{all}");
        for word in words {
            assert!(all.contains(word), "`{word}` is not in: {all}");
        }
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A directory with a node in `node`, and room for files beside it.
pub struct Bench {
    room: TempDir,
}

impl Bench {
    /// No node yet.
    pub fn empty() -> Self {
        Self { room: TempDir::new().unwrap() }
    }

    /// A node without packages.
    pub fn with_node() -> Self {
        let bench = Self::empty();
        bench.run(&["init"]).says(0, &["attester"]);
        share_compiled_code(&bench.node());
        bench
    }

    /// A node with the ledger `incident`.
    pub fn with_ledger() -> Self {
        let bench = Self::with_node();
        bench.run(&["package", "add", &package(), "--publisher", &publisher()]).says(0, &["lease"]);
        bench.run(&["ledger", "create", "incident", "--package", "lease"]).says(0, &["incident"]);
        bench
    }

    /// A node with the ledger `incident` and this many of the incident's events in it.
    pub fn with_events(count: usize) -> Self {
        let bench = Self::with_ledger();
        bench.submit(&events(count)).says(0, &["new receipts"]);
        bench
    }

    pub fn node(&self) -> PathBuf {
        self.room.path().join("node")
    }

    /// Writes a file beside the node.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.room.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// The command with the node's directory, ready for arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("--dir").arg(self.node()).env_remove("REPRISE_LOG").current_dir(self.room.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        self.command().args(args).output().unwrap().into()
    }

    /// Runs a command with `--json`, which ends well.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        self.run(&[args, &["--json"]].concat()).says(0, &[]).json()
    }

    /// Submits these lines to `incident`.
    pub fn submit(&self, lines: &str) -> Ended {
        let file = self.file("events.jsonl", lines);
        self.run(&["submit", "incident", &file])
    }

    /// Receipts that the ledger `incident` has.
    pub fn receipts(&self) -> u64 {
        self.json(&["ledger", "show", "incident"])["receipts"].as_u64().unwrap()
    }
}
