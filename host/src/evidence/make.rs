//! Making evidence: from two bundles that contradict each other, or from a journal with a receipt that does not replay.

use crate::{
    bundles::{BundleFile, BundleFileError, Recorder, head_at},
    engine::on_engine_thread,
    journal::{Journal, JournalError, LedgerEntry, LedgerReader, RecordKind},
    node::{EngineChoice, PackageExecutors, read_bounded},
};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Attestation, LeafHash, Receipt,
    bundle::{Checked, Trust},
    checkpoint::{CHECKPOINT_BYTES_MAX, SignedCheckpoint},
    evidence::{Difference, Equivocation, Evidence, ExecutionFault, Fork, SignedHead},
    log::{LogTail, TileSource, prove_inclusion},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The first sequence number over which two bundles have different attestations; `None`: there is no such.
///
/// # Errors
/// [`BundleFileError`]: a file is not a bundle that holds by itself.
pub fn equivocation(one: &Path, other: &Path) -> Result<Option<Evidence>, BundleFileError> {
    let mut one = Attestations::open(one)?;
    let mut other = Attestations::open(other)?;
    let mut pair = (one.next()?, other.next()?);
    while let (Some(first), Some(second)) = &pair {
        let (a, b) = (&first.body, &second.body);
        let same_place = (a.ledger, a.seq, a.epoch) == (b.ledger, b.seq, b.epoch);
        if same_place && a != b && first.signer == second.signer {
            let both = Equivocation::new(first.clone(), second.clone());
            return Ok(Some(Evidence::Equivocation(Box::new(both))));
        }
        let (first_seq, second_seq) = (a.seq, b.seq);
        if first_seq <= second_seq {
            pair.0 = one.next()?;
        }
        if second_seq <= first_seq {
            pair.1 = other.next()?;
        }
    }
    Ok(None)
}

/// The attestations of a bundle, in order.
struct Attestations(BundleFile);

impl Attestations {
    fn open(path: &Path) -> Result<Self, BundleFileError> {
        Ok(Self(BundleFile::open(path, Trust::GenesisRecord)?))
    }

    fn next(&mut self) -> Result<Option<Attestation>, BundleFileError> {
        while let Some(item) = self.0.next_item()? {
            if let Checked::Attestation(attestation) = item {
                return Ok(Some(*attestation));
            }
        }
        Ok(None)
    }
}

/// Two signed logs that contradict each other: from files with notes, or from bundles that begin with their ledger.
/// `None`: they do not, or it takes the receipts of both to say where.
///
/// # Errors
/// [`BundleFileError`]: a file cannot be read, or is a bundle that does not hold by itself.
pub fn fork(one: &Path, other: &Path) -> Result<Option<Evidence>, BundleFileError> {
    let paths = [one, other];
    let (one, other) = (SignedLog::read(one)?, SignedLog::read(other)?);
    let (Some(first), Some(second)) = (one.head.clone(), other.head.clone()) else { return Ok(None) };
    let (Ok(first_size), Ok(second_size)) = (first.size(), second.size()) else { return Ok(None) };
    let differs = one.leaves.iter().zip(&other.leaves).position(|(a, b)| a != b);
    let at = differs.filter(|at| (*at as u64) < first_size.min(second_size));
    let at = at.map(|at| {
        let seq = at as u64;
        let receipts = (SignedLog::receipt(paths[0], seq)?, SignedLog::receipt(paths[1], seq)?);
        let receipts = match receipts {
            (Some(first), Some(second)) => Some([first, second]),
            _ => None,
        };
        Ok::<_, BundleFileError>(Difference { seq, leaves: [one.leaves[at], other.leaves[at]], receipts })
    });
    let at = at.transpose()?;
    let made = Fork::new((first, &one.tiles()), (second, &other.tiles()), at)?;
    let contradicts = |fork: &Fork| fork.contradiction().is_ok();
    Ok(made.ok().filter(contradicts).map(|fork| Evidence::Fork(Box::new(fork))))
}

/// A signed log, and its leaves as far as they are known.
#[derive(Default)]
struct SignedLog {
    head: Option<SignedHead>,
    leaves: Vec<LeafHash>,
}

impl SignedLog {
    /// Of a file with a note, or of a bundle.
    fn read(path: &Path) -> Result<Self, BundleFileError> {
        let text = read_bounded(path, CHECKPOINT_BYTES_MAX as u64)?;
        if let Ok(note) = SignedCheckpoint::parse(&text) {
            return Ok(Self { head: Some(SignedHead::Checkpoint(note.text().to_owned())), leaves: Vec::new() });
        }
        let (mut log, mut attested) = (Self::default(), None);
        let mut file = BundleFile::open(path, Trust::GenesisRecord)?;
        while let Some(item) = file.next_item()? {
            match item {
                Checked::Note(note) => log.head = Some(SignedHead::Checkpoint(note.text().to_owned())),
                Checked::Step(step) if step.receipt.seq == log.leaves.len() as u64 => log.leaves.push(step.leaf),
                Checked::Attestation(attestation) => attested = Some(SignedHead::Attestation(*attestation)),
                _ => {}
            }
        }
        // Where a note is over more receipts than the bundle has, nothing can be proved of its log.
        let is_known = |head: &SignedHead| head.size().is_ok_and(|size| size <= log.leaves.len() as u64);
        if !log.head.as_ref().is_some_and(is_known) {
            log.head = attested.or(log.head);
        }
        Ok(log)
    }

    /// A receipt of a bundle.
    fn receipt(path: &Path, seq: u64) -> Result<Option<Receipt>, BundleFileError> {
        let mut file = BundleFile::open(path, Trust::GenesisRecord)?;
        while let Some(item) = file.next_item()? {
            if let Checked::Step(step) = item
                && step.receipt.seq == seq
            {
                return Ok(Some(step.receipt));
            }
        }
        Ok(None)
    }

    fn tiles(&self) -> impl TileSource + use<> {
        let mut tail = LogTail::new();
        self.leaves.iter().for_each(|leaf| tail.append(*leaf));
        let tiles = tail.take_dirty_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes));
        let tiles: BTreeMap<_, _> = tiles.collect();
        move |level, index| tiles.get(&(level, index)).cloned()
    }
}

/// The receipt at `seq`, if a signed log of this journal has it and its step gives another one here.
///
/// # Errors
/// [`BundleFileError`]: records are missing, or the step could not be executed.
pub fn execution_fault(
    journal: &Arc<Journal>,
    entry: &LedgerEntry,
    seq: u64,
    dir: &Path,
) -> Result<Option<Evidence>, BundleFileError> {
    let (journal, entry, dir) = (journal.clone(), entry.clone(), dir.to_owned());
    let thread = on_engine_thread("reprise-evidence", move || fault(&journal, &entry, seq, &dir));
    thread.map_err(|_| BundleFileError::Thread)?.join().map_err(|_| BundleFileError::Thread)?
}

fn fault(
    journal: &Arc<Journal>,
    entry: &LedgerEntry,
    seq: u64,
    dir: &Path,
) -> Result<Option<Evidence>, BundleFileError> {
    let reader = journal.read(entry.no)?;
    let missing = |kind| move || BundleFileError::from(JournalError::damaged(kind, seq, "it is missing"));
    let receipt = reader.receipt(seq)?.ok_or_else(missing(RecordKind::Receipt))?;
    let input = reader.input(seq)?.ok_or_else(missing(RecordKind::StepRecord))?;
    let before = seq.checked_sub(1).map(|before| reader.receipt(before)).transpose()?.flatten();
    let (Some(head), Ok(event)) = (signed_head(journal, entry, &reader, seq)?, decode_canonical(&input)) else {
        return Ok(None);
    };
    let proof = prove_inclusion(&reader, head.size().unwrap_or(0), seq)?;
    let source = PackageExecutors::new(journal.clone(), EngineChoice::Cranelift, dir);
    let mut recorder = Recorder::new(head_at(journal, entry, &reader, seq, dir)?, Box::new(source));
    let in_force = recorder.package();
    let done = recorder.run(&event).map_err(|error| BundleFileError::Run { seq, error })?;
    let diff = match done {
        Ok(sealed) if sealed.receipt_bytes == receipt => return Ok(None),
        Ok(sealed) => Some(sealed.record.diff),
        Err(_) => None,
    };
    let mut packages = recorder.packages();
    packages.insert(in_force);
    let undone = recorder.into_witness(diff.into_iter().map(Ok::<_, BundleFileError>))?;
    let witness = undone.map_err(|verdict| BundleFileError::NotExported(Box::new(verdict)))?;
    let packages: Result<Vec<_>, _> = packages.into_iter().map(|digest| journal.package(digest)).collect();
    let packages = packages?.into_iter().flatten().collect();
    let (genesis, witness) = (entry.genesis.clone(), (seq > 0).then_some(witness));
    let fault = ExecutionFault { genesis, head, proof, before, receipt, input, witness, packages };
    Ok(Some(Evidence::ExecutionFault(Box::new(fault))))
}

/// A log with the receipt in it that the ledger's attester signed: the first attestation or checkpoint over it.
fn signed_head(
    journal: &Journal,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    seq: u64,
) -> Result<Option<SignedHead>, BundleFileError> {
    if let Some(filed) = reader.attestations(seq..u64::MAX)?.next() {
        let attestation: Option<Attestation> = decode_canonical(&filed?.1).ok();
        return Ok(attestation.map(SignedHead::Attestation));
    }
    let notes = journal.checkpoints(entry.no)?.into_iter().map(|checkpoint| checkpoint.note);
    let covers = notes.into_iter().find(|note| note.checkpoint().size > seq);
    Ok(covers.map(|note| SignedHead::Checkpoint(note.text().to_owned())))
}
