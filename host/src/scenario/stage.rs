//! A stage: one policy on one engine, ready for any number of scenarios.

use super::{file::Scenario, play, play::PlayError, played::Played};
use crate::{
    engine::{BackEnd, Executor, HostFault, NativeExecutor, WasmExecutor},
    journal::LedgerEntry,
    node::{EngineChoice, Node, native_policies, native_policy},
    runner::{ExecutorSource, Loaded, RunError, Runner},
};
use reprise_abi::Description;
use reprise_guest::NativePolicy;
use reprise_receipts::{
    Missing, Package, PackageDigest,
    package::{Manifest, PACKAGE_FORMAT},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A policy, ready to run. Guests run only on an engine thread.
pub struct Stage {
    pub(super) runner: Runner,
    pub(super) package: PackageDigest,
}

/// Why a policy cannot be put on stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// No package, and the engine needs one.
    #[error(
        "there is no package of policy `{policy}` in a folder `packages` beside the scenarios: name it with \
         `--package FILE`, or run with `--engine native`"
    )]
    NoPackage {
        /// Name of the policy.
        policy: String,
    },
    /// The package is of another policy.
    #[error("the scenario is for policy `{policy}`, the package holds `{package}`")]
    OtherPolicy {
        /// Name in the scenario.
        policy: String,
        /// Name in the package.
        package: String,
    },
    /// This program has no native form of the policy as it is in the package.
    #[error("this program has no native form of policy `{policy}` (or its package says something else of itself)")]
    NoNative {
        /// Name of the policy.
        policy: String,
    },
    /// A list of the policy's description has a repeat or is out of order, and so has no encoding.
    #[error("the policy's description: `{list}` must ascend, without repeats")]
    NotAscending {
        /// Which list.
        list: &'static str,
    },
    /// The engine cannot take the component.
    #[error("engine: {0}")]
    Host(#[from] HostFault),
}

impl Stage {
    /// Makes a policy ready. The native engine does without a package; then the ledger's genesis names the digest of
    /// an empty one, and what a policy draws from its seed is other than under the package.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn new(policy: &str, package: Option<&Package>, engine: EngineChoice) -> Result<Self, StageError> {
        let manifest = match package {
            Some(package) if package.manifest.description.name == policy => package.manifest.clone(),
            Some(package) => {
                let package = package.manifest.description.name.clone();
                return Err(StageError::OtherPolicy { policy: policy.to_owned(), package });
            }
            None if engine == EngineChoice::Native => native_manifest(policy)?,
            None => return Err(StageError::NoPackage { policy: policy.to_owned() }),
        };
        let digest = manifest.digest();
        let wasm = |back_end| -> Result<Box<dyn Executor>, HostFault> {
            let component = package.map_or(&[][..], |package| &package.component);
            Ok(Box::new(WasmExecutor::new(back_end, digest, component, None)?))
        };
        let executor = match engine {
            EngineChoice::Cranelift => wasm(BackEnd::CRANELIFT)?,
            EngineChoice::Pulley => wasm(BackEnd::Pulley)?,
            EngineChoice::Native => {
                let native = native_policy(&manifest);
                Box::new(NativeExecutor::new(native.ok_or(StageError::NoNative { policy: policy.to_owned() })?))
            }
        };
        let runner = Runner::new(Box::new(Once(Some(Loaded { executor, manifest }))));
        Ok(Self { runner, package: digest })
    }

    /// A stage for a native policy that is not one of this program's: for an author's own tests.
    ///
    /// # Errors
    /// [`StageError::NotAscending`]: a list of its description.
    pub fn native(policy: NativePolicy) -> Result<Self, StageError> {
        let description = (policy.describe)();
        if let Some(list) = not_ascending(&description) {
            return Err(StageError::NotAscending { list });
        }
        let manifest = manifest(description);
        let package = manifest.digest();
        let executor = Box::new(NativeExecutor::new(policy));
        Ok(Self { runner: Runner::new(Box::new(Once(Some(Loaded { executor, manifest })))), package })
    }

    /// Plays a scenario.
    ///
    /// # Errors
    /// [`PlayError`]: it could not be played to its end. What differs from its expectations is
    /// [`difference`](super::difference)'s business.
    pub fn play(&mut self, scenario: &Scenario) -> Result<Played, PlayError> {
        play::play(self, scenario)
    }

    /// Plays a scenario on a new ledger of a node. The ledger's package is the stage's.
    ///
    /// # Errors
    /// [`PlayError`], as for [`Self::play`]; also when the node's keys cannot be used.
    pub fn play_on(&mut self, scenario: &Scenario, node: &Node, entry: &LedgerEntry) -> Result<Played, PlayError> {
        play::play_on(self, scenario, node, entry)
    }
}

/// The package of a policy for scenarios in `file`: the newest `packages/<policy>-<version>.reprise` in a folder above.
#[must_use]
pub fn package_for(policy: &str, file: &Path) -> Option<PathBuf> {
    let above = fs::canonicalize(file).ok()?;
    above.ancestors().skip(1).find_map(|folder| newest(policy, &folder.join("packages")))
}

fn newest(policy: &str, folder: &Path) -> Option<PathBuf> {
    let version = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let version = name.strip_prefix(policy)?.strip_prefix('-')?.strip_suffix(".reprise")?;
        let numbers: Option<Vec<u64>> = version.split('.').map(|number| number.parse().ok()).collect();
        numbers
    };
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let packages = files.filter_map(|path| Some((version(&path)?, path)));
    packages.max().map(|(_, path)| path)
}

/// What the manifest of a package of this native policy would say, without a component.
fn native_manifest(policy: &str) -> Result<Manifest, StageError> {
    let mut known = native_policies().into_iter().map(|policy| (policy.describe)());
    let named = known.find(|description: &Description| description.name == policy);
    named.map(manifest).ok_or_else(|| StageError::NoNative { policy: policy.to_owned() })
}

/// The first list of a description that does not ascend.
fn not_ascending(description: &Description) -> Option<&'static str> {
    fn ascends<T: PartialOrd>(items: impl Iterator<Item = T>) -> bool {
        items.is_sorted_by(|a, b| a < b)
    }
    let lists = [
        ("input_kinds", ascends(description.input_kinds.iter())),
        ("views", ascends(description.views.iter())),
        ("rejections", ascends(description.rejections.iter().map(|rejection| rejection.code))),
        ("governed", ascends(description.governed.iter().map(|rule| &rule.name))),
    ];
    lists.into_iter().find(|(_, ascends)| !ascends).map(|(list, _)| list)
}

/// The manifest of a package without a component.
fn manifest(description: Description) -> Manifest {
    Manifest { format: PACKAGE_FORMAT, publisher: "scenario".to_owned(), description, component: [0; 32] }
}

/// Gives the one executor that there is.
struct Once(Option<Loaded>);

impl ExecutorSource for Once {
    fn load(&mut self, package: PackageDigest, seq: u64) -> Result<Loaded, RunError> {
        self.0.take().ok_or(RunError::Missing(Missing::Package { seq, package }))
    }
}
