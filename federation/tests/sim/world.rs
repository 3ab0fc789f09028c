//! The network, the clock and the faults.

use crate::{
    byzantine::Lie,
    flaws::Flaw,
    invariants::{Invariants, Violation},
    node::SimNode,
    support::{self, keys, ledger_id, operator, random::Random},
};
use reprise_federation::{Grant, NodeKey, Quorum, Roster, SignedGrant};
use std::collections::{BTreeMap, BTreeSet};

pub const TICK_MS: u64 = 50;
/// A connection over a link that is broken closes after this time.
const IDLE_MS: u64 = 600;
const RECONNECT_MS: u64 = 150;

#[derive(Clone, Debug)]
pub enum Event {
    Frame { from: usize, to: usize, connection: u64, frame: Vec<u8> },
    Stream { from: usize, to: usize, connection: u64, transfer: u64, bytes: Vec<u8> },
    Synced { node: usize, life: u64 },
    Tick,
    Submit,
    Fault,
    Heal { from: usize, to: usize },
    Restart { node: usize },
    Cut { a: usize, b: usize, connection: u64 },
    Connect,
}

/// What one run is about.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: u8,
    pub quorum: Quorum,
    pub liar: Option<(usize, Lie)>,
    pub flaw: Option<Flaw>,
    /// Faults until then, in milliseconds.
    pub faults_ms: u64,
}

pub struct World {
    pub plan: Plan,
    pub now_ms: u64,
    pub random: Random,
    pub nodes: Vec<SimNode>,
    pub roster: Roster,
    pub invariants: Invariants,
    pub trace: blake3::Hasher,
    pub counts: BTreeMap<&'static str, u64>,
    pub healthy: bool,
    queue: BTreeMap<(u64, u64), Event>,
    number: u64,
    connections: BTreeMap<(usize, usize), u64>,
    blocked: BTreeSet<(usize, usize)>,
    last_delivery: BTreeMap<(usize, usize), u64>,
    epoch: u64,
    payloads: u64,
    submitting: bool,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let roster = support::roster(plan.nodes, 0, plan.quorum);
        let mut world = Self {
            random: Random::new(plan.seed),
            now_ms: 1_000,
            nodes: Vec::new(),
            invariants: Invariants::new(&roster, plan.liar.map(|(node, _)| node)),
            roster: roster.clone(),
            trace: blake3::Hasher::new(),
            counts: BTreeMap::new(),
            healthy: false,
            queue: BTreeMap::new(),
            number: 0,
            connections: BTreeMap::new(),
            blocked: BTreeSet::new(),
            last_delivery: BTreeMap::new(),
            epoch: roster.first_epoch,
            payloads: 0,
            submitting: true,
            plan,
        };
        for number in 0..world.plan.nodes {
            let liar = world.plan.liar.filter(|(node, _)| *node == usize::from(number)).map(|(_, lie)| lie);
            let mut node = SimNode::new(number, world.plan.flaw, liar, world.plan.seed);
            node.start(world.now_ms, &roster);
            world.nodes.push(node);
        }
        world.at(0, Event::Connect);
        world.at(1, Event::Tick);
        world.at(40, Event::Submit);
        world.at(500, Event::Fault);
        world
    }

    pub fn at(&mut self, after_ms: u64, event: Event) {
        self.number += 1;
        self.queue.insert((self.now_ms + after_ms, self.number), event);
    }

    /// Runs until `end_ms`, or to the first violation.
    pub fn run_until(&mut self, end_ms: u64) -> Result<(), Violation> {
        while let Some(((at_ms, number), event)) = self.queue.pop_first() {
            if at_ms > end_ms {
                self.queue.insert((at_ms, number), event);
                break;
            }
            self.now_ms = at_ms;
            self.happen(event);
            self.settle();
            self.invariants.check(&self.nodes)?;
        }
        self.now_ms = end_ms;
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        self.trace.update(&self.now_ms.to_le_bytes());
        match event {
            Event::Frame { from, to, connection, frame } => self.deliver(from, to, connection, &frame),
            Event::Stream { from, to, connection, transfer, bytes } => {
                if self.is_open(from, to, connection) {
                    self.trace.update(&bytes);
                    let from = self.key(from);
                    self.nodes[to].stream(self.now_ms, from, transfer, &bytes);
                }
            }
            Event::Synced { node, life } => self.nodes[node].synced(self.now_ms, life, &mut self.invariants),
            Event::Tick => {
                for node in 0..self.nodes.len() {
                    self.nodes[node].tick(self.now_ms);
                    self.settle();
                }
                self.at(TICK_MS, Event::Tick);
            }
            Event::Submit => self.submit(),
            Event::Fault => self.fault(),
            Event::Heal { from, to } => drop(self.blocked.remove(&(from, to))),
            // Once the faults have stopped, the liar stays cut off.
            Event::Restart { node } if self.healthy && self.is_liar(node) => {}
            Event::Restart { node } => self.nodes[node].start(self.now_ms, &self.roster),
            Event::Cut { a, b, connection } => {
                if self.connections.get(&(a, b)) == Some(&connection) && self.is_blocked(a, b) {
                    self.disconnect(a, b);
                }
            }
            Event::Connect => self.connect_all(),
        }
    }

    fn deliver(&mut self, from: usize, to: usize, connection: u64, frame: &[u8]) {
        if !self.is_open(from, to, connection) || self.blocked.contains(&(from, to)) {
            return;
        }
        self.trace.update(frame);
        let sender = self.key(from);
        self.nodes[to].frame(self.now_ms, sender, frame);
    }

    /// Carries out what the nodes want done.
    fn settle(&mut self) {
        for node in 0..self.nodes.len() {
            loop {
                let work = self.nodes[node].carry_out(self.now_ms, &mut self.random, &mut self.invariants);
                if work.is_empty() {
                    break;
                }
                for out in work {
                    self.put_on_wire(node, out);
                }
            }
        }
    }

    fn put_on_wire(&mut self, from: usize, out: crate::node::Out) {
        use crate::node::Out;
        match out {
            Out::Frame { to, frame, first } => {
                let Some(to) = self.number_of(to) else { return };
                let Some(connection) = self.connection(from, to) else { return };
                *self.counts.entry("frames").or_default() += 1;
                if !self.healthy && !first && self.random.one_in(60) {
                    *self.counts.entry("frames lost").or_default() += 1;
                    return;
                }
                let mut after_ms = 1 + self.random.below(if self.healthy { 5 } else { 30 });
                let last = self.last_delivery.entry((from, to)).or_default();
                if self.healthy || first || !self.random.one_in(10) {
                    after_ms = after_ms.max(last.saturating_sub(self.now_ms));
                    *last = self.now_ms + after_ms;
                } else {
                    // Out of order, but never before the hello.
                    after_ms += 30;
                    *self.counts.entry("frames reordered").or_default() += 1;
                }
                self.at(after_ms, Event::Frame { from, to, connection, frame });
            }
            Out::Stream { to, transfer, bytes } => {
                let Some(to) = self.number_of(to) else { return };
                let Some(connection) = self.connection(from, to) else { return };
                *self.counts.entry("streams").or_default() += 1;
                let after_ms = 35 + self.random.below(50);
                self.at(after_ms, Event::Stream { from, to, connection, transfer, bytes });
            }
            Out::Disconnect { from: peer } => {
                if let Some(to) = self.number_of(peer) {
                    self.disconnect(from.min(to), from.max(to));
                }
            }
            Out::SyncAfter { ms, life } => self.at(ms, Event::Synced { node: from, life }),
        }
    }

    fn submit(&mut self) {
        if !self.submitting {
            return;
        }
        self.payloads += 1;
        let payload = format!("input {}", self.payloads).into_bytes();
        let ready: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].may_order(self.now_ms)).collect();
        // Two nodes may believe that they own the ledger: each is tried.
        for node in ready {
            self.nodes[node].submit(self.now_ms, &payload);
        }
        let wait_ms = 20 + self.random.below(60);
        self.at(wait_ms, Event::Submit);
    }

    fn fault(&mut self) {
        if self.healthy {
            return;
        }
        let n = self.nodes.len() as u64;
        let (a, b) = (self.random.below(n) as usize, self.random.below(n) as usize);
        let for_ms = 100 + self.random.below(2_500);
        match self.random.below(12) {
            0..=2 if a != b => {
                *self.counts.entry("links broken").or_default() += 1;
                self.block(a, b, for_ms);
                if self.random.one_in(2) {
                    self.block(b, a, for_ms);
                }
            }
            3 => {
                *self.counts.entry("nodes cut off").or_default() += 1;
                for other in (0..self.nodes.len()).filter(|other| *other != a) {
                    self.block(a, other, for_ms);
                    self.block(other, a, for_ms);
                }
            }
            4..=6 => {
                *self.counts.entry("crashes").or_default() += 1;
                self.crash(a, for_ms);
            }
            7 if self.may_lose(a) => {
                *self.counts.entry("disks lost").or_default() += 1;
                self.crash(a, for_ms);
                self.nodes[a].lose_disk();
            }
            8 if self.may_lose(a) => {
                *self.counts.entry("bytes flipped").or_default() += 1;
                self.nodes[a].flip();
            }
            9 | 10 => self.move_ownership(),
            _ => {}
        }
        let wait_ms = 150 + self.random.below(700);
        self.at(wait_ms, Event::Fault);
    }

    /// At most one disk is lost or damaged at a time, and none beside a liar: with more, a majority is not enough.
    fn may_lose(&self, node: usize) -> bool {
        self.plan.liar.is_none()
            && self.nodes.iter().enumerate().all(|(other, it)| other == node || it.is_whole())
            && self.nodes[node].is_whole()
    }

    fn crash(&mut self, node: usize, for_ms: u64) {
        if self.nodes[node].is_up() {
            for other in (0..self.nodes.len()).filter(|other| *other != node) {
                self.disconnect(node.min(other), node.max(other));
            }
            self.nodes[node].crash();
            self.at(for_ms, Event::Restart { node });
        }
    }

    /// Operators sign a grant and hand it to the new owner.
    pub fn move_ownership(&mut self) {
        let honest = |node: &usize| self.plan.liar.is_none_or(|(liar, _)| liar != *node);
        let to: Vec<usize> = (0..self.nodes.len()).filter(honest).filter(|node| self.nodes[*node].is_up()).collect();
        if to.is_empty() {
            return;
        }
        let to = self.random.pick(&to);
        self.grant_to(to);
    }

    pub fn grant_to(&mut self, to: usize) {
        *self.counts.entry("grants").or_default() += 1;
        self.epoch += 1;
        let grant = self.signed_grant(self.epoch, to);
        self.nodes[to].grant(self.now_ms, &grant);
    }

    fn signed_grant(&self, epoch: u64, to: usize) -> SignedGrant {
        let grant = Grant {
            ledger: ledger_id(),
            epoch,
            owner: self.key(to),
            attester: keys(to as u8).receipts.public(),
            roster: self.roster.number,
        };
        grant.sign(&[&operator(0), &operator(2)])
    }

    /// All faults stop; the liar is cut off.
    pub fn heal(&mut self) {
        self.healthy = true;
        self.blocked.clear();
        for node in 0..self.nodes.len() {
            if self.is_liar(node) {
                for other in (0..self.nodes.len()).filter(|other| *other != node) {
                    self.disconnect(node.min(other), node.max(other));
                }
                self.nodes[node].crash();
                continue;
            }
            self.nodes[node].start(self.now_ms, &self.roster);
            self.nodes[node].repair(self.now_ms);
        }
    }

    pub fn stop_submitting(&mut self) {
        self.submitting = false;
    }

    pub fn check_end(&mut self) -> Result<(), Violation> {
        self.invariants.check_end(&self.nodes)
    }

    pub fn is_liar(&self, node: usize) -> bool {
        self.plan.liar.is_some_and(|(liar, _)| liar == node)
    }

    fn block(&mut self, from: usize, to: usize, for_ms: u64) {
        self.blocked.insert((from, to));
        self.at(for_ms, Event::Heal { from, to });
        let pair = (from.min(to), from.max(to));
        if let Some(connection) = self.connections.get(&pair).copied() {
            self.at(IDLE_MS, Event::Cut { a: pair.0, b: pair.1, connection });
        }
    }

    fn is_blocked(&self, a: usize, b: usize) -> bool {
        self.blocked.contains(&(a, b)) || self.blocked.contains(&(b, a))
    }

    fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let up = self.nodes[a].is_up() && self.nodes[b].is_up();
                if up && !self.is_blocked(a, b) && !self.connections.contains_key(&(a, b)) {
                    self.number += 1;
                    self.connections.insert((a, b), self.number);
                    let (key_a, key_b) = (self.key(a), self.key(b));
                    self.nodes[a].connected(self.now_ms, key_b);
                    self.nodes[b].connected(self.now_ms, key_a);
                }
            }
        }
        self.at(RECONNECT_MS, Event::Connect);
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        if self.connections.remove(&(a, b)).is_some() {
            let (key_a, key_b) = (self.key(a), self.key(b));
            self.nodes[a].disconnected(key_b);
            self.nodes[b].disconnected(key_a);
        }
    }

    fn connection(&self, a: usize, b: usize) -> Option<u64> {
        self.connections.get(&(a.min(b), a.max(b))).copied()
    }

    fn is_open(&self, from: usize, to: usize, connection: u64) -> bool {
        self.connection(from, to) == Some(connection)
    }

    fn key(&self, node: usize) -> NodeKey {
        keys(node as u8).id()
    }

    fn number_of(&self, key: NodeKey) -> Option<usize> {
        (0..self.nodes.len()).find(|node| self.key(*node) == key)
    }

    pub fn digest(&self) -> [u8; 32] {
        *self.trace.finalize().as_bytes()
    }
}
