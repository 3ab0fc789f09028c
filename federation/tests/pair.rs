//! Two nodes wired to each other, with every byte between them counted.

mod support;

use reprise_federation::{
    Action, Config, Federation, Message, NodeKey, Quorum, Roster, Standing, Suspension,
    bundle::BundleOrder,
    compare::{Content, Divergence},
    message::{
        Ask, BundleOffer, BundleQuery, EvidenceNote, Goodbye, Hello, Projected, Question, Refusal, Reply, Roots,
        RootsQuery, Step, View,
    },
    node::{CannotAsk, Service},
};
use reprise_receipts::{
    Attestation, AttestationBody, ExecutionRoot, LeafHash, LedgerId, LogRoot, StateRoot,
    bundle::BundleKind,
    digest::BundleDigest,
    evidence::{Equivocation, Evidence},
};
use std::collections::VecDeque;
use support::{
    keys,
    ledger::{End, MemoryLedger},
    ledger_id, roster,
};

struct Node {
    key: NodeKey,
    federation: Federation,
    ledger: MemoryLedger,
    roster: Roster,
    /// Every standing that was made durable.
    standings: Vec<Standing>,
    standing: Standing,
    acknowledged: u64,
    finals: Vec<u64>,
    found: Vec<Divergence>,
    answers: Vec<(u32, Option<Reply>)>,
    orders: Vec<(u64, BundleOrder)>,
    wanted: Vec<(u64, RootsQuery)>,
}

struct Pair {
    nodes: [Node; 2],
    now_ms: u64,
    frames: [usize; 2],
    bytes: usize,
    streams: usize,
}

enum Wire {
    Frame(usize, Vec<u8>),
    Stream(usize, u64, Vec<u8>),
}

impl Node {
    fn new(number: u8, size: u64) -> Self {
        let (roster, keys) = (roster(2, 0, Quorum::Majority), keys(number));
        let (mut ledger, mut end) = (MemoryLedger::new(ledger_id()), End::START);
        for input in 0..size {
            ledger.append(end.order(ledger_id(), 1, format!("some input, number {input}").as_bytes()));
        }
        let (key, enrolment) = (keys.id(), keys.enrolment());
        let mut federation = Federation::new(enrolment, keys.receipts, Config::default(), u64::from(number));
        let standing = Standing::new(&roster);
        assert!(federation.join(0, roster.clone(), standing.clone(), &ledger));
        Self {
            key,
            federation,
            ledger,
            roster,
            standings: Vec::new(),
            standing,
            acknowledged: 0,
            finals: Vec::new(),
            found: Vec::new(),
            answers: Vec::new(),
            orders: Vec::new(),
            wanted: Vec::new(),
        }
    }

    fn apply(&mut self, now_ms: u64, first: u64, steps: Vec<Step>, work: u64) {
        assert_eq!(first, self.ledger.size());
        for step in steps {
            let mut end = self.ledger.end.clone();
            assert_eq!(end.execute(ledger_id(), &step.input, 1), step);
            self.ledger.append(step);
        }
        self.federation.carried_out(now_ms, ledger_id(), work, &self.ledger);
    }

    fn act(&mut self, now_ms: u64, to: usize, wire: &mut VecDeque<Wire>) {
        while let Some(action) = self.federation.poll() {
            match action {
                Action::Send { message, .. } => wire.push_back(Wire::Frame(to, message.to_frame())),
                Action::Stream { transfer, content: Content::Steps { first, end, .. }, .. } => {
                    wire.push_back(Wire::Stream(to, transfer, self.ledger.stream_bytes(first, end)));
                }
                Action::Apply { first, steps, work, .. } => self.apply(now_ms, first, steps, work),
                Action::Acknowledge { size, .. } => self.acknowledged = size,
                Action::Final { window, .. } => {
                    assert!(window.verify(&self.roster));
                    self.finals.push(window.mark.size);
                }
                Action::Found(finding) => self.found.push(finding.divergence),
                Action::Answered { request, reply, .. } => self.answers.push((request, reply)),
                Action::Bundle { number, order, .. } => self.orders.push((number, order)),
                Action::Roots { number, query } => self.wanted.push((number, query)),
                Action::Persist(standing) => {
                    self.standings.push(standing.clone());
                    self.standing = standing;
                }
                Action::Lead { .. } | Action::Follow { .. } | Action::Suspended { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Pair {
    fn new(sizes: [u64; 2]) -> Self {
        let nodes = [Node::new(0, sizes[0]), Node::new(1, sizes[1])];
        let mut pair = Self { nodes, now_ms: 0, frames: [0; 2], bytes: 0, streams: 0 };
        for node in 0..2 {
            let other = pair.nodes[1 - node].key;
            pair.nodes[node].federation.connected(0, other);
        }
        pair.settle();
        pair
    }

    /// A node dies, and comes back with what was durable.
    fn restart(&mut self, number: u8) {
        let (own, other) = (usize::from(number), usize::from(1 - number));
        let keys = keys(number);
        let (enrolment, roster) = (keys.enrolment(), self.nodes[own].roster.clone());
        let mut federation = Federation::new(enrolment, keys.receipts, Config::default(), 7);
        let node = &mut self.nodes[own];
        assert!(federation.join(self.now_ms, roster, node.standing.clone(), &node.ledger));
        node.federation = federation;
        let keys = [self.nodes[0].key, self.nodes[1].key];
        self.nodes[other].federation.disconnected(keys[own]);
        self.nodes[own].federation.connected(self.now_ms, keys[other]);
        self.nodes[other].federation.connected(self.now_ms, keys[own]);
        self.settle();
    }

    fn settle(&mut self) {
        let mut wire = VecDeque::new();
        loop {
            for node in 0..2 {
                self.nodes[node].act(self.now_ms, 1 - node, &mut wire);
            }
            let Some(next) = wire.pop_front() else { return };
            let (Wire::Frame(to, _) | Wire::Stream(to, ..)) = next;
            let from = self.nodes[1 - to].key;
            let node = &mut self.nodes[to];
            match next {
                Wire::Frame(_, frame) => {
                    self.frames[to] += 1;
                    self.bytes += frame.len();
                    let message = Message::from_frame(&frame).unwrap();
                    node.federation.handle(self.now_ms, from, message, &node.ledger);
                }
                Wire::Stream(_, transfer, bytes) => {
                    self.streams += bytes.len();
                    assert!(node.federation.expects(from, transfer));
                    node.federation.received(self.now_ms, from, transfer, &bytes, &node.ledger);
                }
            }
        }
    }

    fn run(&mut self, for_ms: u64) {
        for _ in 0..for_ms / 50 {
            self.now_ms += 50;
            for node in &mut self.nodes {
                node.federation.tick(self.now_ms, &node.ledger);
            }
            self.settle();
        }
    }
}

#[test]
fn a_replica_far_behind_catches_up_at_little_more_than_the_missing_bytes() {
    let mut pair = Pair::new([30_000, 100]);
    pair.run(5_000);
    assert_eq!(pair.nodes[0].ledger.mark(), pair.nodes[1].ledger.mark());
    let missing: usize = pair.nodes[0].ledger.steps[100..].iter().map(Step::bytes).sum();
    let moved = pair.bytes + pair.streams;
    println!("{moved} bytes for {missing}");
    assert!(pair.streams > 0);
    assert!(moved * 100 <= missing * 115, "{moved} bytes for {missing}");
    assert!(pair.nodes[1].found.contains(&Divergence::StaleHere { missing: 29_900 }), "{:?}", pair.nodes[1].found);
}

#[test]
fn a_replica_a_little_behind_gets_it_in_frames() {
    let mut pair = Pair::new([500, 100]);
    pair.run(1_000);
    assert_eq!(pair.nodes[0].ledger.mark(), pair.nodes[1].ledger.mark());
    let missing: usize = pair.nodes[0].ledger.steps[100..].iter().map(Step::bytes).sum();
    assert_eq!(pair.streams, 0);
    assert!(pair.bytes * 100 <= missing * 115 + 100 * 16 * 1_024, "{} bytes for {missing}", pair.bytes);
}

#[test]
fn the_owner_acknowledges_what_a_majority_has_and_windows_become_final() {
    let mut pair = Pair::new([0, 0]);
    pair.run(400);
    for round in 0..20_u64 {
        let owner = &mut pair.nodes[0];
        assert_eq!(owner.federation.service(pair.now_ms, ledger_id()), Some(Service::Orders));
        let step = owner.ledger.end.clone().order(ledger_id(), 1, format!("input {round}").as_bytes());
        owner.ledger.append(step);
        owner.federation.advanced(pair.now_ms, ledger_id(), &owner.ledger);
        assert_eq!(pair.nodes[0].acknowledged, round, "not before the replica has it");
        pair.settle();
        assert_eq!(pair.nodes[0].acknowledged, round + 1);
        assert_eq!(pair.nodes[1].ledger.size(), round + 1);
    }
    pair.run(3_000);
    assert_eq!(pair.nodes[1].federation.service(pair.now_ms, ledger_id()), Some(Service::Follows));
    for node in &pair.nodes {
        assert_eq!(node.finals, [8, 16, 20]);
    }
}

/// What the owner has and nobody else may be gone with the owner: whoever signed nothing of it can still give it up.
#[test]
fn a_member_that_lost_its_memory_takes_for_signed_only_what_is_committed() {
    let mut pair = Pair::new([20, 20]);
    let owner = &mut pair.nodes[0];
    let step = owner.ledger.end.clone().order(ledger_id(), 1, b"only the owner has it");
    owner.ledger.append(step);
    owner.federation.advanced(pair.now_ms, ledger_id(), &owner.ledger);
    owner.act(pair.now_ms, 1, &mut VecDeque::new());
    pair.nodes[1].standing = Standing { rejoining: true, ..Standing::new(&pair.nodes[1].roster) };
    pair.restart(1);
    pair.run(1_000);
    let replica = &pair.nodes[1];
    let in_line = replica.standings.iter().find(|standing| !standing.rejoining).unwrap();
    assert_eq!((in_line.signed.size, in_line.protected()), (20, 20));
    assert_eq!(replica.ledger.size(), 21);
    // From then on it counts, and signs.
    pair.run(3_000);
    assert_eq!((pair.nodes[0].acknowledged, pair.nodes[1].standing.last_final.size), (21, 21));
}

/// There is no second vote on what is signed, so the one that nobody has seen must come again.
#[test]
fn a_vote_that_was_lost_with_its_node_is_shown_by_the_next_life() {
    let mut pair = Pair::new([3, 3]);
    pair.run(200);
    let owner = &mut pair.nodes[0];
    while owner.standing.signed.size < 3 {
        pair.now_ms += 50;
        owner.federation.tick(pair.now_ms, &owner.ledger);
        owner.act(pair.now_ms, 1, &mut VecDeque::new());
    }
    assert!(pair.nodes.iter().all(|node| node.finals.is_empty()), "what it said is lost");
    pair.restart(0);
    pair.run(3_000);
    assert!(pair.nodes.iter().all(|node| node.finals == [3]));
    // Nor does whoever was there see it in vain: a life later it is still what the others need.
    pair.restart(1);
    pair.run(3_000);
    assert_eq!(pair.nodes[1].standing.last_final.size, 3);
}

#[test]
fn an_owner_without_its_replica_orders_nothing_and_acknowledges_nothing() {
    let mut pair = Pair::new([3, 3]);
    pair.run(400);
    let replica = pair.nodes[1].key;
    let owner = &mut pair.nodes[0];
    owner.federation.disconnected(replica);
    assert!(matches!(owner.federation.service(pair.now_ms, ledger_id()), Some(Service::Stale { .. })));
    let step = owner.ledger.end.clone().order(ledger_id(), 1, b"alone");
    owner.ledger.append(step);
    owner.federation.advanced(pair.now_ms, ledger_id(), &owner.ledger);
    while let Some(action) = owner.federation.poll() {
        assert!(!matches!(action, Action::Acknowledge { .. }));
    }
    let replica = &mut pair.nodes[1];
    let later_ms = pair.now_ms + 10_000;
    assert!(matches!(replica.federation.service(later_ms, ledger_id()), Some(Service::Stale { heard_ms: Some(_) })));
}

#[test]
fn quiet_nodes_stay_cheap() {
    let mut pair = Pair::new([1_000, 1_000]);
    pair.run(2_000);
    (pair.frames, pair.bytes) = ([0; 2], 0);
    pair.run(60_000);
    // A heartbeat and its answer five times a second, a comparison every two seconds.
    println!("{} bytes, {:?} frames a minute", pair.bytes, pair.frames);
    assert!(pair.bytes < 60 * 5 * 400 + 30 * 1_000, "{} bytes a minute", pair.bytes);
    let agreed = pair.nodes[0].federation.peers().next().unwrap().agreed_ms;
    assert!(agreed.is_some_and(|agreed_ms| agreed_ms > pair.now_ms - 4_000));
}

#[test]
fn a_driver_asks_its_own_questions_and_hears_when_nobody_answers() {
    let mut pair = Pair::new([20, 20]);
    let (owner, ledger) = (pair.nodes[0].key, ledger_id());
    let replica = &mut pair.nodes[1];
    let asked = replica.federation.ask_peer(pair.now_ms, owner, Question::Snapshot { ledger }).unwrap();
    pair.settle();
    // A ledger in memory has no snapshots.
    assert_eq!(pair.nodes[1].answers, [(asked, Some(Reply::Refused(Refusal::Pruned)))]);
    let replica = &mut pair.nodes[1];
    let transfer = replica.federation.new_transfer();
    replica.federation.expect_stream(pair.now_ms, owner, asked, transfer, 100);
    assert!(replica.federation.expects(owner, transfer));
    assert!(!replica.federation.received(pair.now_ms, owner, transfer, b"chunks", &replica.ledger));
    assert!(!replica.federation.expects(owner, transfer));
    replica.federation.expect_stream(pair.now_ms, owner, asked, transfer, 100);
    pair.run(8_000);
    assert_eq!(pair.nodes[1].answers.last(), Some(&(asked, None)));
    let stranger = keys(9).id();
    assert_eq!(pair.nodes[1].federation.ask_peer(pair.now_ms, stranger, Question::Snapshot { ledger }), None);
}

#[test]
fn a_suspended_owner_orders_again_when_it_is_sound() {
    let mut pair = Pair::new([20, 20]);
    pair.run(400);
    let owner = &mut pair.nodes[0];
    owner.federation.suspend(ledger_id(), Suspension::Ordered);
    let why = Some(Service::Suspended(Suspension::Ordered));
    assert_eq!(owner.federation.service(pair.now_ms, ledger_id()), why);
    // Damage that is still there suspends again, for its own reason.
    let sound = owner.ledger.state_root;
    owner.ledger.state_root = reprise_receipts::StateRoot::from_bytes([1; 32]);
    owner.federation.resume(pair.now_ms, ledger_id(), &owner.ledger);
    let why = Some(Service::Suspended(Suspension::CorruptHere));
    assert_eq!(owner.federation.service(pair.now_ms, ledger_id()), why);
    owner.ledger.state_root = sound;
    owner.federation.resume(pair.now_ms, ledger_id(), &owner.ledger);
    pair.run(400);
    assert_eq!(pair.nodes[0].federation.service(pair.now_ms, ledger_id()), Some(Service::Orders));
}

#[test]
fn a_bundle_is_asked_for_made_announced_and_ended_or_refused_with_the_reason() {
    let mut pair = Pair::new([20, 20]);
    let (owner, ledger) = (pair.nodes[0].key, ledger_id());
    let query = |kind, from, to| BundleQuery { ledger, kind, from, to, transfer: 7 };
    let ask = |pair: &mut Pair, query| {
        let asked = pair.nodes[1].federation.ask_for_bundle(pair.now_ms, owner, query).unwrap();
        pair.settle();
        let answer = pair.nodes[1].answers.last().filter(|(request, _)| *request == asked);
        answer.and_then(|(_, reply)| reply.clone())
    };
    let refused = |why| Some(Reply::Refused(why));
    let other = BundleQuery { ledger: LedgerId::from_bytes([9; 32]), ..query(BundleKind::Receipt, 0, None) };
    assert_eq!(ask(&mut pair, other), refused(Refusal::NotShared));
    assert_eq!(ask(&mut pair, query(BundleKind::Replay, 0, Some(21))), refused(Refusal::BeyondEnd));
    assert_eq!(ask(&mut pair, query(BundleKind::Replay, 20, None)), refused(Refusal::BeyondEnd));
    // A ledger in memory has no snapshots.
    assert_eq!(ask(&mut pair, query(BundleKind::Checkpoint, 0, None)), refused(Refusal::Pruned));

    assert_eq!(ask(&mut pair, query(BundleKind::Receipt, 5, None)), None, "it is being made");
    let (number, order) = pair.nodes[0].orders.pop().unwrap();
    assert_eq!((order.kind, order.range, order.open_end), (BundleKind::Receipt, 5..20, true));
    assert_eq!(ask(&mut pair, query(BundleKind::Receipt, 5, None)), refused(Refusal::Busy), "one for each peer");
    let offer = BundleOffer { to: 20, bytes: 99, digest: BundleDigest::from_bytes([3; 32]) };
    assert!(pair.nodes[0].federation.bundle_made(number, Ok(offer)));
    assert!(!pair.nodes[0].federation.bundle_made(number, Ok(offer)), "it is answered once");
    pair.settle();
    assert_eq!(pair.nodes[1].answers.last().unwrap().1, Some(Reply::Bundle(offer)));
    assert_eq!(ask(&mut pair, query(BundleKind::Receipt, 5, None)), refused(Refusal::Busy), "it is being sent");
    pair.nodes[0].federation.bundle_ended(number);

    assert_eq!(ask(&mut pair, query(BundleKind::Replay, 0, Some(3))), None);
    let (number, order) = pair.nodes[0].orders.pop().unwrap();
    assert_eq!((order.range, order.open_end), (0..3, false));
    assert!(!pair.nodes[0].federation.bundle_made(number, Err(Refusal::NotMade)));
    pair.settle();
    assert_eq!(pair.nodes[1].answers.last().unwrap().1, refused(Refusal::NotMade));
    pair.nodes[0].federation.bundle_ended(number);

    // Whoever asked is gone: nothing is sent to its next life.
    assert_eq!(ask(&mut pair, query(BundleKind::Replay, 0, Some(3))), None);
    let (number, _) = pair.nodes[0].orders.pop().unwrap();
    pair.restart(1);
    assert!(!pair.nodes[0].federation.bundle_made(number, Ok(offer)));
}

#[test]
fn a_bundle_that_takes_long_to_be_made_is_waited_for_and_then_given_up() {
    let mut pair = Pair::new([20, 20]);
    let owner = pair.nodes[0].key;
    let query = BundleQuery { ledger: ledger_id(), kind: BundleKind::Replay, from: 0, to: None, transfer: 7 };
    let asked = pair.nodes[1].federation.ask_for_bundle(pair.now_ms, owner, query).unwrap();
    pair.run(100_000);
    assert!(pair.nodes[1].answers.iter().all(|(request, _)| *request != asked));
    pair.run(30_000);
    assert_eq!(pair.nodes[1].answers.last(), Some(&(asked, None)));
}

/// What a node does when a peer shows it a proof: nothing is believed that does not hold.
#[test]
fn evidence_is_verified_before_anything_follows_from_it_and_then_passed_on() {
    let owner = keys(0).receipts;
    let body = |log_root: u8| AttestationBody {
        ledger: ledger_id(),
        seq: 5,
        leaf: LeafHash::from_bytes([7; 32]),
        log_root: LogRoot::from_bytes([log_root; 32]),
        epoch: Some(1),
    };
    let shown = |one: Attestation, other: Attestation| {
        let mut pair = Pair::new([20, 20]);
        let (from, replica) = (pair.nodes[0].key, &mut pair.nodes[1]);
        let file = Evidence::Equivocation(Box::new(Equivocation::new(one, other))).to_file();
        replica.federation.handle(1, from, Message::Evidence(EvidenceNote { file: file.clone() }), &replica.ledger);
        let actions: Vec<Action> = std::iter::from_fn(|| replica.federation.poll()).collect();
        let is_kept = actions.iter().any(|action| matches!(action, Action::Evidence(_)));
        let is_rejected = actions.iter().any(|action| matches!(action, Action::Quarantined(_)));
        let is_passed_on = actions
            .iter()
            .any(|action| matches!(action, Action::Send { message: Message::Evidence(note), .. } if note.file == file));
        (replica.federation.service(1, ledger_id()), is_kept, is_passed_on, is_rejected)
    };
    let suspended = Some(Service::Suspended(Suspension::Equivocation { at: 5 }));
    assert_eq!(shown(body(1).sign(&owner), body(2).sign(&owner)), (suspended, true, true, false));
    // By somebody who is no member; the same said twice; a signature that does not hold.
    let stranger = keys(9).receipts;
    let mut forged = body(2).sign(&owner);
    forged.body.log_root = LogRoot::from_bytes([3; 32]);
    for (one, other) in [
        (body(1).sign(&stranger), body(2).sign(&stranger)),
        (body(1).sign(&owner), body(1).sign(&owner)),
        (body(1).sign(&owner), forged),
    ] {
        let (service, is_kept, is_passed_on, is_rejected) = shown(one, other);
        assert_ne!(service, suspended);
        assert_eq!((is_kept, is_passed_on, is_rejected), (false, false, true));
    }
}

fn roots(size: u64) -> Roots {
    Roots {
        size,
        log_root: LogRoot::from_bytes([1; 32]),
        state_root: StateRoot::from_bytes([2; 32]),
        execution: ExecutionRoot::from_bytes([3; 32]),
        checkpoint: None,
        projection: None,
    }
}

#[test]
fn roots_are_asked_for_made_and_told_or_refused_with_the_reason() {
    let mut pair = Pair::new([20, 20]);
    let (owner, ledger) = (pair.nodes[0].key, ledger_id());
    let query = |size| RootsQuery { ledger, size, view: None };
    let ask = |pair: &mut Pair, query: RootsQuery| {
        let asked = pair.nodes[1].federation.ask_for_roots(pair.now_ms, owner, query).unwrap();
        pair.settle();
        let answer = pair.nodes[1].answers.last().filter(|(request, _)| *request == asked);
        answer.and_then(|(_, reply)| reply.clone())
    };
    let refused = |why| Some(Reply::Refused(why));
    let other = RootsQuery { ledger: LedgerId::from_bytes([9; 32]), ..query(5) };
    assert_eq!(ask(&mut pair, other), refused(Refusal::NotShared));
    assert_eq!(ask(&mut pair, query(21)), refused(Refusal::BeyondEnd));

    let view = Some(View { name: "all".to_owned(), args: vec![1, 2] });
    assert_eq!(ask(&mut pair, RootsQuery { view: view.clone(), ..query(20) }), None, "they are being made");
    let (number, wanted) = pair.nodes[0].wanted.pop().unwrap();
    assert_eq!((wanted.size, wanted.view.clone()), (20, view));
    assert_eq!(ask(&mut pair, query(20)), refused(Refusal::Busy), "one for each peer");
    let told = Roots { projection: Some(Projected::Refused), ..roots(20) };
    assert!(wanted.is_met_by(&told) && !wanted.is_met_by(&roots(20)) && !query(19).is_met_by(&roots(20)));
    pair.nodes[0].federation.roots_made(number, Ok(told.clone()));
    pair.settle();
    assert_eq!(pair.nodes[1].answers.last().unwrap().1, Some(Reply::Roots(Box::new(told))));

    assert_eq!(ask(&mut pair, query(7)), None, "there is room again");
    let (number, _) = pair.nodes[0].wanted.pop().unwrap();
    pair.nodes[0].federation.roots_made(number, Err(Refusal::NotMade));
    pair.settle();
    assert_eq!(pair.nodes[1].answers.last().unwrap().1, refused(Refusal::NotMade));
}

/// The replica says that it speaks no later version.
fn of_version(version: u16) -> Pair {
    let mut pair = Pair::new([20, 20]);
    let replica = keys(1);
    let older = Message::Hello(Hello { version_min: 2, version_max: version, ..Hello::new(replica.enrolment()) });
    let node = &mut pair.nodes[0];
    node.federation.disconnected(replica.id());
    node.federation.connected(0, replica.id());
    node.federation.handle(0, replica.id(), older, &node.ledger);
    assert_eq!(node.federation.peers().next().unwrap().version, version);
    while node.federation.poll().is_some() {}
    pair
}

#[test]
fn a_peer_of_version_3_is_asked_for_bundles_but_not_for_roots() {
    let mut pair = of_version(3);
    let (node, replica) = (&mut pair.nodes[0], keys(1).id());
    let query = BundleQuery { ledger: ledger_id(), kind: BundleKind::Replay, from: 0, to: None, transfer: 7 };
    assert!(node.federation.ask_for_bundle(0, replica, query).is_ok());
    let query = RootsQuery { ledger: ledger_id(), size: 20, view: None };
    assert_eq!(node.federation.ask_for_roots(0, replica, query.clone()), Err(CannotAsk::Version(3)));
    while node.federation.poll().is_some() {}
    let question = Question::Roots(query);
    node.federation.handle(0, replica, Message::Ask(Ask { request: 2, question }), &node.ledger);
    let told = std::iter::from_fn(|| node.federation.poll());
    assert!(told.into_iter().any(|action| matches!(action, Action::Disconnect { reason: Goodbye::Protocol, .. })));
}

#[test]
fn a_peer_of_the_version_before_is_not_asked_for_bundles_and_may_not_ask() {
    let mut pair = of_version(2);
    let (node, replica) = (&mut pair.nodes[0], keys(1));
    let query = BundleQuery { ledger: ledger_id(), kind: BundleKind::Replay, from: 0, to: None, transfer: 7 };
    assert_eq!(node.federation.ask_for_bundle(0, replica.id(), query), Err(CannotAsk::Version(2)));
    let stranger = keys(9).id();
    assert_eq!(node.federation.ask_for_bundle(0, stranger, query), Err(CannotAsk::NotConnected));
    // Everything else is as it was with such a node.
    let question = Question::Epochs { ledger: ledger_id() };
    node.federation.handle(0, replica.id(), Message::Ask(Ask { request: 1, question }), &node.ledger);
    let question = Question::Bundle(query);
    node.federation.handle(0, replica.id(), Message::Ask(Ask { request: 2, question }), &node.ledger);
    let mut told = Vec::new();
    while let Some(action) = node.federation.poll() {
        if let Action::Send { message: message @ (Message::Answer(_) | Message::Goodbye(_)), .. } = action {
            told.push(message);
        }
    }
    assert!(matches!(told[..], [Message::Answer(_), Message::Goodbye(Goodbye::Protocol)]), "{told:?}");
}
