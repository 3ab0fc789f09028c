//! A node that is killed again and again while timers fire and effects are delivered: each timer fires once in the
//! record, each effect is in the outbox once and ends once, and a driver is asked at least once, with the epoch.

mod support;

use reprise_tests::{SplitMix, fixture};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const KILLS: usize = 100;
const SEED: u64 = 0x7265_7072_6973_6503;
/// Events of one run, and how many of them were submitted before.
const BATCH: usize = 12;
const OVERLAP: usize = 3;
/// Logical time between two events; their timers are due 500 ms after them.
const EVERY_MS: usize = 100;
const START_MS: usize = 1_700_000_000_000;

/// When a process is killed.
#[derive(Clone, Copy)]
enum Kill {
    /// Not at all.
    Never,
    /// When it has said so many lines: something is durable.
    AfterLines(usize),
    /// When its driver has written so many bytes: in the middle of deliveries, their results not durable.
    AfterDelivered(u64),
    /// When this process has counted so far: anywhere, also before it has opened its ledger.
    AfterSpins(u64),
}

struct TestNode {
    dir: PathBuf,
    file: PathBuf,
}

impl TestNode {
    /// A node with a ledger under the policy `ringing`, whose driver `bell` is the log.
    fn new(parent: &Path, name: &str) -> Self {
        let node = Self { dir: parent.join(name), file: parent.join(format!("{name}.jsonl")) };
        let at = |file: &str| parent.join(format!("{name}-{file}")).to_str().unwrap().to_owned();
        let (core, key, package) = (at("core.wasm"), at("publisher.key"), at("ringing.reprise"));
        fs::write(&core, support::ringing::module()).unwrap();
        node.json(&["init"]);
        reprise_tests::share_compiled_code(&node.dir);
        fs::copy(fixture("packages/example-publisher.key"), &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let publisher = support::publisher();
        let name = publisher.split('+').next().unwrap();
        let signed = ["--publisher", name, "--key", &key, "--out", &package];
        node.json(&[&["package", "build", "--core", &core], &signed[..]].concat());
        node.json(&["package", "add", &package, "--publisher", &publisher]);
        node.json(&["ledger", "create", "ledger", "--package", "ringing"]);
        node.json(&["ledger", "drivers", "ledger", "--set", "bell=log"]);
        node
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(support::program());
        command.arg("--dir").arg(&self.dir).arg("--json").args(arguments);
        command
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.lines(arguments).remove(0)
    }

    /// Submits events `from..to`. Kills the process after so many lines, if it says so many. Gives how many of the
    /// events were acknowledged, and whether it was killed.
    fn submit(&self, from: usize, to: usize, kill: Kill) -> (usize, bool) {
        fs::write(&self.file, (from..to).map(event).collect::<String>()).unwrap();
        let submit = self.command(&["submit", "ledger", self.file.to_str().unwrap(), "--each"]);
        let (lines, killed) = self.run_and_kill(submit, kill);
        (lines.iter().filter(|line| line["line"].is_u64()).count(), killed)
    }

    fn advance(&self, to_ms: usize, kill: Kill) -> bool {
        let advance = self.command(&["advance", "ledger", "--to", &to_ms.to_string(), "--each"]);
        self.run_and_kill(advance, kill).1
    }

    /// The whole lines that a command says, and whether it was killed before it ended.
    fn run_and_kill(&self, mut command: Command, kill: Kill) -> (Vec<Value>, bool) {
        let said = self.file.with_extension("said");
        let mut child = command.stdout(fs::File::create(&said).unwrap()).spawn().unwrap();
        let begin = self.delivered_bytes();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            let now = match kill {
                Kill::Never => false,
                Kill::AfterLines(lines) => fs::read(&said).unwrap().iter().filter(|b| **b == b'\n').count() >= lines,
                Kill::AfterDelivered(bytes) => self.delivered_bytes() >= begin + bytes,
                Kill::AfterSpins(spins) => (0..spins).all(|n| std::hint::black_box(n) < spins),
            };
            if now {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            std::thread::yield_now();
        };
        assert!(status.success() || status.code().is_none(), "{status}");
        let text = fs::read_to_string(&said).unwrap();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        (whole.map(|line| serde_json::from_str(line).unwrap()).collect(), status.code().is_none())
    }

    /// How many bytes the driver has written.
    fn delivered_bytes(&self) -> u64 {
        let files = fs::read_dir(self.dir.join("effects")).into_iter().flatten();
        files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }

    /// What the driver wrote down.
    fn delivered(&self) -> Vec<Value> {
        let files: Vec<_> =
            fs::read_dir(self.dir.join("effects")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        let text = fs::read_to_string(&files[0]).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn id(n: usize) -> String {
    format!("ring-{n:05}")
}

fn event(n: usize) -> String {
    let at_ms = (n * EVERY_MS) % 60_000;
    let minutes = n * EVERY_MS / 60_000;
    let time = format!("2023-11-14T22:{:02}:{:02}.{:03}Z", 13 + minutes, at_ms / 1000, at_ms % 1000);
    format!("{{\"id\":\"{}\",\"source\":\"test\",\"type\":\"work\",\"time\":\"{time}\"}}\n", id(n))
}

fn time_ms(n: usize) -> usize {
    // 2023-11-14T22:13:00Z
    START_MS - 20_000 + n * EVERY_MS
}

#[test]
fn a_hundred_kills_fire_each_timer_once_and_deliver_each_effect() {
    let parent = tempfile::tempdir().unwrap();
    let node = TestNode::new(parent.path(), "killed");
    let mut random = SplitMix(SEED);
    let (mut kills, mut next, mut sent) = (0, 0, 0);
    while kills < KILLS {
        let kill = match random.below(4) {
            0 => Kill::AfterDelivered(1 + random.below(6_000)),
            1 => Kill::AfterSpins(random.below(20_000_000)),
            _ => Kill::AfterLines(1 + random.below(3 * BATCH as u64) as usize),
        };
        let killed = if random.below(4) == 0 {
            node.advance(time_ms(next) + 400, kill)
        } else {
            let from = next - OVERLAP.min(next);
            let (acknowledged, killed) = node.submit(from, from + BATCH, kill);
            next = next.max(from + acknowledged);
            sent = sent.max(from + BATCH);
            killed
        };
        kills += usize::from(killed);
    }
    // What was sent last may be durable without a word of it.
    let (_, killed) = node.submit(next - OVERLAP.min(next), sent, Kill::Never);
    next = sent;
    assert!(!killed);
    while node.json(&["advance", "ledger", "--to", &(time_ms(next) + 60_000).to_string()])["results of effects"] != 0 {}

    let (works, once) = (record(&node), |name: String| (name, 1));
    let named = |letters: &str| (0..next).map(|n| once(format!("{letters}{}", id(n)))).collect::<BTreeMap<_, _>>();
    assert!(next > KILLS, "{next} events");
    assert_eq!(works["work"], named("w"), "each event has one step");
    assert_eq!(works["reprise.timer"], named("t"), "each timer fires once");
    let ends: BTreeMap<_, _> = named("ew").into_iter().chain(named("et")).collect();
    assert_eq!(works["reprise.effect"], ends, "each effect ends once");
    every_effect_was_delivered(&node, next);
    assert_eq!(node.json(&["verify", "ledger"])["verdict"], "match");

    let calm = TestNode::new(parent.path(), "calm");
    calm.submit(0, next, Kill::Never);
    calm.advance(time_ms(next) + 60_000, Kill::Never);
    assert_eq!(record(&calm), works, "whatever happens to the node");
    assert_eq!(calm.delivered().len(), 2 * next, "without a kill, exactly once");
}

/// Answers of the steps of each kind, with how often each was given. Every step is accepted: the policy traps on what
/// it has heard before.
fn record(node: &TestNode) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut record: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for step in node.lines(&["replay", "ledger"]) {
        assert_eq!(step["outcome"], "accepted", "{step}");
        let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("{name}: {step}")).to_owned();
        *record.entry(text("kind")).or_default().entry(text("answer")).or_default() += 1;
    }
    record
}

fn every_effect_was_delivered(node: &TestNode, events: usize) {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let delivered = node.delivered();
    for line in &delivered {
        assert_eq!((&line["epoch"], &line["attempt"]), (&1.into(), &1.into()), "{line}");
        assert_eq!((&line["driver"], &line["payload"]["text"]), (&"bell".into(), &line["key"]), "{line}");
        *times.entry(line["key"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let keys: Vec<String> = (0..events).flat_map(|n| [format!("t{}", id(n)), format!("w{}", id(n))]).collect();
    assert!(keys.iter().all(|key| times.contains_key(key)) && times.len() == keys.len(), "{times:?}");
    assert!(delivered.len() > keys.len(), "no kill came between a delivery and its result");
}
