//! `reprise bench`: what determinism, roots, receipts and durability cost, against the floor, in one run.
//!
//! The floor is the same guest component with a fresh pooled instance for every step over an in-memory map: no check,
//! no diff, no root, no receipt. Every other figure is a ratio to figures of the same run, so that a noisy machine
//! disturbs both sides. Medians over rounds, means for signature and root; the rounds of floor and execution alternate.
//! A step that is not accepted, or a ledger that does not verify, ends the run without figures.

use super::{
    demo,
    error::{CliError, Exit},
    report::{Printer, Record},
    text,
};
use crate::{
    engine::{
        BackEnd, Executor, WasmExecutor,
        floor::{Floor, FloorState},
        on_engine_thread,
    },
    events::EventLines,
    journal::LedgerEntry,
    node::{EngineChoice, Node, PackageExecutors},
    orderer::{LocalOrderer, Origin, Proposal, TimeSource},
    pipeline::{self, Answer, Request},
    runner::Runner,
    verify::{VerifyOptions, verify},
};
use crossbeam_channel::{Receiver, Sender, bounded};
use reprise_abi::{Event, Input, OutcomeClass};
use reprise_receipts::{Head, Package, PackageDigest, SigningKey, StateTrie, Verdict};
use std::{
    fs::File,
    hint::black_box,
    io::Write,
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

/// Steps of one round.
const STEPS: u64 = 4_000;
/// Rounds of each figure.
const ROUNDS: usize = 5;
/// Steps that are in flight at once in the durable run.
const WINDOW: usize = 64;
/// Single durable steps, syncs and signatures of one round.
const SINGLES: u64 = 400;
/// Keys of the large state.
const KEYS: u32 = 1_000_000;

pub(crate) fn run(print: Printer) -> Result<Exit, CliError> {
    let dir = tempfile::tempdir().map_err(|error| CliError::File { path: std::env::temp_dir(), error })?;
    let (node, entry) = demo::set_up(&dir.path().join("node"))?;
    let (_, package) = node.find_package("lease")?;
    let (floor, execution) = in_memory(package, &entry)?;
    let durable = median((0..ROUNDS).map(|round| durable_us(&node, &entry, round as u64 * STEPS, STEPS, WINDOW)))?;
    let single = node.create_ledger("single", entry.genesis.package)?;
    let sequential = median((0..ROUNDS).map(|round| durable_us(&node, &single, round as u64 * SINGLES, SINGLES, 1)))?;
    let (sync, sign) = (sync_us(dir.path())?, sign_us());
    let verify_1 = median((0..ROUNDS).map(|_| verify_us(&node, &entry, 1)))?;
    let verify_2 = median((0..ROUNDS).map(|_| verify_us(&node, &entry, 2)))?;
    let root = root_us();
    let row = |what: &str, us: f64, against: &str, ratio: f64, target: &str, met: bool| {
        Record::new()
            .with("what", what)
            .with("us per step", text::fixed(us))
            .with("against", against)
            .with("ratio", text::fixed(ratio))
            .with("target", target)
            .with("met", met)
    };
    let single_floor = sync + 2.0 * floor + sign;
    print.rows(vec![
        row("floor", floor, "itself", 1.0, "-", true),
        row("diff, root, receipt", execution, "floor, time", execution / floor, "<= 1.50", execution <= 1.5 * floor),
        row("durable, 64 in flight", durable, "floor, rate", floor / durable, ">= 0.60", floor >= 0.6 * durable),
        row(
            "durable, one at a time",
            sequential,
            "sync + 2 floors + signature",
            sequential / single_floor,
            "<= 1.30",
            sequential <= 1.3 * single_floor,
        ),
        row("verify, 1 job", verify_1, "execution, rate", execution / verify_1, ">= 1.00", verify_1 <= execution),
        row("verify, 2 jobs", verify_2, "1 job, rate", verify_1 / verify_2, ">= 1.80", verify_1 >= 1.8 * verify_2),
        row("root of 2 of 1,000,000 keys", root, "25 us", root / 25.0, "<= 1.00", root <= 25.0),
    ]);
    Ok(Exit::Done)
}

/// The recorded incident's first event, and then heartbeats of its ranks, one every 10 ms.
fn events(from: u64, count: u64) -> Result<Vec<Proposal>, CliError> {
    let first = EventLines::new(demo::INCIDENT.as_bytes()).next().transpose();
    let first = first.map_err(|error| CliError::Fault(error.to_string()))?;
    let first = first.ok_or_else(|| CliError::Fault("the built-in incident is empty".to_owned()))?;
    let start_ms = first.time_ms.unwrap_or(0);
    let heartbeat = |at: u64| Proposal {
        tag: at,
        event: Event {
            id: format!("heartbeat-{at}"),
            source: format!("rank-{}", at % 8),
            kind: "heartbeat".to_owned(),
            payload: format!(r#"{{"rank":{},"incarnation":1}}"#, at % 8).into_bytes(),
        },
        time_ms: Some(start_ms + at * 10),
        origin: Origin::Submitted,
    };
    let opening = (from == 0).then_some(first);
    Ok(opening.into_iter().chain((from + 1..from + count).map(heartbeat)).collect())
}

/// Floor and execution in microseconds per step.
fn in_memory(package: Package, entry: &LedgerEntry) -> Result<(f64, f64), CliError> {
    let proposals = events(0, STEPS)?;
    let genesis = entry.genesis.clone();
    let thread = on_engine_thread("reprise-bench", move || {
        let digest: PackageDigest = package.manifest.digest();
        let floor = Floor::new(BackEnd::CRANELIFT, &package.component).map_err(crate::engine::HostFault::from)?;
        let mut executor = WasmExecutor::new(BackEnd::CRANELIFT, digest, &package.component, None)
            .map_err(crate::engine::HostFault::from)?;
        let inputs: Vec<Input> = (0..).zip(&proposals).map(|(seq, proposal)| input(seq, proposal)).collect();
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let mut state = FloorState::new();
            let started = Instant::now();
            for input in &inputs {
                floor.step(&mut state, input)?;
            }
            let floor_us = per_step(started, inputs.len());
            let mut head = Head::genesis(genesis.clone());
            let started = Instant::now();
            for input in &inputs {
                let work = head.prepare(input).map_err(|error| CliError::Fault(error.to_string()))?;
                let ledger = head.ledger();
                let executed = executor.step(head.lend_state(), ledger, input)?;
                let sealed = head.seal(input, &work, executed);
                accepted(sealed.receipt.seq, sealed.receipt.class)?;
            }
            rounds.push((floor_us, per_step(started, inputs.len())));
        }
        Ok::<_, CliError>(rounds)
    });
    let rounds = thread.map_err(|error| CliError::Fault(error.to_string()))?.join();
    let rounds = rounds.map_err(|_| CliError::Fault("the bench panicked".to_owned()))??;
    Ok((median(rounds.iter().map(|round| Ok(round.0)))?, median(rounds.iter().map(|round| Ok(round.1)))?))
}

fn input(seq: u64, proposal: &Proposal) -> Input {
    Input { seq, epoch: 1, logical_time_ms: proposal.time_ms.unwrap_or(0), event: proposal.event.clone() }
}

/// Microseconds per step through the whole pipeline, with at most `window` events unanswered.
fn durable_us(node: &Node, entry: &LedgerEntry, from: u64, count: u64, window: usize) -> Result<f64, CliError> {
    let proposals = events(from, count)?;
    let steps = proposals.len();
    let ledger = node.open_ledger(entry)?;
    let executors = PackageExecutors::new(node.journal().clone(), EngineChoice::Cranelift, node.dir());
    let runner = Runner::new(Box::new(executors));
    let attester = Arc::new(node.attester()?);
    let (proposals_out, proposals_in) = bounded(window);
    let (answers_out, answers_in) = bounded(window);
    let journal = node.journal().clone();
    let orderer = Box::new(LocalOrderer::new(TimeSource::Event));
    std::thread::scope(|scope| {
        let pipeline =
            scope.spawn(move || pipeline::run(journal, ledger, orderer, runner, attester, proposals_in, answers_out));
        let elapsed = feed(proposals, window, &proposals_out, &answers_in);
        drop(proposals_out);
        pipeline.join().map_err(|_| CliError::Fault("the pipeline panicked".to_owned()))??;
        Ok(elapsed? / (steps - 1) as f64)
    })
}

/// Microseconds from the first answer to the last: the package is loaded by then.
fn feed(
    proposals: Vec<Proposal>,
    window: usize,
    out: &Sender<Request>,
    answers: &Receiver<Answer>,
) -> Result<f64, CliError> {
    let mut proposals = proposals.into_iter();
    let mut send = || proposals.next().is_some_and(|proposal| out.send(proposal.into()).is_ok());
    let answered = || match answers.recv() {
        Ok(Answer::Receipt { seq, class, duplicate: false, .. }) => accepted(seq, class),
        other => Err(CliError::Fault(format!("the bench expected a new receipt and got {other:?}"))),
    };
    let mut open = usize::from(send());
    if open > 0 {
        answered()?;
        open -= 1;
    }
    let started = Instant::now();
    loop {
        while open < window && send() {
            open += 1;
        }
        if open == 0 {
            return Ok(started.elapsed().as_secs_f64() * 1e6);
        }
        answered()?;
        open -= 1;
    }
}

fn verify_us(node: &Node, entry: &LedgerEntry, jobs: usize) -> Result<f64, CliError> {
    let options = VerifyOptions { range: None, engine: EngineChoice::Cranelift, jobs };
    let size = node.journal().read(entry.no)?.size()?;
    let started = Instant::now();
    let verdict = verify(node.journal(), entry, node.dir(), &options, &Arc::new(AtomicU64::new(0)))?;
    let elapsed = started.elapsed().as_secs_f64() * 1e6;
    match verdict {
        Verdict::Match(_) => Ok(elapsed / size as f64),
        other => Err(CliError::Fault(format!("the ledger of the bench does not verify: {other:?}"))),
    }
}

/// A bench of rejected or faulting steps would measure something else than it says.
fn accepted(seq: u64, class: OutcomeClass) -> Result<(), CliError> {
    if class == OutcomeClass::Accepted {
        return Ok(());
    }
    Err(CliError::Fault(format!("step {seq} of the bench was not accepted: {}", class.name())))
}

/// Microseconds of writing and syncing one page of 4 KiB, in the directory of the journal.
fn sync_us(dir: &std::path::Path) -> Result<f64, CliError> {
    let path = dir.join("sync");
    let failed = |error| CliError::File { path: path.clone(), error };
    let mut file = File::create(&path).map_err(failed)?;
    let mut samples = Vec::new();
    for _ in 0..SINGLES {
        let started = Instant::now();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map_err(failed)?;
        samples.push(Ok(started.elapsed().as_secs_f64() * 1e6));
    }
    median(samples.into_iter())
}

fn sign_us() -> f64 {
    let key = SigningKey::from_secret(&[1; 32]);
    let started = Instant::now();
    for _ in 0..SINGLES {
        black_box(key.sign(black_box(&[0; 128])));
    }
    started.elapsed().as_secs_f64() * 1e6 / SINGLES as f64
}

/// Microseconds to change two keys of a large state and compute its root.
fn root_us() -> f64 {
    let key = |number: u32| blake3::hash(&number.to_le_bytes());
    let mut state = StateTrie::new();
    for number in 0..KEYS {
        state.insert(key(number).as_bytes(), &number.to_le_bytes());
    }
    black_box(state.root());
    let started = Instant::now();
    for step in 0..KEYS / 100 {
        for number in [step * 97 % KEYS, step * 31 % KEYS] {
            state.insert(key(number).as_bytes(), &(number ^ (step + 1)).to_be_bytes());
        }
        black_box(state.root());
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(KEYS / 100)
}

fn per_step(started: Instant, steps: usize) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / steps as f64
}

fn median(samples: impl Iterator<Item = Result<f64, CliError>>) -> Result<f64, CliError> {
    let mut samples = samples.collect::<Result<Vec<_>, _>>()?;
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}
