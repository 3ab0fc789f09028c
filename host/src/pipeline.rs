//! The pipeline: order and execute on one thread, commit and sign on another.
//!
//! The engine thread orders, executes and seals steps without waiting for the disk. The commit thread takes whatever has
//! been sealed meanwhile, makes it durable in one transaction, answers, and then signs the last receipt of the group.
//! When the disk is slow, groups grow; when it is quick, a step is a group of its own. Checkpoints are made between
//! steps: see [`crate::checkpoints`].

mod commit;
mod inline;
mod signer;

/// The channels that a pipeline is fed and answers through.
pub use crossbeam_channel as channel;

pub use commit::{Advanced, Answer, Committed, GROUP_STEPS_MAX};
pub use inline::Inline;
pub use signer::{Signer, Stays};

use crate::{
    checkpoints::{BUSY_KEYS, Checkpointer, Gate, IDLE_KEYS, Keeper, Pace},
    engine::on_engine_thread,
    journal::{Journal, JournalError, LedgerEntry, LedgerNo, StateLag},
    orderer::{Ordered, Orderer, Proposal, Refusal},
    panics,
    runner::{RunError, Runner},
};
use commit::{Committer, RightEdge, ToCommit};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use reprise_abi::Input;
use reprise_receipts::{Head, Sealed, log::LogTail};
use std::{sync::Arc, time::Duration};

/// Sealed steps that may wait for the disk: also the most that a crash can undo, none of them acknowledged.
pub const IN_FLIGHT_STEPS_MAX: usize = 512;

/// How long a snapshot in the making waits for the commit thread when there is nothing else to do.
const WALK_WAIT: Duration = Duration::from_millis(1);

/// Most steps that one request may wait for because they are due before it: a policy whose timers lead to timers for
/// ever keeps its own ledger busy, not the node.
pub const OWED_STEPS_MAX: u64 = 100_000;

/// What a pipeline is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Place this event.
    Propose(Proposal),
    /// Let what is due by `to_ms` of logical time happen.
    Advance {
        /// For the answer.
        tag: u64,
        /// Until when, in milliseconds.
        to_ms: u64,
    },
    /// Begin a checkpoint now, or after the one that is in the making. There is no answer: when it is signed, it is in the
    /// journal.
    Checkpoint,
}

impl From<Proposal> for Request {
    fn from(proposal: Proposal) -> Self {
        Self::Propose(proposal)
    }
}

/// A ledger that is open for writing.
pub struct OpenLedger {
    /// Its number in the journal.
    pub no: LedgerNo,
    /// Everything the next step depends on.
    pub head: Head,
    /// Right edge of its log.
    pub tail: LogTail,
    /// Receipts are attested up to here.
    pub attested: u64,
    /// How far its stored state is behind.
    pub state_lag: StateLag,
}

/// Why a pipeline stopped before its events ended. What was acknowledged is durable.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The disk refused a group.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The host could not execute a step: it stays first in line.
    #[error("sequence number {seq} could not be executed: {error}")]
    Run {
        /// Which step.
        seq: u64,
        /// Why.
        error: RunError,
    },
    /// The engine thread could not be started, or it panicked.
    #[error("the engine thread failed: {0}")]
    Thread(String),
}

/// Runs every request through the ledger, and answers each of them once it is durable. What is due by the time of an
/// event goes first, without an answer of its own.
///
/// Ends when `requests` is closed and everything is durable and attested. Gives the ledger back as it is then.
///
/// # Errors
/// [`PipelineError`]. The ledger must then be opened anew from the journal.
pub fn run(
    journal: Arc<Journal>,
    ledger: OpenLedger,
    orderer: Box<dyn Orderer>,
    runner: Runner,
    signer: Signer,
    requests: Receiver<Request>,
    answers: Sender<Answer>,
) -> Result<Committed, PipelineError> {
    let no = ledger.no;
    let (sealed_out, sealed_in) = bounded(IN_FLIGHT_STEPS_MAX);
    let (engine, committer) = parts(&journal, ledger, orderer, runner, (signer, Pace::Measured), answers)?;
    let commit_thread = std::thread::Builder::new()
        .name("reprise-commit".to_owned())
        .spawn(move || committer.run(&sealed_in))
        .map_err(|error| PipelineError::Thread(error.to_string()))?;
    let engine_thread = on_engine_thread("reprise-engine", move || engine.run(&requests, &sealed_out))
        .map_err(|error| PipelineError::Thread(error.to_string()))?;
    let executed = engine_thread.join().map_err(panicked)?;
    let committed = commit_thread.join().map_err(panicked)??;
    executed.map_err(|error| noted(&journal, no, error))?;
    Ok(committed)
}

/// Both halves, for one ledger.
fn parts(
    journal: &Arc<Journal>,
    ledger: OpenLedger,
    orderer: Box<dyn Orderer>,
    runner: Runner,
    (signer, pace): (Signer, Pace),
    answers: Sender<Answer>,
) -> Result<(Engine, Committer), JournalError> {
    let OpenLedger { no, head, tail, attested, state_lag } = ledger;
    let gate = Arc::new(Gate::new(pace));
    let checkpointer = Checkpointer::new(journal.clone(), no, gate.clone())?;
    let entry = LedgerEntry { no, id: head.ledger(), genesis: head.genesis_record().clone() };
    let keeper = Keeper::new(journal.clone(), entry, signer.clone(), gate);
    let right_edge = RightEdge::of(&head, tail, attested, signer.key);
    let committer = Committer::new(journal.clone(), no, right_edge, state_lag, keeper, answers);
    Ok((Engine { head, orderer, runner, checkpointer }, committer))
}

/// A fault of the host is kept for whoever looks after it.
fn noted(journal: &Journal, no: LedgerNo, error: PipelineError) -> PipelineError {
    if let PipelineError::Run { seq, error } = &error {
        tracing::error!(seq, %error, "host fault: no receipt, the input stays first in line");
        if let Err(error) = journal.put_incident(no, *seq, &error.to_string()) {
            return error.into();
        }
    }
    error
}

struct Engine {
    head: Head,
    orderer: Box<dyn Orderer>,
    runner: Runner,
    checkpointer: Checkpointer,
}

impl Engine {
    /// Ends when there are no more requests, or when nobody takes what was sealed: the committer says why.
    fn run(mut self, requests: &Receiver<Request>, sealed: &Sender<ToCommit>) -> Result<(), PipelineError> {
        while let Some(request) = self.next_request(requests, sealed) {
            if !self.take(request, sealed)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether somebody takes what was sealed.
    fn take(&mut self, request: Request, sealed: &Sender<ToCommit>) -> Result<bool, PipelineError> {
        let answered = match request {
            Request::Propose(proposal) => Some(self.propose(proposal, sealed)?),
            Request::Advance { tag, to_ms } => Some(self.advance(tag, to_ms, sealed)?),
            Request::Checkpoint => {
                self.checkpointer.want(&self.head)?;
                None
            }
        };
        let taken = answered.is_none_or(|answered| sealed.send(answered).is_ok());
        if let Some(handed) = self.checkpointer.advance(&self.head, BUSY_KEYS) {
            let _ = sealed.send(ToCommit::Checkpoint(handed));
        }
        Ok(taken)
    }

    /// Waits for a request; a snapshot in the making goes on meanwhile, and is completed when no more come.
    fn next_request(&mut self, requests: &Receiver<Request>, sealed: &Sender<ToCommit>) -> Option<Request> {
        while self.checkpointer.is_walking() {
            let handed = self.checkpointer.advance(&self.head, IDLE_KEYS);
            let wait = if handed.is_some() { Duration::ZERO } else { WALK_WAIT };
            if let Some(handed) = handed {
                sealed.send(ToCommit::Checkpoint(handed)).ok()?;
            }
            match requests.recv_timeout(wait) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    while let Some(handed) = self.checkpointer.advance_anyway(&self.head, IDLE_KEYS) {
                        sealed.send(ToCommit::Checkpoint(handed)).ok()?;
                    }
                    return None;
                }
            }
        }
        requests.recv().ok()
    }

    fn propose(&mut self, mut proposal: Proposal, sealed: &Sender<ToCommit>) -> Result<ToCommit, PipelineError> {
        let tag = proposal.tag;
        let mut steps = 0;
        loop {
            match self.orderer.order(&self.head, proposal) {
                Ok(Ordered::Next(input)) => return Ok(ToCommit::Step { tag: Some(tag), step: self.seal(&input)? }),
                Ok(Ordered::Duplicate { first }) => return Ok(ToCommit::Duplicate { tag, first }),
                Err(refusal) => return Ok(ToCommit::Refused { tag, refusal }),
                Ok(Ordered::DueFirst(due, waiting)) => {
                    steps += 1;
                    if steps > OWED_STEPS_MAX || !self.owed(&due, sealed)? {
                        let refusal = Refusal::TooMuchDue { at_ms: self.head.logical_time_ms() };
                        return Ok(ToCommit::Refused { tag, refusal });
                    }
                    proposal = waiting;
                }
            }
        }
    }

    fn advance(&mut self, tag: u64, to_ms: u64, sealed: &Sender<ToCommit>) -> Result<ToCommit, PipelineError> {
        let mut steps = 0;
        while let Some(due) = self.head.due_input(to_ms) {
            if steps == OWED_STEPS_MAX {
                let refusal = Refusal::TooMuchDue { at_ms: self.head.logical_time_ms() };
                return Ok(ToCommit::Refused { tag, refusal });
            }
            if !self.owed(&due, sealed)? {
                break;
            }
            steps += 1;
        }
        let (size, next_ms) = (self.head.next_seq(), self.head.next_due_ms());
        Ok(ToCommit::Advanced(Advanced { tag, steps, size, next_ms }))
    }

    /// Whether somebody takes it: if not, the committer says why.
    fn owed(&mut self, due: &Input, sealed: &Sender<ToCommit>) -> Result<bool, PipelineError> {
        let step = self.seal(due)?;
        Ok(sealed.send(ToCommit::Step { tag: None, step }).is_ok())
    }

    fn seal(&mut self, input: &Input) -> Result<Box<Sealed>, PipelineError> {
        let work = self.head.prepare(input).expect("the orderer gives only inputs that may be the next one");
        let executed = self.runner.run(&mut self.head, input, &work);
        let executed = executed.map_err(|error| PipelineError::Run { seq: input.seq, error })?;
        let step = Box::new(self.head.seal(input, &work, executed));
        self.checkpointer.after_step(&self.head, &step.record.diff)?;
        Ok(step)
    }
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> PipelineError {
    PipelineError::Thread(panics::text(&*panic))
}
