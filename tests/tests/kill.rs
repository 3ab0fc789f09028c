//! A node that is killed again and again, without warning: what it acknowledged stays, and nothing happens twice.

use reprise_tests::{SplitMix, fixture, program};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const EVENTS: usize = 20_000;
const KILLS: usize = 100;
const RANKS: usize = 10;
const SEED: u64 = 0x7265_7072_6973_6502;
/// Lines that are submitted again although they were acknowledged.
const OVERLAP: usize = 50;

/// Line of the whole file, from 0, to what was acknowledged: sequence number and leaf hash.
type Acknowledged = BTreeMap<usize, (u64, String)>;

struct TestNode {
    dir: PathBuf,
    file: PathBuf,
}

impl TestNode {
    fn new(parent: &Path, name: &str) -> Self {
        let node = Self { dir: parent.join(name), file: parent.join(format!("{name}.jsonl")) };
        node.json(&["init"]);
        reprise_tests::share_compiled_code(&node.dir);
        let key = fs::read_to_string(fixture("packages/example-publisher.pub")).unwrap();
        let package = fixture("packages/lease-1.0.0.reprise");
        node.json(&["package", "add", package.to_str().unwrap(), "--publisher", key.trim()]);
        node.json(&["ledger", "create", "ledger", "--package", "lease"]);
        node
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--dir").arg(&self.dir).arg("--json").args(arguments);
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Submits the lines from `from` on. Kills the process after `kill_after` answers, and takes whatever else it had
    /// said by then. Gives how many answers were duplicates.
    fn submit(&self, lines: &[String], from: usize, kill_after: Option<usize>, known: &mut Acknowledged) -> usize {
        fs::write(&self.file, lines[from..].concat()).unwrap();
        let mut submit = self.command(&["submit", "ledger", self.file.to_str().unwrap(), "--each"]);
        let mut child = submit.stdout(Stdio::piped()).spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let (mut taken, mut duplicates) = (0, 0);
        let mut line = String::new();
        while answers.read_line(&mut line).unwrap() > 0 {
            // Half a line was not said.
            if line.ends_with('\n') {
                duplicates += usize::from(acknowledge(&line, from, known));
                taken += 1;
            }
            line.clear();
            if Some(taken) == kill_after {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert_eq!(status.success(), kill_after.is_none(), "{status}");
        duplicates
    }

    fn status(&self) -> Value {
        self.json(&["status"])["ledgers"][0].clone()
    }
}

/// An answer is the first one to its line, or the same as the first. True: the node says that it is a duplicate.
fn acknowledge(answer: &str, from: usize, known: &mut Acknowledged) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let line = from + answer["line"].as_u64().unwrap() as usize - 1;
    let said = (answer["seq"].as_u64().unwrap(), answer["leaf"].as_str().unwrap().to_owned());
    let duplicate = answer["duplicate"] == true;
    if let Some(before) = known.get(&line) {
        assert!(duplicate, "line {line} was acknowledged and has another receipt: {answer}");
        assert_eq!(*before, said, "line {line}");
    }
    known.insert(line, said);
    duplicate
}

/// The incident's first event, and heartbeats of its ranks, 25 ms apart.
fn events() -> Vec<String> {
    let incident = fs::read_to_string(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
    let heartbeat = |n: usize| {
        let (rank, ms) = (n % RANKS, n * 25);
        let time = format!("{:02}:{:02}.{:03}", 10 + ms / 60_000, ms / 1000 % 60, ms % 1000);
        format!(
            "{{\"id\":\"rank-{rank}-{n:05}\",\"source\":\"rank-{rank}\",\"type\":\"heartbeat\",\
             \"time\":\"2026-03-14T02:{time}Z\",\"data\":{{\"incarnation\":1,\"rank\":{rank}}}}}\n"
        )
    };
    let init = format!("{}\n", incident.lines().next().unwrap());
    std::iter::once(init).chain((1..EVENTS).map(heartbeat)).collect()
}

#[test]
fn a_hundred_kills_lose_and_repeat_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let lines = events();
    let node = TestNode::new(parent.path(), "killed");
    let mut known = Acknowledged::new();
    let mut random = SplitMix(SEED);
    let (mut next, mut duplicates) = (0, 0);
    for _ in 0..KILLS {
        let from = next - OVERLAP.min(next);
        next += 100 + random.below(180) as usize;
        assert!(next < EVENTS, "the seed leaves no events for the last kills");
        duplicates += node.submit(&lines, from, Some(next - from), &mut known);
    }
    assert!(duplicates >= (KILLS - 1) * OVERLAP, "{duplicates} duplicates");
    node.submit(&lines, next - OVERLAP, None, &mut known);
    let mut all = known.clone();
    assert_eq!(node.submit(&lines, 0, None, &mut all), EVENTS, "every event was answered before");
    assert!(all.iter().enumerate().all(|(at, (line, (seq, _)))| at == *line && at as u64 == *seq));
    assert_eq!(all.len(), EVENTS);
    let verdict = node.json(&["verify", "ledger", "--engine", "native"]);
    assert_eq!(verdict["verdict"], "match", "{verdict}");

    let calm = TestNode::new(parent.path(), "calm");
    calm.submit(&lines, 0, None, &mut Acknowledged::new());
    let (killed, calm) = (node.status(), calm.status());
    assert_eq!(killed["receipts"].as_u64(), Some(EVENTS as u64));
    assert_eq!(killed["receipts"], calm["receipts"]);
    assert!(killed["state root"].is_string());
    assert_eq!(killed["state root"], calm["state root"]);
}
