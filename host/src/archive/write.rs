//! Bringing an archive up to a checkpoint. Only what is new is written, and the checkpoint comes last.

use super::{
    ArchiveError, ArchiveReader, PART_BYTES_MAX, PART_BYTES_TARGET, StepsPart, Store, StoreError,
    layout::{self, CHECKPOINT, GENESIS, LEVELS, Place, TILE_WIDTH, hashes_at},
    part::{ArchivedEpochs, STEP_BYTES_MAX, StepParts},
};
use crate::{
    checkpoints,
    journal::{Journal, JournalError, LedgerEntry, LedgerReader, RecordKind},
};
use reprise_abi::{Canonical, decode_canonical, encode, limits::RECEIPT_BYTES_MAX};
use reprise_receipts::{
    Attesters, LeafHash, LedgerId, PackageDigest, Receipt,
    checkpoint::{CHECKPOINT_BYTES_MAX, SignedCheckpoint},
    log::{LogError, TileSource},
};
use std::collections::BTreeSet;

const HASH_BYTES: usize = 32;

/// What goes into an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Checkpoint, tiles and receipts: what transparency clients read.
    Receipts,
    /// Everything that doing the steps again takes.
    Steps,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Receipts that were in the archive before.
    pub before: u64,
    /// Receipts that are in it now.
    pub size: u64,
    /// Files that were written.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Brings the archive of a ledger up to a signed checkpoint of it. An archive with steps stays one.
///
/// # Errors
/// [`ArchiveError`]: the archive is of another ledger or history, or reaches further; a receipt is missing or is not
/// what the log says; the store refuses. The archive stays what it was: no checkpoint speaks of what is new in it.
pub fn write(
    journal: &Journal,
    entry: &LedgerEntry,
    store: &dyn Store,
    note: &SignedCheckpoint,
    contents: Contents,
) -> Result<Written, ArchiveError> {
    let reader = journal.read(entry.no)?;
    let (attesters, records) = reader.epochs(&entry.genesis)?;
    let size = note.verify(attesters.of_log(note.checkpoint().size))?.size;
    let old = begun(&reader, entry, &attesters, store, size)?;
    let before = old.as_ref().map_or(0, |old| old.checkpoint().size);
    let had_steps = old.as_ref().is_some_and(|old| old.genesis().is_some());
    let with_steps = contents == Contents::Steps || had_steps;
    // Steps of the receipts that are there already are missing.
    let from = if with_steps && !had_steps { 0 } else { before };
    let mut writing = Writing {
        journal,
        ledger: entry.id,
        reader: &reader,
        old: old.as_ref().filter(|_| from > 0),
        out: Output { store, written: Written { before, size, ..Written::default() } },
        with_steps,
        packages: BTreeSet::new(),
        from,
        size,
    };
    writing.steps()?;
    writing.tiles()?;
    writing.packages()?;
    let mut out = writing.out;
    if with_steps {
        out.once(GENESIS, &encode(&entry.genesis), true)?;
        if !records.is_empty() {
            out.replace(layout::EPOCHS, &encode(&ArchivedEpochs { records }), ArchivedEpochs::BYTES_MAX)?;
        }
    }
    store.settle()?;
    if before < size || old.is_none() {
        out.replace(CHECKPOINT, note.text().as_bytes(), CHECKPOINT_BYTES_MAX)?;
        store.settle()?;
    }
    remove_superseded(store, before, size)?;
    Ok(out.written)
}

/// The archive as it is, if it is the beginning of what is to be written.
fn begun<'a>(
    reader: &LedgerReader,
    entry: &LedgerEntry,
    attesters: &Attesters,
    store: &'a dyn Store,
    size: u64,
) -> Result<Option<ArchiveReader<'a>>, ArchiveError> {
    let Some(old) = ArchiveReader::open_if_there(store)? else { return Ok(None) };
    let checkpoint = old.checkpoint();
    if checkpoint.ledger != entry.id {
        return Err(ArchiveError::OtherLedger { expected: entry.id, found: checkpoint.ledger });
    }
    old.note().verify(attesters.of_log(checkpoint.size))?;
    if checkpoint.size > size {
        return Err(ArchiveError::Longer { archived: checkpoint.size, size });
    }
    let first = reader.base().map_or(0, |base| base.size);
    if checkpoint.size < first {
        return Err(ArchiveError::Gap { from: checkpoint.size, to: first });
    }
    if checkpoints::log_root_at(reader, checkpoint.size)? != checkpoint.log_root {
        return Err(ArchiveError::Fork { size: checkpoint.size });
    }
    Ok(Some(old))
}

/// One run of [`write`].
struct Writing<'a> {
    journal: &'a Journal,
    ledger: LedgerId,
    reader: &'a LedgerReader,
    /// What is there already, unless everything is written anew.
    old: Option<&'a ArchiveReader<'a>>,
    out: Output<'a>,
    with_steps: bool,
    packages: BTreeSet<PackageDigest>,
    /// Receipts that are there already.
    from: u64,
    size: u64,
}

impl Writing<'_> {
    /// Entry bundles, and the parts of their steps.
    fn steps(&mut self) -> Result<(), ArchiveError> {
        let first_here = self.reader.base().map_or(0, |base| base.size);
        for index in self.from / TILE_WIDTH..self.size.div_ceil(TILE_WIDTH) {
            let place = Place::of(0, index, self.size).expect("the index is below the size");
            let first = index * TILE_WIDTH;
            let mut tile = TileSteps::new(place, self.ledger, self.with_steps);
            if first < first_here {
                self.add_archived(&mut tile, index, first_here)?;
            }
            self.add_stored(&mut tile, first.max(first_here)..first + place.width)?;
            self.packages.append(&mut tile.packages);
            if tile.hashes != self.log_tile(0, place)? {
                let reason = "its receipts are not those of the log";
                return Err(JournalError::damaged(RecordKind::LogNode, index, reason).into());
            }
            tile.write(&mut self.out)?;
        }
        Ok(())
    }

    /// The receipts of a tile before `end`, which have left the journal.
    fn add_archived(&mut self, tile: &mut TileSteps, index: u64, end: u64) -> Result<(), ArchiveError> {
        let from = index * TILE_WIDTH;
        let old = self.old.ok_or(ArchiveError::Gap { from, to: end })?;
        if self.with_steps {
            return old.for_each_of_tile(index, |step| {
                if step.receipt.seq >= end {
                    return Ok(());
                }
                tile.push(&step.receipt_bytes, Some(step.parts), &mut self.out)
            });
        }
        let gone = usize::try_from(end - from).unwrap_or(usize::MAX);
        old.receipts(index)?.iter().take(gone).try_for_each(|receipt| tile.push(receipt, None, &mut self.out))
    }

    fn add_stored(&mut self, tile: &mut TileSteps, range: std::ops::Range<u64>) -> Result<(), ArchiveError> {
        let mut attestations = self.reader.attestations(range.clone())?.peekable();
        for step in self.reader.steps(range)? {
            let missing = |missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing);
            let step = step?.map_err(missing)?;
            let is_over_it = |filed: &Result<(u64, Vec<u8>), _>| !matches!(filed, Ok((seq, _)) if *seq != step.seq());
            let attestation = attestations.next_if(is_over_it).transpose()?.map(|(_, bytes)| bytes);
            let (input, record) = (step.input().to_vec(), step.record().to_vec());
            let parts = self.with_steps.then_some(StepParts { input, record, attestation });
            tile.push(step.receipt(), parts, &mut self.out)?;
        }
        Ok(())
    }

    /// Tiles of every level, complete ones and those that the size cuts.
    fn tiles(&mut self) -> Result<(), ArchiveError> {
        for level in 0..LEVELS {
            for index in hashes_at(level, self.from) / TILE_WIDTH..hashes_at(level, self.size).div_ceil(TILE_WIDTH) {
                let place = Place::of(level, index, self.size).expect("the index is below the size");
                let hashes = self.log_tile(level, place)?;
                self.out.once(&place.tile(level), &hashes, place.is_complete())?;
            }
        }
        Ok(())
    }

    fn log_tile(&self, level: u8, place: Place) -> Result<Vec<u8>, ArchiveError> {
        let Place { index, width } = place;
        let expected = usize::try_from(width).expect("at most 256") * HASH_BYTES;
        let mut hashes = self.reader.tile(level, index).ok_or(LogError::MissingTile { level, index })?;
        if hashes.len() < expected {
            return Err(LogError::TileLength { level, index, expected, found: hashes.len() }.into());
        }
        hashes.truncate(expected);
        Ok(hashes)
    }

    fn packages(&mut self) -> Result<(), ArchiveError> {
        if !self.with_steps {
            return Ok(());
        }
        for digest in &self.packages {
            let package = self.journal.package(*digest)?;
            let missing = || JournalError::damaged(RecordKind::Package, digest, "it is missing");
            let file = layout::seal(layout::PACKAGE_CONTEXT, &encode(&package.ok_or_else(missing)?));
            self.out.once(&layout::package(*digest), &file, true)?;
        }
        Ok(())
    }
}

/// The receipts of one tile, as they come.
struct TileSteps {
    place: Place,
    entries: Vec<u8>,
    hashes: Vec<u8>,
    packages: BTreeSet<PackageDigest>,
    part: Option<StepsPart>,
    part_bytes: usize,
    parts: u64,
}

impl TileSteps {
    fn new(place: Place, ledger: LedgerId, with_steps: bool) -> Self {
        let part = with_steps.then(|| StepsPart::new(ledger, place.index * TILE_WIDTH));
        Self {
            place,
            entries: Vec::new(),
            hashes: Vec::new(),
            packages: BTreeSet::new(),
            part,
            part_bytes: 0,
            parts: 0,
        }
    }

    fn push(&mut self, receipt: &[u8], parts: Option<StepParts>, out: &mut Output<'_>) -> Result<(), ArchiveError> {
        let bytes = parts.as_ref().map_or(0, StepParts::bytes);
        if receipt.len() > RECEIPT_BYTES_MAX || bytes > STEP_BYTES_MAX {
            let at = self.place.index * TILE_WIDTH + (self.hashes.len() / HASH_BYTES) as u64;
            return Err(JournalError::damaged(RecordKind::Steps, at, "it is longer than any step").into());
        }
        layout::push_entry(&mut self.entries, receipt);
        self.hashes.extend_from_slice(LeafHash::of(receipt).as_bytes());
        let (Some(part), Some(parts)) = (&mut self.part, parts) else { return Ok(()) };
        let seq = part.first + part.steps.len() as u64;
        let decoded: Receipt =
            decode_canonical(receipt).map_err(|error| JournalError::damaged(RecordKind::Receipt, seq, error))?;
        self.packages.insert(decoded.package);
        self.part_bytes += bytes;
        part.steps.push(parts);
        if self.part_bytes < PART_BYTES_TARGET {
            return Ok(());
        }
        let next = StepsPart::new(part.ledger, seq + 1);
        let full = std::mem::replace(part, next);
        self.write_part(&full, out)
    }

    fn write(mut self, out: &mut Output<'_>) -> Result<(), ArchiveError> {
        if let Some(last) = self.part.take().filter(|part| !part.steps.is_empty()) {
            self.write_part(&last, out)?;
        }
        out.once(&self.place.entries(), &self.entries, self.place.is_complete())
    }

    fn write_part(&mut self, part: &StepsPart, out: &mut Output<'_>) -> Result<(), ArchiveError> {
        out.once(&self.place.part(self.parts), &part.to_file(), self.place.is_complete())?;
        self.part_bytes = 0;
        self.parts += 1;
        Ok(())
    }
}

/// Writes files and counts them.
struct Output<'a> {
    store: &'a dyn Store,
    written: Written,
}

impl Output<'_> {
    /// Writes a file that is not there yet. One that never changes must not be there with other bytes.
    fn once(&mut self, name: &str, bytes: &[u8], never_changes: bool) -> Result<(), ArchiveError> {
        match self.store.read(name, PART_BYTES_MAX as u64) {
            Ok(Some(present)) if present == bytes => Ok(()),
            Ok(Some(_)) | Err(StoreError::TooLong { .. }) if never_changes => {
                Err(ArchiveError::Conflict(name.to_owned()))
            }
            Ok(_) | Err(StoreError::TooLong { .. }) => self.write(name, bytes),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a file whose contents follow the ledger.
    fn replace(&mut self, name: &str, bytes: &[u8], bytes_max: usize) -> Result<(), ArchiveError> {
        if self.store.read(name, bytes_max as u64)?.is_some_and(|present| present == bytes) {
            return Ok(());
        }
        self.write(name, bytes)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.store.write(name, bytes)?;
        self.written.files += 1;
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Removes what stood for tiles that were incomplete at the checkpoint before and are complete now.
fn remove_superseded(store: &dyn Store, before: u64, size: u64) -> Result<(), ArchiveError> {
    for level in 0..LEVELS {
        let index = hashes_at(level, before) / TILE_WIDTH;
        let was_cut = Place::of(level, index, before).is_some();
        let Some(place) = Place::of(level, index, size).filter(|place| was_cut && place.is_complete()) else {
            continue;
        };
        store.remove_under(&place.incomplete(|place| place.tile(level)))?;
        if level == 0 {
            store.remove_under(&place.incomplete(Place::entries))?;
            store.remove_under(&place.incomplete(Place::steps))?;
        }
    }
    Ok(())
}
