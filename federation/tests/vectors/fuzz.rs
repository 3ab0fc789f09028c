//! Whatever frames come, a decoder says something sensible and the state machine goes on.
//!
//! Seeded messages of every kind, changed in one to four places, as they would come from a peer that has said who it is.
//! Those that decode are given to a node that owns, and to one that follows, the ledger that they are made to be about.
//! So is everything else of a peer that is decoded: the content of streams, evidence, attestations, signed commands.
//!
//! Without a time the frames are the same in every run. `REPRISE_FUZZ_SECONDS` makes a run go on for that long, from a seed
//! that it prints; `REPRISE_FUZZ_SEED` says which.

use crate::{
    kinds,
    seeded::Random,
    support::{
        self, keys,
        ledger::{End, MemoryLedger},
        ledger_id,
    },
};
use reprise_abi::{Canonical, decode_canonical, encode};
use reprise_federation::{
    Action, Config, Federation, Message, NodeKey, Quorum, Standing,
    compare::{join_chunks, split_chunks},
    limits::FRAME_BYTES_MAX,
    membership::SignedGrant,
    message::{EvidenceNote, Hello, Question, Steps},
    node::Refused,
};
use reprise_receipts::{
    AttestationBody, LeafHash, LogRoot,
    evidence::{Equivocation, Evidence},
};
use std::{
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Frames of a run without a time.
const FRAMES: u64 = 30_000;

const MAKERS: [fn(&mut Random) -> Message; 31] = [
    kinds::hello,
    kinds::ask_digest,
    kinds::ask_heads,
    kinds::ask_continuity,
    kinds::ask_epochs,
    kinds::ask_subtrees,
    kinds::ask_receipt,
    kinds::ask_range,
    kinds::ask_snapshot,
    kinds::ask_chunks,
    kinds::ask_bundle,
    kinds::ask_roots,
    kinds::answer_same,
    kinds::answer_heads,
    kinds::answer_continuity,
    kinds::answer_epochs,
    kinds::answer_subtrees,
    kinds::answer_receipt,
    kinds::answer_sending,
    kinds::answer_snapshot,
    kinds::answer_refused,
    kinds::answer_bundle,
    kinds::answer_roots,
    kinds::append,
    kinds::ack,
    kinds::claim,
    kinds::promise,
    kinds::vote,
    kinds::evidence,
    proof,
    kinds::goodbye,
];

/// Two attestations over one receipt that differ, by a member.
fn proof(random: &mut Random) -> Message {
    let signer = keys(random.below(3) as u8).receipts;
    let body = |log_root| AttestationBody {
        ledger: ledger_id(),
        seq: 5,
        leaf: LeafHash::from_bytes([7; 32]),
        log_root: LogRoot::from_bytes(log_root),
        epoch: Some(1),
    };
    let (one, other) = (body(random.digest()).sign(&signer), body(random.digest()).sign(&signer));
    let file = Evidence::Equivocation(Box::new(Equivocation::new(one, other))).to_file();
    Message::Evidence(EvidenceNote { file })
}

/// What comes in streams, in frames as bytes, or in files of peers, valid.
fn object(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => encode(&kinds::steps(random)),
        1 => join_chunks([random.bytes(300).as_slice(), &random.bytes(20)]),
        2 => match proof(random) {
            Message::Evidence(note) => note.file,
            other => unreachable!("{other:?}"),
        },
        _ => match kinds::claim(random) {
            Message::Claim(claim) => encode(&claim.grant),
            other => unreachable!("{other:?}"),
        },
    }
}

/// Values that follow from a seed: always the same one, unless the run has a time.
fn random(name: &str, seconds: u64) -> Random {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let seed = match env::var("REPRISE_FUZZ_SEED") {
        Ok(text) => text.parse().expect("a number"),
        Err(_) if seconds > 0 => clock(),
        Err(_) => return Random::for_kind(name),
    };
    println!("REPRISE_FUZZ_SEED={seed}");
    Random::for_kind(&format!("{name} {seed}"))
}

fn seconds() -> u64 {
    env::var("REPRISE_FUZZ_SECONDS").map_or(0, |text| text.parse().expect("seconds"))
}

/// The message, about the ledger that is there, and near its end more often than not.
fn aim(message: &mut Message, random: &mut Random, size: u64) {
    let near = |random: &mut Random, value: &mut u64| {
        if random.below(3) > 0 {
            *value = (size + 3).saturating_sub(random.below(size + 6));
        }
    };
    match message {
        Message::Ask(ask) => match &mut ask.question {
            Question::Digest(_) | Question::Heads { .. } => {}
            Question::Continuity { ledger, from, to } => {
                *ledger = ledger_id();
                near(random, to);
                *from = random.below(*to + 1);
            }
            Question::Epochs { ledger } | Question::Snapshot { ledger } | Question::Chunks { ledger, .. } => {
                *ledger = ledger_id();
            }
            Question::Subtrees { ledger, level, first, .. } => {
                (*ledger, *level) = (ledger_id(), random.below(3) as u8);
                near(random, first);
            }
            Question::Receipt { ledger, seq, size } => {
                *ledger = ledger_id();
                near(random, size);
                *seq = random.below((*size).max(1));
            }
            Question::Range { ledger, first, end, of, .. } => {
                *ledger = ledger_id();
                near(random, of);
                *first = random.below((*of).max(1));
                *end = *of;
            }
            Question::Bundle(query) => query.ledger = ledger_id(),
            Question::Roots(query) => {
                query.ledger = ledger_id();
                near(random, &mut query.size);
            }
        },
        Message::Answer(answer) => {
            answer.request = random.below(40) as u32;
        }
        Message::Append(append) => {
            (append.ledger, append.epoch) = (ledger_id(), 1 + random.below(2));
            near(random, &mut append.before.size);
            append.head.size = append.before.size + append.steps.len() as u64 + random.below(3);
            append.committed = random.below(append.head.size + 1);
        }
        Message::Ack(ack) => {
            (ack.ledger, ack.epoch) = (ledger_id(), 1 + random.below(2));
            near(random, &mut ack.have.size);
        }
        Message::Promise(promise) => (promise.ledger, promise.epoch) = (ledger_id(), 1 + random.below(3)),
        Message::Claim(claim) => claim.grant.grant.ledger = ledger_id(),
        Message::Vote(vote) => vote.ledger = ledger_id(),
        Message::Hello(_) | Message::Evidence(_) | Message::Goodbye(_) => {}
    }
}

fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        let at = random.below(frame.len() as u64) as usize;
        match random.below(5) {
            0 => frame[at] ^= 1 << random.below(8),
            1 => frame[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            2 => frame.truncate(at.max(1)),
            3 => frame.insert(at, random.pick(&[0, 1, 0x80])),
            _ => drop(frame.remove(at)),
        }
        if frame.is_empty() {
            frame.push(0);
        }
    }
}

struct Node {
    federation: Federation,
    ledger: MemoryLedger,
    peer: NodeKey,
    now_ms: u64,
}

impl Node {
    fn new(number: u8, peer: u8) -> Self {
        let roster = support::roster(3, 1, Quorum::Majority);
        let (mut ledger, mut end) = (MemoryLedger::new(ledger_id()), End::START);
        for input in 0..300 {
            ledger.append(end.order(ledger_id(), 1, format!("input {input}").as_bytes()));
        }
        let own = keys(number);
        let enrolment = own.enrolment();
        let mut federation = Federation::new(enrolment, own.receipts, Config::default(), 1);
        assert!(federation.join(0, roster.clone(), Standing::new(&roster), &ledger));
        let mut node = Self { federation, ledger, peer: keys(peer).id(), now_ms: 0 };
        node.greet(peer);
        node
    }

    fn greet(&mut self, peer: u8) {
        self.federation.connected(self.now_ms, self.peer);
        let hello = Message::Hello(Hello::new(keys(peer).enrolment()));
        self.federation.handle(self.now_ms, self.peer, hello, &self.ledger);
        self.act();
    }

    /// Carries out nothing, but says what became of it.
    fn act(&mut self) {
        for _ in 0..10_000 {
            let Some(action) = self.federation.poll() else { return };
            match action {
                Action::Send { message, .. } => assert!(message.to_frame().len() <= FRAME_BYTES_MAX),
                Action::Apply { first, steps, from, work, .. } => {
                    let step = steps[0].clone();
                    let refused = Refused { ledger: ledger_id(), from, work, at: first, step: &step };
                    self.federation.refused(self.now_ms, &refused, &self.ledger);
                    self.federation.carried_out(self.now_ms, ledger_id(), work, &self.ledger);
                }
                Action::RollBack { to, work, .. } => {
                    self.ledger.truncate(to.size);
                    self.federation.carried_out(self.now_ms, ledger_id(), work, &self.ledger);
                }
                _ => {}
            }
        }
        panic!("the actions do not end");
    }

    fn take(&mut self, frame: &[u8], peer: u8) {
        self.now_ms += 7;
        match Message::from_frame(frame) {
            Ok(message) => {
                assert_eq!(message.to_frame(), frame);
                self.federation.handle(self.now_ms, self.peer, message, &self.ledger);
            }
            Err(_) => self.federation.malformed(self.now_ms, self.peer, frame),
        }
        self.federation.tick(self.now_ms, &self.ledger);
        self.act();
        if !self.federation.peers().any(|peer| peer.connected) {
            self.greet(peer);
        }
        self.federation.resume(self.now_ms, ledger_id(), &self.ledger);
        self.act();
    }
}

#[test]
fn frames_of_any_kind_do_no_harm() {
    let seconds = seconds();
    let (begin, mut random, mut decoded) = (Instant::now(), random("fuzz", seconds), 0);
    // One that owns the ledger and hears a replica, one that follows and hears its owner.
    let mut nodes = [(Node::new(0, 1), 1), (Node::new(2, 0), 0)];
    for round in 0.. {
        if round >= FRAMES && begin.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
        let mut message = MAKERS[random.below(MAKERS.len() as u64) as usize](&mut random);
        let (node, peer) = &mut nodes[random.below(2) as usize];
        aim(&mut message, &mut random, node.ledger.size());
        // Aimed, some break a bound of their kind: those cannot be sent.
        if message.validate().is_err() {
            continue;
        }
        let mut frame = message.to_frame();
        mutate(&mut frame, &mut random);
        decoded += u64::from(Message::from_frame(&frame).is_ok());
        node.take(&frame, *peer);
    }
    assert!(decoded > FRAMES / 10, "only {decoded} frames decode");
}

/// Whatever decodes has one encoding, and is what it was.
#[test]
fn other_objects_of_any_kind_do_no_harm() {
    let (seconds, begin) = (seconds() / 4, Instant::now());
    let (mut random, mut decoded) = (random("objects", seconds), 0);
    for round in 0.. {
        if round >= FRAMES && begin.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
        let mut bytes = object(&mut random);
        mutate(&mut bytes, &mut random);
        if let Ok(steps) = decode_canonical::<Steps>(&bytes) {
            assert_eq!(encode(&steps), bytes);
            decoded += 1;
        }
        if let Some(chunks) = split_chunks(&bytes) {
            assert_eq!(join_chunks(chunks), bytes);
            decoded += 1;
        }
        if let Ok(evidence) = Evidence::from_file(&bytes) {
            assert_eq!(evidence.to_file(), bytes);
            decoded += 1;
        }
        if let Ok(grant) = decode_canonical::<SignedGrant>(&bytes) {
            assert_eq!(encode(&grant), bytes);
            decoded += 1;
        }
    }
    assert!(decoded > FRAMES / 10, "only {decoded} objects decode");
}
