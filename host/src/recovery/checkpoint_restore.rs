//! Checkpoint restore: the state made anew from a checkpoint's snapshot, on the node that lost it or on a new one.
//!
//! On the same node receipts stay as they are and the diffs after the checkpoint are applied ([`plan`]). On a new node
//! the ledger begins with the checkpoint ([`take_over`]): the signature of its attester vouches for log root and last
//! receipt, the receipt for the state root, and the state root for every chunk. What was before stays elsewhere.

use super::{Module, Plan, PlanStep, RecoveryError, Site, Way, rollback::bounded, ways};
use crate::{
    checkpoints::{self, CheckpointError},
    journal::{Base, Journal, JournalError, LedgerEntry, StoredCheckpoint},
};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Attesters, Genesis, Head, LeafHash, LedgerId, Package, PackageDigest, Receipt,
    checkpoint::{Ancestry, CheckpointClaim, CheckpointError as NoteError},
    digest::{ChunkId, ContinuityRoot},
    log::{LOG_SIZE_MAX, LogError, LogTail, TILE_HEIGHT, TileSource},
};
use std::collections::BTreeMap;

const HASH_BYTES: usize = 32;
/// The highest level that a log can have.
const LEVEL_MAX: u8 = (LOG_SIZE_MAX.ilog2() / TILE_HEIGHT as u32) as u8;

/// The plan that stores the state of a ledger anew, from the snapshot of a checkpoint and the diffs after it. Receipts
/// stay as they are. Without `from`, from the newest snapshot that is kept.
///
/// # Errors
/// [`RecoveryError`]: no such snapshot is kept.
pub fn plan(site: &Site<'_>, from: Option<u64>, reason: &str, now_ms: u64) -> Result<Plan, RecoveryError> {
    let reader = site.journal.read(site.entry.no)?;
    let size = reader.size()?;
    let from = match from {
        Some(from) => from,
        None => {
            let kept = site.journal.checkpoints(site.entry.no)?.into_iter().rfind(|checkpoint| checkpoint.restorable);
            kept.ok_or(CheckpointError::NotKept { size })?.record.claim.size
        }
    };
    if !checkpoints::find(site.journal, site.entry.no, from)?.restorable {
        return Err(CheckpointError::NotKept { size: from }.into());
    }
    let state_root = ways::root_after(site, &reader, size)?;
    let way = Way::Snapshot { size: from };
    let steps = vec![PlanStep::StoreState { size, state_root, way }, PlanStep::Check { size, state_root }];
    let reason = bounded(reason);
    Ok(Plan { ledger: site.entry.id, module: Module::CheckpointRestore, reason, made_ms: now_ms, steps })
}

/// The plan that stores the state of a ledger anew in this way. Receipts stay as they are.
///
/// # Errors
/// [`RecoveryError`]: the journal cannot be read.
pub fn plan_by(site: &Site<'_>, way: Way, reason: &str, now_ms: u64) -> Result<Plan, RecoveryError> {
    let reader = site.journal.read(site.entry.no)?;
    let size = reader.size()?;
    let state_root = ways::root_after(site, &reader, size)?;
    let steps = vec![PlanStep::StoreState { size, state_root, way }, PlanStep::Check { size, state_root }];
    let reason = bounded(reason);
    Ok(Plan { ledger: site.entry.id, module: Module::CheckpointRestore, reason, made_ms: now_ms, steps })
}

/// Stores the state of a ledger anew from the chunks of a snapshot that this journal does not keep: those of another
/// node's checkpoint. Receipts stay as they are; the diffs after the checkpoint are this journal's. One transaction: a
/// crash leaves the state as it was before.
///
/// # Errors
/// [`RecoveryError`]: a chunk is missing or does not hold, or the diffs do not lead to the state that the last receipt
/// names. Nothing was written.
pub fn from_chunks(
    site: &Site<'_>,
    claim: &CheckpointClaim,
    chunk: impl FnMut(ChunkId) -> Result<Option<Vec<u8>>, JournalError>,
) -> Result<(), RecoveryError> {
    let reader = site.journal.read(site.entry.no)?;
    let size = reader.size()?;
    let state = checkpoints::restore_state(claim.snapshot, chunk)?;
    let mut state = ways::apply(&reader, state, claim.size..size)?;
    let (expected, found) = (ways::root_after(site, &reader, size)?, state.root());
    if found != expected {
        let way = Way::Snapshot { size: claim.size };
        return Err(RecoveryError::OtherState { way, size, expected, found });
    }
    Ok(site.journal.store_state(site.entry.no, size, &state)?)
}

/// Everything that a node needs to go on from a checkpoint, but the chunks of its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestorePoint {
    /// What the ledger is.
    pub genesis: Genesis,
    /// Who attests which epoch: by the genesis record, and commands that operators signed.
    pub attesters: Attesters,
    /// The packages that it may need from here on: at least the one in force.
    pub packages: Vec<Package>,
    /// The checkpoint.
    pub checkpoint: StoredCheckpoint,
    /// The checkpoints before it.
    pub ancestry: Ancestry,
    /// The last receipt before it, encoded.
    pub last_receipt: Vec<u8>,
    /// The hashes of the last tile of each level of the log, as in [`Base::edge`].
    pub edge: Vec<Vec<u8>>,
}

/// Why a ledger cannot be taken over from a checkpoint. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// The note is not signed by the ledger's attester, or is of another ledger.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// Note and record do not say the same.
    #[error("the checkpoint's note and its record do not say the same")]
    Claim,
    /// The checkpoints before it are not known, or lead elsewhere.
    #[error("the checkpoints before it are not all known, or it does not come after them")]
    Ancestry,
    /// The last receipt is not the one before the checkpoint.
    #[error("the receipt is not the last one before the checkpoint, or leads to another state")]
    Receipt,
    /// The hashes of the log do not have the root that is signed.
    #[error("the right edge of the log does not have the root that is signed")]
    Edge,
    /// The policy in force is not there.
    #[error("package {0}, which is in force, is not there")]
    Package(PackageDigest),
    /// The ledger is there already.
    #[error("ledger {0} is on this node already")]
    Present(LedgerId),
}

impl RestorePoint {
    /// From the journal of another node.
    ///
    /// # Errors
    /// [`RecoveryError`]: no such checkpoint, or its snapshot is not kept.
    pub fn of_journal(journal: &Journal, entry: &LedgerEntry, size: Option<u64>) -> Result<Self, RecoveryError> {
        let wanted = |checkpoint: &StoredCheckpoint| {
            checkpoint.restorable && size.is_none_or(|size| checkpoint.record.claim.size == size)
        };
        let checkpoint = journal
            .checkpoints(entry.no)?
            .into_iter()
            .rfind(wanted)
            .ok_or(CheckpointError::NotKept { size: size.unwrap_or(0) })?;
        let size = checkpoint.record.claim.size;
        let reader = journal.read(entry.no)?;
        let last_receipt = reader.receipt(size - 1)?.ok_or(RecoveryError::NoReceipt(size - 1))?;
        let packages = journal.packages()?.into_iter().map(|(_, package)| package).collect();
        let edge = edge_at(&reader, size)?;
        let ancestry = journal.ancestry(entry.no, size)?.ok_or(PointError::Ancestry)?;
        let attesters = reader.attesters(&entry.genesis)?;
        Ok(Self { genesis: entry.genesis.clone(), attesters, packages, checkpoint, ancestry, last_receipt, edge })
    }

    /// Holds everything against the signature of the ledger's attester. The genesis record itself is what the caller
    /// trusts: its digest is the ledger's name.
    ///
    /// # Errors
    /// [`PointError`]: what does not hold.
    pub fn verify(&self) -> Result<Receipt, PointError> {
        let receipt: Receipt = decode_canonical(&self.last_receipt).map_err(|_| PointError::Receipt)?;
        let attester = self.attesters.of_epoch(receipt.epoch).ok_or(PointError::Receipt)?;
        let note = self.checkpoint.note.verify(attester)?;
        let claim = &self.checkpoint.record.claim;
        if (note.ledger, note.size, note.log_root) != (claim.ledger, claim.size, claim.log_root)
            || claim.ledger != self.genesis.ledger_id()
        {
            return Err(PointError::Claim);
        }
        let start = ContinuityRoot::start(claim.ledger);
        self.ancestry.verify(start, self.checkpoint.record.previous).map_err(|_| PointError::Ancestry)?;
        let is_last = receipt.seq + 1 == claim.size
            && receipt.next_state == claim.snapshot.state_root
            && receipt.logical_time_ms == claim.logical_time_ms;
        if !is_last {
            return Err(PointError::Receipt);
        }
        let base = self.base();
        let tail = LogTail::load(claim.size, |level, index| base.tile(level, index).map(<[u8]>::to_vec));
        let tail = tail.map_err(|_| PointError::Edge)?;
        if tail.root() != claim.log_root || tail.last_leaf() != Some(LeafHash::of(&self.last_receipt)) {
            return Err(PointError::Edge);
        }
        Ok(receipt)
    }

    fn base(&self) -> Base {
        let size = self.checkpoint.record.claim.size;
        Base { size, last_receipt: self.last_receipt.clone(), edge: self.edge.clone() }
    }
}

/// Takes a ledger over from a checkpoint: verifies all of it, and then writes it in one transaction.
///
/// # Errors
/// [`RecoveryError::Point`]: something does not hold; [`RecoveryError::Checkpoint`]: a chunk does not.
pub fn take_over(
    journal: &Journal,
    point: &RestorePoint,
    mut chunk: impl FnMut(ChunkId) -> Result<Option<Vec<u8>>, JournalError>,
) -> Result<LedgerEntry, RecoveryError> {
    let receipt = point.verify()?;
    let id = point.genesis.ledger_id();
    if journal.ledgers()?.iter().any(|entry| entry.id == id) {
        return Err(PointError::Present(id).into());
    }
    let mut chunks = BTreeMap::new();
    let state = checkpoints::restore_state(point.checkpoint.record.claim.snapshot, |id| {
        let bytes = chunk(id)?;
        if let Some(bytes) = &bytes {
            chunks.insert(id, bytes.clone());
        }
        Ok(bytes)
    })?;
    let head = Head::at(point.genesis.clone(), Some((&receipt, LeafHash::of(&point.last_receipt))), state);
    let in_force = head.package();
    if !point.packages.iter().any(|package| package.manifest.digest() == in_force) {
        return Err(PointError::Package(in_force).into());
    }
    for package in &point.packages {
        journal.put_package(package)?;
    }
    Ok(journal.put_ledger_at(
        &point.genesis,
        &point.base(),
        head.state(),
        (&point.checkpoint, &point.ancestry),
        chunks,
    )?)
}

/// The last tile of each level of the log of `size` receipts.
fn edge_at(reader: &impl TileSource, size: u64) -> Result<Vec<Vec<u8>>, RecoveryError> {
    let mut edge = Vec::new();
    for level in 0..=LEVEL_MAX {
        let hashes = size >> (u32::from(TILE_HEIGHT) * u32::from(level));
        let last = if level == 0 { hashes.saturating_sub(1) } else { hashes };
        let (index, count) = (last >> TILE_HEIGHT, hashes - (last >> TILE_HEIGHT << TILE_HEIGHT));
        if hashes == 0 {
            break;
        }
        let mut tile = if count == 0 {
            Vec::new()
        } else {
            reader.tile(level, index).ok_or(LogError::MissingTile { level, index })?
        };
        tile.truncate(usize::try_from(count).expect("at most 256") * HASH_BYTES);
        edge.push(tile);
    }
    Ok(edge)
}
