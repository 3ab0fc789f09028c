//! A ledger that this node owns: its pipeline runs as long as the node does, and answers wait until as many members have
//! the step as the ledger's durability asks for.

use super::happening::{Happening, Reply};
use crate::{
    journal::LedgerEntry,
    node::{EngineChoice, Node, NodeError, PackageExecutors},
    orderer::{LocalOrderer, Proposal, TimeSource},
    pipeline::{self, Answer, IN_FLIGHT_STEPS_MAX, Request},
    runner::Runner,
};
use crossbeam_channel::{Sender, TrySendError, bounded};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    thread::JoinHandle,
};
use tokio::sync::mpsc;

/// Events that were taken and wait for the pipeline, and answers that wait for a quorum, together.
const WAITING_MAX: usize = 8_192;

/// The pipeline of a ledger, and who waits for what.
pub(super) struct Owner {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// Events that the pipeline has no room for yet.
    backlog: VecDeque<Request>,
    next_tag: u64,
    /// Who waits for which tag, and what it calls it.
    waiting: BTreeMap<u64, (u64, mpsc::Sender<Reply>)>,
    /// Answers that are durable here, by the size that the log must have elsewhere.
    held: BTreeMap<u64, Vec<Answer>>,
    acknowledged: u64,
}

impl Owner {
    /// Opens the ledger and starts its pipeline.
    ///
    /// # Errors
    /// [`NodeError`]: it cannot be opened, or the key is not there.
    pub(super) fn start(
        node: &Arc<Node>,
        entry: &LedgerEntry,
        happenings: mpsc::Sender<Happening>,
    ) -> Result<Self, NodeError> {
        let attester = Arc::new(node.attester()?);
        let open = node.open_ledger(entry)?;
        let (requests, requests_in) = bounded(IN_FLIGHT_STEPS_MAX);
        let (answers_out, answers) = bounded(IN_FLIGHT_STEPS_MAX);
        let (journal, ledger) = (node.journal().clone(), entry.id);
        let executors = PackageExecutors::new(journal.clone(), EngineChoice::Cranelift, node.dir());
        let told = happenings.clone();
        std::thread::spawn(move || {
            for answer in answers {
                if told.blocking_send(Happening::Answered { ledger, answer }).is_err() {
                    break;
                }
            }
        });
        let thread = std::thread::spawn(move || {
            let orderer = Box::new(LocalOrderer::new(TimeSource::Event).bounding_future());
            let runner = Runner::new(Box::new(executors));
            let ended = pipeline::run(journal, open, orderer, runner, attester, requests_in, answers_out);
            let fault = ended.err().map(|error| error.to_string());
            let _ = happenings.blocking_send(Happening::Stopped { ledger, fault });
        });
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            backlog: VecDeque::new(),
            next_tag: 0,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            acknowledged: 0,
        })
    }

    /// Takes an event in.
    pub(super) fn submit(&mut self, mut proposal: Proposal, reply: mpsc::Sender<Reply>) {
        let given = proposal.tag;
        if self.requests.is_none() || self.waiting.len() >= WAITING_MAX {
            let why = "the node has too much under way, or stops: submit it again later".to_owned();
            let _ = reply.try_send(Reply::NotHere { tag: given, why });
            return;
        }
        proposal.tag = self.next_tag;
        self.next_tag += 1;
        self.waiting.insert(proposal.tag, (given, reply));
        self.backlog.push_back(proposal.into());
        self.feed();
    }

    /// Lets what is due by this logical time happen; nobody waits for it.
    pub(super) fn advance(&mut self, to_ms: u64) {
        if self.requests.is_some() && self.backlog.is_empty() {
            self.backlog.push_back(Request::Advance { tag: u64::MAX, to_ms });
            self.feed();
        }
    }

    /// Gives the pipeline what it has room for.
    pub(super) fn feed(&mut self) {
        let Some(requests) = &self.requests else { return };
        while let Some(request) = self.backlog.pop_front() {
            match requests.try_send(request) {
                Ok(()) => {}
                Err(TrySendError::Full(request)) => return self.backlog.push_front(request),
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }

    /// An answer is durable here. It goes out when it is acknowledged, or at once when it promises nothing.
    pub(super) fn answered(&mut self, answer: Answer) {
        match &answer {
            Answer::Receipt { seq, .. } if *seq >= self.acknowledged => {
                self.held.entry(seq + 1).or_default().push(answer);
            }
            _ => self.reply(answer),
        }
        self.feed();
    }

    /// Everything before this size may be answered.
    pub(super) fn acknowledge(&mut self, size: u64) {
        self.acknowledged = self.acknowledged.max(size);
        let later = self.held.split_off(&(size + 1));
        for answer in std::mem::replace(&mut self.held, later).into_values().flatten() {
            self.reply(answer);
        }
    }

    /// Answers that wait for other members.
    pub(super) fn waiting(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// Ends the pipeline and waits for it. Whoever takes its answers has stopped to do so.
    pub(super) fn stop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Lets the pipeline end; what it was given becomes durable. Those who wait are told that the answer is open.
    pub(super) fn close(&mut self) {
        self.requests = None;
        self.backlog.clear();
        for (given, reply) in std::mem::take(&mut self.waiting).into_values() {
            let why = "the node stops before the event was answered: submit it again, it is not done twice".to_owned();
            let _ = reply.try_send(Reply::NotHere { tag: given, why });
        }
    }

    fn reply(&mut self, answer: Answer) {
        let (Answer::Receipt { tag, .. } | Answer::Refused { tag, .. } | Answer::Advanced { tag, .. }) = &answer;
        if let Some((given, reply)) = self.waiting.remove(tag) {
            // Its channel has room for all that it may have under way.
            let _ = reply.try_send(Reply::Answer(answer).with_tag(given));
        }
    }
}
