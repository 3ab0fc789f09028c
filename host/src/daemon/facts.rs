//! What the federation asks of the journal. The head and the right edge of each log are kept in memory, because they are
//! asked for with every message; the rest is read.

use crate::journal::{Journal, JournalError, LedgerEntry, LedgerNo, LedgerReader};
use reprise_abi::decode_canonical;
use reprise_federation::{
    LedgerHead, Ledgers, LocalHead, Mark,
    ledgers::EpochStart,
    limits::EPOCHS_MAX,
    message::{Step, Steps},
};
use reprise_receipts::{
    Attestation, LeafHash, LedgerId, Receipt, StateRoot, StateTrie,
    checkpoint::CheckpointRecord,
    digest::ChunkId,
    log::{LogTail, TILE_BYTES_MAX, TileSource},
};
use std::{collections::BTreeMap, sync::Arc};

/// The ledgers that this node shares, as the journal has them.
pub(super) struct Facts {
    journal: Arc<Journal>,
    ledgers: BTreeMap<LedgerId, Local>,
}

/// One ledger. Everything here is of the moment when it was refreshed last.
struct Local {
    no: LedgerNo,
    reader: LedgerReader,
    tail: LogTail,
    /// The incomplete tile of each level.
    edges: BTreeMap<u8, (u64, Vec<u8>)>,
    epochs: Vec<EpochStart>,
    state_root: StateRoot,
    /// The root of what is stored, when a look has found another one than the last receipt says.
    found: Option<StateRoot>,
}

impl Facts {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, ledgers: BTreeMap::new() }
    }

    /// Takes a ledger in, reading what is needed from its beginning.
    pub(super) fn add(&mut self, entry: &LedgerEntry) -> Result<(), JournalError> {
        let reader = self.journal.read(entry.no)?;
        let local = Local::read(entry.no, reader)?;
        self.ledgers.insert(entry.id, local);
        Ok(())
    }

    /// Sees what is durable now. After a rollback everything is read anew.
    pub(super) fn refresh(&mut self, ledger: LedgerId) -> Result<(), JournalError> {
        let Some(local) = self.ledgers.get_mut(&ledger) else { return Ok(()) };
        let reader = self.journal.read(local.no)?;
        let size = reader.size()?;
        // It may have gone back and grown again since it was read.
        let last = local.tail.size().checked_sub(1).map(|last| reader.receipt(last)).transpose()?.flatten();
        let continues = last.map(|receipt| LeafHash::of(&receipt)) == local.tail.last_leaf();
        if size < local.tail.size() || !continues {
            let found = local.found;
            *local = Local { found, ..Local::read(local.no, reader)? };
            return Ok(());
        }
        local.reader = reader;
        local.grow(size)
    }

    /// A look at what is stored has found this root, other than the last receipt says; none: what it says.
    pub(super) fn set_found(&mut self, ledger: LedgerId, found: Option<StateRoot>) {
        if let Some(local) = self.ledgers.get_mut(&ledger) {
            local.found = found;
        }
    }

    /// Receipts of a ledger.
    pub(super) fn size(&self, ledger: LedgerId) -> u64 {
        self.ledgers.get(&ledger).map_or(0, |local| local.tail.size())
    }

    /// As [`Ledgers::head`] has it, for people.
    pub(super) fn told_head(&self, ledger: LedgerId, epoch: u64) -> Option<LedgerHead> {
        let LocalHead { log, state_root } = self.head(ledger)?;
        Some(LedgerHead { ledger, epoch, size: log.size, log_root: log.log_root, state_root })
    }

    /// The content of a stream of steps.
    pub(super) fn steps_stream(&self, ledger: LedgerId, first: u64, end: u64) -> Option<Vec<u8>> {
        let steps = self.ledgers.get(&ledger)?.steps(first, end, usize::MAX);
        let whole = steps.len() as u64 == end - first;
        let steps = reprise_federation::List::new(steps).filter(|_| whole)?;
        Some(reprise_abi::encode(&Steps { steps }))
    }
}

impl Facts {
    /// The content of a stream of chunks: each after its length.
    pub(super) fn chunks_stream(&self, ledger: LedgerId, ids: &[ChunkId]) -> Option<Vec<u8>> {
        let local = self.ledgers.get(&ledger)?;
        let chunks = self.journal.chunks(local.no).ok()?;
        let mut bytes = Vec::new();
        for id in ids {
            let chunk = chunks.chunk(*id).ok()??;
            bytes.extend_from_slice(&u32::try_from(chunk.len()).ok()?.to_le_bytes());
            bytes.extend_from_slice(&chunk);
        }
        Some(bytes)
    }
}

impl Local {
    fn read(no: LedgerNo, reader: LedgerReader) -> Result<Self, JournalError> {
        let empty = StateTrie::new().root();
        let mut local = Self {
            no,
            reader,
            tail: LogTail::new(),
            edges: BTreeMap::new(),
            epochs: Vec::new(),
            state_root: empty,
            found: None,
        };
        let size = local.reader.size()?;
        // Where the journal begins later, the log before is known by its edge alone.
        let begins = local.reader.base().map_or(0, |base| base.size);
        if begins > 0
            && let Ok(tail) =
                LogTail::load(begins, |level, index| local.reader.base()?.tile(level, index).map(<[u8]>::to_vec))
        {
            local.tail = tail;
        }
        local.grow(size)?;
        Ok(local)
    }

    /// Appends what came since.
    fn grow(&mut self, size: u64) -> Result<(), JournalError> {
        let from = self.tail.size();
        for step in self.reader.steps(from..size)? {
            let Ok(step) = step? else { break };
            self.tail.append(LeafHash::of(step.receipt()));
            self.note_epoch(step.receipt());
        }
        for tile in self.tail.take_dirty_tiles() {
            if tile.hashes.len() < TILE_BYTES_MAX {
                self.edges.insert(tile.level, (tile.index, tile.hashes));
            } else {
                self.edges.remove(&tile.level);
            }
        }
        if let Some((receipt, _)) = self.reader.last_receipt()? {
            self.state_root = receipt.next_state;
        }
        Ok(())
    }

    /// The table of epochs grows by the first receipt of each.
    fn note_epoch(&mut self, receipt: &[u8]) {
        let Ok(decoded) = decode_canonical::<Receipt>(receipt) else { return };
        if self.epochs.last().is_none_or(|last| last.epoch < decoded.epoch) {
            self.epochs.push(EpochStart { epoch: decoded.epoch, first: decoded.seq, leaf: LeafHash::of(receipt) });
        }
    }

    fn steps(&self, first: u64, end: u64, bytes_max: usize) -> Vec<Step> {
        let end = end.min(self.tail.size());
        let (mut steps, mut bytes) = (Vec::new(), 0_usize);
        let Ok(stored) = self.reader.steps(first..end) else { return steps };
        for step in stored {
            let Ok(Ok(step)) = step else { break };
            bytes = bytes.saturating_add(step.input().len() + step.receipt().len());
            if bytes > bytes_max {
                break;
            }
            steps.push(Step { input: step.input().to_vec(), receipt: step.receipt().to_vec() });
        }
        steps
    }
}

impl Ledgers for Facts {
    fn head(&self, ledger: LedgerId) -> Option<LocalHead> {
        let local = self.ledgers.get(&ledger)?;
        let log = Mark { size: local.tail.size(), log_root: local.tail.root() };
        Some(LocalHead { log, state_root: local.found.unwrap_or(local.state_root) })
    }

    fn tile(&self, ledger: LedgerId, level: u8, index: u64) -> Option<Vec<u8>> {
        let local = self.ledgers.get(&ledger)?;
        match local.edges.get(&level) {
            Some((at, hashes)) if *at == index => Some(hashes.clone()),
            _ => local.reader.tile(level, index),
        }
    }

    fn epochs(&self, ledger: LedgerId) -> Vec<EpochStart> {
        let Some(local) = self.ledgers.get(&ledger) else { return Vec::new() };
        local.epochs[local.epochs.len().saturating_sub(EPOCHS_MAX)..].to_vec()
    }

    fn receipt(&self, ledger: LedgerId, seq: u64) -> Option<Vec<u8>> {
        self.ledgers.get(&ledger)?.reader.receipt(seq).ok()?
    }

    fn attestation(&self, ledger: LedgerId, seq: u64) -> Option<Attestation> {
        let mut after = self.ledgers.get(&ledger)?.reader.attestations(seq..u64::MAX).ok()?;
        decode_canonical(&after.next()?.ok()?.1).ok()
    }

    fn steps(&self, ledger: LedgerId, first: u64, end: u64, bytes_max: usize) -> Vec<Step> {
        self.ledgers.get(&ledger).map(|local| local.steps(first, end, bytes_max)).unwrap_or_default()
    }

    /// The length is an exact one: the encoding is made, and made again when it is sent.
    fn stream(&self, ledger: LedgerId, first: u64, end: u64, bytes_max: u64) -> Option<(u64, u64)> {
        let most = usize::try_from(bytes_max).ok()?.saturating_sub(STREAM_HEAD_BYTES);
        let mut steps = self.ledgers.get(&ledger)?.steps(first, end, most);
        while !steps.is_empty() {
            let end = first + steps.len() as u64;
            let bytes =
                reprise_abi::encode(&Steps { steps: reprise_federation::List::new(steps.clone())? }).len() as u64;
            if bytes <= bytes_max {
                return Some((end, bytes));
            }
            steps.truncate(steps.len() - steps.len().div_ceil(16));
        }
        None
    }

    fn snapshot(&self, ledger: LedgerId) -> Option<CheckpointRecord> {
        let local = self.ledgers.get(&ledger)?;
        let checkpoints = self.journal.checkpoints(local.no).ok()?;
        checkpoints.into_iter().rev().find(|checkpoint| checkpoint.restorable).map(|checkpoint| checkpoint.record)
    }

    fn chunk(&self, ledger: LedgerId, id: ChunkId) -> Option<u64> {
        let local = self.ledgers.get(&ledger)?;
        Some(self.journal.chunks(local.no).ok()?.chunk(id).ok()??.len() as u64)
    }
}

/// Room for the number of steps at the beginning of a stream.
const STREAM_HEAD_BYTES: usize = 8;
