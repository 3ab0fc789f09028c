//! A cluster in memory, with an outside world that does what a test says.
#![allow(dead_code)]

use reprise_cluster::Cluster;
use reprise_guest::{
    abi::{EffectPhase, EffectStatus, Outcome},
    testing::MemoryLedger,
};
use serde_json::{Value, json};

/// When `init` runs.
pub const START_MS: u64 = 1_000;

/// A ledger and ways to talk to it.
#[derive(Clone)]
pub struct Sim {
    pub ledger: MemoryLedger<Cluster>,
}

/// The parameters of a cluster of so many nodes, numbered from 1.
pub fn parameters(nodes: u32) -> Value {
    json!({ "nodes": (1..=nodes).collect::<Vec<_>>(), "operators": ["ann", "bob", "eve"], "admins": ["ann"] })
}

impl Sim {
    /// So many nodes, all healthy, the first one leading.
    pub fn new(nodes: u32) -> Self {
        let mut sim = Self { ledger: MemoryLedger::new() };
        sim.ok(START_MS, "init", parameters(nodes));
        sim.done(START_MS, "lead", "");
        sim
    }

    /// An event, however it ends.
    pub fn send(&mut self, at_ms: u64, kind: &str, payload: &Value) -> Outcome {
        self.ledger.submit(at_ms, kind, payload.to_string().as_bytes())
    }

    /// An event that is accepted, and its answer.
    pub fn ok(&mut self, at_ms: u64, kind: &str, payload: Value) -> Value {
        match self.send(at_ms, kind, &payload) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).unwrap_or_default(),
            other => panic!("{kind} {payload}: {other:?}"),
        }
    }

    /// An event that is rejected, and its code.
    pub fn no(&mut self, at_ms: u64, kind: &str, payload: Value) -> u32 {
        self.ledger.advance(at_ms);
        let before = self.ledger.host.state.clone();
        match self.send(at_ms, kind, &payload) {
            Outcome::Rejected(no) => {
                assert!(self.ledger.host.state == before, "a rejection leaves nothing");
                no.code
            }
            other => panic!("{kind} {payload}: {other:?}"),
        }
    }

    /// Heartbeats of these nodes.
    pub fn beats(&mut self, at_ms: u64, nodes: impl IntoIterator<Item = u32>) {
        for node in nodes {
            self.ok(at_ms, "heartbeat", json!({ "node": node }));
        }
    }

    /// Heartbeats of these nodes every second, up to a time.
    pub fn keep(&mut self, until_ms: u64, nodes: impl IntoIterator<Item = u32> + Clone) {
        let mut at_ms = self.ledger.now_ms() / 1_000 * 1_000 + 1_000;
        while at_ms <= until_ms {
            self.beats(at_ms, nodes.clone());
            at_ms += 1_000;
        }
    }

    /// The same report of these nodes in the present round.
    pub fn reports(&mut self, at_ms: u64, nodes: impl IntoIterator<Item = u32>, digest: &str) {
        self.ledger.advance(at_ms);
        let round = self.view("cluster")["round"].as_u64().unwrap();
        for node in nodes {
            let report = json!({ "node": node, "round": round, "digest": digest, "proofs_valid": true });
            self.ok(at_ms, "report", report);
        }
    }

    /// Payloads of what is ordered with this verb and has not ended, with their keys.
    pub fn orders(&self, verb: &str) -> Vec<(String, Value)> {
        let acting = self.ledger.outbox.iter().filter(|(_, pending)| pending.phase == EffectPhase::Act);
        let payload = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("effects are JSON");
        let mut orders: Vec<(String, Value)> = acting
            .map(|(key, pending)| (key.clone(), payload(&pending.effect.payload)))
            .filter(|(_, payload)| payload["do"] == verb)
            .collect();
        orders.sort_by_key(|(key, _)| key.rsplit('.').next().unwrap().parse::<u64>().unwrap());
        orders
    }

    /// Payloads of everything that was ever emitted with this verb, in order.
    pub fn said(&self, verb: &str) -> Vec<Value> {
        let effects = self.ledger.ran.iter().flat_map(|ran| &ran.effects);
        let payloads = effects.map(|effect| serde_json::from_slice::<Value>(&effect.payload).unwrap());
        payloads.filter(|payload| payload["do"] == verb).collect()
    }

    /// What was told to people, in order.
    pub fn alerts(&self) -> Vec<String> {
        self.said("alert").iter().map(|alert| alert["what"].as_str().unwrap().to_owned()).collect()
    }

    /// Whatever is ordered with this verb is done, with this answer. Answers how many.
    pub fn done(&mut self, at_ms: u64, verb: &str, answer: &str) -> usize {
        self.ledger.advance(at_ms);
        let orders = self.orders(verb);
        for (key, _) in &orders {
            self.ledger.settle(at_ms, key, EffectStatus::Done { answer: answer.into() });
        }
        orders.len()
    }

    /// Whatever is ordered with this verb fails. Answers how many.
    pub fn fail(&mut self, at_ms: u64, verb: &str) -> usize {
        self.ledger.advance(at_ms);
        let orders = self.orders(verb);
        for (key, _) in &orders {
            self.ledger.settle(at_ms, key, EffectStatus::Failed { detail: "no".into() });
        }
        orders.len()
    }

    /// A view without arguments.
    pub fn view(&mut self, name: &str) -> Value {
        self.view_of(name, "")
    }

    /// A view.
    pub fn view_of(&mut self, name: &str, args: &str) -> Value {
        match self.ledger.view(name, args.as_bytes()) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("views are JSON"),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// State of a node.
    pub fn state(&mut self, node: u32) -> String {
        self.view_of("node", &json!({ "node": node }).to_string())["state"].as_str().unwrap().to_owned()
    }

    /// Capsules of a node.
    pub fn capsules(&mut self, node: u32) -> Vec<u64> {
        let view = self.view_of("assignments", &json!({ "node": node }).to_string());
        view["capsules"].as_array().unwrap().iter().map(|capsule| capsule.as_u64().unwrap()).collect()
    }

    /// The node fails: silent from now, the others are heard until it is OFFLINE. Answers when.
    pub fn lose(&mut self, node: u32, others: impl IntoIterator<Item = u32> + Clone) -> u64 {
        for at_s in self.ledger.now_ms() / 1_000 + 1.. {
            self.beats(at_s * 1_000, others.clone());
            if self.state(node) == "OFFLINE" {
                return at_s * 1_000;
            }
            assert!(at_s < 1_000, "it never fails over");
        }
        unreachable!()
    }
}
