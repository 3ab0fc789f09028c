//! 200 nodes with partitions, churn, crashes and lost leaders (H15): every phase ends, never two valid tokens, and a
//! minority begins nothing.

use crate::support::{PHASES, Sim, parameters};
use reprise_guest::{
    StepInput,
    abi::{EffectPhase, EffectStatus, Outcome},
};
use reprise_phase::{
    PhaseTransitions,
    state::{RECORDS, RINGS, RUNS, WHOLE},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const NODES: u32 = 200;
/// One look at the world, in milliseconds: an interval of heartbeats.
const TICK_MS: u64 = 15_000;

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// The cluster as it really is.
struct World {
    sim: Sim,
    dice: Dice,
    members: BTreeSet<u32>,
    /// Members that are cut off or dead.
    away: BTreeSet<u32>,
    /// When each member was last heard, in milliseconds.
    heard_ms: BTreeMap<u32, u64>,
    term: u64,
    next_node: u32,
    begun: u64,
    refused: u64,
    tokens: BTreeMap<&'static str, u64>,
}

impl World {
    fn new() -> Self {
        let members: BTreeSet<u32> = (1..=NODES).collect();
        // Hours become minutes: what waits for a person or a clock comes to its end within the test.
        let mut init = parameters(NODES);
        init["blocked_ms"] = json!(120_000);
        init["ttl_ms"] = json!(120_000);
        init["grace_ms"] = json!(60_000);
        let sim = Sim::with(init);
        let heard_ms = members.iter().map(|node| (*node, sim.now_ms)).collect();
        let (dice, away, tokens) = (Dice(42), BTreeSet::new(), BTreeMap::new());
        Self { sim, dice, members, away, heard_ms, term: 1, next_node: NODES + 1, begun: 0, refused: 0, tokens }
    }

    fn present(&self) -> Vec<u32> {
        self.members.difference(&self.away).copied().collect()
    }

    fn any(&mut self, of: &[u32]) -> u32 {
        of[self.dice.below(of.len() as u64) as usize]
    }

    /// Members that the policy can know to be there: heard of within 45 seconds.
    fn heard(&self) -> usize {
        self.heard_ms.values().filter(|at_ms| self.sim.now_ms - **at_ms <= 45_000).count()
    }

    /// In every ten minutes a minority is cut off, then a majority, then the leader is lost; and single nodes at any
    /// time, until the next repair.
    fn trouble(&mut self, tick: u32) {
        let all: Vec<u32> = self.members.iter().copied().collect();
        let lost = match tick % 40 {
            5 => 60,
            20 => 180,
            12 | 27 => {
                self.away.clear();
                0
            }
            _ => 0,
        };
        // Some are named twice: 180 are about 120 nodes.
        for _ in 0..lost {
            let node = self.any(&all);
            self.away.insert(node);
        }
        if tick % 40 == 33 {
            let whole = WHOLE.get(&mut self.sim.ledger.host).unwrap().unwrap();
            self.away.extend(whole.leader.map(|leader| leader.0));
        }
        if self.dice.one_in(8) {
            let node = self.any(&all);
            self.away.insert(node);
        }
        if self.dice.one_in(10) {
            let id = self.next_node;
            if self.sim.send("join", &json!({ "node": id, "supervisor": "ann" })).is_accepted() {
                self.next_node += 1;
                self.members.insert(id);
                self.heard_ms.insert(id, self.sim.now_ms);
            }
        }
        if self.dice.one_in(12) {
            let id = self.any(&all);
            if self.sim.send("decommission", &json!({ "node": id, "supervisor": "ann" })).is_accepted() {
                self.gone(id);
            }
        }
    }

    fn gone(&mut self, id: u32) {
        self.members.remove(&id);
        self.away.remove(&id);
        self.heard_ms.remove(&id);
    }

    fn hear(&mut self) {
        let present = self.present();
        for node in &present {
            self.heard_ms.insert(*node, self.sim.now_ms);
        }
        self.sim.hear(&present);
        let whole = WHOLE.get(&mut self.sim.ledger.host).unwrap().unwrap();
        if (whole.leader.is_none() || self.dice.one_in(15)) && self.heard() * 2 > self.members.len() {
            let leader = self.any(&present);
            self.term += 1;
            self.sim.send("leader", &json!({ "node": leader, "term": self.term }));
        }
        for node in present {
            let lagging = whole.census.lagging > 0 && self.dice.one_in(4);
            if lagging && self.sim.view("node", json!({ "node": node }))["lagging"] == true {
                self.sim.send("caught_up", &json!({ "node": node, "record": whole.last.durable }));
                self.sim.done("enter", "");
            }
        }
    }

    /// Somebody tries to begin what is next: whoever it is, wherever they are.
    fn begin(&mut self) {
        let all: Vec<u32> = self.members.iter().copied().collect();
        let node = self.any(&all);
        let g = self.sim.g();
        for phase in PHASES {
            let token = self.sim.token(phase);
            let event = json!({ "node": node, "g": g, "phase": phase, "token": token });
            let outcome = self.sim.send("begin_phase", &event);
            if outcome.is_accepted() {
                assert!(self.heard() * 2 > self.members.len(), "BEGIN_PHASE accepted on a minority");
                assert!(!self.away.contains(&node) || self.sim.now_ms - self.heard_ms[&node] <= 45_000);
                self.begun += 1;
                let effect = json!({
                    "node": node, "g": g, "phase": phase, "token": token, "key": "vm", "action": "create", "undo": "d"
                });
                self.sim.send("side_effect", &effect);
            } else {
                self.refused += 1;
            }
        }
    }

    /// Peers that are there acknowledge; those that are away do not.
    fn acknowledge(&mut self) {
        let last = WHOLE.get(&mut self.sim.ledger.host).unwrap().unwrap().last;
        for record in last.record.saturating_sub(6)..=last.record {
            let known = RECORDS.get(&mut self.sim.ledger.host, &record).unwrap();
            let Some(known) = known.filter(|known| !known.durable) else { continue };
            if RINGS.get(&mut self.sim.ledger.host, &known.peers.ring).unwrap().is_none() {
                continue;
            }
            for peer in self.sim.peers(record) {
                if self.members.contains(&peer) && !self.away.contains(&peer) {
                    let ack = self.sim.ack_of(record, peer);
                    self.sim.send("wal_ack", &ack);
                }
            }
        }
        self.sim.pass(1);
    }

    fn work(&mut self) {
        let g = self.sim.g();
        for phase in PHASES {
            let Some(run) = RUNS.get(&mut self.sim.ledger.host, &run_id(g, phase)).unwrap() else { continue };
            let (owner, token) = (run.owner.0, self.sim.token(phase));
            let there = !self.away.contains(&owner) && self.members.contains(&owner);
            match run.state.name() {
                "RUNNING" if there && !self.dice.one_in(4) => {
                    let event = json!({ "node": owner, "g": g, "phase": phase, "token": token });
                    self.sim.send("commit_phase", &event);
                }
                "RECONCILE" if run.merge.nodes.count() == 0 => {
                    let digest = if self.dice.one_in(4) { "other" } else { "same" };
                    for node in self.present().into_iter().take(120) {
                        let head = json!({
                            "node": node, "g": g, "phase": phase, "token": token, "vc": [[node, 1]],
                            "digest": if node % 50 == 0 { digest } else { "same" }, "valid": true,
                        });
                        self.sim.send("log_head", &head);
                    }
                }
                "INTERRUPTED" if run.recovery.held => {
                    for by in ["ann", "bob"] {
                        let trace = format!("{g}.{phase}");
                        let node = self.present()[0];
                        let event = json!({ "node": node, "trace": trace, "action": "abort", "supervisor": by });
                        self.sim.send("override", &event);
                    }
                }
                _ => {}
            }
        }
    }

    /// The outside world: most orders are done, some fail, some are lost.
    fn settle(&mut self) {
        let keys: Vec<String> = self.sim.ledger.outbox.keys().cloned().collect();
        for key in keys {
            let Some(pending) = self.sim.ledger.outbox.get(&key) else { continue };
            let payload: Value = serde_json::from_slice(&pending.effect.payload).unwrap();
            if pending.phase == EffectPhase::Compensate {
                continue;
            }
            let status = match self.dice.below(6) {
                0 => EffectStatus::Failed { detail: "no".into() },
                1 if payload["do"] != "leave" => continue,
                _ => EffectStatus::Done { answer: vec![] },
            };
            let outcome = self.sim.ledger.settle(self.sim.now_ms, &key, status).unwrap();
            assert!(outcome.is_accepted(), "{outcome:?}");
            if payload["do"] == "remove" {
                self.gone(payload["node"].as_u64().unwrap() as u32);
            }
        }
        self.sim.pass(1);
    }

    /// Of any five tokens in a row at most one is valid, and the valid one never falls.
    fn hold_tokens(&mut self) {
        let g = self.sim.g();
        for phase in PHASES {
            let token = self.sim.token(phase);
            assert!(token >= self.tokens.insert(phase, token).unwrap_or(0));
            let owner = self.present()[0];
            let mut valid = 0;
            for guess in token.saturating_sub(2)..=token + 2 {
                let event = json!({
                    "node": owner, "g": g, "phase": phase, "token": guess, "offset": 1_000, "data": "", "crc": 0
                });
                let input = StepInput {
                    logical_time_ms: self.sim.now_ms,
                    kind: "checkpoint".into(),
                    payload: event.to_string().into_bytes(),
                    ..StepInput::default()
                };
                valid += u32::from(self.sim.ledger.host.clone().step::<PhaseTransitions>(&input).is_accepted());
            }
            assert!(valid <= 1, "two valid tokens of {phase}");
        }
    }

    fn tick(&mut self, trouble: Option<u32>) {
        let from = self.sim.ledger.ran.len();
        self.sim.pass(TICK_MS - 4_500);
        if let Some(tick) = trouble {
            self.trouble(tick);
        }
        self.hear();
        for _ in 0..4 {
            self.begin();
            self.acknowledge();
            self.work();
            self.settle();
            self.sim.pass(1_100);
        }
        for ran in &self.sim.ledger.ran[from..] {
            assert!(matches!(ran.outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{ran:?}");
        }
        // What was said is not needed any more.
        self.sim.ledger.ran.clear();
    }
}

fn run_id(g: u64, phase: &str) -> reprise_phase::ids::RunId {
    reprise_phase::ids::RunId { g, phase: reprise_phase::ids::Phase::named(phase).unwrap() }
}

#[test]
fn two_hundred_nodes_in_trouble() {
    let mut world = World::new();
    for tick in 0..160 {
        world.tick(Some(tick));
        if tick % 10 == 0 && !world.present().is_empty() {
            world.hold_tokens();
        }
    }
    assert!(world.begun > 50 && world.refused > 50, "{} begun, {} refused", world.begun, world.refused);
    let figures = world.sim.view("figures", json!({}));
    for name in ["rollforward", "rollback", "hard_failed", "partition_ms", "minority_evictions_total"] {
        assert!(figures[name].as_u64().unwrap() > 0, "{name} never happened: {figures}");
    }
    // Peace: whatever was begun comes to an end, and another generation passes the barrier.
    world.away.clear();
    let g = world.sim.g();
    for _ in 0..400 {
        if world.sim.g() > g {
            break;
        }
        world.tick(None);
    }
    assert!(world.sim.g() > g, "generation {g} does not end");
    for g in 1..=g {
        for phase in PHASES {
            if let Some(run) = RUNS.get(&mut world.sim.ledger.host, &run_id(g, phase)).unwrap() {
                assert!(["CLEAN_EXIT", "HARD_FAILED"].contains(&run.state.name()), "{g}.{phase}: {run:?}");
            }
        }
    }
}
