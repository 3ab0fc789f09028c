//! Doing steps on the whole state and noting what they look at, for those who will do them without it.

use super::redo::StepToRedo;
use crate::{
    engine::record_reads,
    runner::{ExecutorSource, Loaded, RunError, Runner},
    verify::Found,
};
use reprise_abi::{Diff, Input};
use reprise_receipts::{
    Divergence, Executed, Head, PackageDigest, Sealed, Verdict,
    ledger::{OrderError, Work},
    system::reads::{before_step, of_step},
    verdict::{Claim, Material},
    witness::{Read, Touched, Witness},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Does steps and notes what they look at, and which packages they run.
pub struct Recorder {
    head: Head,
    runner: Runner,
    touched: Touched,
    loaded: Arc<Mutex<BTreeSet<PackageDigest>>>,
}

impl Recorder {
    /// From a head with its whole state.
    #[must_use]
    pub fn new(head: Head, source: Box<dyn ExecutorSource>) -> Self {
        let loaded = Arc::default();
        let runner = Runner::new(Box::new(Noting { source, loaded: Arc::clone(&loaded) }));
        Self { head, runner, touched: Touched::new(), loaded }
    }

    /// Does a step and compares it with what is claimed.
    ///
    /// # Errors
    /// [`RunError`]: there is no verdict. Inside, a verdict other than match.
    pub fn step(&mut self, step: &StepToRedo<'_>) -> Result<Found<Sealed>, RunError> {
        let StepToRedo { seq, receipt, input, record } = *step;
        let material = Material { seq, input, receipt, record };
        let opened = material.open(&self.head).and_then(|claimed| claimed.work(&self.head).map(|_| claimed));
        let claimed = match opened {
            Ok(claimed) => claimed,
            Err(divergence) => return Ok(Err(Verdict::Divergent(divergence))),
        };
        let done = match self.execute(&claimed.input) {
            Ok(done) => done,
            Err(RunError::Missing(missing)) => return Ok(Err(Verdict::Incomparable(missing))),
            Err(error) => return Err(error),
        };
        let (work, executed) = done.expect("the input may be the next one");
        Ok(claimed.check(&mut self.head, &work, executed, true).map_err(Verdict::Divergent))
    }

    /// Does a step, whatever is claimed of it. Inside, why its input cannot be the next one.
    ///
    /// # Errors
    /// [`RunError`]: the step could not be executed.
    pub fn run(&mut self, input: &Input) -> Result<Result<Sealed, OrderError>, RunError> {
        let done = self.execute(input)?;
        Ok(done.map(|(work, executed)| self.head.seal(input, &work, executed)))
    }

    fn execute(&mut self, input: &Input) -> Result<Result<(Work, Executed), OrderError>, RunError> {
        self.note(&before_step(&self.head, &input.event));
        let work = match self.head.prepare(input) {
            Ok(work) => work,
            Err(error) => return Ok(Err(error)),
        };
        let (executed, reads) = record_reads(|| self.runner.run(&mut self.head, input, &work));
        let executed = executed?;
        self.note(&reads);
        self.note(&of_step(self.head.state(), input, &work, &executed));
        Ok(Ok((work, executed)))
    }

    fn note(&mut self, reads: &[Read]) {
        reads.iter().for_each(|read| self.touched.note(self.head.state(), read));
    }

    /// The package in force.
    #[must_use]
    pub fn package(&self) -> PackageDigest {
        self.head.package()
    }

    /// Packages that the steps so far ran.
    #[must_use]
    pub fn packages(&self) -> BTreeSet<PackageDigest> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the steps looked at, of the state before them: `undo` gives their diffs, the last one first.
    ///
    /// # Errors
    /// Whatever `undo` fails with; a divergence if a diff is not the one that was applied.
    pub fn into_witness<E>(mut self, undo: impl Iterator<Item = Result<Diff, E>>) -> Result<Found<Witness>, E> {
        let seq = self.head.next_seq();
        let state = self.head.lend_state();
        for diff in undo {
            if state.apply(&diff?.inverted()).is_err() {
                let (expected, found) = ("the diff that was applied".to_owned(), "another one".to_owned());
                let what = Claim::StoredDiff;
                let divergence = Divergence { seq, what, expected, found, keys: Vec::new() };
                return Ok(Err(Verdict::Divergent(Box::new(divergence))));
            }
        }
        Ok(Ok(Witness::of(state, &self.touched)))
    }
}

/// Notes which packages are loaded.
struct Noting {
    source: Box<dyn ExecutorSource>,
    loaded: Arc<Mutex<BTreeSet<PackageDigest>>>,
}

impl ExecutorSource for Noting {
    fn load(&mut self, package: PackageDigest, seq: u64) -> Result<Loaded, RunError> {
        let loaded = self.source.load(package, seq)?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(package);
        Ok(loaded)
    }
}
