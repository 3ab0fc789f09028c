//! The commit thread: groups, durability, answers, signatures, in this order.
//!
//! An answer waits for the disk and for nothing else. The signature over a group is made while its submitter already
//! has its answers, and becomes durable with the next group, after a moment in which none comes, or at the end.

use super::PipelineError;
use crate::{
    checkpoints::{Handed, Keeper},
    journal::{Group, Journal, JournalError, LedgerNo, RecordKind, StateLag},
    orderer::Refusal,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use reprise_abi::{OutcomeClass, decode_canonical};
use reprise_receipts::{
    Attestation, AttestationBody, Head, LeafHash, LedgerId, Receipt, Sealed, SigningKey, StateRoot, log::LogTail,
};
use std::{sync::Arc, time::Duration};

/// Most steps of one group.
pub const GROUP_STEPS_MAX: usize = 256;

/// How long an attestation waits for a group to become durable with.
const ATTESTATION_WAIT: Duration = Duration::from_millis(100);

/// What the engine hands over, in order.
pub(super) enum ToCommit {
    /// A new step; without a tag, one that nobody asked for: it was due.
    Step { tag: Option<u64>, step: Box<Sealed> },
    /// Everything that was due has been handed over.
    Advanced(Advanced),
    /// A part of a snapshot.
    Checkpoint(Handed),
    /// An event that was answered before.
    Duplicate { tag: u64, first: u64 },
    /// An event that got no place.
    Refused { tag: u64, refusal: Refusal },
}

/// The answer to one proposal. What it says is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has a receipt.
    Receipt {
        /// The proposal's tag.
        tag: u64,
        /// Where it is.
        seq: u64,
        /// How the step ended.
        class: OutcomeClass,
        /// The code within the class.
        code: u32,
        /// Leaf hash of the receipt.
        leaf: LeafHash,
        /// It was submitted before: this is the first answer.
        duplicate: bool,
    },
    /// It got no place.
    Refused {
        /// The proposal's tag.
        tag: u64,
        /// Why.
        refusal: Refusal,
    },
    /// What was due has its receipts.
    Advanced(Advanced),
}

/// The answer to a request to let happen what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The request's tag.
    pub tag: u64,
    /// How many steps were due.
    pub steps: u64,
    /// Receipts in the ledger after them.
    pub size: u64,
    /// When something is due next, in milliseconds of logical time, unless a step changes that.
    pub next_ms: Option<u64>,
}

/// Where the ledger is when the pipeline has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Receipts in the ledger.
    pub size: u64,
    /// State root after the last one, if this run made any.
    pub state_root: Option<StateRoot>,
    /// Groups that were committed.
    pub groups: u64,
}

/// Where the ledger ends, and who signs it.
pub(super) struct RightEdge {
    ledger: LedgerId,
    tail: LogTail,
    /// Receipts are attested up to here.
    attested: u64,
    attester: Arc<SigningKey>,
    /// The epoch of the last receipt, as attestations name it.
    epoch: Option<u64>,
    /// The last receipt is of an epoch that this key attests. Before a new owner's first receipt it is not.
    signs: bool,
}

impl RightEdge {
    pub(super) fn of(head: &Head, tail: LogTail, attested: u64, attester: Arc<SigningKey>) -> Self {
        let epoch = head.genesis_record().has_succession().then(|| head.epoch());
        let signs = *head.attester() == attester.public();
        Self { ledger: head.ledger(), tail, attested, attester, epoch, signs }
    }

    /// Takes steps over that are durable. The orderer begins an epoch only for this key.
    fn pass(&mut self, last: &Receipt) {
        if self.epoch.is_some_and(|epoch| epoch != last.epoch) {
            (self.epoch, self.signs) = (Some(last.epoch), true);
        }
    }

    /// Signs the last receipt, if that was not done yet. It is durable: the same key and bytes give the same signature
    /// whenever this is done, be it after a crash.
    fn attest(&mut self) -> Option<Attestation> {
        let size = self.tail.size();
        let leaf = self.tail.last_leaf().filter(|_| self.signs && self.attested < size)?;
        self.attested = size;
        let (ledger, epoch) = (self.ledger, self.epoch);
        let body = AttestationBody { ledger, seq: size - 1, leaf, log_root: self.tail.root(), epoch };
        Some(body.sign(&self.attester))
    }
}

pub(super) struct Committer {
    journal: Arc<Journal>,
    no: LedgerNo,
    edge: RightEdge,
    state_lag: StateLag,
    keeper: Keeper,
    answers: Sender<Answer>,
    unsaved: Option<Attestation>,
    committed: Committed,
}

impl Committer {
    pub(super) fn new(
        journal: Arc<Journal>,
        no: LedgerNo,
        mut edge: RightEdge,
        state_lag: StateLag,
        keeper: Keeper,
        answers: Sender<Answer>,
    ) -> Self {
        let committed = Committed { size: edge.tail.size(), state_root: None, groups: 0 };
        // A crash can come between a group and its attestation: what it left is attested now.
        let unsaved = edge.attest();
        Self { journal, no, edge, state_lag, keeper, answers, unsaved, committed }
    }

    /// Commits until the engine has nothing more.
    pub(super) fn run(mut self, sealed: &Receiver<ToCommit>) -> Result<Committed, PipelineError> {
        let mut waiting = Vec::with_capacity(GROUP_STEPS_MAX);
        while let Some(first) = self.next(sealed)? {
            waiting.push(first);
            waiting.extend(sealed.try_iter().take(GROUP_STEPS_MAX - 1));
            self.commit(std::mem::take(&mut waiting))?;
        }
        self.finish()
    }

    /// Waits for the engine. An attestation is kept with the group after the one that it is over; when none comes for a
    /// while it is kept alone, so that whoever reads a ledger that stands still finds all of it attested. A checkpoint of
    /// what may still be taken back is looked at as often.
    fn next(&mut self, sealed: &Receiver<ToCommit>) -> Result<Option<ToCommit>, JournalError> {
        while self.unsaved.is_some() || self.keeper.waits() {
            match sealed.recv_timeout(ATTESTATION_WAIT) {
                Ok(first) => return Ok(Some(first)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    self.save_attestation()?;
                    self.keeper.sign_what_stays()?;
                }
            }
        }
        Ok(sealed.recv().ok())
    }

    /// Signs what is not signed yet.
    pub(super) fn finish(mut self) -> Result<Committed, PipelineError> {
        self.save_attestation()?;
        self.keeper.finish()?;
        Ok(self.committed)
    }

    /// Makes a group durable, then answers, then signs.
    pub(super) fn commit(&mut self, group: Vec<ToCommit>) -> Result<(), PipelineError> {
        let mut steps = Vec::with_capacity(group.len());
        let mut places = Vec::with_capacity(group.len());
        let mut handed = Vec::new();
        for item in group {
            places.push(match item {
                ToCommit::Step { tag, step } => {
                    steps.push(*step);
                    let Some(tag) = tag else { continue };
                    Place::New { tag, index: steps.len() - 1 }
                }
                ToCommit::Advanced(advanced) => Place::Advanced(advanced),
                ToCommit::Checkpoint(part) => {
                    handed.push(part);
                    continue;
                }
                ToCommit::Duplicate { tag, first } => Place::Before { tag, first },
                ToCommit::Refused { tag, refusal } => Place::None { tag, refusal },
            });
        }
        self.commit_steps(&steps)?;
        for place in places {
            let answer = self.answer(place, &steps)?;
            // Nobody waits for answers any more: the steps are durable all the same.
            let _ = self.answers.send(answer);
        }
        self.after_answers()?;
        self.keeper.keep(handed)?;
        Ok(())
    }

    fn commit_steps(&mut self, steps: &[Sealed]) -> Result<(), JournalError> {
        let Some(last) = steps.last() else { return Ok(()) };
        for step in steps {
            self.edge.tail.append(step.leaf);
            self.state_lag.note(step);
        }
        let tiles = self.edge.tail.take_complete_tiles();
        let group = Group { steps, tiles: &tiles, attestation: self.unsaved.as_ref() };
        self.journal.commit(self.no, &group)?;
        self.unsaved = None;
        self.edge.pass(&last.receipt);
        let size = self.edge.tail.size();
        let groups = self.committed.groups + 1;
        self.committed = Committed { size, state_root: Some(last.receipt.next_state), groups };
        tracing::debug!(steps = steps.len(), size, "group committed");
        Ok(())
    }

    /// What can wait until the submitter has its answers.
    fn after_answers(&mut self) -> Result<(), JournalError> {
        if let Some(attestation) = self.edge.attest() {
            self.unsaved = Some(attestation);
        }
        if self.state_lag.is_due() {
            self.journal.bring_state_forward(self.no)?;
            self.state_lag = StateLag::default();
        }
        Ok(())
    }

    fn save_attestation(&mut self) -> Result<(), JournalError> {
        let Some(attestation) = self.unsaved.take() else { return Ok(()) };
        self.journal.commit(self.no, &Group { attestation: Some(&attestation), ..Group::default() })
    }

    fn answer(&self, place: Place, steps: &[Sealed]) -> Result<Answer, JournalError> {
        let answer = |tag, receipt: &Receipt, leaf, duplicate| Answer::Receipt {
            tag,
            seq: receipt.seq,
            class: receipt.class,
            code: receipt.code,
            leaf,
            duplicate,
        };
        Ok(match place {
            Place::New { tag, index } => answer(tag, &steps[index].receipt, steps[index].leaf, false),
            Place::None { tag, refusal } => Answer::Refused { tag, refusal },
            Place::Advanced(advanced) => Answer::Advanced(advanced),
            Place::Before { tag, first } => {
                let reader = self.journal.read(self.no)?;
                let bytes = reader.receipt(first)?;
                if bytes.is_none() && reader.base().is_some_and(|base| first < base.size) {
                    return Ok(Answer::Refused { tag, refusal: Refusal::AnsweredElsewhere { first } });
                }
                let damaged = |reason| JournalError::damaged(RecordKind::Receipt, first, reason);
                let bytes = bytes.ok_or_else(|| damaged("it is missing"))?;
                let receipt = decode_canonical(&bytes).map_err(|_| damaged("it does not decode"))?;
                answer(tag, &receipt, LeafHash::of(&bytes), true)
            }
        })
    }
}

/// Where the answer to a proposal comes from.
enum Place {
    New { tag: u64, index: usize },
    Before { tag: u64, first: u64 },
    None { tag: u64, refusal: Refusal },
    Advanced(Advanced),
}
