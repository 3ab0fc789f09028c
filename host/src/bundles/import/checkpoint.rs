//! A checkpoint: for a ledger that is here, one more place to restore from; for a new one, where it begins.

use super::{Moment, Watch};
use crate::{
    bundles::{BundleFile, BundleFileError, Verified},
    journal::{Base, Journal, LedgerEntry, LedgerNo, StoredCheckpoint},
};
use reprise_abi::encode;
use reprise_receipts::{
    LeafHash,
    bundle::Checked,
    checkpoint::Ancestry,
    digest::ChunkId,
    snapshot::{Chunk, ChunkOrder},
};
use std::path::Path;

/// Bytes of chunks that are staged at once.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) fn import(
    journal: &Journal,
    path: &Path,
    file: &mut BundleFile,
    verified: &Verified,
    existing: Option<LedgerEntry>,
    watch: &mut dyn Watch,
) -> Result<LedgerEntry, BundleFileError> {
    let no = match &existing {
        Some(entry) => entry.no,
        None => journal.begin_import(verified.digest, None)?,
    };
    let mut staged = Staged::new(journal, no, existing.is_none());
    let (mut note, mut record, mut last, mut edge, mut end) = (None, None, None, None, None);
    let mut ancestry = Ancestry::default();
    while let Some(item) = file.next_item()? {
        match item {
            Checked::Note(signed) => note = Some(*signed),
            Checked::CheckpointRecord(found) => {
                staged.expect(ChunkOrder::new(&found.claim.snapshot));
                record = Some(*found);
            }
            Checked::Base(receipt, leaf) => {
                if let Some(entry) = &existing {
                    check_receipt(journal, entry, receipt.seq, leaf)?;
                }
                last = Some(encode(&*receipt));
            }
            Checked::Ancestry(found) => ancestry = *found,
            Checked::Edge(found) => edge = Some(found),
            Checked::Chunk(bytes) => {
                watch.at(Moment::Staging)?;
                staged.chunk(bytes)?;
            }
            Checked::End(digest) => end = Some(digest),
            _ => {}
        }
    }
    staged.flush(true)?;
    watch.at(Moment::Staged)?;
    let (Some(note), Some(record), Some(last_receipt), Some(edge)) = (note, record, last, edge) else {
        unreachable!("a checkpoint bundle has all of these")
    };
    if end != Some(verified.digest) {
        journal.abandon_import(verified.digest)?;
        return Err(BundleFileError::Changed(path.to_owned()));
    }
    let checkpoint = StoredCheckpoint { record, note, restorable: true };
    match existing {
        Some(entry) => {
            journal.put_foreign_checkpoint(entry.no, &checkpoint, &ancestry)?;
            Ok(entry)
        }
        None => {
            let base = Base { size: edge.size(), last_receipt, edge: edge.tiles().to_vec() };
            Ok(journal.publish_checkpoint_import(
                verified.digest,
                &verified.header.genesis,
                &base,
                (&checkpoint, &ancestry),
            )?)
        }
    }
}

/// The checkpoint is of the history that is here.
fn check_receipt(journal: &Journal, entry: &LedgerEntry, seq: u64, leaf: LeafHash) -> Result<(), BundleFileError> {
    let reader = journal.read(entry.no)?;
    let size = reader.size()?;
    match reader.receipt(seq)? {
        Some(here) if LeafHash::of(&here) == leaf => Ok(()),
        Some(_) => Err(BundleFileError::Fork { ledger: entry.id, from: seq + 1 }),
        None => Err(BundleFileError::Gap { ledger: entry.id, from: seq + 1, size }),
    }
}

/// Chunks on their way into the journal; of a new ledger also the keys and values in them.
struct Staged<'a> {
    journal: &'a Journal,
    no: LedgerNo,
    with_state: bool,
    order: Option<ChunkOrder>,
    batch: Vec<(ChunkId, Vec<u8>)>,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    batch_bytes: usize,
}

impl<'a> Staged<'a> {
    fn new(journal: &'a Journal, no: LedgerNo, with_state: bool) -> Self {
        Self { journal, no, with_state, order: None, batch: Vec::new(), entries: Vec::new(), batch_bytes: 0 }
    }

    fn expect(&mut self, order: ChunkOrder) {
        self.order = Some(order);
    }

    fn chunk(&mut self, bytes: Vec<u8>) -> Result<(), BundleFileError> {
        let order = self.order.as_mut().expect("the record comes before the chunks");
        let id = order.wanted().expect("the chunk was found to be the next one");
        let chunk = Chunk::open(id, &bytes).expect("the chunk was found to be the next one");
        order.accept(&chunk).expect("the chunk was found to be the next one");
        self.batch_bytes += bytes.len();
        self.batch.push((id, bytes));
        if let (Chunk::Run(entries), true) = (chunk, self.with_state) {
            self.entries.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
        }
        if self.batch_bytes >= BATCH_BYTES_MAX { self.flush(false) } else { Ok(()) }
    }

    fn flush(&mut self, durable: bool) -> Result<(), BundleFileError> {
        self.journal.stage_state(self.no, &self.entries)?;
        self.journal.put_chunks(self.no, &self.batch, durable)?;
        self.entries.clear();
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}
