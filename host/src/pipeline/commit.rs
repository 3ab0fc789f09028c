//! The commit thread: groups, durability, signatures, answers, in this order.

use super::PipelineError;
use crate::{
    journal::{Group, Journal, JournalError, LedgerNo, RecordKind},
    orderer::Refusal,
};
use crossbeam_channel::{Receiver, Sender};
use reprise_abi::{OutcomeClass, decode_canonical};
use reprise_receipts::{
    Attestation, AttestationBody, LeafHash, LedgerId, Receipt, Sealed, SigningKey, StateRoot, log::LogTail,
};
use std::sync::Arc;

/// Most steps of one group.
pub const GROUP_STEPS_MAX: usize = 256;

/// What the engine hands over, in order.
pub(super) enum ToCommit {
    /// A new step; without a tag, one that nobody asked for: it was due.
    Step { tag: Option<u64>, step: Box<Sealed> },
    /// Everything that was due has been handed over.
    Advanced { tag: u64, steps: u64 },
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
    Advanced {
        /// The request's tag.
        tag: u64,
        /// How many steps that were.
        steps: u64,
    },
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

pub(super) struct Committer {
    journal: Arc<Journal>,
    no: LedgerNo,
    ledger: LedgerId,
    attester: Arc<SigningKey>,
    tail: LogTail,
    attested: u64,
    answers: Sender<Answer>,
    unsaved: Option<Attestation>,
    committed: Committed,
}

impl Committer {
    pub(super) fn new(
        journal: Arc<Journal>,
        no: LedgerNo,
        ledger: LedgerId,
        attester: Arc<SigningKey>,
        tail: LogTail,
        attested: u64,
        answers: Sender<Answer>,
    ) -> Self {
        let committed = Committed { size: tail.size(), state_root: None, groups: 0 };
        Self { journal, no, ledger, attester, tail, attested, answers, unsaved: None, committed }
    }

    /// Commits until the engine has nothing more.
    pub(super) fn run(mut self, sealed: &Receiver<ToCommit>) -> Result<Committed, PipelineError> {
        self.attest_what_a_crash_left();
        let mut waiting = Vec::with_capacity(GROUP_STEPS_MAX);
        while let Ok(first) = sealed.recv() {
            waiting.push(first);
            waiting.extend(sealed.try_iter().take(GROUP_STEPS_MAX - 1));
            self.commit(std::mem::take(&mut waiting))?;
        }
        self.save_attestation()?;
        Ok(self.committed)
    }

    fn commit(&mut self, group: Vec<ToCommit>) -> Result<(), PipelineError> {
        let mut steps = Vec::with_capacity(group.len());
        let mut places = Vec::with_capacity(group.len());
        for item in group {
            places.push(match item {
                ToCommit::Step { tag, step } => {
                    steps.push(*step);
                    let Some(tag) = tag else { continue };
                    Place::New { tag, index: steps.len() - 1 }
                }
                ToCommit::Advanced { tag, steps } => Place::Advanced { tag, steps },
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
        Ok(())
    }

    fn commit_steps(&mut self, steps: &[Sealed]) -> Result<(), PipelineError> {
        let Some(last) = steps.last() else { return Ok(()) };
        for step in steps {
            self.tail.append(step.leaf);
        }
        let tiles = self.tail.take_dirty_tiles();
        let group = Group { steps, tiles: &tiles, attestation: self.unsaved.as_ref() };
        self.journal.commit(self.no, &group)?;
        self.unsaved = Some(self.attest(last.receipt.seq, last.leaf));
        let groups = self.committed.groups + 1;
        self.committed = Committed { size: self.tail.size(), state_root: Some(last.receipt.next_state), groups };
        tracing::debug!(steps = steps.len(), size = self.tail.size(), "group committed");
        Ok(())
    }

    fn attest(&mut self, seq: u64, leaf: LeafHash) -> Attestation {
        self.attested = seq + 1;
        AttestationBody { ledger: self.ledger, seq, leaf, log_root: self.tail.root() }.sign(&self.attester)
    }

    /// A crash can come between a group and its attestation. The receipts are durable, so signing them now is what the
    /// node would have done then; the same key and bytes give the same signature.
    fn attest_what_a_crash_left(&mut self) {
        if self.attested < self.tail.size()
            && let Some(leaf) = self.tail.last_leaf()
        {
            self.unsaved = Some(self.attest(self.tail.size() - 1, leaf));
        }
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
            Place::Advanced { tag, steps } => Answer::Advanced { tag, steps },
            Place::Before { tag, first } => {
                let bytes = self.journal.read(self.no)?.receipt(first)?;
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
    Advanced { tag: u64, steps: u64 },
}
