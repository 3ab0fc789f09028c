//! From a journal to a file.

mod signed;
mod start;

pub(crate) use self::start::head_at;

use self::{signed::Signatures, start::Start};
use super::{BundleFileError, FileWriter, finality};
use crate::{
    engine::{EngineProfile, on_engine_thread},
    journal::{Journal, JournalError, LedgerEntry, LedgerReader, RecordKind, StoredCheckpoint},
    node::EngineChoice,
};
use reprise_abi::encode;
use reprise_receipts::{
    PublicKey, SigningKey,
    bundle::{BundleHeader, BundleKind, BundleMark, LogEdge, Section},
    digest::BundleDigest,
    log::prove_inclusion,
    snapshot::{Chunk, ChunkOrder},
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What to export.
pub struct ExportOptions {
    /// Which kind of bundle.
    pub kind: BundleKind,
    /// Which receipts; of a checkpoint, `0..size`.
    pub range: Range<u64>,
    /// The node's directory: compiled code is cached there.
    pub dir: PathBuf,
    /// Signs a checkpoint over the whole log, if it is the ledger's attester.
    pub signer: Option<SigningKey>,
}

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What it says of itself.
    pub header: BundleHeader,
    /// Its digest.
    pub digest: BundleDigest,
    /// Its length.
    pub bytes: u64,
}

/// Writes a bundle of a ledger to a new file.
///
/// # Errors
/// [`BundleFileError`]: the journal has not what it takes, or the disk refuses. There is no file then.
pub fn export(
    journal: &Arc<Journal>,
    entry: &LedgerEntry,
    options: ExportOptions,
    out: &Path,
) -> Result<Exported, BundleFileError> {
    let reader = journal.read(entry.no)?;
    let size = reader.size()?;
    let Range { start: from, end: to } = options.range;
    let first = reader.base().map_or(0, |base| base.size);
    let has_steps = options.kind == BundleKind::Checkpoint || (first <= from && from < to);
    if !has_steps || to > size {
        return Err(BundleFileError::Range { from, to, size });
    }
    let export = Export { journal, entry, reader, out };
    match options.kind {
        BundleKind::Receipt => export.range(options, None),
        BundleKind::Replay => {
            let start = export.start(&options)?;
            export.range(options, Some(start))
        }
        BundleKind::Checkpoint => export.checkpoint(to),
    }
}

struct Export<'a> {
    journal: &'a Arc<Journal>,
    entry: &'a LedgerEntry,
    reader: LedgerReader,
    out: &'a Path,
}

impl Export<'_> {
    /// The starting point of a replay, found by doing it once.
    fn start(&self, options: &ExportOptions) -> Result<Start, BundleFileError> {
        let (journal, entry, dir) = (self.journal.clone(), self.entry.clone(), options.dir.clone());
        let range = options.range.clone();
        let thread = on_engine_thread("reprise-export", move || {
            Start::find(&journal, &entry, range, &dir, EngineChoice::Cranelift)
        });
        thread.map_err(|_| BundleFileError::Thread)?.join().map_err(|_| BundleFileError::Thread)?
    }

    /// A receipt bundle, or with a starting point a replay bundle.
    fn range(self, options: ExportOptions, start: Option<Start>) -> Result<Exported, BundleFileError> {
        let Range { start: from, end: to } = options.range;
        let mut header = BundleHeader::new(options.kind, self.entry.genesis.clone(), from, to);
        header.grants = self.grants()?;
        let signatures = Signatures::find(self.journal, self.entry, &self.reader, to, options.signer.as_ref())?;
        signatures.count(&mut header);
        let attestations = self.reader.attestations(from..to)?.count() as u64;
        header.set_count(Section::Attestation, attestations);
        let later = u64::from(from > 0);
        header.set_count(Section::Base, later);
        header.set_count(Section::Edge, later);
        if let Some(start) = &start {
            start.count(&mut header);
        }
        let mark = self.mark(to, &mut header)?;
        let mut file = FileWriter::create(self.out, &header)?;
        if let Some(start) = &start {
            start.write_packages(self.journal, &mut file)?;
            file.item(Section::Profile, EngineProfile::current().text().as_bytes())?;
        }
        signatures.write_note(&mut file)?;
        if let Some(before) = from.checked_sub(1) {
            file.item(Section::Base, &self.receipt(before)?)?;
            file.item(Section::Edge, &encode(&LogEdge::of(from, &self.reader)?))?;
        }
        signatures.write_proof(&mut file)?;
        if let Some(start) = start {
            start.write_state(&mut file)?;
        }
        self.steps(from..to, &mut file)?;
        finish(header, file, mark)
    }

    fn steps(&self, range: Range<u64>, file: &mut FileWriter) -> Result<(), BundleFileError> {
        let mut attestations = self.reader.attestations(range.clone())?.peekable();
        for step in self.reader.steps(range)? {
            let missing = |missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing);
            let step = step?.map_err(missing)?;
            file.item(Section::Receipt, step.receipt())?;
            file.item(Section::Input, step.input())?;
            file.item(Section::Record, step.record())?;
            let is_over_it = |filed: &Result<(u64, Vec<u8>), _>| !matches!(filed, Ok((seq, _)) if *seq != step.seq());
            if let Some(filed) = attestations.next_if(is_over_it) {
                file.item(Section::Attestation, &filed?.1)?;
            }
        }
        Ok(())
    }

    fn checkpoint(self, size: u64) -> Result<Exported, BundleFileError> {
        let all = self.journal.checkpoints(self.entry.no)?;
        let found = all.iter().position(|checkpoint| checkpoint.record.claim.size == size && checkpoint.restorable);
        let at = found.ok_or(BundleFileError::NoCheckpoint(size))?;
        let StoredCheckpoint { record, note, .. } = &all[at];
        let mut header = BundleHeader::new(BundleKind::Checkpoint, self.entry.genesis.clone(), size, size);
        header.grants = self.grants()?;
        let ancestry = self.journal.ancestry(self.entry.no, size)?.ok_or(BundleFileError::NoAncestry(size))?;
        let one = [Section::Note, Section::CheckpointRecord, Section::Base, Section::Edge, Section::Proof];
        one.into_iter().for_each(|section| header.set_count(section, 1));
        header.set_count(Section::Ancestry, u64::from(!ancestry.links.is_empty()));
        let mut chunks = 0;
        self.chunks(record.claim.snapshot, |_| {
            chunks += 1;
            Ok(())
        })?;
        header.set_count(Section::Chunk, chunks);
        let mark = self.mark(size, &mut header)?;
        let mut file = FileWriter::create(self.out, &header)?;
        file.item(Section::Note, note.text().as_bytes())?;
        file.item(Section::CheckpointRecord, &encode(record))?;
        if !ancestry.links.is_empty() {
            file.item(Section::Ancestry, &encode(&ancestry))?;
        }
        file.item(Section::Base, &self.receipt(size - 1)?)?;
        file.item(Section::Edge, &encode(&LogEdge::of(size, &self.reader)?))?;
        file.item(Section::Proof, &encode(&prove_inclusion(&self.reader, size, size - 1)?))?;
        self.chunks(record.claim.snapshot, |bytes| file.item(Section::Chunk, bytes))?;
        finish(header, file, mark)
    }

    /// What is final, for a bundle that ends before receipt `end`.
    fn mark(&self, end: u64, header: &mut BundleHeader) -> Result<Option<BundleMark>, BundleFileError> {
        let mark = finality::find(self.journal, self.entry, &self.reader, end)?;
        header.set_count(Section::Final, u64::from(mark.is_some()));
        Ok(mark)
    }

    /// The chunks of a snapshot in their order, one in memory at a time.
    fn chunks(
        &self,
        manifest: reprise_receipts::snapshot::Manifest,
        mut each: impl FnMut(&[u8]) -> Result<(), BundleFileError>,
    ) -> Result<(), BundleFileError> {
        let chunks = self.journal.chunks(self.entry.no)?;
        let mut order = ChunkOrder::new(&manifest);
        while let Some(id) = order.wanted() {
            let damaged = |reason: String| JournalError::damaged(RecordKind::Chunk, id, reason);
            let bytes = chunks.chunk(id)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
            let chunk = Chunk::open(id, &bytes).map_err(|error| damaged(error.to_string()))?;
            order.accept(&chunk).map_err(|error| damaged(error.to_string()))?;
            each(&bytes)?;
        }
        Ok(())
    }

    /// The commands that began the ledger's epochs: whoever knows the genesis record can tell who attests which.
    fn grants(&self) -> Result<Vec<reprise_receipts::command::SignedCommand>, BundleFileError> {
        let (_, records) = self.reader.epochs(&self.entry.genesis)?;
        Ok(records.into_iter().map(|record| record.grant).collect())
    }

    fn receipt(&self, seq: u64) -> Result<Vec<u8>, BundleFileError> {
        let receipt = self.reader.receipt(seq)?;
        Ok(receipt.ok_or_else(|| JournalError::damaged(RecordKind::Receipt, seq, "it is missing"))?)
    }
}

/// The attester of a ledger, if this is its secret key.
fn is_attester(attester: &PublicKey, signer: Option<&SigningKey>) -> bool {
    signer.is_some_and(|signer| signer.public() == *attester)
}

fn finish(header: BundleHeader, mut file: FileWriter, mark: Option<BundleMark>) -> Result<Exported, BundleFileError> {
    if let Some(mark) = mark {
        file.item(Section::Final, &encode(&mark))?;
    }
    let (digest, bytes) = file.finish()?;
    Ok(Exported { header, digest, bytes })
}
