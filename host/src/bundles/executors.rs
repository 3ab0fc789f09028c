//! Executors for packages that came in a file, without a node.

use crate::{
    engine::{BackEnd, Executor, HostFault, NativeExecutor, Optimisation, WasmExecutor},
    node::{EngineChoice, native_policy},
    runner::{ExecutorSource, Loaded, RunError},
};
use reprise_receipts::{Missing, Package, PackageDigest};
use std::collections::BTreeMap;

/// Steps from which on it pays to compile for speed: below, compiling takes longer than running.
const STEPS_WORTH_OPTIMISING: u64 = 5_000;

/// Executors for a set of packages. A package is compiled when it is first needed.
pub struct BundleExecutors {
    engine: EngineChoice,
    packages: BTreeMap<PackageDigest, Package>,
    optimisation: Optimisation,
}

impl BundleExecutors {
    /// Of these packages, which will run so many steps. What a step gives does not depend on how it was compiled.
    #[must_use]
    pub fn new(engine: EngineChoice, packages: BTreeMap<PackageDigest, Package>, steps: u64) -> Self {
        let optimisation = if steps < STEPS_WORTH_OPTIMISING { Optimisation::None } else { Optimisation::Speed };
        Self { engine, packages, optimisation }
    }
}

impl ExecutorSource for BundleExecutors {
    fn load(&mut self, digest: PackageDigest, seq: u64) -> Result<Loaded, RunError> {
        let missing = Missing::Package { seq, package: digest };
        let package = self.packages.get(&digest).ok_or(RunError::Missing(missing))?;
        let manifest = package.manifest.clone();
        let wasm = |back_end| {
            let executor = WasmExecutor::new(back_end, digest, &package.component, None);
            executor.map(|executor| Box::new(executor) as Box<dyn Executor>).map_err(HostFault::from)
        };
        let executor = match self.engine {
            EngineChoice::Cranelift => wasm(BackEnd::Cranelift(self.optimisation))?,
            EngineChoice::Pulley => wasm(BackEnd::Pulley)?,
            EngineChoice::Native => match native_policy(&manifest) {
                Some(policy) => Box::new(NativeExecutor::new(policy)),
                None => return Err(RunError::Missing(Missing::NativePolicy { seq, package: digest })),
            },
        };
        Ok(Loaded { executor, manifest })
    }
}
