//! Where a replay starts, and what it runs: found by doing it once.

use crate::{
    bundles::{BundleFileError, FileWriter, Recorder, StepToRedo},
    journal::{Journal, JournalError, LedgerEntry, LedgerReader, RecordKind},
    node::{EngineChoice, PackageExecutors},
    recovery::{Site, cheapest_state},
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{
    Head, LeafHash, PackageDigest, Receipt, StepRecord,
    bundle::{BUNDLE_WITNESS_BYTES_MAX, BundleHeader, Section},
    digest::ChunkId,
    snapshot::{Chunk, ChunkOrder, Manifest, write_snapshot},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::Arc,
};

/// The starting point of a replay, and the packages that it runs.
pub(super) struct Start {
    packages: BTreeSet<PackageDigest>,
    state: StartState,
}

enum StartState {
    /// The range begins with its ledger.
    Nothing,
    Witness(Vec<u8>),
    /// The range touches so much that all of the state is not more.
    Snapshot(Manifest, BTreeMap<ChunkId, Vec<u8>>),
}

impl Start {
    pub(super) fn find(
        journal: &Arc<Journal>,
        entry: &LedgerEntry,
        range: Range<u64>,
        dir: &Path,
        engine: EngineChoice,
    ) -> Result<Self, BundleFileError> {
        let reader = journal.read(entry.no)?;
        let head = head_at(journal, entry, &reader, range.start, dir)?;
        let (state_root, state_bytes) = (head.state_root(), head.state().bytes());
        let source = PackageExecutors::new(journal.clone(), engine, dir);
        let mut recorder = Recorder::new(head, Box::new(source));
        let mut packages = BTreeSet::new();
        for step in reader.steps(range.clone())? {
            let missing = |missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing);
            let step = step?.map_err(missing)?;
            let (receipt, input, record) = (step.receipt(), step.input(), step.record());
            let claimed = StepToRedo { seq: step.seq(), receipt, input, record };
            let done = recorder.step(&claimed).map_err(|error| BundleFileError::Run { seq: step.seq(), error })?;
            let sealed = done.map_err(|verdict| BundleFileError::NotExported(Box::new(verdict)))?;
            packages.insert(sealed.receipt.package);
        }
        packages.append(&mut recorder.packages());
        if range.start == 0 {
            return Ok(Self { packages, state: StartState::Nothing });
        }
        let undo = range.clone().rev().map(|seq| diff(&reader, seq));
        let witness =
            recorder.into_witness(undo)?.map_err(|verdict| BundleFileError::NotExported(Box::new(verdict)))?;
        let witness = encode(&witness);
        if witness.len() <= BUNDLE_WITNESS_BYTES_MAX && witness.len() as u64 <= state_bytes {
            return Ok(Self { packages, state: StartState::Witness(witness) });
        }
        let state = head_at(journal, entry, &reader, range.start, dir)?;
        let mut chunks = BTreeMap::new();
        let manifest = write_snapshot(state.state(), state_root, &mut chunks);
        Ok(Self { packages, state: StartState::Snapshot(manifest, chunks) })
    }

    pub(super) fn count(&self, header: &mut BundleHeader) {
        header.set_count(Section::Package, self.packages.len() as u64);
        header.set_count(Section::Profile, 1);
        match &self.state {
            StartState::Nothing => {}
            StartState::Witness(_) => header.set_count(Section::Witness, 1),
            StartState::Snapshot(_, chunks) => {
                header.set_count(Section::Manifest, 1);
                header.set_count(Section::Chunk, chunks.len() as u64);
            }
        }
    }

    pub(super) fn write_packages(&self, journal: &Journal, file: &mut FileWriter) -> Result<(), BundleFileError> {
        for digest in &self.packages {
            let package = journal.package(*digest)?;
            let missing = || JournalError::damaged(RecordKind::Package, digest, "it is missing");
            file.item(Section::Package, &encode(&package.ok_or_else(missing)?))?;
        }
        Ok(())
    }

    pub(super) fn write_state(self, file: &mut FileWriter) -> Result<(), BundleFileError> {
        match self.state {
            StartState::Nothing => Ok(()),
            StartState::Witness(witness) => file.item(Section::Witness, &witness),
            StartState::Snapshot(manifest, mut chunks) => {
                file.item(Section::Manifest, &encode(&manifest))?;
                let mut order = ChunkOrder::new(&manifest);
                while let Some(id) = order.wanted() {
                    let bytes = chunks.remove(&id).expect("a snapshot has each of its chunks once");
                    let chunk = Chunk::open(id, &bytes).expect("the chunk was just made");
                    order.accept(&chunk).expect("the chunk was just made");
                    file.item(Section::Chunk, &bytes)?;
                }
                Ok(())
            }
        }
    }
}

/// The head before receipt `seq`, with its whole state.
pub(crate) fn head_at(
    journal: &Arc<Journal>,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    seq: u64,
    dir: &Path,
) -> Result<Head, BundleFileError> {
    let Some(before) = seq.checked_sub(1) else { return Ok(Head::genesis(entry.genesis.clone())) };
    let damaged = |reason: String| JournalError::damaged(RecordKind::Receipt, before, reason);
    let bytes = reader.receipt(before)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    let receipt: Receipt = decode_canonical(&bytes).map_err(|error| damaged(error.to_string()))?;
    let site = Site { journal, entry, dir, engine: EngineChoice::Cranelift };
    let of_state = |error: String| JournalError::damaged(RecordKind::State, "of the ledger", error);
    let made = cheapest_state(&site, seq, receipt.next_state);
    let (_, state) = made.map_err(|error| of_state(error.to_string()))?;
    Ok(Head::at(entry.genesis.clone(), Some((&receipt, LeafHash::of(&bytes))), state))
}

fn diff(reader: &LedgerReader, seq: u64) -> Result<reprise_abi::Diff, BundleFileError> {
    let damaged = |reason: String| JournalError::damaged(RecordKind::StepRecord, seq, reason);
    let bytes = reader.record(seq)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    let record: StepRecord = decode_canonical(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(record.diff)
}
