//! Steps: staged in groups, with the tiles that they complete, and moved to their ledger at the end.

use super::{Moment, Watch};
use crate::{
    bundles::{BundleFile, BundleFileError, Verified},
    journal::{Group, Journal, JournalError, LedgerEntry, LedgerNo, RecordKind, StateLag},
    node::{Node, open_ledger},
    pipeline::GROUP_STEPS_MAX,
};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Attestation, LeafHash, Receipt, Sealed, StepRecord,
    bundle::{BundleHeader, BundleStep, Checked},
    digest::BundleDigest,
    log::LogTail,
};
use std::path::Path;

/// Bytes of steps that are staged at once.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Stages the steps of a bundle and makes them visible. Returns the ledger and how many receipts it got.
pub(super) fn import(
    node: &Node,
    path: &Path,
    file: &mut BundleFile,
    verified: &Verified,
    existing: Option<LedgerEntry>,
    watch: &mut dyn Watch,
) -> Result<(LedgerEntry, u64), BundleFileError> {
    let (journal, header) = (node.journal(), &verified.header);
    let size = existing.as_ref().map_or(Ok(0), |entry| journal.read(entry.no)?.size())?;
    if let Some(entry) = &existing
        && size >= header.to
    {
        check_same(journal, entry, file)?;
        // An earlier attempt may have staged what has come here another way since.
        journal.abandon_import(verified.digest)?;
        return Ok((entry.clone(), 0));
    }
    let mut staging = Staging::begin(journal, header, verified.digest, existing.as_ref(), size)?;
    let mut end = None;
    while let Some(item) = file.next_item()? {
        match item {
            Checked::Base(receipt, leaf) => staging.follows(&receipt, leaf)?,
            Checked::Step(step) => staging.step(*step, watch)?,
            Checked::Attestation(attestation) => staging.attestation(*attestation, watch)?,
            Checked::End(digest) => end = Some(digest),
            _ => {}
        }
    }
    if end != Some(verified.digest) {
        journal.abandon_import(verified.digest)?;
        return Err(BundleFileError::Changed(path.to_owned()));
    }
    let entry = staging.publish(header, existing.as_ref(), watch)?;
    Ok((entry, header.to - size))
}

/// Receipts that are here already are the same ones.
fn check_same(journal: &Journal, entry: &LedgerEntry, file: &mut BundleFile) -> Result<(), BundleFileError> {
    let reader = journal.read(entry.no)?;
    while let Some(item) = file.next_item()? {
        if let Checked::Step(step) = item
            && reader.receipt(step.receipt.seq)?.is_some_and(|here| here != step.bytes[0])
        {
            return Err(BundleFileError::Fork { ledger: entry.id, from: step.receipt.seq });
        }
    }
    Ok(())
}

/// Steps on their way into the journal.
struct Staging<'a> {
    journal: &'a Journal,
    digest: BundleDigest,
    no: LedgerNo,
    /// The receipt that the first new one follows; none in a new ledger.
    last: Option<(Receipt, LeafHash)>,
    /// The first receipt that is not here yet, staged or not.
    next: u64,
    tail: LogTail,
    group: Vec<Sealed>,
    group_bytes: usize,
    state_lag: StateLag,
    is_new: bool,
}

impl<'a> Staging<'a> {
    fn begin(
        journal: &'a Journal,
        header: &BundleHeader,
        digest: BundleDigest,
        existing: Option<&LedgerEntry>,
        size: u64,
    ) -> Result<Self, BundleFileError> {
        if header.from > size {
            return Err(BundleFileError::Gap { ledger: header.ledger, from: header.from, size });
        }
        let (mut tail, mut last) = (LogTail::new(), None);
        if let Some(entry) = existing {
            tail = open_ledger(journal, entry)?.tail;
            last = journal.read(entry.no)?.last_receipt()?;
        }
        let no = journal.begin_import(digest, existing.map(|_| size))?;
        let staged = journal.read(no)?;
        // What an earlier attempt has staged only has to be put into the log again.
        let next = staged.size()?.max(size);
        for step in staged.steps(size..next)? {
            let missing = |missing| JournalError::damaged(RecordKind::Steps, "of an import", missing);
            tail.append(LeafHash::of(step?.map_err(missing)?.receipt()));
        }
        let _ = tail.take_complete_tiles();
        let is_new = existing.is_none();
        let (group, group_bytes, state_lag) = (Vec::new(), 0, StateLag::default());
        Ok(Self { journal, digest, no, last, next, tail, group, group_bytes, state_lag, is_new })
    }

    /// The receipt before the range is the one that is here, if it is the last one here.
    fn follows(&self, before: &Receipt, leaf: LeafHash) -> Result<(), BundleFileError> {
        match &self.last {
            Some((last, here)) if last.seq == before.seq && *here != leaf => {
                Err(BundleFileError::Fork { ledger: before.ledger, from: before.seq + 1 })
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, step: BundleStep, watch: &mut dyn Watch) -> Result<(), BundleFileError> {
        let seq = step.receipt.seq;
        if let Some((last, here)) = &self.last
            && ((seq == last.seq && step.leaf != *here) || (seq == last.seq + 1 && step.receipt.previous != *here))
        {
            return Err(BundleFileError::Fork { ledger: step.receipt.ledger, from: seq });
        }
        if seq < self.next {
            return Ok(());
        }
        let BundleStep { receipt, leaf, record, bytes: [receipt_bytes, input_bytes, record_bytes], .. } = step;
        self.tail.append(leaf);
        self.next = seq + 1;
        self.group_bytes += receipt_bytes.len() + input_bytes.len() + record_bytes.len();
        self.state_lag.add(record_bytes.len());
        self.group.push(Sealed { receipt, receipt_bytes, leaf, record, record_bytes, input_bytes });
        let is_full = self.group.len() >= GROUP_STEPS_MAX || self.group_bytes >= GROUP_BYTES_MAX;
        if is_full { self.stage(watch) } else { Ok(()) }
    }

    fn attestation(&mut self, attestation: Attestation, watch: &mut dyn Watch) -> Result<(), BundleFileError> {
        if self.last.as_ref().is_some_and(|(last, _)| attestation.body.seq <= last.seq) {
            return Ok(());
        }
        self.stage(watch)?;
        Ok(self.journal.commit(self.no, &Group { attestation: Some(&attestation), ..Group::default() })?)
    }

    fn stage(&mut self, watch: &mut dyn Watch) -> Result<(), BundleFileError> {
        if self.group.is_empty() {
            return Ok(());
        }
        watch.at(Moment::Staging)?;
        let tiles = self.tail.take_complete_tiles();
        self.journal.commit(self.no, &Group { steps: &self.group, tiles: &tiles, attestation: None })?;
        self.group.clear();
        self.group_bytes = 0;
        if self.is_new && self.state_lag.is_due() {
            self.journal.bring_state_forward(self.no)?;
            self.state_lag = StateLag::default();
        }
        Ok(())
    }

    /// Holds the state that the steps lead to against the last receipt, then makes everything visible at once.
    fn publish(
        mut self,
        header: &BundleHeader,
        existing: Option<&LedgerEntry>,
        watch: &mut dyn Watch,
    ) -> Result<LedgerEntry, BundleFileError> {
        self.stage(watch)?;
        watch.at(Moment::Staged)?;
        match existing {
            None => {
                let entry = LedgerEntry { no: self.no, id: header.ledger, genesis: header.genesis.clone() };
                let checked = open_ledger(self.journal, &entry);
                self.keep_only_if(checked)?;
                watch.at(Moment::Checked)?;
                Ok(self.journal.publish_import(self.digest, &header.genesis)?)
            }
            Some(entry) => {
                let checked = self.check_state(entry);
                self.keep_only_if(checked)?;
                watch.at(Moment::Checked)?;
                self.journal.append_import(self.digest, entry.no)?;
                Ok(entry.clone())
            }
        }
    }

    fn check_state(&self, entry: &LedgerEntry) -> Result<(), JournalError> {
        let mut head = open_ledger(self.journal, entry)?.head;
        let from = head.next_seq();
        for step in self.journal.read(self.no)?.steps(from..self.next)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of an import", missing))?;
            let damaged = |error: String| JournalError::damaged(RecordKind::StepRecord, step.seq(), error);
            let receipt: Receipt = decode_canonical(step.receipt()).map_err(|e| damaged(e.to_string()))?;
            let record: StepRecord = decode_canonical(step.record()).map_err(|e| damaged(e.to_string()))?;
            head.skip(&receipt, LeafHash::of(step.receipt()), &record.diff).map_err(|e| damaged(e.to_string()))?;
        }
        let (expected, found) = (head.state_root(), head.lend_state().root());
        if found == expected {
            return Ok(());
        }
        let reason = format!("the diffs of the bundle lead to {found}, its last receipt says {expected}");
        Err(JournalError::damaged(RecordKind::State, "of an import", reason))
    }

    fn keep_only_if<T>(&self, checked: Result<T, JournalError>) -> Result<(), BundleFileError> {
        if let Err(error) = checked {
            self.journal.abandon_import(self.digest)?;
            return Err(error.into());
        }
        Ok(())
    }
}
