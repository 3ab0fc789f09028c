//! One node's part in its ledgers: everything of this crate, put together and driven by calls.
//!
//! The driver connects, moves frames and streams, executes and stores steps, and calls
//!
//! - [`Federation::connected`], [`Federation::disconnected`], [`Federation::handle`], [`Federation::received`] for what
//!   comes from peers,
//! - [`Federation::advanced`] whenever a ledger in the journal is another than before, durably: after a commit of its own,
//!   after a repair,
//! - [`Federation::carried_out`] when an [`Action::Apply`] or an [`Action::RollBack`] has come to its end, well or not,
//! - [`Federation::refused`] before that, when an [`Action::Apply`] gave another receipt,
//! - [`Federation::tick`] every few milliseconds,
//! - [`Federation::poll`] until there is nothing left, after each of these.
//!
//! Invariant: actions are carried out in their order, and an [`Action::Persist`] is durable before the next one begins.
//! What this node promises and signs rests on it.

mod action;
mod bundles;
mod cosign;
mod decide;
mod evidence;
mod fetching;
mod follow;
mod lead;
mod ownership;
mod peer;
mod pursue;
mod question;
mod roots;
mod seat;
mod serving;
mod work;

pub use self::{
    action::{Action, Config, Finding},
    evidence::convicts,
    follow::Refused,
    peer::PeerView,
    seat::{SeatView, Service},
    serving::CannotAsk,
};

use self::{peer::Peer, seat::Seat, serving::Serving};
use crate::{
    ledgers::Ledgers,
    limits::{PEERS_MAX, SEATS_MAX},
    membership::{Role, Roster, Standing, Suspension},
    message::{Enrolment, Goodbye, Hello, Mark, Message, NodeKey},
    quarantine::{Quarantine, Reason},
};
use reprise_receipts::{LedgerId, SigningKey, digest::derive};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The federation as one node sees it.
#[derive(Debug)]
pub struct Federation {
    me: NodeKey,
    key: SigningKey,
    hello: Hello,
    config: Config,
    peers: BTreeMap<NodeKey, Peer>,
    seats: BTreeMap<LedgerId, Seat>,
    quarantine: Quarantine,
    serving: Serving,
    /// Digests of evidence that was passed on already.
    shown: BTreeSet<[u8; 32]>,
    numbers: Numbers,
    outbox: VecDeque<Action>,
}

/// Numbers that are given out once.
#[derive(Debug)]
struct Numbers {
    request: u32,
    transfer: u64,
    seed: u64,
}

impl Federation {
    /// Of a node. `seed` decides the jitter of its waits and nothing else.
    #[must_use]
    pub fn new(enrolment: Enrolment, receipts: SigningKey, config: Config, seed: u64) -> Self {
        Self {
            me: enrolment.node,
            key: receipts,
            hello: Hello::new(enrolment),
            config,
            peers: BTreeMap::new(),
            seats: BTreeMap::new(),
            quarantine: Quarantine::default(),
            serving: Serving::default(),
            shown: BTreeSet::new(),
            numbers: Numbers { request: 0, transfer: 0, seed },
            outbox: VecDeque::new(),
        }
    }

    /// Takes part in a ledger, with what was made durable of an earlier part in it. Answers whether there was room, and
    /// whether the node is a member at all.
    pub fn join(&mut self, now_ms: u64, roster: Roster, standing: Standing, facts: &dyn Ledgers) -> bool {
        let fits = self.seats.len() < SEATS_MAX && roster.ledger == standing.ledger;
        if !fits || roster.member(self.me).is_none() {
            return false;
        }
        let ledger = roster.ledger;
        self.seats.insert(ledger, Seat::new(roster, standing));
        self.with_seat(ledger, |this, seat| {
            this.recall_vote(now_ms, seat, facts);
            this.take_office(now_ms, seat, facts);
        });
        self.welcome_all(now_ms, ledger, facts);
        true
    }

    /// A connection to a peer on the list is there, in whichever direction it was opened.
    pub fn connected(&mut self, now_ms: u64, peer: NodeKey) {
        if !self.peers.contains_key(&peer) && self.peers.len() >= PEERS_MAX {
            let oldest = self.peers.iter().find(|(_, peer)| !peer.connected).map(|(key, _)| *key);
            match oldest {
                Some(oldest) => drop(self.peers.remove(&oldest)),
                None => return self.outbox.push_back(Action::Disconnect { from: peer, reason: Goodbye::Protocol }),
            }
        }
        let seed =
            u64::from_le_bytes(derive("reprise 2026 peer jitter v1", peer.0.as_bytes())[..8].try_into().expect("8"));
        let seed = self.numbers.seed ^ seed;
        self.peers.entry(peer).or_insert_with(|| Peer::new(seed)).connect(now_ms);
        self.send(peer, Message::Hello(self.hello.clone()));
    }

    /// The connection is gone, and what was on its way with it.
    pub fn disconnected(&mut self, peer: NodeKey) {
        if let Some(gone) = self.peers.get_mut(&peer) {
            gone.disconnect();
        }
        self.serving.gone(peer);
        for seat in self.seats.values_mut() {
            seat.peer_gone(peer);
        }
    }

    /// A message has come.
    pub fn handle(&mut self, now_ms: u64, from: NodeKey, message: Message, facts: &dyn Ledgers) {
        let Some(peer) = self.peers.get(&from).filter(|peer| peer.connected) else { return };
        if peer.greeted.is_none() {
            return match message {
                Message::Hello(hello) => self.greet(now_ms, from, &hello, facts),
                Message::Goodbye(_) => {}
                other => self.offence(now_ms, from, &other),
            };
        }
        match message {
            Message::Hello(_) => self.offence(now_ms, from, &message),
            Message::Ask(ask) => self.on_ask(now_ms, from, &ask, facts),
            Message::Answer(answer) => self.on_answer(now_ms, from, answer, facts),
            Message::Append(append) => self.on_append(now_ms, from, append, facts),
            Message::Ack(ack) => self.on_ack(now_ms, from, &ack, facts),
            Message::Claim(claim) => self.on_grant(now_ms, Some(from), &claim.grant, facts),
            Message::Promise(promise) => self.on_promise(now_ms, from, promise, facts),
            Message::Vote(vote) => self.on_vote(now_ms, from, vote, facts),
            Message::Evidence(note) => self.on_evidence(now_ms, from, &note),
            Message::Goodbye(_) => {}
        }
    }

    /// A frame has come that is no message.
    pub fn malformed(&mut self, now_ms: u64, from: NodeKey, frame: &[u8]) {
        self.reject(now_ms, from, None, Reason::Malformed, frame);
        self.hang_up(from, Goodbye::Malformed);
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: u64, facts: &dyn Ledgers) {
        self.expire(now_ms, facts);
        self.compare_with_peers(now_ms, facts);
        let ledgers: Vec<LedgerId> = self.seats.keys().copied().collect();
        for ledger in ledgers {
            self.with_seat(ledger, |this, seat| {
                this.renew_round(now_ms, seat);
                this.pursue(now_ms, seat, facts);
                this.close_round(now_ms, seat, facts);
                this.push(now_ms, seat, facts);
                this.cosign(now_ms, seat, facts);
            });
        }
    }

    /// The journal has another head of this ledger than before, durably.
    pub fn advanced(&mut self, now_ms: u64, ledger: LedgerId, facts: &dyn Ledgers) {
        self.with_seat(ledger, |this, seat| {
            this.settle(seat, facts);
            this.pursue(now_ms, seat, facts);
            this.close_round(now_ms, seat, facts);
            this.count(now_ms, seat, facts);
            this.push(now_ms, seat, facts);
            this.cosign(now_ms, seat, facts);
        });
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.outbox.pop_front()
    }

    /// A grant that operators have signed, handed in here.
    pub fn grant(&mut self, now_ms: u64, grant: &crate::membership::SignedGrant, facts: &dyn Ledgers) {
        self.on_grant(now_ms, None, grant, facts);
    }

    /// The ledger does not advance here until [`Self::resume`].
    pub fn suspend(&mut self, ledger: LedgerId, why: Suspension) {
        self.with_seat(ledger, |this, seat| this.halt(seat, why));
    }

    /// Lifts a suspension after a repair or an operator's decision. What is still wrong suspends it again.
    pub fn resume(&mut self, now_ms: u64, ledger: LedgerId, facts: &dyn Ledgers) {
        self.with_seat(ledger, |this, seat| {
            if seat.standing.suspended.take().is_some() {
                this.forget_plans(seat);
                this.persist(seat);
                if this.check_self(seat, facts) {
                    this.take_office(now_ms, seat, facts);
                }
            }
        });
        self.advanced(now_ms, ledger, facts);
    }

    /// What this node can do for a ledger now; `None` if it has no part in it.
    #[must_use]
    pub fn service(&self, now_ms: u64, ledger: LedgerId) -> Option<Service> {
        self.seats.get(&ledger).map(|seat| seat.service(now_ms, self.me, self.config.silence_ms))
    }

    /// What is known of a ledger, for people.
    #[must_use]
    pub fn seat(&self, ledger: LedgerId) -> Option<SeatView<'_>> {
        self.seats.get(&ledger).map(|seat| seat.view(self.me))
    }

    /// What is known of the peers, for people.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> {
        self.peers.iter().map(|(key, peer)| peer.view(*key))
    }

    /// What was rejected.
    #[must_use]
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// What was rejected, to drop some of it.
    pub fn quarantine_mut(&mut self) -> &mut Quarantine {
        &mut self.quarantine
    }

    fn greet(&mut self, now_ms: u64, from: NodeKey, hello: &Hello, facts: &dyn Ledgers) {
        let Some(version) = hello.version_with_us() else { return self.hang_up(from, Goodbye::Version) };
        let enrolled = |seat: &Seat| seat.roster.member(from).is_none_or(|m| m.receipts == hello.enrolment.receipts);
        if hello.enrolment.verify(from).is_err() || !self.seats.values().all(enrolled) {
            self.reject(now_ms, from, None, Reason::BadSignature, &Message::Hello(hello.clone()).to_frame());
            return self.hang_up(from, Goodbye::Enrolment);
        }
        let peer = self.peers.get_mut(&from).expect("only connected peers are handled");
        (peer.greeted, peer.compare_at_ms) = (Some((version, hello.enrolment.receipts)), now_ms);
        let ledgers: Vec<LedgerId> = self.seats.keys().copied().collect();
        for ledger in ledgers {
            self.with_seat(ledger, |this, seat| {
                if seat.roster.member(from).is_some() {
                    this.welcome(now_ms, from, seat);
                    this.push(now_ms, seat, facts);
                }
            });
        }
        self.compare_with_peers(now_ms, facts);
    }

    /// The members of a ledger that said who they are before this node took part in it.
    fn welcome_all(&mut self, now_ms: u64, ledger: LedgerId, facts: &dyn Ledgers) {
        let greeted = |(node, peer): (&NodeKey, &Peer)| Some((*node, peer.greeted.filter(|_| peer.connected)?.1));
        for (node, receipts) in self.peers.iter().filter_map(greeted).collect::<Vec<_>>() {
            let Some(member) = self.seats.get(&ledger).and_then(|seat| seat.roster.member(node).copied()) else {
                continue;
            };
            if member.receipts != receipts {
                self.hang_up(node, Goodbye::Enrolment);
                continue;
            }
            self.with_seat(ledger, |this, seat| {
                this.welcome(now_ms, node, seat);
                this.push(now_ms, seat, facts);
            });
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.compare_at_ms = now_ms;
            }
        }
    }

    /// Runs with one seat taken out, so that both it and the rest can change.
    fn with_seat<T>(&mut self, ledger: LedgerId, work: impl FnOnce(&mut Self, &mut Seat) -> T) -> Option<T> {
        let mut seat = self.seats.remove(&ledger)?;
        let result = work(self, &mut seat);
        self.seats.insert(ledger, seat);
        Some(result)
    }

    fn send(&mut self, to: NodeKey, message: Message) {
        self.outbox.push_back(Action::Send { to, message });
    }

    /// Sends to all members of a ledger that are connected.
    fn send_to_members(&mut self, seat: &Seat, message: &Message) {
        let greeted = |node: &NodeKey| self.peers.get(node).is_some_and(Peer::is_there);
        let to: Vec<NodeKey> = seat.roster.members.iter().map(|member| member.node).filter(greeted).collect();
        for node in to {
            self.send(node, message.clone());
        }
    }

    fn persist(&mut self, seat: &Seat) {
        self.outbox.push_back(Action::Persist(seat.standing.clone()));
    }

    /// Another owner, or a suspension: nothing that was planned holds any more.
    fn forget_plans(&mut self, seat: &mut Seat) {
        seat.forget_plans();
        if let Some(work) = seat.work.under_way() {
            self.outbox.push_back(Action::Withdraw { ledger: seat.roster.ledger, work });
        }
    }

    fn halt(&mut self, seat: &mut Seat, why: Suspension) {
        if seat.standing.suspended.is_none() {
            seat.standing.suspended = Some(why);
            self.forget_plans(seat);
            self.persist(seat);
            self.outbox.push_back(Action::Suspended { ledger: seat.roster.ledger, why });
        }
    }

    fn reject(&mut self, now_ms: u64, from: NodeKey, ledger: Option<LedgerId>, reason: Reason, object: &[u8]) {
        let record = self.quarantine.add(now_ms, from, ledger, reason, object).clone();
        self.outbox.push_back(Action::Quarantined(record));
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.score.answered_wrong(now_ms);
        }
    }

    /// A message that makes no sense where it stands.
    fn offence(&mut self, now_ms: u64, from: NodeKey, message: &Message) {
        self.reject(now_ms, from, None, Reason::Protocol, &message.to_frame());
        self.hang_up(from, Goodbye::Protocol);
    }

    fn hang_up(&mut self, from: NodeKey, reason: Goodbye) {
        self.send(from, Message::Goodbye(reason));
        self.outbox.push_back(Action::Disconnect { from, reason });
        self.disconnected(from);
    }

    fn role(&self, seat: &Seat) -> Option<Role> {
        seat.roster.role(self.me, seat.standing.owner)
    }

    fn head(&self, seat: &Seat, facts: &dyn Ledgers) -> Mark {
        facts.head(seat.roster.ledger).map_or(Mark::EMPTY, |head| head.log)
    }
}
