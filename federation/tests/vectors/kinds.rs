//! What the seeded values of each kind are.

use crate::seeded::Random;
use reprise_federation::{
    Durability, Grant, LedgerHead, List, Mark, Member, Message, NodeKey, Quorum, Roster, SignedGrant, Standing,
    Suspension, WindowRule,
    ledgers::EpochStart,
    limits::BUNDLE_BYTES_MAX,
    membership::STANDING_FORMAT,
    message::{
        Ack, Answer, Append, Ask, BundleOffer, BundleQuery, Claim, Enrolment, EvidenceNote, Goodbye, HeadPage,
        HeadsDigest, Hello, PlacedReceipt, Projected, Promise, Question, Refusal, Reply, Roots, RootsQuery, Sending,
        Standpoint, Step, Steps, View, Vote,
    },
};
use reprise_receipts::{
    Attestation, AttestationBody, ExecutionRoot, LeafHash, LedgerId, LogRoot, PublicKey, SigningKey, StateRoot,
    attestation::Signature,
    bundle::BundleKind,
    checkpoint::{CHECKPOINT_FORMAT, CheckpointClaim, CheckpointRecord},
    digest::{BundleDigest, ChunkId, ContinuityRoot, ProjectionRoot},
    log::LOG_SIZE_MAX,
    snapshot::{Manifest, SNAPSHOT_FORMAT},
};

fn key(random: &mut Random) -> PublicKey {
    SigningKey::from_secret(&random.digest()).public()
}

fn node(random: &mut Random) -> NodeKey {
    NodeKey(key(random))
}

fn ledger(random: &mut Random) -> LedgerId {
    LedgerId::from_bytes(random.digest())
}

fn signature(random: &mut Random) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&random.digest());
    bytes[32..].copy_from_slice(&random.digest());
    Signature::from_bytes(bytes)
}

fn size(random: &mut Random) -> u64 {
    random.number().min(LOG_SIZE_MAX)
}

fn mark_of(random: &mut Random, size: u64) -> Mark {
    Mark { size, log_root: LogRoot::from_bytes(random.digest()) }
}

fn mark(random: &mut Random) -> Mark {
    let size = size(random);
    mark_of(random, size)
}

fn path<const MAX: usize>(random: &mut Random, max: u64) -> List<[u8; 32], MAX> {
    List::first(random.list(max, Random::digest))
}

fn ask(random: &mut Random, question: Question) -> Message {
    Message::Ask(Ask { request: random.number32(), question })
}

fn answer(random: &mut Random, reply: Reply) -> Message {
    Message::Answer(Answer { request: random.number32(), reply })
}

pub fn hello(random: &mut Random) -> Message {
    let enrolment = Enrolment {
        node: node(random),
        receipts: key(random),
        by_node: signature(random),
        by_receipts: signature(random),
    };
    let version_min = random.below(300) as u16;
    Message::Hello(Hello { version_min, version_max: version_min + random.below(300) as u16, enrolment })
}

pub fn ask_digest(random: &mut Random) -> Message {
    let digest = HeadsDigest(random.digest());
    ask(random, Question::Digest(digest))
}

pub fn ask_heads(random: &mut Random) -> Message {
    let after = ledger(random);
    ask(random, Question::Heads { after })
}

pub fn ask_continuity(random: &mut Random) -> Message {
    let (to, ledger) = (size(random), ledger(random));
    let from = random.number().min(to);
    ask(random, Question::Continuity { ledger, from, to })
}

pub fn ask_epochs(random: &mut Random) -> Message {
    let ledger = ledger(random);
    ask(random, Question::Epochs { ledger })
}

pub fn ask_subtrees(random: &mut Random) -> Message {
    let (ledger, level, count) = (ledger(random), random.below(12) as u8, 1 + random.below(16) as u8);
    let first = random.number() % ((LOG_SIZE_MAX >> (4 * level)) - u64::from(count) + 1).max(1);
    let fits = (first + u64::from(count)) << (4 * level) <= LOG_SIZE_MAX;
    let (first, count) = if fits { (first, count) } else { (0, 1) };
    ask(random, Question::Subtrees { ledger, level, first, count })
}

pub fn ask_receipt(random: &mut Random) -> Message {
    let (size, ledger) = (size(random).max(1), ledger(random));
    let seq = random.number() % size;
    ask(random, Question::Receipt { ledger, seq, size })
}

pub fn ask_range(random: &mut Random) -> Message {
    let (ledger, transfer, bytes_max) = (ledger(random), random.number(), random.below(8 * 1024 * 1024 + 1));
    let first = size(random).min(LOG_SIZE_MAX - 10_000);
    let end = first + 1 + random.below(8_192);
    let of = end + random.below(1_000);
    ask(random, Question::Range { ledger, first, end, of, transfer, bytes_max })
}

pub fn ask_snapshot(random: &mut Random) -> Message {
    let ledger = ledger(random);
    ask(random, Question::Snapshot { ledger })
}

pub fn ask_chunks(random: &mut Random) -> Message {
    let (ledger, transfer) = (ledger(random), random.number());
    let mut ids = random.list(5, |random| ChunkId::from_bytes(random.digest()));
    ids.push(ChunkId::from_bytes(random.digest()));
    ask(random, Question::Chunks { ledger, transfer, ids: List::first(ids) })
}

pub fn ask_bundle(random: &mut Random) -> Message {
    let kind = random.pick(&[BundleKind::Receipt, BundleKind::Checkpoint, BundleKind::Replay]);
    let from = if kind == BundleKind::Checkpoint { 0 } else { size(random).min(LOG_SIZE_MAX - 10_000) };
    let to = random.option(|random| from + 1 + random.below(10_000));
    let query = BundleQuery { ledger: ledger(random), kind, from, to, transfer: random.number() };
    ask(random, Question::Bundle(query))
}

pub fn ask_roots(random: &mut Random) -> Message {
    let name = format!("view-{}", random.below(1_000));
    let view = random.option(|random| View { name, args: random.bytes(60) });
    let query = RootsQuery { ledger: ledger(random), size: size(random).max(1), view };
    ask(random, Question::Roots(query))
}

pub fn answer_same(random: &mut Random) -> Message {
    answer(random, Reply::Same)
}

pub fn answer_heads(random: &mut Random) -> Message {
    let head = |random: &mut Random| LedgerHead {
        ledger: ledger(random),
        epoch: random.number(),
        size: size(random),
        log_root: LogRoot::from_bytes(random.digest()),
        state_root: StateRoot::from_bytes(random.digest()),
    };
    let heads = random.ascending(4, head, |head| head.ledger);
    let more = !heads.is_empty() && random.below(2) == 1;
    answer(random, Reply::Heads(HeadPage { heads: List::first(heads), more }))
}

pub fn answer_continuity(random: &mut Random) -> Message {
    let path = path(random, 20);
    answer(random, Reply::Continuity(path))
}

pub fn answer_epochs(random: &mut Random) -> Message {
    let (mut epoch, mut first) = (0, 0);
    let starts = random.list(5, |random| {
        epoch += 1 + random.below(1 << 40);
        first += 1 + random.below(1 << 30);
        EpochStart { epoch, first, leaf: LeafHash::from_bytes(random.digest()) }
    });
    answer(random, Reply::Epochs(List::first(starts)))
}

pub fn answer_subtrees(random: &mut Random) -> Message {
    let path = path(random, 16);
    answer(random, Reply::Subtrees(path))
}

fn attestation(random: &mut Random) -> Attestation {
    let body = AttestationBody {
        ledger: ledger(random),
        seq: random.below(1 << 48),
        leaf: LeafHash::from_bytes(random.digest()),
        log_root: LogRoot::from_bytes(random.digest()),
        epoch: None,
    };
    Attestation { body, signer: key(random), signature: signature(random) }
}

pub fn answer_receipt(random: &mut Random) -> Message {
    let placed =
        PlacedReceipt { receipt: random.bytes(300), path: path(random, 10), attestation: random.option(attestation) };
    answer(random, Reply::Receipt(placed))
}

pub fn answer_sending(random: &mut Random) -> Message {
    let sending = Sending { end: random.number(), bytes: random.below(8 * 1024 * 1024 + 1), path: path(random, 10) };
    answer(random, Reply::Sending(sending))
}

fn checkpoint(random: &mut Random, size: impl Fn(&mut Random) -> u64) -> CheckpointRecord {
    let keys = random.number() % (1 << 30);
    let claim = CheckpointClaim {
        format: CHECKPOINT_FORMAT,
        ledger: ledger(random),
        size: size(random).max(1),
        log_root: LogRoot::from_bytes(random.digest()),
        logical_time_ms: random.number(),
        snapshot: Manifest {
            format: SNAPSHOT_FORMAT,
            state_root: StateRoot::from_bytes(random.digest()),
            keys,
            bytes: if keys == 0 { 0 } else { random.number() },
            first: (keys > 0).then(|| ChunkId::from_bytes(random.digest())),
        },
    };
    claim.after(ContinuityRoot::from_bytes(random.digest()))
}

pub fn answer_snapshot(random: &mut Random) -> Message {
    let record = checkpoint(random, size);
    answer(random, Reply::Snapshot(record))
}

pub fn answer_roots(random: &mut Random) -> Message {
    let size = size(random).max(1);
    let projected = |random: &mut Random| match random.below(3) {
        0 => Projected::Refused,
        1 => Projected::Missing,
        _ => Projected::Root(ProjectionRoot::from_bytes(random.digest())),
    };
    let roots = Roots {
        size,
        log_root: LogRoot::from_bytes(random.digest()),
        state_root: StateRoot::from_bytes(random.digest()),
        execution: ExecutionRoot::from_bytes(random.digest()),
        checkpoint: random.option(|random| checkpoint(random, |random| 1 + random.below(size))),
        projection: random.option(projected),
    };
    answer(random, Reply::Roots(Box::new(roots)))
}

pub fn answer_refused(random: &mut Random) -> Message {
    let why = random.pick(&[Refusal::NotShared, Refusal::BeyondEnd, Refusal::Pruned, Refusal::Busy]);
    answer(random, Reply::Refused(why))
}

pub fn answer_bundle(random: &mut Random) -> Message {
    let digest = BundleDigest::from_bytes(random.digest());
    let offer = BundleOffer { to: size(random).max(1), bytes: 1 + random.below(BUNDLE_BYTES_MAX), digest };
    answer(random, Reply::Bundle(offer))
}

/// Apart from [`answer_refused`], whose vectors are those of version 2.
pub fn answer_bundle_refused(random: &mut Random) -> Message {
    answer(random, Reply::Refused(Refusal::NotMade))
}

fn step(random: &mut Random) -> Step {
    Step { input: random.bytes(60), receipt: random.bytes(60) }
}

pub fn append(random: &mut Random) -> Message {
    let steps = random.list(4, step);
    let first = size(random).min(LOG_SIZE_MAX - 100);
    let head = first + steps.len() as u64 + random.below(50);
    Message::Append(Append {
        ledger: ledger(random),
        epoch: random.number(),
        base: random.number(),
        before: mark_of(random, first),
        steps: List::first(steps),
        head: mark_of(random, head),
        committed: random.number().min(head),
    })
}

pub fn ack(random: &mut Random) -> Message {
    let all = [Standpoint::Agrees, Standpoint::Behind, Standpoint::Differs, Standpoint::Suspended];
    Message::Ack(Ack {
        ledger: ledger(random),
        epoch: random.number(),
        standpoint: random.pick(&all),
        have: mark(random),
        state_root: StateRoot::from_bytes(random.digest()),
    })
}

fn grant(random: &mut Random) -> SignedGrant {
    let grant = Grant {
        ledger: ledger(random),
        epoch: random.number(),
        owner: node(random),
        attester: key(random),
        roster: random.number(),
    };
    let signatures = random.ascending(3, |random| (key(random), signature(random)), |(signer, _)| *signer);
    SignedGrant { grant, signatures: List::first(signatures) }
}

pub fn claim(random: &mut Random) -> Message {
    Message::Claim(Claim { grant: grant(random) })
}

pub fn promise(random: &mut Random) -> Message {
    Message::Promise(Promise {
        ledger: ledger(random),
        epoch: random.number(),
        log_epoch: random.number(),
        log: mark(random),
    })
}

pub fn vote(random: &mut Random) -> Message {
    Message::Vote(Vote {
        ledger: ledger(random),
        epoch: random.number(),
        size: size(random).max(1),
        log_root: LogRoot::from_bytes(random.digest()),
        ordered_in: random.option(Random::number),
        leaf: LeafHash::from_bytes(random.digest()),
        state_root: StateRoot::from_bytes(random.digest()),
        execution: ExecutionRoot::from_bytes(random.digest()),
        signer: key(random),
        attested: signature(random),
        time_s: random.number() >> 1,
        cosigned: signature(random),
    })
}

pub fn evidence(random: &mut Random) -> Message {
    Message::Evidence(EvidenceNote { file: random.bytes(300) })
}

pub fn goodbye(random: &mut Random) -> Message {
    Message::Goodbye(random.pick(&[
        Goodbye::Stopping,
        Goodbye::Version,
        Goodbye::Enrolment,
        Goodbye::Malformed,
        Goodbye::Protocol,
        Goodbye::NotAllowed,
    ]))
}

pub fn steps(random: &mut Random) -> Steps {
    Steps { steps: List::first(random.list(5, step)) }
}

pub fn roster(random: &mut Random) -> Roster {
    let member =
        |random: &mut Random| Member { node: node(random), receipts: key(random), observer: random.below(3) == 0 };
    let mut members = random.ascending(4, member, |member| member.node);
    members.push(Member { observer: false, ..member(random) });
    members.sort_by_key(|member| member.node);
    let first_owner = members.iter().find(|member| !member.observer).expect("the last one made").node;
    let mut operators = random.list(3, key);
    operators.push(key(random));
    operators.sort();
    Roster {
        ledger: ledger(random),
        number: random.number(),
        first_epoch: random.number(),
        first_owner,
        members: List::first(members),
        quorum: random.pick(&[Quorum::Majority, Quorum::TwoThirds]),
        durability: random.pick(&[Durability::Local, Durability::Majority]),
        window: WindowRule { receipts: random.number().max(1), every_ms: random.number().max(1) },
        operator_threshold: 1 + random.below(operators.len() as u64) as u32,
        operators: List::first(operators),
    }
}

pub fn standing(random: &mut Random) -> Standing {
    let grant = random.option(grant);
    let promised = grant.as_ref().map_or_else(|| random.number(), |grant| grant.grant.epoch);
    let owner = grant.as_ref().map_or_else(|| node(random), |grant| grant.grant.owner);
    let at = random.number();
    let suspensions = [
        Suspension::CorruptHere,
        Suspension::Contradiction { at },
        Suspension::ExecutionFault { at },
        Suspension::Equivocation { at },
        Suspension::Incomparable,
        Suspension::Ordered,
    ];
    Standing {
        format: STANDING_FORMAT,
        ledger: ledger(random),
        promised,
        owner,
        grant,
        log_epoch: random.number().min(promised),
        committed: random.number(),
        signed: mark(random),
        last_final: mark(random),
        suspended: random.option(|random| random.pick(&suspensions)),
        rejoining: random.below(2) == 1,
    }
}
