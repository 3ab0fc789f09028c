//! Doing stored steps again, one after the other.

use super::{Found, VerifyError, diverges, leaves::StoredLeaves};
use crate::{
    journal::{LedgerEntry, LedgerReader, StepIterator, StoredStep},
    node::EngineChoice,
    runner::{RunError, Runner},
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::{
    Head, LeafHash, Missing, Receipt, Sealed, StateTrie, StepRecord, Verdict,
    verdict::{Claim, Material},
};
use std::ops::Range;

/// A run of stored steps that are done again.
pub struct Replay {
    reader: LedgerReader,
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
        range: Range<u64>,
        runner: Runner,
        engine: EngineChoice,
    ) -> Result<Found<Self>, VerifyError> {
        let steps = reader.steps(range.clone())?;
        let head = match head_at(&reader, entry, range.start)? {
            Ok(head) => head,
            Err(verdict) => return Ok(Err(verdict)),
        };
        Ok(Ok(Self { reader, steps, leaves: StoredLeaves::default(), head, runner, engine }))
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
        if let Err(verdict) = self.leaves.check(&self.reader, step.seq, &step.receipt)? {
            return Ok(Some(Err(verdict)));
        }
        self.redo(&step).map(Some)
    }

    /// The head after the last step.
    #[must_use]
    pub fn into_head(self) -> Head {
        self.head
    }

    fn redo(&mut self, step: &StoredStep) -> Result<Found<(Input, Sealed)>, VerifyError> {
        let head = &mut self.head;
        let material = Material { seq: step.seq, input: &step.input, receipt: &step.receipt, record: &step.record };
        let opened = material.open(head).and_then(|claimed| claimed.work(head).map(|work| (claimed, work)));
        let (claimed, work) = match opened {
            Ok(opened) => opened,
            Err(divergence) => return Ok(Err(Verdict::Divergent(divergence))),
        };
        let executed = match self.runner.run(head, &claimed.input, &work) {
            Ok(executed) => executed,
            Err(RunError::Missing(missing)) => return Ok(Err(Verdict::Incomparable(missing))),
            Err(error) => return Err(VerifyError::Run { seq: step.seq, error }),
        };
        let checked = claimed.check(head, &work, executed, self.engine.charges_fuel());
        Ok(checked.map(|sealed| (claimed.input, sealed)).map_err(Verdict::Divergent))
    }
}

/// The head before step `seq`: from the stored diffs, held against the receipt before it.
fn head_at(reader: &LedgerReader, entry: &LedgerEntry, seq: u64) -> Result<Found<Head>, VerifyError> {
    let Some(before) = seq.checked_sub(1) else { return Ok(Ok(Head::genesis(entry.genesis.clone()))) };
    let mut state = StateTrie::new();
    for record in reader.records(0..seq)? {
        let (at, bytes) = record?;
        let record: StepRecord = match decode_canonical(&bytes) {
            Ok(record) => record,
            Err(error) => return Ok(Err(diverges(at, Claim::StoredDiff, "a step record", error))),
        };
        if let Err(error) = state.apply(&record.diff) {
            return Ok(Err(diverges(at, Claim::StoredDiff, "a diff that fits the state before it", error)));
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
