//! Steps of the bench: the events, and what they cost in memory, through the pipeline and in verification.

use super::{ROUNDS, median, per_step};
use crate::{
    cli::{demo, error::CliError},
    engine::{
        BackEnd, Executor, HostFault, WasmExecutor,
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
use reprise_receipts::{Head, Package, PackageDigest, Verdict};
use std::{
    ops::Range,
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

/// Ranks that send heartbeats.
const RANKS: u64 = 8;

/// Part of a long run of events: the recorded incident's first event, and then heartbeats of its ranks.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Which events of the run.
    pub(super) range: Range<u64>,
    /// Logical time from one event to the next, in milliseconds.
    pub(super) spacing_ms: u64,
}

impl Load {
    /// Events 10 ms apart.
    pub(super) fn of(range: Range<u64>) -> Self {
        Self { range, spacing_ms: 10 }
    }

    fn proposals(self) -> Result<impl Iterator<Item = Proposal> + Send, CliError> {
        let first = EventLines::new(demo::INCIDENT.as_bytes()).next().transpose();
        let first = first.map_err(|error| CliError::Fault(error.to_string()))?;
        let first = first.ok_or_else(|| CliError::Fault("the built-in incident is empty".to_owned()))?;
        let start_ms = first.time_ms.unwrap_or(0);
        let heartbeat = move |at: u64| Proposal {
            tag: at,
            event: Event {
                id: format!("heartbeat-{at}"),
                source: format!("rank-{}", at % RANKS),
                kind: "heartbeat".to_owned(),
                payload: format!(r#"{{"rank":{},"incarnation":1}}"#, at % RANKS).into_bytes(),
            },
            time_ms: Some(start_ms + at * self.spacing_ms),
            origin: Origin::Submitted,
        };
        let opening = (self.range.start == 0).then_some(first);
        Ok(opening.into_iter().chain(self.range.filter(|at| *at > 0).map(heartbeat)))
    }
}

/// Floor and execution in microseconds per step.
pub(super) fn in_memory(package: Package, entry: &LedgerEntry, steps: u64) -> Result<(f64, f64), CliError> {
    let proposals: Vec<Proposal> = Load::of(0..steps).proposals()?.collect();
    let genesis = entry.genesis.clone();
    let thread = on_engine_thread("reprise-bench", move || {
        let digest: PackageDigest = package.manifest.digest();
        let floor = Floor::new(BackEnd::CRANELIFT, &package.component).map_err(HostFault::from)?;
        let mut executor =
            WasmExecutor::new(BackEnd::CRANELIFT, digest, &package.component, None).map_err(HostFault::from)?;
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
pub(super) fn durable_us(node: &Node, entry: &LedgerEntry, load: Load, window: usize) -> Result<f64, CliError> {
    let steps = load.range.end - load.range.start;
    let proposals = load.proposals()?;
    let elapsed = through_pipeline(node, entry, window, |out, answers| feed(proposals, window, out, answers))?;
    Ok(elapsed / (steps - 1) as f64)
}

/// How long each step was waited for, one at a time through the whole pipeline, without the first: microseconds,
/// ascending.
pub(super) fn waits_us(node: &Node, entry: &LedgerEntry, load: Load) -> Result<Vec<f64>, CliError> {
    let proposals = load.proposals()?;
    through_pipeline(node, entry, 1, |out, answers| {
        let mut waits = Vec::new();
        for proposal in proposals {
            let asked = Instant::now();
            if out.send(proposal.into()).is_err() {
                break;
            }
            answered(answers)?;
            waits.push(asked.elapsed().as_secs_f64() * 1e6);
        }
        // The first one loads the package.
        let mut waits = waits.split_off(1);
        waits.sort_by(f64::total_cmp);
        Ok(waits)
    })
}

fn through_pipeline<T>(
    node: &Node,
    entry: &LedgerEntry,
    window: usize,
    measure: impl FnOnce(&Sender<Request>, &Receiver<Answer>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let ledger = node.open_ledger(entry)?;
    let executors = PackageExecutors::new(node.journal().clone(), EngineChoice::Cranelift, node.dir());
    let runner = Runner::new(Box::new(executors));
    let attester = Arc::new(node.attester()?);
    let (requests_out, requests_in) = bounded(window);
    let (answers_out, answers_in) = bounded(window);
    let journal = node.journal().clone();
    let orderer = Box::new(LocalOrderer::new(TimeSource::Event));
    std::thread::scope(|scope| {
        let pipeline = scope
            .spawn(move || pipeline::run(journal, ledger, orderer, runner, attester.into(), requests_in, answers_out));
        let measured = measure(&requests_out, &answers_in);
        drop(requests_out);
        pipeline.join().map_err(|_| CliError::Fault("the pipeline panicked".to_owned()))??;
        measured
    })
}

/// Microseconds from the first answer to the last: the package is loaded by then.
fn feed(
    mut proposals: impl Iterator<Item = Proposal>,
    window: usize,
    out: &Sender<Request>,
    answers: &Receiver<Answer>,
) -> Result<f64, CliError> {
    let mut send = || proposals.next().is_some_and(|proposal| out.send(proposal.into()).is_ok());
    let mut open = usize::from(send());
    if open > 0 {
        answered(answers)?;
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
        answered(answers)?;
        open -= 1;
    }
}

fn answered(answers: &Receiver<Answer>) -> Result<(), CliError> {
    match answers.recv() {
        Ok(Answer::Receipt { seq, class, duplicate: false, .. }) => accepted(seq, class),
        other => Err(CliError::Fault(format!("the bench expected a new receipt and got {other:?}"))),
    }
}

/// Microseconds per step to verify a whole ledger.
pub(super) fn verify_us(node: &Node, entry: &LedgerEntry, jobs: usize) -> Result<f64, CliError> {
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
