//! Doing stored steps again, one after the other.
//!
//! A step that is done again gives an input, a receipt and a step record. If they are the stored ones, byte for byte,
//! and the log has the receipt's leaf hash, everything that verification asks is answered: there is one encoding of
//! every object, and the digests and roots in the receipt were just computed. Only when something differs are the
//! questions asked one by one, in the order that decides which record is blamed.

use super::{Found, VerifyError, diverges, leaves::StoredLeaves};
use crate::{
    journal::{JournalError, LedgerEntry, LedgerReader, StepIterator, StoredStep},
    node::EngineChoice,
    recovery::Origin,
    runner::{RunError, Runner},
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::{
    Executed, Head, LeafHash, Missing, Receipt, Sealed, StepRecord, Verdict,
    ledger::Work,
    verdict::{Claim, Material},
};
use std::{ops::Range, sync::Arc};

/// A run of stored steps that are done again.
pub struct Replay {
    reader: LedgerReader,
    entry: LedgerEntry,
    origin: Arc<Origin>,
    steps: StepIterator,
    leaves: StoredLeaves,
    head: Head,
    runner: Runner,
    engine: EngineChoice,
}

impl Replay {
    /// Makes the state before the first step of the range, and stands there.
    ///
    /// # Errors
    /// [`VerifyError`]: the journal cannot be read. A verdict, when what is stored before the range does not hold.
    pub fn start(
        reader: LedgerReader,
        entry: &LedgerEntry,
        origin: Arc<Origin>,
        range: Range<u64>,
        runner: Runner,
        engine: EngineChoice,
    ) -> Result<Found<Self>, VerifyError> {
        let steps = reader.steps(range.clone())?;
        let head = match head_at(&reader, entry, &origin, range.start)? {
            Ok(head) => head,
            Err(verdict) => return Ok(Err(verdict)),
        };
        let (entry, leaves) = (entry.clone(), StoredLeaves::new(reader.attesters(&entry.genesis)?));
        Ok(Ok(Self { reader, entry, origin, steps, leaves, head, runner, engine }))
    }

    /// Does the next step again, and compares everything with what is stored.
    ///
    /// # Errors
    /// [`VerifyError`]: there is no verdict. A verdict, when the step does not hold or something is missing.
    pub fn next_step(&mut self) -> Result<Option<Found<(Input, Sealed)>>, VerifyError> {
        let Some(step) = self.steps.next() else { return Ok(None) };
        let step = match step? {
            Ok(step) => step,
            Err(missing) => return Ok(Some(Err(Verdict::Incomparable(missing)))),
        };
        match self.confirm(&step)? {
            Some(confirmed) => Ok(Some(Ok(confirmed))),
            None => self.examine(&step).map(Some),
        }
    }

    /// The head after the last step.
    #[must_use]
    pub fn into_head(self) -> Head {
        self.head
    }

    /// Does the step again. `None`: something is not as it is stored, and the head is not to be relied on any more.
    fn confirm(&mut self, step: &StoredStep) -> Result<Option<(Input, Sealed)>, JournalError> {
        let Ok(input) = decode_canonical::<Input>(step.input()) else { return Ok(None) };
        let Ok(work) = self.head.prepare(&input) else { return Ok(None) };
        let Some(executed) = self.execute(step, &input, &work) else { return Ok(None) };
        let sealed = self.head.seal(&input, &work, executed);
        let same = sealed.input_bytes == step.input()
            && sealed.receipt_bytes == step.receipt()
            && sealed.record_bytes == step.record();
        // The fuel of native execution is the receipt's own word, so that something else must speak for the receipt.
        let logged = match self.engine.charges_fuel() {
            true => self.leaves.agrees(&self.reader, step.seq(), sealed.leaf)?,
            false => self.leaves.vouch(&self.reader, step.seq(), sealed.leaf)?,
        };
        Ok((same && logged).then_some((input, sealed)))
    }

    fn execute(&mut self, step: &StoredStep, input: &Input, work: &Work) -> Option<Executed> {
        let mut executed = self.runner.run(&mut self.head, input, work).ok()?;
        if !self.engine.charges_fuel() {
            executed.fuel = decode_canonical::<Receipt>(step.receipt()).ok()?.fuel;
        }
        Some(executed)
    }

    /// Asks one question after the other, from the head before the step.
    fn examine(&mut self, step: &StoredStep) -> Result<Found<(Input, Sealed)>, VerifyError> {
        self.head = match head_at(&self.reader, &self.entry, &self.origin, step.seq())? {
            Ok(head) => head,
            Err(verdict) => return Ok(Err(verdict)),
        };
        if let Err(verdict) = self.leaves.check(&self.reader, step.seq(), step.receipt())? {
            return Ok(Err(verdict));
        }
        let head = &mut self.head;
        let (input, receipt, record) = (step.input(), step.receipt(), step.record());
        let material = Material { seq: step.seq(), input, receipt, record };
        let opened = material.open(head).and_then(|claimed| claimed.work(head).map(|work| (claimed, work)));
        let (claimed, work) = match opened {
            Ok(opened) => opened,
            Err(divergence) => return Ok(Err(Verdict::Divergent(divergence))),
        };
        let executed = match self.runner.run(head, &claimed.input, &work) {
            Ok(executed) => executed,
            Err(RunError::Missing(missing)) => return Ok(Err(Verdict::Incomparable(missing))),
            Err(error) => return Err(VerifyError::Run { seq: step.seq(), error }),
        };
        let checked = claimed.check(head, &work, executed, self.engine.charges_fuel());
        Ok(checked.map(|sealed| (claimed.input, sealed)).map_err(Verdict::Divergent))
    }
}

/// The head before step `seq`, which is not before the origin: from the stored diffs, held against the receipt before it.
fn head_at(reader: &LedgerReader, entry: &LedgerEntry, origin: &Origin, seq: u64) -> Result<Found<Head>, VerifyError> {
    let Some(before) = seq.checked_sub(1).filter(|_| seq != origin.size) else {
        return Ok(Ok(origin.head(entry.genesis.clone())));
    };
    let mut state = origin.state.clone();
    for step in reader.steps(origin.size..seq)? {
        let step = match step? {
            Ok(step) => step,
            Err(missing) => return Ok(Err(Verdict::Incomparable(missing))),
        };
        let record: StepRecord = match decode_canonical(step.record()) {
            Ok(record) => record,
            Err(error) => return Ok(Err(diverges(step.seq(), Claim::StoredDiff, "a step record", error))),
        };
        if let Err(error) = state.apply(&record.diff) {
            return Ok(Err(diverges(step.seq(), Claim::StoredDiff, "a diff that fits the state before it", error)));
        }
    }
    let Some(bytes) = reader.receipt(before)? else {
        return Ok(Err(Verdict::Incomparable(Missing::Record { kind: "receipt", seq: before })));
    };
    let receipt: Receipt = match decode_canonical(&bytes) {
        Ok(receipt) => receipt,
        Err(error) => return Ok(Err(diverges(before, Claim::ReceiptBytes, "a receipt", error))),
    };
    let head = Head::at(entry.genesis.clone(), Some((&receipt, LeafHash::of(&bytes))), state);
    if head.state_root() == receipt.next_state && receipt.seq == before {
        return Ok(Ok(head));
    }
    Ok(Err(diverges(before, Claim::NextState, head.state_root(), receipt.next_state)))
}
