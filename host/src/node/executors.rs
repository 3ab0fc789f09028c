//! Where executors come from: a package of the journal, and the engine that was asked for.

use crate::{
    engine::{BackEnd, CodeCache, Executor, HostFault, NativeExecutor, WasmExecutor},
    journal::Journal,
    keys,
    runner::{ExecutorSource, Loaded, RunError},
};
use reprise_guest::NativePolicy;
use reprise_receipts::{Missing, Package, PackageDigest, package::Manifest};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// What runs the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// Compiled to machine code: what nodes run.
    #[default]
    Cranelift,
    /// The same component, interpreted: an independent check of the compiler.
    Pulley,
    /// The policy's native form: an independent check of both. It charges no fuel.
    Native,
}

impl EngineChoice {
    /// Its name in arguments and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cranelift => "cranelift",
            Self::Pulley => "pulley",
            Self::Native => "native",
        }
    }

    /// Fuel in receipts can be compared with what this engine charges.
    #[must_use]
    pub fn charges_fuel(self) -> bool {
        self != Self::Native
    }
}

/// Executors for the packages of a journal. A clone shares what is compiled, so that each of several threads can have
/// its own at little cost.
#[derive(Clone)]
pub struct PackageExecutors {
    journal: Arc<Journal>,
    engine: EngineChoice,
    cache: Option<Arc<CodeCache>>,
    compiled: Arc<Mutex<BTreeMap<PackageDigest, WasmExecutor>>>,
}

impl PackageExecutors {
    /// Executors with the compiled-code cache of the node in `dir`. Without its key there is no cache.
    #[must_use]
    pub fn new(journal: Arc<Journal>, engine: EngineChoice, dir: &Path) -> Self {
        Self { journal, engine, cache: code_cache(dir).map(Arc::new), compiled: Arc::default() }
    }

    /// Makes a package ready to run.
    ///
    /// # Errors
    /// [`RunError`]: no native form, or the engine cannot take the component.
    pub fn prepare(&self, digest: PackageDigest, package: &Package, seq: u64) -> Result<Loaded, RunError> {
        let manifest = package.manifest.clone();
        let executor: Box<dyn Executor> = match self.engine {
            EngineChoice::Cranelift => self.wasm(BackEnd::CRANELIFT, digest, package)?,
            EngineChoice::Pulley => self.wasm(BackEnd::Pulley, digest, package)?,
            EngineChoice::Native => match native_policy(&manifest) {
                Some(policy) => Box::new(NativeExecutor::new(policy)),
                None => return Err(RunError::Missing(Missing::NativePolicy { seq, package: digest })),
            },
        };
        Ok(Loaded { executor, manifest })
    }

    fn wasm(
        &self,
        back_end: BackEnd,
        digest: PackageDigest,
        package: &Package,
    ) -> Result<Box<dyn Executor>, HostFault> {
        // Held while compiling: who needs the same package waits for it instead of compiling it again.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(executor) = compiled.get(&digest) {
            return Ok(Box::new(executor.clone()));
        }
        let executor = WasmExecutor::new(back_end, digest, &package.component, self.cache.as_deref())?;
        compiled.insert(digest, executor.clone());
        Ok(Box::new(executor))
    }
}

impl ExecutorSource for PackageExecutors {
    fn load(&mut self, digest: PackageDigest, seq: u64) -> Result<Loaded, RunError> {
        let package = self.journal.package(digest).ok().flatten();
        let package = package.ok_or(RunError::Missing(Missing::Package { seq, package: digest }))?;
        self.prepare(digest, &package, seq)
    }
}

/// The compiled-code cache of the node in `dir`; none without its key, or where others could write into it.
#[must_use]
pub fn code_cache(dir: &Path) -> Option<CodeCache> {
    let key = keys::read(&dir.join("keys/cache.key")).ok()?;
    CodeCache::open(&dir.join("cache"), *key).ok()
}

/// The native form of a package, if this build has one: a policy that says of itself what the manifest says.
#[must_use]
pub fn native_policy(manifest: &Manifest) -> Option<NativePolicy> {
    native_policies().into_iter().find(|policy| (policy.describe)() == manifest.description)
}

/// The policies that are built into this program.
#[must_use]
pub fn native_policies() -> Vec<NativePolicy> {
    vec![
        NativePolicy::of::<reprise_capsule::Capsule>(),
        NativePolicy::of::<reprise_cluster::Cluster>(),
        NativePolicy::of::<reprise_lease::Lease>(),
        NativePolicy::of::<reprise_phase::PhaseTransitions>(),
        NativePolicy::of::<reprise_reconcile::Reconcile>(),
        NativePolicy::of::<reprise_service::Service>(),
    ]
}
