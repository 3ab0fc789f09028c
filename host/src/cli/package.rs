//! `reprise package`: inspect, add, list, build.

use super::{
    args::PackageCommand,
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
};
use crate::{
    engine::{self, BackEnd, CodeCache, EngineProfile, WasmExecutor, on_engine_thread},
    keys,
    node::{Access, code_cache, native_policy, read_bounded, read_package},
};
use reprise_abi::{Description, encode, limits::COMPONENT_BYTES_MAX};
use reprise_receipts::{NoteKey, Package, PackageDigest};
use serde_json::Value;
use std::{fs, path::Path};

pub(crate) fn run(command: &PackageCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        PackageCommand::Inspect { file, publisher } => inspect(file, publisher.as_deref(), print),
        PackageCommand::Add { file, publisher } => add(place, file, publisher.as_deref(), print),
        PackageCommand::List => list(place, print),
        PackageCommand::Build { core, publisher, key, out } => build(core, publisher, key, out, print),
    }
}

fn inspect(file: &Path, publisher: Option<&str>, print: &Printer) -> Result<Exit, CliError> {
    let package = read_package(file)?;
    let signature = match publisher {
        None => "not checked: give --publisher KEY".to_owned(),
        Some(key) => match package.verify(&note_key(key)?) {
            Ok(()) => "holds".to_owned(),
            Err(error) => format!("does not hold: {error}"),
        },
    };
    let admission = admit(&package, None);
    let refused = admission.is_err() || signature.starts_with("does not hold");
    let admission = admission.map_or_else(|reason| format!("refused: {reason}"), |()| "admitted".to_owned());
    print.record(describe(&package).with("signature", signature).with("engine", admission));
    if refused { Ok(Exit::Refused) } else { Ok(Exit::Done) }
}

fn add(place: &Place<'_>, file: &Path, publisher: Option<&str>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Write)?;
    let package = read_package(file)?;
    admit(&package, code_cache(place.dir()))
        .map_err(|reason| CliError::Refusal(format!("{}: {reason}", file.display())))?;
    if let Some(key) = publisher {
        let key = note_key(key)?;
        package.verify(&key).map_err(crate::node::NodeError::from)?;
        node.trust_publisher(&key)?;
    }
    node.add_package(&package)?;
    print.record(describe(&package));
    Ok(Exit::Done)
}

fn list(place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let packages = place.open(Access::Read)?.journal().packages()?;
    let row = |(digest, package): &(PackageDigest, Package)| {
        Record::new()
            .with("name", package.manifest.description.name.clone())
            .with("version", package.manifest.description.version.clone())
            .with("publisher", package.manifest.publisher.clone())
            .with("bytes", package.component.len())
            .with("native form", native_policy(&package.manifest).is_some())
            .with("package", digest.to_string())
    };
    print.rows(packages.iter().map(row).collect());
    Ok(Exit::Done)
}

fn build(core: &Path, publisher: &str, key: &Path, out: &Path, print: &Printer) -> Result<Exit, CliError> {
    let module = read_bounded(core, COMPONENT_BYTES_MAX as u64)?;
    let refused = |reason: String| CliError::Refusal(format!("{}: {reason}", core.display()));
    let component = engine::componentize(&module).map_err(|error| refused(error.to_string()))?;
    let nameless = PackageDigest::from_bytes(blake3::hash(&component).into());
    let description = component_description(nameless, &component, None).map_err(refused)?;
    let key = keys::read_signing(key)?;
    let package = Package::sign(description, component, publisher, &key)
        .map_err(|error| CliError::Usage(format!("--publisher: {error}")))?;
    fs::write(out, encode(&package)).map_err(|error| CliError::File { path: out.to_owned(), error })?;
    print.record(describe(&package));
    Ok(Exit::Done)
}

fn describe(package: &Package) -> Record {
    let manifest = &package.manifest;
    let description = &manifest.description;
    let rejections = description.rejections.iter().map(|r| format!("{} {}", r.code, r.name)).collect::<Vec<_>>();
    let rule = |rule: &reprise_abi::GovernedRule| {
        Value::from(Record::new().with("rule", rule.name.clone()).with("digest", super::text::hex(&rule.digest)))
    };
    Record::new()
        .with("package", manifest.digest().to_string())
        .with("name", description.name.clone())
        .with("version", description.version.clone())
        .with("publisher", manifest.publisher.clone())
        .with("component bytes", package.component.len())
        .with("input kinds", description.input_kinds.clone())
        .with("views", description.views.clone())
        .with("rejections", rejections)
        .with("governed rules", description.governed.iter().map(rule).collect::<Vec<_>>())
        .with("engine profile", EngineProfile::current().digest().to_string())
}

/// The engine takes the component, and the component says of itself what the manifest says. What is compiled for that is
/// kept in `cache`.
pub(crate) fn admit(package: &Package, cache: Option<CodeCache>) -> Result<(), String> {
    let description = component_description(package.manifest.digest(), &package.component, cache)?;
    if description == package.manifest.description {
        return Ok(());
    }
    Err("the component describes itself otherwise than its manifest does".to_owned())
}

fn component_description(
    digest: PackageDigest,
    component: &[u8],
    cache: Option<CodeCache>,
) -> Result<Description, String> {
    let component = component.to_vec();
    let thread = on_engine_thread("reprise-describe", move || {
        let executor = WasmExecutor::new(BackEnd::CRANELIFT, digest, &component, cache.as_ref());
        let mut executor = executor.map_err(|error| error.to_string())?;
        let described = engine::Executor::describe(&mut executor).map_err(|error| error.to_string())?;
        described.map_err(|fault| format!("`describe` failed: {fault}"))
    });
    let thread = thread.map_err(|error| error.to_string())?;
    thread.join().map_err(|_| "the engine thread panicked".to_owned())?
}

pub(crate) fn note_key(text: &str) -> Result<NoteKey, CliError> {
    NoteKey::parse(text).map_err(|error| CliError::Usage(format!("--publisher: {error}")))
}
