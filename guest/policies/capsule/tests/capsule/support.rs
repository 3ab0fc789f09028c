//! A ledger in memory with capsules on it, and the words to talk to it.

use reprise_capsule::Capsule;
use reprise_guest::{
    abi::{EffectStatus, Outcome},
    testing::MemoryLedger,
};
use serde_json::{Value, json};

/// One second.
pub const TICK_MS: u64 = 1_000;
/// Drift velocity, time to failure and stability without drift.
pub const CALM: [u32; 3] = [10_000, 100, 950_000];
/// A reading of each severity.
pub const MILD: [u32; 3] = [60_000, 100, 750_000];
/// See [`MILD`].
pub const MODERATE: [u32; 3] = [200_000, 100, 950_000];
/// See [`MILD`].
pub const SEVERE: [u32; 3] = [10_000, 20, 950_000];
/// See [`MILD`].
pub const CRITICAL: [u32; 3] = [10_000, 100, 200_000];
/// The cluster; three of four are a quorum.
pub const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];

/// A ledger.
pub struct World {
    /// What is under test.
    pub ledger: MemoryLedger<Capsule>,
    /// Milliseconds of logical time.
    pub now_ms: u64,
}

impl World {
    /// After `init`, at the beginning of tick 1, with `root`, `root/a`, `root/a/b`, `root/c` and `other`.
    pub fn new() -> Self {
        let mut world = Self::empty(json!({ "nodes": NODES, "dimension": 2, "canary": true }));
        for (id, parent) in [
            ("root", None),
            ("root/a", Some("root")),
            ("root/a/b", Some("root/a")),
            ("root/c", Some("root")),
            ("other", None),
        ] {
            world.accept("register", json!({ "capsules": [{ "id": id, "parent": parent, "phi": [1_000_000, 0] }] }));
        }
        world
    }

    /// After an `init` of one's own.
    pub fn empty(init: Value) -> Self {
        let mut world = Self { ledger: MemoryLedger::new(), now_ms: TICK_MS };
        world.accept("init", init);
        world
    }

    /// Submits an event now.
    pub fn submit(&mut self, kind: &str, data: &Value) -> Outcome {
        self.ledger.submit(self.now_ms, kind, data.to_string().as_bytes())
    }

    /// Submits an event that must be accepted, and reads the answer.
    pub fn accept(&mut self, kind: &str, data: Value) -> Value {
        match self.submit(kind, &data) {
            Outcome::Accepted { answer } if answer.is_empty() => Value::Null,
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("answers are JSON"),
            other => panic!("{kind} {data}: {other:?}"),
        }
    }

    /// Submits an event that must be rejected; the code.
    pub fn reject(&mut self, kind: &str, data: Value) -> u32 {
        self.ledger.advance(self.now_ms);
        let before = self.ledger.host.state.clone();
        let Outcome::Rejected(no) = self.submit(kind, &data) else { panic!("{kind} {data} is not rejected") };
        assert_eq!(self.ledger.host.state, before);
        no.code
    }

    /// A reading of one capsule.
    pub fn observe(&mut self, capsule: &str, [velocity, ttf, stability]: [u32; 3]) -> Value {
        self.accept("observe", reading(capsule, [velocity, ttf, stability]))
    }

    /// Readings of `root` that make it a stable ancestor.
    pub fn with_stable_root(mut self) -> Self {
        self.observe("root", CALM);
        self
    }

    /// Lets ticks pass: to the beginning of the tick so many ticks later, and what is due there.
    pub fn pass(&mut self, ticks: u64) {
        self.now_ms = (self.now_ms / TICK_MS + ticks) * TICK_MS;
        self.ledger.advance(self.now_ms);
        for ran in &self.ledger.ran {
            assert!(!matches!(ran.outcome, Outcome::InvariantViolated(_)), "{ran:?}");
        }
    }

    /// Ticks pass, each with this reading of one capsule.
    pub fn pass_with(&mut self, ticks: u64, capsule: &str, measures: [u32; 3]) {
        for _ in 0..ticks {
            self.observe(capsule, measures);
            self.pass(1);
        }
    }

    /// A view.
    pub fn view(&mut self, name: &str, args: Value) -> Value {
        match self.ledger.view(name, args.to_string().as_bytes()) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("views are JSON"),
            other => panic!("{name} {args}: {other:?}"),
        }
    }

    /// One capsule as the view shows it.
    pub fn capsule(&mut self, id: &str) -> Value {
        self.view("capsule", json!({ "capsule": id }))
    }

    /// Where it stands.
    pub fn status(&mut self, id: &str) -> String {
        self.capsule(id)["status"].as_str().expect("a status is text").into()
    }

    /// One of the figures.
    pub fn figure(&mut self, name: &str) -> u64 {
        self.view("figures", json!({}))[name].as_u64().expect("a figure is a number")
    }

    /// All effects of steps from the `from`th on whose driver is this one.
    pub fn effects(&self, from: usize, driver: &str) -> Vec<Value> {
        let effects = self.ledger.ran[from..].iter().flat_map(|ran| &ran.effects);
        effects.filter(|effect| effect.driver == driver).map(|effect| read(&effect.payload)).collect()
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.ledger.ran.len()
    }

    /// Ends every effect of the outbox whose key begins so.
    pub fn settle(&mut self, prefix: &str, status: &EffectStatus) -> usize {
        let keys: Vec<String> = self.ledger.outbox.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        for key in &keys {
            self.ledger.settle(self.now_ms, key, status.clone());
        }
        keys.len()
    }

    /// Every one of these nodes confirms the recovery that is being verified.
    pub fn confirm(&mut self, capsule: &str, nodes: &[&str], agree: bool, proof_valid: bool) {
        let round = self.capsule(capsule)["case"]["verification"]["round"].clone();
        for node in nodes {
            let word =
                json!({ "capsule": capsule, "round": round, "node": node, "agree": agree, "proof_valid": proof_valid });
            self.accept("confirm", word);
        }
    }

    /// Every one of these nodes votes on an escalated capsule.
    pub fn vote(&mut self, capsule: &str, nodes: &[&str], action: &str) {
        let round = self.capsule(capsule)["case"]["assessment"]["round"].clone();
        for node in nodes {
            self.accept("assess", json!({ "capsule": capsule, "round": round, "node": node, "action": action }));
        }
    }

    /// A review that releases, at once.
    pub fn release(&mut self, capsule: &str) {
        let review = json!({
            "capsule": capsule, "reviewer": "ada", "decision": "RELEASE", "override_reason": "checked by hand"
        });
        self.accept("review", review);
    }
}

/// An effect that was carried out.
pub fn done() -> EffectStatus {
    EffectStatus::Done { answer: vec![] }
}

/// An effect that failed for good.
pub fn failed() -> EffectStatus {
    EffectStatus::Failed { detail: "no answer".into() }
}

/// The payload of `observe` with one reading.
pub fn reading(capsule: &str, [velocity, ttf, stability]: [u32; 3]) -> Value {
    json!({ "readings": [{
        "capsule": capsule, "drift_velocity_ppm": velocity, "ttf_ticks": ttf, "stability_ppm": stability
    }] })
}

/// Bytes as JSON.
pub fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("payloads are JSON")
}
