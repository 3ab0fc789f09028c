//! One node: the state machine, its disk, and a driver that does what the actions say.

use crate::{
    byzantine::Lie,
    flaws::Flaw,
    invariants::Invariants,
    support::{
        keys,
        ledger::{End, MemoryLedger},
        ledger_id,
        random::Random,
    },
};
use reprise_federation::{
    Action, Config, Federation, Message, NodeKey, Roster, SignedGrant, Standing, Suspension,
    compare::Content,
    message::{Refusal, Step},
    node::{Refused, Service},
};
use reprise_receipts::{LeafHash, StateRoot};
use std::collections::VecDeque;

/// What leaves a node.
pub enum Out {
    Frame { to: NodeKey, frame: Vec<u8>, first: bool },
    Stream { to: NodeKey, transfer: u64, bytes: Vec<u8> },
    Disconnect { from: NodeKey },
    SyncAfter { ms: u64, life: u64 },
}

/// What survives a crash.
pub struct Disk {
    pub ledger: MemoryLedger,
    pub standing: Option<Standing>,
    /// The disk was lost: what it had promised is not known.
    pub lost: bool,
}

/// Something to do to the log.
enum Work {
    Apply { from: NodeKey, first: u64, steps: Vec<Step> },
    RollBack { to: u64 },
}

pub struct SimNode {
    pub number: u8,
    pub disk: Disk,
    pub federation: Option<Federation>,
    pub flaw: Option<Flaw>,
    pub lie: Option<Lie>,
    pub liar: crate::byzantine::Liar,
    /// Written, not yet synced.
    pub unsynced: Vec<Step>,
    /// What the state machine has asked for, with its number: done after what is written, one piece at a time.
    work: VecDeque<(u64, Work)>,
    /// Up to this number it is not wanted any more.
    withdrawn: u64,
    pub leads: Option<u64>,
    /// Inputs that were submitted here in this life and are not acknowledged: sequence number and leaf.
    pub submitted: Vec<(u64, LeafHash)>,
    pub life: u64,
    seed: u64,
    syncing: bool,
}

impl SimNode {
    pub fn new(number: u8, flaw: Option<Flaw>, lie: Option<Lie>, seed: u64) -> Self {
        Self {
            number,
            disk: Disk { ledger: MemoryLedger::new(ledger_id()), standing: None, lost: false },
            federation: None,
            flaw,
            lie,
            liar: crate::byzantine::Liar::new(seed ^ u64::from(number)),
            unsynced: Vec::new(),
            work: VecDeque::new(),
            withdrawn: 0,
            leads: None,
            submitted: Vec::new(),
            life: 0,
            seed: seed ^ u64::from(number) << 32,
            syncing: false,
        }
    }

    pub fn is_up(&self) -> bool {
        self.federation.is_some()
    }

    pub fn is_honest(&self) -> bool {
        self.lie.is_none()
    }

    /// Its disk has everything that it ever had.
    pub fn is_whole(&self) -> bool {
        let rejoining = self.disk.standing.as_ref().is_some_and(|s| s.rejoining || s.suspended.is_some());
        !self.disk.lost && !rejoining && self.disk.ledger.state_root == self.disk.ledger.end.state
    }

    /// Where it stands, for people.
    pub fn describe(&self, now_ms: u64) -> String {
        let Disk { ledger, standing, .. } = &self.disk;
        let service = self.federation.as_ref().and_then(|federation| federation.service(now_ms, ledger_id()));
        let standing = standing.as_ref().map(|s| {
            let marks = (s.committed, s.signed.size, s.last_final.size);
            format!("epoch {}, log epoch {}, {marks:?}, {:?}, {}", s.promised, s.log_epoch, s.suspended, s.rejoining)
        });
        format!("node {}: {} receipts, {service:?}, {}", self.number, ledger.size(), standing.unwrap_or_default())
    }

    pub fn start(&mut self, now_ms: u64, roster: &Roster) {
        if self.is_up() {
            return;
        }
        self.life += 1;
        let own = keys(self.number);
        let roster = self.flaw.map_or_else(|| roster.clone(), |flaw| flaw.roster(roster));
        // Every other node leaves decisions to its driver, which follows the proposals.
        let config = Config { decide_elsewhere: self.number % 2 == 1, ..Config::default() };
        let mut federation = Federation::new(own.enrolment(), own.receipts, config, self.seed ^ self.life);
        let new = Standing {
            rejoining: self.disk.lost && self.flaw != Some(Flaw::TrustLostMemory),
            ..Standing::new(&roster)
        };
        let standing = self.disk.standing.clone().unwrap_or(new);
        assert!(federation.join(now_ms, roster, standing, &self.disk.ledger), "a member");
        self.federation = Some(federation);
    }

    pub fn crash(&mut self) {
        self.federation = None;
        self.leads = None;
        self.syncing = false;
        self.unsynced.clear();
        self.work.clear();
        self.withdrawn = 0;
        self.submitted.clear();
        self.life += 1;
    }

    pub fn lose_disk(&mut self) {
        self.disk = Disk { ledger: MemoryLedger::new(ledger_id()), standing: None, lost: true };
    }

    pub fn flip(&mut self) {
        if self.disk.ledger.size() > 0 {
            let mut bytes = *self.disk.ledger.state_root.as_bytes();
            bytes[7] ^= 4;
            self.disk.ledger.state_root = StateRoot::from_bytes(bytes);
        }
    }

    /// What a host does about a suspension of its own: the state is built again from the steps.
    pub fn repair(&mut self, now_ms: u64) {
        self.disk.ledger.state_root = self.disk.ledger.end.state;
        let why = self.disk.standing.as_ref().and_then(|standing| standing.suspended);
        if let (Some(Suspension::CorruptHere), Some(federation)) = (why, &mut self.federation) {
            federation.resume(now_ms, ledger_id(), &self.disk.ledger);
        }
    }

    pub fn connected(&mut self, now_ms: u64, peer: NodeKey) {
        self.call(|federation, _| federation.connected(now_ms, peer));
    }

    pub fn disconnected(&mut self, peer: NodeKey) {
        self.call(|federation, _| federation.disconnected(peer));
    }

    pub fn frame(&mut self, now_ms: u64, from: NodeKey, frame: &[u8]) {
        match Message::from_frame(frame) {
            Ok(message) => {
                let (from, message) = match self.flaw {
                    Some(flaw) => flaw.inbound(from, message, self),
                    None => (from, message),
                };
                if self.flaw == Some(Flaw::AcceptLowerEpoch)
                    && let Some(lower) = crate::flaws::lower_epoch(&message, from, self.disk.standing.as_ref())
                {
                    self.disk.standing = Some(lower.clone());
                    self.call(|federation, ledger| {
                        let roster = federation.seat(ledger_id()).expect("joined").roster.clone();
                        federation.join(now_ms, roster, lower, ledger);
                    });
                }
                self.call(|federation, ledger| federation.handle(now_ms, from, message, ledger));
            }
            Err(_) => self.call(|federation, _| federation.malformed(now_ms, from, frame)),
        }
    }

    pub fn stream(&mut self, now_ms: u64, from: NodeKey, transfer: u64, bytes: &[u8]) {
        self.call(|federation, ledger| {
            if federation.expects(from, transfer) {
                federation.received(now_ms, from, transfer, bytes, ledger);
            }
        });
    }

    pub fn tick(&mut self, now_ms: u64) {
        if now_ms % 1_000 < 50 {
            // The host looks after damage of its own now and then.
            let suspended = self.disk.standing.as_ref().and_then(|standing| standing.suspended);
            if suspended == Some(Suspension::CorruptHere) {
                self.repair(now_ms);
            }
        }
        self.call(|federation, ledger| federation.tick(now_ms, ledger));
    }

    pub fn grant(&mut self, now_ms: u64, grant: &SignedGrant) {
        self.call(|federation, ledger| federation.grant(now_ms, grant, ledger));
    }

    pub fn may_order(&self, now_ms: u64) -> bool {
        let Some(federation) = &self.federation else { return false };
        self.leads.is_some() && federation.service(now_ms, ledger_id()) == Some(Service::Orders)
    }

    /// The end of the log with what is not synced yet.
    fn end(&self) -> End {
        let mut end = self.disk.ledger.end.clone();
        for step in &self.unsynced {
            let receipt: reprise_receipts::Receipt = reprise_abi::decode_canonical(&step.receipt).expect("ours");
            end = End { seq: end.seq + 1, previous: step.leaf(), state: receipt.next_state };
        }
        end
    }

    pub fn submit(&mut self, now_ms: u64, payload: &[u8]) {
        let Some(epoch) = self.leads else { return };
        let mut end = self.end();
        let step = end.order(ledger_id(), epoch, payload);
        self.submitted.push((end.seq - 1, step.leaf()));
        self.unsynced.push(step);
        if self.flaw == Some(Flaw::AcknowledgeBeforeSync) {
            let unsynced = self.unsynced.clone();
            self.pretend(&unsynced, |federation, ledger| federation.advanced(now_ms, ledger_id(), ledger));
        }
    }

    fn call(&mut self, work: impl FnOnce(&mut Federation, &MemoryLedger)) {
        if let Some(federation) = &mut self.federation {
            work(federation, &self.disk.ledger);
        }
    }

    /// The disk has synced what was written; or, if there was nothing, the next piece of work is done and durable.
    pub fn synced(&mut self, now_ms: u64, life: u64, invariants: &mut Invariants) {
        if life != self.life {
            return;
        }
        self.syncing = false;
        if !self.unsynced.is_empty() {
            return self.flush(now_ms);
        }
        let Some((number, work)) = self.work.pop_front() else { return };
        match work {
            _ if number <= self.withdrawn => {}
            Work::Apply { from, first, steps } => self.apply(now_ms, from, (number, first), steps, invariants),
            Work::RollBack { to } => self.roll_back(to, invariants),
        }
        self.call(|federation, ledger| federation.carried_out(now_ms, ledger_id(), number, ledger));
    }

    fn flush(&mut self, now_ms: u64) {
        self.store();
        self.call(|federation, ledger| federation.advanced(now_ms, ledger_id(), ledger));
    }

    /// What is written is durable.
    fn store(&mut self) {
        for step in std::mem::take(&mut self.unsynced) {
            let flipped = self.disk.ledger.state_root != self.disk.ledger.end.state;
            self.disk.ledger.append(step);
            if flipped {
                self.flip();
            }
        }
    }

    /// Planted: the state machine is told that steps are durable before they are.
    fn pretend(&mut self, steps: &[Step], tell: impl FnOnce(&mut Federation, &MemoryLedger)) {
        let mut pretended = self.disk.ledger.clone();
        for step in steps {
            pretended.append(step.clone());
        }
        if let Some(federation) = &mut self.federation {
            tell(federation, &pretended);
        }
    }

    /// Does what the state machine wants done; what leaves the node.
    pub fn carry_out(&mut self, now_ms: u64, random: &mut Random, invariants: &mut Invariants) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(action) = self.federation.as_mut().and_then(Federation::poll) {
            self.act(now_ms, action, &mut out, invariants);
        }
        if self.flaw == Some(Flaw::AcknowledgeAlone) && self.is_honest() {
            let durable = self.disk.ledger.size();
            invariants.acknowledged(self.submitted.iter().filter(|(seq, _)| *seq < durable).copied().collect());
            self.submitted.retain(|(seq, _)| *seq >= durable);
        }
        let to_do = !self.unsynced.is_empty() || !self.work.is_empty();
        if to_do && !self.syncing {
            self.syncing = true;
            // Now and then the disk is slow: much happens while steps wait to be applied or taken back.
            let slow_ms = if random.one_in(16) { 200 } else { 8 };
            out.push(Out::SyncAfter { ms: 1 + random.below(slow_ms), life: self.life });
        }
        if let Some(lie) = self.lie {
            out = self.liar.lie(lie, out, self.number, &self.disk.ledger);
        }
        out
    }

    fn act(&mut self, now_ms: u64, action: Action, out: &mut Vec<Out>, invariants: &mut Invariants) {
        match action {
            Action::Send { to, message } => {
                if self.is_honest() {
                    invariants.sent(self.number, &message);
                }
                let first = matches!(message, Message::Hello(_));
                out.push(Out::Frame { to, frame: message.to_frame(), first });
            }
            Action::Stream { to, transfer, content: Content::Steps { first, end, .. } } => {
                if end <= self.disk.ledger.size() {
                    out.push(Out::Stream { to, transfer, bytes: self.disk.ledger.stream_bytes(first, end) });
                }
            }
            Action::Stream { .. } => {}
            // Nobody here asks for one but the liar, who gets none.
            Action::Bundle { number, .. } => self.call(|federation, _| {
                federation.bundle_made(number, Err(Refusal::NotMade));
                federation.bundle_ended(number);
            }),
            Action::Roots { number, .. } => self.call(|federation, _| {
                federation.roots_made(number, Err(Refusal::NotMade));
            }),
            Action::Disconnect { from, .. } => out.push(Out::Disconnect { from }),
            Action::Persist(standing) => self.persist(standing, invariants),
            Action::Apply { from, first, steps, work, .. } => {
                if self.flaw == Some(Flaw::AcknowledgeBeforeSync) {
                    self.pretend(&steps, |federation, ledger| {
                        federation.carried_out(now_ms, ledger_id(), work, ledger);
                    });
                }
                self.work.push_back((work, Work::Apply { from, first, steps }));
            }
            Action::RollBack { to, work, .. } => self.work.push_back((work, Work::RollBack { to: to.size })),
            Action::Withdraw { work, .. } => self.withdrawn = work,
            Action::Acknowledge { size, .. } => {
                let (acknowledged, rest) = self.submitted.drain(..).partition(|(seq, _)| *seq < size);
                self.submitted = rest;
                if self.is_honest() {
                    invariants.acknowledged(acknowledged);
                }
            }
            Action::Lead { epoch, .. } => self.leads = Some(epoch),
            Action::Follow { .. } => {
                // What was ordered and not yet synced is not anybody's concern any more.
                self.leads = None;
            }
            Action::Final { window, .. } => {
                if self.is_honest() {
                    invariants.finalised(self.number, &window);
                }
            }
            Action::Suspended { .. } => self.leads = None,
            Action::Decide { proposed, .. } => {
                self.call(|federation, ledger| federation.decide(now_ms, ledger_id(), proposed, ledger));
            }
            Action::Answered { .. } => {}
            Action::Found(_) | Action::Evidence(_) | Action::Quarantined(_) => {
                if let (Some(Flaw::MergeQuarantined), Action::Quarantined(record)) = (self.flaw, &action) {
                    crate::flaws::merge(record, self);
                }
            }
        }
    }

    fn persist(&mut self, standing: Standing, invariants: &mut Invariants) {
        let standing = self.flaw.map_or(standing.clone(), |flaw| flaw.stored(standing, self.disk.standing.as_ref()));
        if self.is_honest() {
            invariants.persisted(self.number, &standing, self.disk.lost);
        }
        self.disk.lost &= standing.rejoining;
        self.disk.standing = Some(standing);
    }

    fn apply(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        (number, first): (u64, u64),
        steps: Vec<Step>,
        invariants: &mut Invariants,
    ) {
        if self.is_honest() {
            invariants.applies(self.number, self.disk.standing.as_ref());
        }
        let mut end = self.end();
        let receipt: reprise_receipts::Receipt = reprise_abi::decode_canonical(&steps[0].receipt).expect("checked");
        if first != end.seq || receipt.previous != end.previous {
            return;
        }
        for (at, step) in (first..).zip(steps) {
            let receipt: reprise_receipts::Receipt = reprise_abi::decode_canonical(&step.receipt).expect("checked");
            let redone = end.execute(ledger_id(), &step.input, receipt.epoch);
            let believes = self.flaw == Some(Flaw::BelieveReceipts);
            if redone != step && !believes {
                self.store();
                let refused = Refused { ledger: ledger_id(), from, work: number, at, step: &step };
                return self.call(|federation, ledger| federation.refused(now_ms, &refused, ledger));
            }
            if believes {
                end = End { seq: at + 1, previous: step.leaf(), state: receipt.next_state };
            }
            self.unsynced.push(step);
        }
        self.store();
    }

    fn roll_back(&mut self, to: u64, invariants: &mut Invariants) {
        let to = self.flaw.map_or(to, |flaw| flaw.roll_back_to(to));
        if to >= self.disk.ledger.size() {
            return;
        }
        if self.is_honest() {
            invariants.rolled_back(self.number, to);
        }
        let flipped = self.disk.ledger.state_root != self.disk.ledger.end.state;
        self.disk.ledger.truncate(to);
        if flipped {
            self.flip();
        }
        self.submitted.retain(|(seq, _)| *seq < to);
    }
}
