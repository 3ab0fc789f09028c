//! A cluster in memory, with an outside world that does what a test says.

use reprise_guest::{
    abi::{EffectStatus, Outcome},
    testing::MemoryLedger,
};
use reprise_phase::{
    PhaseTransitions,
    state::{RECORDS, RINGS, WHOLE},
};
use serde_json::{Value, json};

/// When `init` runs.
pub const START_MS: u64 = 1_000;
/// The phases, in their order.
pub const PHASES: [&str; 5] = ["ANALYZE", "BLUEPRINT", "CONSTRUCT", "VALIDATE", "IDLE"];

/// A ledger and ways to talk to it.
#[derive(Clone)]
pub struct Sim {
    pub ledger: MemoryLedger<PhaseTransitions>,
    pub now_ms: u64,
}

/// The parameters of a cluster of so many nodes, numbered from 1.
pub fn parameters(nodes: u32) -> Value {
    json!({ "nodes": (1..=nodes).collect::<Vec<_>>(), "supervisors": ["ann", "bob", "eve"] })
}

impl Sim {
    /// So many healthy nodes, the first one leading.
    pub fn new(nodes: u32) -> Self {
        Self::with(parameters(nodes))
    }

    /// With parameters of one's own; node 1 leads.
    pub fn with(parameters: Value) -> Self {
        let mut sim = Self { ledger: MemoryLedger::new(), now_ms: START_MS };
        sim.ok("init", parameters);
        sim.ok("leader", json!({ "node": 1, "term": 1 }));
        sim
    }

    /// An event, however it ends.
    pub fn send(&mut self, kind: &str, payload: &Value) -> Outcome {
        self.ledger.submit(self.now_ms, kind, payload.to_string().as_bytes())
    }

    /// An event that is accepted, and its answer.
    pub fn ok(&mut self, kind: &str, payload: Value) -> Value {
        match self.send(kind, &payload) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).unwrap_or_default(),
            other => panic!("{kind} {payload}: {other:?}"),
        }
    }

    /// An event that is rejected, and its code. It leaves nothing.
    pub fn no(&mut self, kind: &str, payload: Value) -> u32 {
        self.ledger.advance(self.now_ms);
        let before = self.ledger.host.state.clone();
        match self.send(kind, &payload) {
            Outcome::Rejected(no) => {
                assert!(self.ledger.host.state == before, "a rejection leaves nothing");
                no.code
            }
            other => panic!("{kind} {payload}: {other:?}"),
        }
    }

    /// Time passes: what is due happens, and breaks no invariant.
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        let from = self.ledger.ran.len();
        self.ledger.advance(self.now_ms);
        for ran in &self.ledger.ran[from..] {
            assert!(ran.outcome.is_accepted(), "{ran:?}");
        }
    }

    /// Time passes while these nodes are heard of.
    pub fn pass_hearing(&mut self, ms: u64, nodes: &[u32]) {
        let end_ms = self.now_ms + ms;
        while self.now_ms + 15_000 < end_ms {
            self.pass(15_000);
            self.hear(nodes);
        }
        self.pass(end_ms - self.now_ms);
        self.hear(nodes);
    }

    /// A heartbeat and a gossip ping of these nodes.
    pub fn hear(&mut self, nodes: &[u32]) {
        if !nodes.is_empty() {
            self.ok("heartbeat", json!({ "nodes": nodes }));
            self.ok("gossip", json!({ "nodes": nodes }));
        }
    }

    /// The valid token of a phase.
    pub fn token(&mut self, phase: &str) -> u64 {
        self.view("locks", json!({}))[phase]["token"].as_u64().unwrap()
    }

    /// Begins a phase of the present generation on a node. Answers the record.
    pub fn begin(&mut self, node: u32, phase: &str) -> u64 {
        let (g, token) = (self.g(), self.token(phase));
        let answer = self.ok("begin_phase", json!({ "node": node, "g": g, "phase": phase, "token": token }));
        answer["record"].as_u64().unwrap()
    }

    /// The present generation.
    pub fn g(&mut self) -> u64 {
        WHOLE.get(&mut self.ledger.host).unwrap().unwrap().g
    }

    /// The acknowledgement of a record by a node.
    pub fn ack_of(&mut self, record: u64, node: u32) -> Value {
        let known = RECORDS.get(&mut self.ledger.host, &record).unwrap().unwrap();
        json!({
            "node": node, "record": record, "token": known.token, "crc": known.crc, "durable": true, "fsync_us": 2_000,
        })
    }

    /// The peers that a record was sent to, in the order of the ring.
    pub fn peers(&mut self, record: u64) -> Vec<u32> {
        let known = RECORDS.get(&mut self.ledger.host, &record).unwrap().unwrap();
        let ring = RINGS.get(&mut self.ledger.host, &known.peers.ring).unwrap().unwrap();
        (0..known.peers.count).map(|place| ring.at(known.peers.from, place).0).collect()
    }

    /// All peers of a record acknowledge it, and the tick ends.
    pub fn ack(&mut self, record: u64) {
        for node in self.peers(record) {
            let ack = self.ack_of(record, node);
            self.ok("wal_ack", ack);
        }
        self.pass(1);
    }

    /// Begins a phase and has it acknowledged.
    pub fn run(&mut self, node: u32, phase: &str) {
        let record = self.begin(node, phase);
        self.ack(record);
        let g = self.g();
        assert_eq!(self.state(g, phase), "RUNNING");
    }

    /// Commits a phase and has it acknowledged.
    pub fn commit(&mut self, node: u32, phase: &str) {
        let (g, token) = (self.g(), self.token(phase));
        let answer = self.ok("commit_phase", json!({ "node": node, "g": g, "phase": phase, "token": token }));
        self.ack(answer["record"].as_u64().unwrap());
    }

    /// A whole phase that goes well.
    pub fn whole(&mut self, node: u32, phase: &str) {
        let g = self.g();
        self.run(node, phase);
        self.commit(node, phase);
        assert_eq!(self.state(g, phase), "CLEAN_EXIT");
    }

    /// A node tells how far its log goes.
    pub fn head(&mut self, g: u64, phase: &str, node: u32, vc: Value, digest: &str) {
        let token = self.token(phase);
        self.ok(
            "log_head",
            json!({ "node": node, "g": g, "phase": phase, "token": token, "vc": vc, "digest": digest, "valid": true }),
        );
    }

    /// Payloads of what is ordered with this verb and has not ended, with their keys, in order.
    pub fn orders(&self, verb: &str) -> Vec<(String, Value)> {
        let payload = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("effects are JSON");
        let pending = self.ledger.outbox.iter();
        let mut orders: Vec<(String, Value)> = pending
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

    /// Whatever is ordered with this verb is done, and the tick ends. Answers how many.
    pub fn done(&mut self, verb: &str, answer: &str) -> usize {
        self.settle(verb, &EffectStatus::Done { answer: answer.into() })
    }

    /// Whatever is ordered with this verb fails, and the tick ends. Answers how many.
    pub fn fail(&mut self, verb: &str) -> usize {
        self.settle(verb, &EffectStatus::Failed { detail: "no".into() })
    }

    fn settle(&mut self, verb: &str, status: &EffectStatus) -> usize {
        self.ledger.advance(self.now_ms);
        let orders = self.orders(verb);
        for (key, _) in &orders {
            let outcome = self.ledger.settle(self.now_ms, key, status.clone());
            assert!(outcome.as_ref().is_some_and(Outcome::is_accepted), "{key}: {outcome:?}");
        }
        self.pass(1);
        orders.len()
    }

    /// A view.
    pub fn view(&mut self, name: &str, args: Value) -> Value {
        match self.ledger.view(name, args.to_string().as_bytes()) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("views are JSON"),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Where a run stands.
    pub fn state(&mut self, g: u64, phase: &str) -> String {
        self.view("run", json!({ "g": g, "phase": phase }))["state"].as_str().unwrap().to_owned()
    }

    /// Health of a node.
    pub fn health(&mut self, node: u32) -> String {
        self.view("node", json!({ "node": node }))["health"].as_str().unwrap().to_owned()
    }

    /// So many supervisors sign an override, it is replicated and carried out.
    pub fn order(&mut self, trace: &str, action: &str, by: &[&str]) {
        for name in by {
            self.ok("override", json!({ "node": 1, "trace": trace, "action": action, "supervisor": name }));
        }
        self.pass(1);
        let record = self.view("overrides", json!({}))["under_way"][0]["record"].as_u64().expect("enough signatures");
        self.ack(record);
    }
}
