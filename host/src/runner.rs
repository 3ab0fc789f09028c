//! The runner: carries out what a head asks for, with the executor of the package in force.
//!
//! Node and verifier run steps through the same function; they differ in where the executors come from.

use crate::engine::{Executor, HostFault};
use reprise_abi::{EffectResult, EffectStatus, Input, Outcome};
use reprise_receipts::{
    Executed, Head, Missing, PackageDigest, command::CommandError, ledger::Work, package::Manifest,
};
use std::collections::BTreeMap;

/// Gives the executor of a package.
pub trait ExecutorSource: Send {
    /// The executor and the manifest of a package, `seq` being the step that needs it.
    ///
    /// # Errors
    /// [`RunError`]: the package is missing, or the engine cannot take it.
    fn load(&mut self, package: PackageDigest, seq: u64) -> Result<Loaded, RunError>;
}

/// A package that is ready to run.
pub struct Loaded {
    /// Runs it.
    pub executor: Box<dyn Executor>,
    /// What it is.
    pub manifest: Manifest,
}

/// Why a step was not executed. Never an outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The host could not do its part.
    #[error("{0}")]
    Host(#[from] HostFault),
    /// Something is not there.
    #[error("missing: {0}")]
    Missing(Missing),
}

/// Runs steps, keeping an executor for each package that was in force.
pub struct Runner {
    source: Box<dyn ExecutorSource>,
    loaded: BTreeMap<PackageDigest, Loaded>,
}

impl Runner {
    /// A runner that takes its executors from `source`.
    #[must_use]
    pub fn new(source: Box<dyn ExecutorSource>) -> Self {
        Self { source, loaded: BTreeMap::new() }
    }

    /// Executes what `head` asks for this input.
    ///
    /// # Errors
    /// [`RunError`]: the input stays first in line.
    pub fn run(&mut self, head: &mut Head, input: &Input, work: &Work) -> Result<Executed, RunError> {
        match work {
            Work::Step => self.step(head, input),
            Work::Timer { .. } => self.tell(head, input),
            Work::Result(EffectResult { status: EffectStatus::Retry { .. }, .. }) => Ok(answered_by_the_ledger()),
            Work::Result(_) => self.tell(head, input),
            Work::Migrate { to } => self.migrate(head, input, *to),
            Work::Resume | Work::Epoch(_) => Ok(answered_by_the_ledger()),
            Work::Refuse(error) => Ok(Executed::answered(Outcome::Rejected((*error).into()))),
        }
    }

    /// The package in force, ready to run.
    ///
    /// # Errors
    /// [`RunError`], as for [`ExecutorSource::load`].
    pub fn in_force(&mut self, head: &Head) -> Result<&mut Loaded, RunError> {
        self.load(head.package(), head.next_seq())
    }

    fn step(&mut self, head: &mut Head, input: &Input) -> Result<Executed, RunError> {
        let ledger = head.ledger();
        let loaded = self.load(head.package(), input.seq)?;
        Ok(loaded.executor.step(head.lend_state(), ledger, input)?)
    }

    /// The ledger's own news, for a policy that names their kind in its description.
    fn tell(&mut self, head: &mut Head, input: &Input) -> Result<Executed, RunError> {
        let hears = &self.load(head.package(), input.seq)?.manifest.description.input_kinds;
        if hears.binary_search(&input.event.kind).is_ok() {
            return self.step(head, input);
        }
        Ok(answered_by_the_ledger())
    }

    fn migrate(&mut self, head: &mut Head, input: &Input, to: PackageDigest) -> Result<Executed, RunError> {
        let ledger = head.ledger();
        let old = self.load(head.package(), input.seq)?.manifest.clone();
        let new = self.load(to, input.seq)?;
        if new.manifest.check_successor_of(&old).is_err() {
            return Ok(Executed::answered(Outcome::Rejected(CommandError::NotASuccessor.into())));
        }
        Ok(new.executor.migrate(head.lend_state(), ledger, input, &old.description.version)?)
    }

    fn load(&mut self, package: PackageDigest, seq: u64) -> Result<&mut Loaded, RunError> {
        if !self.loaded.contains_key(&package) {
            self.loaded.insert(package, self.source.load(package, seq)?);
        }
        Ok(self.loaded.get_mut(&package).expect("it was just loaded"))
    }
}

fn answered_by_the_ledger() -> Executed {
    Executed::answered(Outcome::Accepted { answer: Vec::new() })
}
