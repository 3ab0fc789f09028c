//! What a step costs: the floor, the same step sealed, and the verification of stored steps.
//!
//! Policy and events are those of `reprise bench`: heartbeats of eight ranks. Each iteration is a whole run of steps
//! from an empty state, so that the state is as large at the end of one iteration as at the end of any other.

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use reprise::{
    engine::{
        BackEnd, EngineProfile, Executor, WasmExecutor,
        floor::{Floor, FloorState},
        on_engine_thread,
    },
    journal::{Group, Journal, LedgerEntry},
    node::EngineChoice,
    verify::{VerifyOptions, verify},
};
use reprise_abi::{Event, Input, decode_canonical};
use reprise_receipts::{
    AttestationBody, Genesis, Head, Package, Sealed, SigningKey, Verdict,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    log::LogTail,
};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

const STEPS: u64 = 1_000;
const GROUP: usize = 64;
const RANKS: u64 = 8;

fn package() -> Package {
    decode_canonical(include_bytes!("../../fixtures/packages/lease-1.0.0.reprise")).expect("a committed package")
}

fn genesis(package: &Package) -> Genesis {
    let key = SigningKey::from_secret(&[1; 32]).public();
    Genesis {
        format: GENESIS_FORMAT,
        name: "bench".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfile::current().digest(),
        package: package.manifest.digest(),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    }
}

/// The incident's first event, and then heartbeats.
fn inputs() -> Vec<Input> {
    let incident = include_str!("../../fixtures/incidents/rank-loss-and-split.jsonl");
    let first = reprise::events::EventLines::new(incident.as_bytes()).next();
    let first = first.expect("the incident has events").expect("they are events");
    let start_ms = first.time_ms.unwrap_or(0);
    let heartbeat = |seq: u64| Event {
        id: format!("heartbeat-{seq}"),
        source: format!("rank-{}", seq % RANKS),
        kind: "heartbeat".to_owned(),
        payload: format!(r#"{{"rank":{},"incarnation":1}}"#, seq % RANKS).into_bytes(),
    };
    let input = |(seq, event)| Input { seq, epoch: 1, logical_time_ms: start_ms + seq * 10, event };
    (0..).zip(std::iter::once(first.event).chain((1..STEPS).map(heartbeat))).map(input).collect()
}

fn executor(package: &Package) -> WasmExecutor {
    WasmExecutor::new(BackEnd::CRANELIFT, package.manifest.digest(), &package.component, None).expect("it runs")
}

fn seal(head: &mut Head, executor: &mut WasmExecutor, input: &Input) -> Sealed {
    let work = head.prepare(input).expect("inputs are in order");
    let ledger = head.ledger();
    let executed = executor.step(head.lend_state(), ledger, input).expect("the host does its part");
    head.seal(input, &work, executed)
}

fn steps(c: &mut Criterion) {
    let package = package();
    let floor = Floor::new(BackEnd::CRANELIFT, &package.component).expect("it compiles");
    let mut executor = executor(&package);
    let inputs = inputs();
    let mut group = c.benchmark_group("step");
    group.throughput(Throughput::Elements(STEPS)).sample_size(20);
    group.bench_function("floor", |b| {
        b.iter_batched_ref(
            FloorState::new,
            |state| inputs.iter().for_each(|input| floor.step(state, input).expect("accepted")),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("sealed", |b| {
        b.iter_batched_ref(
            || Head::genesis(genesis(&package)),
            |head| inputs.iter().for_each(|input| drop(seal(head, &mut executor, input))),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A ledger in a journal in memory, in groups of [`GROUP`] steps.
fn ledger() -> (Arc<Journal>, LedgerEntry) {
    let journal = Journal::on_backend(redb::backends::InMemoryBackend::new()).expect("a new journal");
    let package = package();
    journal.put_package(&package).expect("memory does not fail");
    let entry = journal.put_ledger(&genesis(&package)).expect("memory does not fail");
    let mut executor = executor(&package);
    let mut head = Head::genesis(entry.genesis.clone());
    let sealed: Vec<Sealed> = inputs().iter().map(|input| seal(&mut head, &mut executor, input)).collect();
    let key = SigningKey::from_secret(&[1; 32]);
    let mut tail = LogTail::new();
    let mut attestation = None;
    for steps in sealed.chunks(GROUP) {
        steps.iter().for_each(|step| tail.append(step.leaf));
        let tiles = tail.take_complete_tiles();
        let group = Group { steps, tiles: &tiles, attestation: attestation.as_ref() };
        journal.commit(entry.no, &group).expect("memory does not fail");
        let last = &steps[steps.len() - 1];
        let body = AttestationBody::of(&last.receipt, last.leaf, tail.root());
        attestation = Some(body.sign(&key));
    }
    let last = Group { attestation: attestation.as_ref(), ..Group::default() };
    journal.commit(entry.no, &last).expect("memory does not fail");
    (Arc::new(journal), entry)
}

fn verification(c: &mut Criterion) {
    let (journal, entry) = ledger();
    let mut group = c.benchmark_group("verify");
    group.throughput(Throughput::Elements(STEPS)).sample_size(20);
    for jobs in [1, 2] {
        let options = VerifyOptions { range: None, engine: EngineChoice::Cranelift, jobs };
        group.bench_function(format!("{jobs} jobs"), |b| {
            b.iter(|| {
                let verdict = verify(&journal, &entry, Path::new("/"), &options, &Arc::new(AtomicU64::new(0)));
                assert!(matches!(verdict.expect("the host does its part"), Verdict::Match(_)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps, verification);

/// Guests run on engine threads only.
fn main() {
    let run = || {
        benches();
        Criterion::default().configure_from_args().final_summary();
    };
    on_engine_thread("bench", run).expect("a thread").join().expect("no panic");
}
