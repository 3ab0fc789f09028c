//! A ledger in memory, with a make-believe engine: the next state is a digest of the one before and the input.

use reprise_abi::{Event, Input, OutcomeClass, encode};
use reprise_federation::{
    Ledgers, LocalHead, Mark,
    ledgers::EpochStart,
    message::{Step, Steps},
};
use reprise_receipts::{
    DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LedgerId, OutputDigest, PackageDigest,
    Receipt, StateRoot,
    attestation::Attestation,
    checkpoint::CheckpointRecord,
    digest::{ChunkId, derive},
    log::LogTail,
    receipt::RECEIPT_FORMAT,
};
use std::{cell::RefCell, collections::BTreeMap};

/// What ordering and executing the next step takes.
#[derive(Clone, Debug)]
pub struct End {
    pub seq: u64,
    pub previous: LeafHash,
    pub state: StateRoot,
}

impl End {
    pub const START: Self = Self { seq: 0, previous: LeafHash::NONE, state: StateRoot::from_bytes([0; 32]) };

    /// Orders and executes.
    pub fn order(&mut self, ledger: LedgerId, epoch: u64, payload: &[u8]) -> Step {
        let id = format!("{:x}", derive("test id", payload)[0]);
        let event = Event { id, source: "test".into(), kind: "k".into(), payload: payload.to_vec() };
        let input = Input { seq: self.seq, epoch, logical_time_ms: self.seq, event };
        self.execute(ledger, &encode(&input), epoch)
    }

    /// Executes an input that was ordered somewhere.
    pub fn execute(&mut self, ledger: LedgerId, input: &[u8], epoch: u64) -> Step {
        let next = derive("test state", &[self.state.as_bytes().as_slice(), input].concat());
        let receipt = Receipt {
            format: RECEIPT_FORMAT,
            ledger,
            seq: self.seq,
            epoch,
            protocol_epoch: 3,
            engine_profile: EngineProfileDigest::from_bytes([1; 32]),
            package: PackageDigest::from_bytes([2; 32]),
            input: InputDigest::of(input),
            logical_time_ms: self.seq,
            prior_state: self.state,
            next_state: StateRoot::from_bytes(next),
            diff: DiffDigest::from_bytes([3; 32]),
            execution: ExecutionRoot::from_bytes(derive("test execution", &next)),
            output: OutputDigest::from_bytes([4; 32]),
            class: OutcomeClass::Accepted,
            code: 0,
            fuel: 7,
            previous: self.previous,
        };
        let receipt_bytes = encode(&receipt);
        self.previous = LeafHash::of(&receipt_bytes);
        self.state = receipt.next_state;
        self.seq += 1;
        Step { input: input.to_vec(), receipt: receipt_bytes }
    }
}

/// Durable steps of one ledger.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    pub id: LedgerId,
    pub steps: Vec<Step>,
    pub leaves: Vec<LeafHash>,
    /// What "the state" hashes to; a flipped byte changes it.
    pub state_root: StateRoot,
    pub epochs: Vec<EpochStart>,
    pub attestations: BTreeMap<u64, Attestation>,
    pub end: End,
    tail: RefCell<LogTail>,
    tiles: RefCell<BTreeMap<(u8, u64), Vec<u8>>>,
}

impl MemoryLedger {
    pub fn new(id: LedgerId) -> Self {
        Self {
            id,
            steps: Vec::new(),
            leaves: Vec::new(),
            state_root: End::START.state,
            epochs: Vec::new(),
            attestations: BTreeMap::new(),
            end: End::START,
            tail: RefCell::default(),
            tiles: RefCell::default(),
        }
    }

    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub fn mark(&self) -> Mark {
        Mark { size: self.size(), log_root: self.tail.borrow().root() }
    }

    /// Takes a step over without executing it.
    pub fn append(&mut self, step: Step) {
        let receipt: Receipt = reprise_abi::decode_canonical(&step.receipt).expect("a receipt");
        let leaf = step.leaf();
        if self.epochs.last().is_none_or(|last| last.epoch != receipt.epoch) {
            self.epochs.push(EpochStart { epoch: receipt.epoch, first: self.size(), leaf });
        }
        self.tail.borrow_mut().append(leaf);
        self.leaves.push(leaf);
        self.steps.push(step);
        self.state_root = receipt.next_state;
        self.end = End { seq: self.size(), previous: leaf, state: receipt.next_state };
    }

    pub fn truncate(&mut self, size: u64) {
        let steps = std::mem::take(&mut self.steps);
        let mut kept = Self::new(self.id);
        for step in steps.into_iter().take(size as usize) {
            kept.append(step);
        }
        *self = kept;
    }

    pub fn tile_now(&self, level: u8, index: u64) -> Option<Vec<u8>> {
        for tile in self.tail.borrow_mut().take_dirty_tiles() {
            self.tiles.borrow_mut().insert((tile.level, tile.index), tile.hashes);
        }
        self.tiles.borrow().get(&(level, index)).cloned()
    }

    pub fn stream_bytes(&self, first: u64, end: u64) -> Vec<u8> {
        let steps = self.steps[first as usize..end as usize].to_vec();
        encode(&Steps { steps: reprise_federation::List::new(steps).expect("few enough") })
    }
}

impl Ledgers for MemoryLedger {
    fn head(&self, ledger: LedgerId) -> Option<LocalHead> {
        (ledger == self.id).then(|| LocalHead { log: self.mark(), state_root: self.state_root })
    }

    fn tile(&self, _: LedgerId, level: u8, index: u64) -> Option<Vec<u8>> {
        self.tile_now(level, index)
    }

    fn epochs(&self, _: LedgerId) -> Vec<EpochStart> {
        self.epochs.clone()
    }

    fn receipt(&self, _: LedgerId, seq: u64) -> Option<Vec<u8>> {
        self.steps.get(seq as usize).map(|step| step.receipt.clone())
    }

    fn attestation(&self, _: LedgerId, seq: u64) -> Option<Attestation> {
        self.attestations.range(seq..).next().map(|(_, attestation)| attestation.clone())
    }

    fn steps(&self, _: LedgerId, first: u64, end: u64, bytes_max: usize) -> Vec<Step> {
        let mut bytes = 0;
        let fits = |step: &&Step| {
            bytes += step.bytes();
            bytes <= bytes_max
        };
        self.steps[first as usize..end.min(self.size()) as usize].iter().take_while(fits).cloned().collect()
    }

    fn stream(&self, _: LedgerId, first: u64, end: u64, bytes_max: u64) -> Option<(u64, u64)> {
        let mut end = end;
        loop {
            let bytes = self.stream_bytes(first, end).len() as u64;
            if bytes <= bytes_max {
                return Some((end, bytes));
            }
            end = first + (end - first) / 2;
            if end == first {
                return None;
            }
        }
    }

    fn snapshot(&self, _: LedgerId) -> Option<CheckpointRecord> {
        None
    }

    fn chunk(&self, _: LedgerId, _: ChunkId) -> Option<u64> {
        None
    }
}
