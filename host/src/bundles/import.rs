//! From a file into a journal. The file is verified as a whole first. Then it is read again and staged where nobody
//! looks; the end is one transaction. An import that was interrupted goes on where its staging ends.

mod checkpoint;
mod steps;

use super::{BundleFile, BundleFileError, Verified, finality, verify};
use crate::{
    journal::{Journal, LedgerEntry},
    node::{EngineChoice, Node},
};
use reprise_receipts::{
    Package, PackageDigest, Verdict,
    bundle::{BundleHeader, BundleKind, Checked, Trust},
    system,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What an import has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The ledger.
    pub entry: LedgerEntry,
    /// What the bundle says of itself.
    pub header: BundleHeader,
    /// Receipts that were not here before.
    pub receipts: u64,
    /// Packages that were not here before.
    pub packages: u64,
    /// Receipts that are final, if the bundle says so, those who are trusted vouch for it, and they are here.
    pub final_size: Option<u64>,
}

/// Where in an import somebody is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The bundle holds; nothing was written.
    Verified,
    /// Packages are here; nothing is staged.
    Packages,
    /// Before more is staged.
    Staging,
    /// Everything is staged.
    Staged,
    /// The state that it leads to holds; nothing is visible.
    Checked,
    /// Everything is visible.
    Published,
}

/// Watches an import, or stops it as if the process had died.
pub trait Watch {
    /// The import is at this moment.
    ///
    /// # Errors
    /// [`BundleFileError::Stopped`].
    fn at(&mut self, moment: Moment) -> Result<(), BundleFileError>;
}

/// Nobody watches.
pub struct NoWatch;

impl Watch for NoWatch {
    fn at(&mut self, _: Moment) -> Result<(), BundleFileError> {
        Ok(())
    }
}

/// Imports a bundle into a node: a new ledger, or what comes after the receipts of one that is here.
///
/// # Errors
/// [`BundleFileError`]: the bundle does not hold or does not fit; then nothing of it is visible. Or the disk refuses;
/// then the same import goes on where it stopped.
pub fn import(node: &Node, path: &Path, trust: Trust) -> Result<Imported, BundleFileError> {
    import_watched(node, path, trust, &mut NoWatch)
}

/// [`import`], with somebody who watches.
///
/// # Errors
/// [`BundleFileError`], as for [`import`].
pub fn import_watched(
    node: &Node,
    path: &Path,
    trust: Trust,
    watch: &mut dyn Watch,
) -> Result<Imported, BundleFileError> {
    let (verified, _) = check(node, path, trust.clone())?;
    import_verified(node, path, trust, &verified, Publishers::Trusted, watch)
}

/// Whose packages an import takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishers {
    /// Those of the publishers that are trusted here; one of another publisher ends the import.
    Trusted,
    /// Those that the ledger has put in force, whoever published them: its id was given by somebody who trusts it, the
    /// genesis record names the first package, and operators have signed every later one. Others are left out.
    OfLedger,
}

/// Imports a bundle that was verified under this trust before, and is still the same file.
///
/// # Errors
/// [`BundleFileError`], as for [`import`].
pub fn import_verified(
    node: &Node,
    path: &Path,
    trust: Trust,
    verified: &Verified,
    publishers: Publishers,
    watch: &mut dyn Watch,
) -> Result<Imported, BundleFileError> {
    let existing = find(node.journal(), &verified.header)?;
    watch.at(Moment::Verified)?;
    let mut file = BundleFile::open(path, trust.clone())?;
    let packages = match (verified.header.kind, publishers) {
        (BundleKind::Replay, Publishers::Trusted) => take_packages(node, &mut BundleFile::open(path, trust.clone())?)?,
        (BundleKind::Replay, Publishers::OfLedger) => take_packages_of_ledger(node, path, trust.clone())?,
        (BundleKind::Receipt | BundleKind::Checkpoint, _) => 0,
    };
    watch.at(Moment::Packages)?;
    let (entry, receipts) = match verified.header.kind {
        BundleKind::Receipt | BundleKind::Replay => steps::import(node, path, &mut file, verified, existing, watch)?,
        BundleKind::Checkpoint => (checkpoint::import(node.journal(), path, &mut file, verified, existing, watch)?, 0),
    };
    let final_size = finality::keep(node.journal(), &entry, verified.mark.as_ref(), &trust)?;
    watch.at(Moment::Published)?;
    Ok(Imported { entry, header: verified.header.clone(), receipts, packages, final_size })
}

/// What an import would bring. Nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportPlan {
    /// What the bundle says of itself.
    pub header: BundleHeader,
    /// The ledger is here already.
    pub present: bool,
    /// Receipts of it that are here.
    pub size: u64,
    /// Receipts that would come.
    pub receipts: u64,
}

/// Verifies a bundle, and says what its import would bring.
///
/// # Errors
/// [`BundleFileError`]: the bundle does not hold, or does not continue what is here.
pub fn plan_import(node: &Node, path: &Path, trust: Trust) -> Result<ImportPlan, BundleFileError> {
    let (verified, existing) = check(node, path, trust)?;
    let header = verified.header;
    let size = existing.as_ref().map_or(Ok(0), |entry| node.journal().read(entry.no)?.size())?;
    let has_steps = header.kind != BundleKind::Checkpoint;
    if has_steps && header.from > size {
        return Err(BundleFileError::Gap { ledger: header.ledger, from: header.from, size });
    }
    let receipts = if has_steps { header.to.saturating_sub(size) } else { 0 };
    Ok(ImportPlan { header, present: existing.is_some(), size, receipts })
}

/// The bundle holds; the ledger that it is of, if it is here.
fn check(node: &Node, path: &Path, trust: Trust) -> Result<(Verified, Option<LedgerEntry>), BundleFileError> {
    let verified = verify(path, trust, EngineChoice::Cranelift)?;
    if !matches!(verified.verdict, Verdict::Match(_)) {
        return Err(BundleFileError::NotImported(Box::new(verified.verdict)));
    }
    let existing = find(node.journal(), &verified.header)?;
    Ok((verified, existing))
}

/// The ledger of the bundle, if it is here.
fn find(journal: &Journal, header: &BundleHeader) -> Result<Option<LedgerEntry>, BundleFileError> {
    let ledgers = journal.ledgers()?;
    let other = |entry: &&LedgerEntry| entry.genesis.name == header.genesis.name && entry.id != header.ledger;
    if ledgers.iter().any(|entry| other(&entry)) {
        return Err(BundleFileError::SameName(header.genesis.name.clone()));
    }
    Ok(ledgers.into_iter().find(|entry| entry.id == header.ledger))
}

/// Takes the packages whose publishers are trusted here. One of another publisher ends the import: its receipts could
/// not be verified on this node afterwards.
fn take_packages(node: &Node, file: &mut BundleFile) -> Result<u64, BundleFileError> {
    let mut packages: Vec<Package> = Vec::new();
    while let Some(item) = file.next_item()? {
        match item {
            Checked::Header(_) | Checked::Taken => {}
            Checked::Package(name, package) => {
                if node.journal().package(name)?.is_none() {
                    packages.push(*package);
                }
            }
            _ => break,
        }
    }
    for package in &packages {
        node.add_package(package)?;
    }
    Ok(packages.len() as u64)
}

/// Takes the packages of a replay bundle that its steps ran or put in force.
///
/// # Errors
/// [`BundleFileError`]: the file does not hold any more, or the disk refuses.
pub fn take_packages_of_ledger(node: &Node, path: &Path, trust: Trust) -> Result<u64, BundleFileError> {
    let mut file = BundleFile::open(path, trust)?;
    let mut packages: BTreeMap<PackageDigest, Package> = BTreeMap::new();
    let mut named = BTreeSet::new();
    while let Some(item) = file.next_item()? {
        match item {
            Checked::Header(header) => drop(named.insert(header.genesis.package)),
            Checked::Package(name, package) => drop(packages.insert(name, *package)),
            Checked::Step(step) => {
                named.insert(step.receipt.package);
                named.extend(system::puts_in_force(&step.record.diff));
            }
            _ => {}
        }
    }
    let mut taken = 0;
    for (name, package) in packages.into_iter().filter(|(name, _)| named.contains(name)) {
        if node.journal().package(name)?.is_none() {
            node.journal().put_package(&package)?;
            taken += 1;
        }
    }
    Ok(taken)
}
