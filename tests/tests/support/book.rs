//! A node with a recorded ledger of native steps, made by the pipeline, and what it takes to do the rest of it again.

#![allow(dead_code, reason = "every test program uses its part")]

use reprise::{
    engine::EngineProfile,
    journal::{CheckpointSettings, Journal, LedgerEntry, StoredCheckpoint},
    node::{Access, EngineChoice, Node, PackageExecutors},
    orderer::{LocalOrderer, Origin, Proposal, TimeSource},
    pipeline::{self, Answer, Committed, PipelineError, Request, Signer, channel},
    recovery::{Site, host},
    runner::Runner,
    verify::{VerifyOptions, verify},
};
use reprise_abi::{EFFECT_KIND, Event, Input, TIMER_KIND, decode_canonical};
use reprise_receipts::{Genesis, LeafHash, LogRoot, Package, Receipt, SigningKey, StateRoot, Verdict};
use reprise_tests::fixture;
use std::{
    fs,
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
};
use tempfile::TempDir;

const RANKS: u64 = 10;

/// A node with one ledger in a directory of its own.
pub struct Book {
    pub dir: TempDir,
    pub node: Node,
    pub entry: LedgerEntry,
    pub key: Arc<SigningKey>,
}

/// What a ledger was when it was recorded.
pub struct Recorded {
    pub inputs: Vec<Vec<u8>>,
    pub receipts: Vec<Vec<u8>>,
    pub log_root: LogRoot,
}

/// A pipeline that runs.
pub struct Running {
    pub requests: channel::Sender<Request>,
    pub answers: channel::Receiver<Answer>,
    pub thread: JoinHandle<Result<Committed, PipelineError>>,
}

impl Book {
    /// A node without a ledger; its entry is one that is not there.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::init(&dir.path().join("node")).unwrap();
        reprise_tests::share_compiled_code(node.dir());
        let key = Arc::new(SigningKey::from_secret(&[7; 32]));
        let genesis = genesis(&key, reprise_receipts::PackageDigest::from_bytes([0; 32]));
        let entry = LedgerEntry { no: u32::MAX, id: genesis.ledger_id(), genesis };
        Self { dir, node, entry, key }
    }

    /// A ledger without receipts that makes a checkpoint after so many of them; 0 for never.
    pub fn new(checkpoint_receipts: u64) -> Self {
        let mut book = Self::empty();
        let bytes = fs::read(fixture("packages/lease-1.0.0.reprise")).unwrap();
        let package: Package = decode_canonical(&bytes).unwrap();
        let package = book.journal().put_package(&package).unwrap();
        book.entry = book.journal().put_ledger(&genesis(&book.key, package)).unwrap();
        let settings = CheckpointSettings { receipts: checkpoint_receipts, logical_ms: 0, keep: 1_000 };
        book.journal().set_checkpoint_settings(book.entry.no, &settings).unwrap();
        book
    }

    /// A ledger of so many steps.
    pub fn recorded(steps: u64, checkpoint_receipts: u64) -> (Self, Recorded) {
        let book = Self::new(checkpoint_receipts);
        let mut proposals = proposals(steps);
        // A run ends with the checkpoint that is due at its end.
        while !proposals.is_empty() {
            let every = if checkpoint_receipts == 0 { steps } else { checkpoint_receipts };
            let rest = proposals.split_off(proposals.len().min(every as usize));
            book.run(std::mem::replace(&mut proposals, rest));
        }
        let recorded = Recorded::of(&book);
        assert_eq!(recorded.receipts.len() as u64, steps, "every event is a step, and nothing else is");
        (book, recorded)
    }

    /// Closes the journal, and keeps the directory.
    pub fn close(self) -> TempDir {
        self.dir
    }

    /// Opens the node in a directory that was closed.
    pub fn reopen(dir: TempDir) -> Self {
        let node = Node::open(&dir.path().join("node"), Access::Write).unwrap();
        let entry = node.journal().ledgers().unwrap().remove(0);
        Self { dir, node, entry, key: Arc::new(SigningKey::from_secret(&[7; 32])) }
    }

    pub fn journal(&self) -> &Arc<Journal> {
        self.node.journal()
    }

    pub fn site(&self) -> Site<'_> {
        self.node.site(&self.entry, EngineChoice::Native)
    }

    pub fn checkpoints(&self) -> Vec<StoredCheckpoint> {
        self.journal().checkpoints(self.entry.no).unwrap()
    }

    /// A pipeline that runs until nobody can ask it for anything.
    pub fn start(&self, signer: Signer) -> Running {
        let (ledger, _) = host::start(self.journal(), &self.entry).unwrap();
        let executors = PackageExecutors::new(self.journal().clone(), EngineChoice::Native, self.node.dir());
        let runner = Runner::new(Box::new(executors));
        let (out, requests) = channel::bounded(256);
        let (answers_out, answers) = channel::unbounded();
        let orderer = Box::new(LocalOrderer::new(TimeSource::Event));
        let journal = self.journal().clone();
        let run = move || pipeline::run(journal, ledger, orderer, runner, signer, requests, answers_out);
        Running { requests: out, answers, thread: std::thread::spawn(run) }
    }

    /// Runs proposals through the pipeline; gives the leaf of each receipt.
    pub fn run(&self, proposals: Vec<Proposal>) -> Vec<LeafHash> {
        let Running { requests, answers, thread } = self.start(self.key.clone().into());
        proposals.into_iter().for_each(|proposal| requests.send(Request::from(proposal)).unwrap());
        drop(requests);
        thread.join().unwrap().unwrap();
        let leaf = |answer| match answer {
            Answer::Receipt { leaf, duplicate: false, .. } => leaf,
            other => panic!("{other:?}"),
        };
        answers.iter().map(leaf).collect()
    }

    pub fn verify(&self) -> Verdict {
        let options = VerifyOptions { range: None, engine: EngineChoice::Native, jobs: 2 };
        verify(self.journal(), &self.entry, self.node.dir(), &options, &Arc::new(AtomicU64::new(0))).unwrap()
    }
}

impl Recorded {
    /// A ledger as it is now.
    pub fn of(book: &Book) -> Self {
        let reader = book.journal().read(book.entry.no).unwrap();
        let size = reader.size().unwrap();
        let (mut inputs, mut receipts) = (Vec::new(), Vec::new());
        for step in reader.steps(0..size).unwrap() {
            let step = step.unwrap().unwrap();
            inputs.push(step.input().to_vec());
            receipts.push(step.receipt().to_vec());
        }
        let log_root = reprise::checkpoints::log_root_at(&reader, size).unwrap();
        Self { inputs, receipts, log_root }
    }

    /// The state root after so many receipts.
    pub fn state_root(&self, size: u64) -> StateRoot {
        match size.checked_sub(1) {
            Some(last) => decode_canonical::<Receipt>(&self.receipts[last as usize]).unwrap().next_state,
            None => reprise_receipts::StateTrie::new().root(),
        }
    }

    /// The ledger opens at this size, with the root of then.
    #[track_caller]
    pub fn holds(&self, book: &Book, size: u64) {
        let (open, start) = host::start(book.journal(), &book.entry).unwrap();
        assert!(!start.is_degraded(), "{start:?}");
        assert_eq!(open.head.next_seq(), size);
        assert_eq!(open.head.state_root(), self.state_root(size));
        let last = size.checked_sub(1).map(|last| LeafHash::of(&self.receipts[last as usize]));
        assert_eq!(open.tail.last_leaf(), last);
    }

    /// Submits again what came after this size: every receipt is the recorded one, and so is the end.
    #[track_caller]
    pub fn go_on(&self, book: &Book, size: u64) {
        let inputs = self.inputs[size as usize..].iter().map(|input| decode_canonical::<Input>(input).unwrap());
        let submitted = inputs.filter(|input| ![TIMER_KIND, EFFECT_KIND].contains(&input.event.kind.as_str()));
        let proposals = submitted.map(|input| Proposal {
            tag: input.seq,
            time_ms: Some(input.logical_time_ms),
            event: input.event,
            origin: Origin::Submitted,
        });
        let leaves = book.run(proposals.collect());
        assert!(
            leaves.iter().eq(self.receipts[size as usize..].iter().map(|r| LeafHash::of(r)).collect::<Vec<_>>().iter())
        );
        self.holds(book, self.receipts.len() as u64);
        let reader = book.journal().read(book.entry.no).unwrap();
        let root = reprise::checkpoints::log_root_at(&reader, self.receipts.len() as u64).unwrap();
        assert_eq!(root, self.log_root);
    }
}

fn genesis(key: &SigningKey, package: reprise_receipts::PackageDigest) -> Genesis {
    Genesis {
        format: reprise_receipts::genesis::GENESIS_FORMAT,
        name: "history".to_owned(),
        nonce: [3; 16],
        protocol_epoch: reprise_receipts::genesis::PROTOCOL_EPOCH,
        engine_profile: EngineProfile::current().digest(),
        package,
        epoch: 1,
        attester: key.public(),
        operators: vec![key.public()],
        operator_threshold: 1,
    }
}

/// The first event of the incident, then heartbeats of its ranks, 25 ms apart.
pub fn proposals(count: u64) -> Vec<Proposal> {
    let incident = fs::read_to_string(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
    let first = reprise::events::parse(incident.lines().next().unwrap().as_bytes(), 0).unwrap();
    let start_ms = first.time_ms.unwrap();
    let heartbeat = |n: u64| {
        let rank = n % RANKS;
        let event = Event {
            id: format!("rank-{rank}-{n}"),
            source: format!("rank-{rank}"),
            kind: "heartbeat".to_owned(),
            payload: format!(r#"{{"incarnation":1,"rank":{rank}}}"#).into_bytes(),
        };
        Proposal { tag: n, event, time_ms: Some(start_ms + n * 25), origin: Origin::Submitted }
    };
    std::iter::once(first).chain((1..count).map(heartbeat)).collect()
}
