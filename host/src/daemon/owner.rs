//! A ledger that this node owns: its pipeline runs as long as the node does, and answers wait until as many members have
//! the step as the ledger's durability asks for.

use super::{
    happening::{Happening, Reply},
    world::{Workers, World},
};
use crate::{
    journal::{Journal, LedgerEntry},
    node::{Node, NodeError, PackageExecutors},
    orderer::{LocalOrderer, Proposal, TimeSource},
    panics::caught,
    pipeline::{
        self, Advanced, Answer, GROUP_STEPS_MAX, IN_FLIGHT_STEPS_MAX, Inline, OpenLedger, PipelineError, Request,
        Signer, Stays,
    },
    runner::Runner,
    succession,
};
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use reprise_receipts::{LedgerId, PublicKey, command::SignedCommand};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

/// Events that were taken and wait for the pipeline, and answers that wait for a quorum, together.
const WAITING_MAX: usize = 8_192;

/// The pipeline of a ledger, and who waits for what.
pub(super) struct Owner {
    requests: Option<Sender<Request>>,
    /// Told whenever something changes about `requests`: a task cannot wait for that channel.
    wake: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    /// Events that the pipeline has no room for yet.
    backlog: VecDeque<Request>,
    next_tag: u64,
    /// Who waits for which tag, and what it calls it.
    waiting: BTreeMap<u64, (u64, mpsc::Sender<Reply>)>,
    /// Answers that are durable here, by the size that the log must have elsewhere.
    held: BTreeMap<u64, Vec<Answer>>,
    acknowledged: Stays,
    epoch: u64,
    due: Due,
}

/// When the ledger owes itself something, as far as is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Steps may have changed it since it was asked for at this time of the node.
    Unknown { asked_ms: u64 },
    /// It was asked for at this time.
    Asked { asked_ms: u64 },
    /// The pipeline has said when; never, for none.
    At { next_ms: Option<u64>, asked_ms: u64 },
}

/// By the clock, what is due is asked for this often at most, in milliseconds.
const ASK_EVERY_MS: u64 = 100;

/// Why a ledger cannot be owned here.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOwned {
    /// It cannot be opened, or the key is not there.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The journal is in another epoch, and the grant does not lead from there.
    #[error(
        "the ledger is in epoch {in_force}, attested by {attester}, and the grant at hand does not lead to epoch {epoch}"
    )]
    OtherEpoch {
        /// What the log says.
        in_force: u64,
        /// Who attests it.
        attester: PublicKey,
        /// What was granted.
        epoch: u64,
    },
    /// It was taken back over attested receipts: under the same epoch it must not be ordered again.
    #[error(
        "attested receipts were taken back, so its owner needs a higher epoch: `reprise ledger grant`, then `reprise federation take`"
    )]
    Unfenced,
}

/// Tag of the command that makes this node the owner: nobody waits for it.
const GRANT_TAG: u64 = u64::MAX;
/// Tag of what brings the ledger's time forward: nobody waits for it either.
const ADVANCE_TAG: u64 = u64::MAX - 1;

impl Owner {
    /// Opens the ledger and starts its pipeline, under this epoch. If the log is not in that epoch yet, the first input is
    /// the command that begins it; nothing else is ordered before.
    ///
    /// # Errors
    /// [`NotOwned`].
    pub(super) fn start(
        node: &Arc<Node>,
        entry: &LedgerEntry,
        (epoch, grant): (u64, Option<&SignedCommand>),
        world: &Arc<dyn World>,
        happenings: mpsc::Sender<Happening>,
    ) -> Result<Self, NotOwned> {
        let attester = Arc::new(world.receipts_key().map_err(NodeError::from)?);
        let open = node.open_ledger(entry)?;
        let first = succession::first_input(&open.head, epoch, grant, &attester.public());
        let other = || {
            let term = open.head.term();
            NotOwned::OtherEpoch { in_force: term.epoch, attester: term.attester, epoch }
        };
        let first = first.ok_or_else(other)?;
        let needs_fence = succession::needs_fence(node.journal(), entry, &open.head);
        if first.is_none() && needs_fence.map_err(|error| node.journal_error(error))? {
            return Err(NotOwned::Unfenced);
        }
        let backlog = first.into_iter().map(|proposal| Request::from(Proposal { tag: GRANT_TAG, ..proposal }));
        let (requests, requests_in) = bounded(IN_FLIGHT_STEPS_MAX);
        let (wake, acknowledged) = (Arc::new(Notify::new()), Stays::nothing());
        let parts = Parts {
            journal: node.journal().clone(),
            ledger: entry.id,
            open,
            runner: Runner::new(Box::new(PackageExecutors::new(node.journal().clone(), world.engine(), node.dir()))),
            signer: Signer::of_what(acknowledged.clone(), attester),
            requests: requests_in,
            happenings,
            orderer: orderer(world.clone()),
        };
        let thread = match world.workers() {
            Workers::Threads => Some(parts.on_threads()),
            Workers::Tasks { takes } => {
                tokio::spawn(parts.in_a_task(takes, wake.clone()));
                None
            }
        };
        let mut owner = Self {
            requests: Some(requests),
            wake,
            thread,
            backlog: backlog.collect(),
            epoch,
            next_tag: 0,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            acknowledged,
            due: Due::Unknown { asked_ms: 0 },
        };
        owner.feed();
        Ok(owner)
    }

    /// The epoch under which it orders.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The pipeline was told to end.
    pub(super) fn is_closing(&self) -> bool {
        self.requests.is_none()
    }

    /// Takes an event in.
    pub(super) fn submit(&mut self, proposal: Proposal, reply: mpsc::Sender<Reply>) {
        self.take(proposal.tag, reply, |tag| Proposal { tag, ..proposal }.into());
    }

    /// Lets what is due by this logical time happen, for somebody who waits for it.
    pub(super) fn submit_advance(&mut self, given: u64, to_ms: u64, reply: mpsc::Sender<Reply>) {
        self.take(given, reply, |tag| Request::Advance { tag, to_ms });
    }

    fn take(&mut self, given: u64, reply: mpsc::Sender<Reply>, request: impl FnOnce(u64) -> Request) {
        if self.requests.is_none() || self.waiting.len() >= WAITING_MAX {
            let why = "the node has too much under way, or stops: submit it again later".to_owned();
            let _ = reply.try_send(Reply::NotHere { tag: given, why });
            return;
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        self.waiting.insert(tag, (given, reply));
        self.backlog.push_back(request(tag));
        self.feed();
    }

    /// Lets what is due by this logical time happen; nobody waits for it.
    pub(super) fn advance(&mut self, to_ms: u64) {
        if self.requests.is_some() && self.backlog.is_empty() {
            self.backlog.push_back(Request::Advance { tag: ADVANCE_TAG, to_ms });
            self.feed();
        }
    }

    /// Lets what is due by the node's clock happen, if something may be.
    pub(super) fn keep_time(&mut self, now_ms: u64) {
        let (may_be, asked_ms) = match self.due {
            Due::Unknown { asked_ms } => (true, asked_ms),
            Due::Asked { asked_ms } => (false, asked_ms),
            Due::At { next_ms, asked_ms } => (next_ms.is_some_and(|next_ms| next_ms <= now_ms), asked_ms),
        };
        if may_be && now_ms >= asked_ms.saturating_add(ASK_EVERY_MS) && self.backlog.is_empty() {
            self.due = Due::Asked { asked_ms: now_ms };
            self.advance(now_ms);
        }
    }

    /// What an answer says of when something is due. Answers come in the order of what they answer.
    fn note_due(&mut self, answer: &Answer) {
        self.due = match (self.due, answer) {
            (Due::Asked { asked_ms }, Answer::Advanced(Advanced { tag: ADVANCE_TAG, next_ms, .. })) => {
                Due::At { next_ms: *next_ms, asked_ms }
            }
            (Due::Asked { asked_ms }, Answer::Refused { tag: ADVANCE_TAG, .. }) | (Due::At { asked_ms, .. }, _) => {
                Due::Unknown { asked_ms }
            }
            (due, _) => due,
        };
    }

    /// Lets the pipeline make a checkpoint now.
    pub(super) fn checkpoint(&mut self) {
        if self.requests.is_some() && self.backlog.back() != Some(&Request::Checkpoint) {
            self.backlog.push_back(Request::Checkpoint);
            self.feed();
        }
    }

    /// Gives the pipeline what it has room for.
    pub(super) fn feed(&mut self) {
        let Some(requests) = &self.requests else { return };
        while let Some(request) = self.backlog.pop_front() {
            match requests.try_send(request) {
                Ok(()) => self.wake.notify_one(),
                Err(TrySendError::Full(request)) => return self.backlog.push_front(request),
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }

    /// An answer is durable here. It goes out when it is acknowledged, or at once when it promises nothing.
    ///
    /// # Errors
    /// The command that makes this node the owner was not ordered: the refusal.
    pub(super) fn answered(&mut self, answer: Answer) -> Result<(), String> {
        if let Answer::Refused { tag: GRANT_TAG, refusal } = &answer {
            self.close("the ledger does not move here");
            return Err(format!("its epoch {} does not begin: {refusal}", self.epoch));
        }
        self.note_due(&answer);
        let size = match &answer {
            Answer::Receipt { seq, .. } => seq + 1,
            Answer::Advanced(advanced) if advanced.tag != ADVANCE_TAG => advanced.size,
            Answer::Advanced(_) | Answer::Refused { .. } => 0,
        };
        if size > self.acknowledged.get() {
            self.held.entry(size).or_default().push(answer);
        } else {
            self.reply(answer);
        }
        self.feed();
        Ok(())
    }

    /// Everything before this size may be answered.
    pub(super) fn acknowledge(&mut self, size: u64) {
        self.acknowledged.raise(size);
        let later = self.held.split_off(&(size + 1));
        for answer in std::mem::replace(&mut self.held, later).into_values().flatten() {
            self.reply(answer);
        }
    }

    /// Everything before this size may be acted on.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.get()
    }

    /// Answers that wait for other members.
    pub(super) fn waiting(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// Ends the pipeline and waits for it. Whoever takes its answers has stopped to do so.
    pub(super) fn stop(&mut self) {
        self.close("the node stops before the event was answered: submit it again, it is not done twice");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Lets the pipeline end; what it was given becomes durable. Those who wait are told that the answer is open.
    pub(super) fn close(&mut self, why: &str) {
        self.requests = None;
        self.wake.notify_one();
        self.backlog.clear();
        for (given, reply) in std::mem::take(&mut self.waiting).into_values() {
            let _ = reply.try_send(Reply::NotHere { tag: given, why: why.to_owned() });
        }
    }

    fn reply(&mut self, answer: Answer) {
        let (Answer::Receipt { tag, .. } | Answer::Refused { tag, .. } | Answer::Advanced(Advanced { tag, .. })) =
            &answer;
        if let Some((given, reply)) = self.waiting.remove(tag) {
            // Its channel has room for all that it may have under way.
            let _ = reply.try_send(Reply::Answer(answer).with_tag(given));
        }
    }
}

/// What a pipeline works with.
struct Parts {
    journal: Arc<Journal>,
    ledger: LedgerId,
    open: OpenLedger,
    runner: Runner,
    signer: Signer,
    requests: Receiver<Request>,
    happenings: mpsc::Sender<Happening>,
    orderer: Box<LocalOrderer>,
}

impl Parts {
    fn on_threads(self) -> JoinHandle<()> {
        let Self { journal, ledger, open, runner, signer, requests, happenings, orderer } = self;
        let (answers_out, answers) = bounded(IN_FLIGHT_STEPS_MAX);
        let told = happenings.clone();
        let telling = std::thread::spawn(move || {
            for answer in answers {
                if told.blocking_send(Happening::Answered { ledger, answer }).is_err() {
                    break;
                }
            }
        });
        // Its last answers are told before its end: whoever comes after it counts from 0 again.
        std::thread::spawn(move || {
            let ended = caught(|| pipeline::run(journal, open, orderer, runner, signer, requests, answers_out));
            let fault = fault_of(ended);
            let _ = telling.join();
            let _ = happenings.blocking_send(Happening::Stopped { ledger, fault });
        })
    }

    async fn in_a_task(self, takes: Duration, wake: Arc<Notify>) {
        let (ledger, happenings) = (self.ledger, self.happenings.clone());
        let fault = self.one_after_the_other(takes, &wake).await.err().map(|error| error.to_string());
        let _ = happenings.send(Happening::Stopped { ledger, fault }).await;
    }

    async fn one_after_the_other(self, takes: Duration, wake: &Notify) -> Result<(), PipelineError> {
        let Self { journal, ledger, open, runner, signer, requests, happenings, orderer } = self;
        let mut pipeline = Inline::new(journal, open, orderer, runner, signer)?;
        loop {
            match requests.try_recv() {
                Ok(first) => {
                    let group = std::iter::once(first).chain(requests.try_iter().take(GROUP_STEPS_MAX - 1));
                    caught(|| pipeline.execute(group)).map_err(PipelineError::Thread)??;
                    sleep(takes).await;
                    for answer in caught(|| pipeline.commit()).map_err(PipelineError::Thread)?? {
                        if happenings.send(Happening::Answered { ledger, answer }).await.is_err() {
                            break;
                        }
                    }
                }
                Err(TryRecvError::Empty) => wake.notified().await,
                Err(TryRecvError::Disconnected) => return pipeline.finish().map(drop),
            }
        }
    }
}

/// Why a pipeline ended before it was told to; a panic is a reason, too.
fn fault_of<T>(ended: Result<Result<T, PipelineError>, String>) -> Option<String> {
    match ended {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(PipelineError::Thread(panic).to_string()),
    }
}

fn orderer(world: Arc<dyn World>) -> Box<LocalOrderer> {
    Box::new(LocalOrderer::new(TimeSource::Event).bounding_future().by(move || world.now_ms()))
}
