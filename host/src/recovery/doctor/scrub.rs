//! One pass over a ledger, in slices: from its first receipt to its last, with the head that the next step needs.

use super::{
    Finding, Options, Outcome, Report, Subject, Ward, copies::CopiedLedger, history::History, rows::mend_lengths,
};
use crate::{
    checkpoints,
    journal::{JournalError, LedgerReader, MendedStep, Quarantined, QuarantinedKind, RawRow},
    node::EngineChoice,
    recovery::{RecoveryError, Site},
    runner::Runner,
};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Head, LeafHash, Receipt, StateRoot, StateTrie,
    log::{LogTail, TileSource},
    verdict::LISTED_KEYS_MAX,
};
use std::collections::BTreeMap;

/// Looks at a ledger, some steps at a time. Only on an engine thread: damaged steps are done again.
pub struct Scrub {
    pub(super) options: Options,
    pub(super) reader: LedgerReader,
    pub(super) trail: Trail,
    pub(super) again: Again,
    pub(super) ward: Ward,
    pub(super) report: Report,
    pub(super) copied: CopiedLedger,
    /// Encoded attestations that were not looked at yet, by sequence number.
    pub(super) attestations: BTreeMap<u64, Vec<u8>>,
    pub(super) history: History,
    state: StoredState,
}

/// What does steps again.
pub(super) struct Again {
    pub(super) runner: Runner,
    pub(super) engine: EngineChoice,
}

/// What is known after the steps so far. Nothing of it is from a record that does not hold.
pub(super) struct Trail {
    pub(super) next_seq: u64,
    /// The state, while no diff is missing.
    pub(super) head: Option<Head>,
    pub(super) last: Option<(Receipt, LeafHash)>,
    /// Leaf hash of the last receipt, if anybody names it.
    pub(super) previous: Option<LeafHash>,
    /// The log, while no leaf hash is missing.
    pub(super) tail: Option<LogTail>,
}

/// The stored state, until the pass comes to where it is.
struct StoredState {
    trie: Option<StateTrie>,
    root: Option<StateRoot>,
    at: Option<u64>,
    /// Receipts whose state it is, whatever its count says.
    found_at: Option<u64>,
    /// Keys that differ from the state at the count.
    differing: Vec<Vec<u8>>,
}

impl Scrub {
    /// Begins a pass.
    ///
    /// # Errors
    /// [`RecoveryError`]: the disk refuses.
    pub fn new(site: &Site<'_>, options: &Options) -> Result<Self, RecoveryError> {
        let (journal, entry) = (site.journal, site.entry);
        let reader = journal.read(entry.no)?;
        let attestations = reader.attestations(0..u64::MAX)?.collect::<Result<_, _>>()?;
        let mut ward = Ward::new(journal.clone(), entry.clone(), options.now_ms);
        let mut report = Report::default();
        let copied = options.copies.ledger(entry.id);
        let history = History::begin(&mut ward, &mut report, options, &copied, reader.base())?;
        let mut scrub = Self {
            options: options.clone(),
            trail: Trail::begin(&reader, entry.genesis.clone(), &history),
            again: Again { runner: site.runner(), engine: site.engine },
            state: StoredState::read(&reader, journal.raw_state_at(entry.no)?),
            copied,
            reader,
            ward,
            report,
            attestations,
            history,
        };
        let Self { history, trail, ward, report, options, state, .. } = &mut scrub;
        history.at(trail, ward, report, options)?;
        state.pass(trail, trail.next_seq);
        Ok(scrub)
    }

    /// The whole pass in one go.
    ///
    /// # Errors
    /// [`RecoveryError`]: the disk refuses.
    pub fn run_to_end(mut self) -> Result<Report, RecoveryError> {
        while self.advance(u64::MAX)? {}
        self.finish()
    }

    /// Looks at about `steps` more steps. False: there are no more, [`Self::finish`] does the rest.
    ///
    /// # Errors
    /// [`RecoveryError`]: the disk refuses.
    pub fn advance(&mut self, steps: u64) -> Result<bool, RecoveryError> {
        let end = self.trail.next_seq.saturating_add(steps);
        while self.trail.next_seq < end {
            let mut rows = self.ward.journal.raw_rows(self.ward.entry.no, self.trail.next_seq)?;
            let Some(row) = rows.next().transpose()? else { return Ok(false) };
            let after = rows.next().transpose()?;
            drop(rows);
            self.row(row, after)?;
        }
        Ok(true)
    }

    /// What is left when every step was looked at.
    ///
    /// # Errors
    /// [`RecoveryError`]: the disk refuses.
    pub fn finish(mut self) -> Result<Report, RecoveryError> {
        self.strays()?;
        self.stored_state()?;
        let Self { mut history, mut ward, mut report, options, .. } = self;
        history.finish(&mut ward, &mut report, &options)?;
        Ok(report)
    }

    fn row(&mut self, row: RawRow, after: Option<RawRow>) -> Result<(), RecoveryError> {
        if row.first > self.trail.next_seq {
            let reason = format!("there is nothing up to {}", row.first);
            self.find(Subject::Steps(self.trail.next_seq), reason, None, "receipts are missing");
            self.trail.jump(row.first);
        }
        self.report.records += 1;
        let steps = match row.open() {
            Ok(steps) => steps,
            Err(error) => match self.mend_row(&row, after.as_ref(), &error)? {
                Some(steps) => steps,
                None => {
                    let next = after.map_or(u64::MAX, |after| after.first);
                    self.trail.jump(next);
                    return Ok(());
                }
            },
        };
        let end = row.first + steps.len() as u64;
        self.overlaps(&row, &steps, end)?;
        let after = after.filter(|after| after.first >= end);
        let following = after.and_then(|after| after.open().ok()).map(|mut steps| steps.swap_remove(0));
        let mut mended = Vec::new();
        let mut old = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let next = steps.get(index + 1).or(following.as_ref());
            let right = self.step(step, next)?;
            if right != *step {
                old.extend(replaced(step, &right));
                mended.push(right);
            }
            self.pass()?;
        }
        if self.options.repair && !mended.is_empty() {
            self.ward.take(old)?;
            self.ward.journal.mend_steps(self.ward.entry.no, &mended)?;
        }
        Ok(())
    }

    /// Rows that begin within this one: an import that was appended behind the wrong place leaves such.
    fn overlaps(&mut self, row: &RawRow, steps: &[MendedStep], end: u64) -> Result<(), RecoveryError> {
        let (journal, no) = (self.ward.journal.clone(), self.ward.entry.no);
        let within =
            journal.raw_rows(no, row.first + 1)?.take_while(|row| row.as_ref().is_ok_and(|row| row.first < end));
        for other in within.collect::<Result<Vec<_>, _>>()? {
            let same = |step: &MendedStep| {
                step.seq >= end || steps.get((step.seq - row.first) as usize).is_some_and(|here| here == step)
            };
            let how = other.open().is_ok_and(|steps| steps.iter().all(same));
            let how = how.then_some("its steps are the same as in the row before it");
            let reason = format!("the row from {} on reaches to {end}", row.first);
            self.find(Subject::Overlap(other.first), reason, how, "it has other steps than the row before it");
            if how.is_some() && self.options.repair {
                let old = Quarantined { kind: QuarantinedKind::Row, seq: other.first, bytes: other.bytes.clone() };
                self.ward.take(vec![old])?;
                journal.mend_overlap(no, &other, end)?;
            }
        }
        Ok(())
    }

    fn mend_row(
        &mut self,
        row: &RawRow,
        after: Option<&RawRow>,
        error: &JournalError,
    ) -> Result<Option<Vec<MendedStep>>, RecoveryError> {
        let mended = mend_lengths(row, after.map(|after| after.first));
        let how = mended.as_ref().map(|_| "one byte changed makes the steps of the row fit their receipts");
        self.find(Subject::Row(row.first), error.to_string(), how, "no change of one byte makes its steps fit");
        let Some(mended) = mended else { return Ok(None) };
        if self.options.repair {
            let old = Quarantined { kind: QuarantinedKind::Row, seq: row.first, bytes: row.bytes.clone() };
            self.ward.take(vec![old])?;
            self.ward.journal.mend_row(self.ward.entry.no, &mended)?;
        }
        Ok(mended.open().ok())
    }

    /// A step is done: the log, the attestation over it, checkpoints and the stored state at this place.
    fn pass(&mut self) -> Result<(), RecoveryError> {
        let size = self.trail.next_seq;
        self.report.steps += 1;
        self.tiles()?;
        self.attestation(size - 1)?;
        self.history.at(&mut self.trail, &mut self.ward, &mut self.report, &self.options)?;
        self.state.pass(&self.trail, size);
        Ok(())
    }

    fn tiles(&mut self) -> Result<(), RecoveryError> {
        let Some(tail) = &mut self.trail.tail else { return Ok(()) };
        for tile in tail.take_complete_tiles() {
            self.report.records += 1;
            let stored = self.reader.tile(tile.level, tile.index);
            if stored.as_ref() == Some(&tile.hashes) {
                continue;
            }
            let reason =
                if stored.is_some() { "it holds other hashes than the receipts give" } else { "it is missing" };
            let subject = Subject::LogTile(tile.level, tile.index);
            self.find(subject, reason.to_owned(), Some("it follows from the receipts"), "");
            if self.options.repair {
                // Level and index, so that tiles of one run do not take each other's place.
                let seq = u64::from(tile.level) << 56 | tile.index;
                let old = stored.map(|bytes| Quarantined { kind: QuarantinedKind::Other, seq, bytes });
                self.ward.take(old.into_iter().collect())?;
                self.ward.journal.mend_tiles(self.ward.entry.no, &[tile])?;
            }
        }
        Ok(())
    }

    /// Attestations and tiles over receipts that are not there.
    fn strays(&mut self) -> Result<(), RecoveryError> {
        let size = self.trail.next_seq;
        let strays: Vec<u64> = self.attestations.range(size..).map(|(seq, _)| *seq).collect();
        for seq in strays {
            let reason = format!("the ledger has {size} receipts");
            self.find(Subject::Stray(seq), reason, None, "the receipt may be lost, so the attestation stays");
        }
        if let Ok(Some((kind, seq))) = self.reader.beyond(size)
            && kind == "log tile"
        {
            let reason = format!("a log tile says more than {size} receipts");
            self.find(Subject::Stray(seq), reason, None, "the receipts may be lost, so the tile stays");
        }
        Ok(())
    }

    fn stored_state(&mut self) -> Result<(), RecoveryError> {
        self.report.records += 2;
        let size = self.trail.next_seq;
        let subject = match self.state.verdict() {
            None => return Ok(()),
            Some(subject) => subject,
        };
        let how = self.trail.head.is_some().then_some("it follows from the receipts and their diffs");
        let why = "a diff that leads to it is missing";
        self.find(subject, "it is not what the receipts lead to".to_owned(), how, why);
        if let (Some(head), true) = (&self.trail.head, self.options.repair) {
            self.ward.journal.cut(self.ward.entry.no, size, head.state())?;
        }
        Ok(())
    }

    /// Reports a damaged record; `how` proves what it should be.
    pub(super) fn find(&mut self, subject: Subject, reason: String, how: Option<&'static str>, why: &'static str) {
        find(&mut self.report, &self.options, subject, reason, how, why);
    }
}

/// Reports a damaged record.
pub(super) fn find(
    report: &mut Report,
    options: &Options,
    subject: Subject,
    reason: String,
    how: Option<&'static str>,
    why: &'static str,
) {
    let outcome = match how {
        Some(how) if options.repair => Outcome::Repaired(how),
        Some(_) => Outcome::Found,
        None => Outcome::Unproven(why),
    };
    tracing::warn!(%subject, reason, outcome = outcome.describe(), "damaged record");
    report.findings.push(Finding { subject, reason, outcome });
}

/// The parts of a step that are replaced.
fn replaced(old: &MendedStep, new: &MendedStep) -> Vec<Quarantined> {
    let parts = [
        (QuarantinedKind::Input, &old.input, &new.input),
        (QuarantinedKind::Receipt, &old.receipt, &new.receipt),
        (QuarantinedKind::StepRecord, &old.record, &new.record),
    ];
    let differing = parts.into_iter().filter(|(_, old, new)| old != new);
    differing.map(|(kind, bytes, _)| Quarantined { kind, seq: old.seq, bytes: bytes.clone() }).collect()
}

impl Trail {
    /// At the first receipt, or at the checkpoint that the ledger begins with on this node.
    fn begin(reader: &LedgerReader, genesis: reprise_receipts::Genesis, history: &History) -> Self {
        let Some(base) = reader.base() else {
            let head = Some(Head::genesis(genesis));
            return Self { next_seq: 0, head, last: None, previous: Some(LeafHash::NONE), tail: Some(LogTail::new()) };
        };
        let leaf = LeafHash::of(&base.last_receipt);
        let last = decode_canonical::<Receipt>(&base.last_receipt).ok().map(|receipt| (receipt, leaf));
        let mut trail = Self {
            next_seq: base.size,
            head: None,
            last,
            previous: Some(leaf),
            tail: checkpoints::log_tail_at(reader, base.size).ok(),
        };
        trail.head = history.head_at(&trail, &genesis);
        trail
    }

    /// Steps up to here cannot be looked at.
    fn jump(&mut self, next_seq: u64) {
        *self = Self { next_seq, head: None, last: None, previous: None, tail: None };
    }
}

impl StoredState {
    fn read(reader: &LedgerReader, at: Vec<u8>) -> Self {
        let mut trie = reader.stored_state().ok();
        let root = trie.as_mut().map(StateTrie::root);
        let at = if at.is_empty() { Some(0) } else { at.try_into().ok().map(u64::from_le_bytes) };
        Self { trie, root, at, found_at: None, differing: Vec::new() }
    }

    fn pass(&mut self, trail: &Trail, size: u64) {
        let here = trail.last.as_ref().map(|(receipt, _)| receipt.next_state);
        let here = here.or_else(|| trail.head.as_ref().map(Head::state_root));
        if here.is_some() && self.root == here && (self.found_at != self.at || self.found_at.is_none()) {
            self.found_at = Some(size);
        }
        if let (Some(head), Some(stored)) = (&trail.head, &self.trie)
            && self.at == Some(size)
            && self.found_at != Some(size)
        {
            self.differing = differing(head.state(), stored);
        }
    }

    /// Which of the two records is damaged, if one is.
    fn verdict(&mut self) -> Option<Subject> {
        match (self.found_at, self.at) {
            (Some(found), Some(at)) if found == at => None,
            (Some(_), _) => Some(Subject::StateAt),
            (None, _) => Some(Subject::State(std::mem::take(&mut self.differing))),
        }
    }
}

/// Keys with different values, at most [`LISTED_KEYS_MAX`].
fn differing(expected: &StateTrie, found: &StateTrie) -> Vec<Vec<u8>> {
    let missing_or_other = expected.scan(&[], None).filter(|(key, value)| found.get(key) != Some(*value));
    let more = found.scan(&[], None).filter(|(key, _)| expected.get(key).is_none());
    missing_or_other.chain(more).map(|(key, _)| key.to_vec()).take(LISTED_KEYS_MAX).collect()
}
