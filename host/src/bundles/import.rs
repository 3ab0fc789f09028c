//! From a file into a journal. The file is verified as a whole first. Then it is read again and staged where nobody
//! looks; the end is one transaction. An import that was interrupted goes on where its staging ends.

mod checkpoint;
mod steps;

use super::{BundleFile, BundleFileError, verify};
use crate::{
    journal::{Journal, LedgerEntry},
    node::{EngineChoice, Node},
};
use reprise_receipts::{
    Package, Verdict,
    bundle::{BundleHeader, BundleKind, Checked, Trust},
};
use std::path::Path;

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
}

/// Imports a bundle into a node: a new ledger, or what comes after the receipts of one that is here.
///
/// # Errors
/// [`BundleFileError`]: the bundle does not hold or does not fit; then nothing of it is visible. Or the disk refuses;
/// then the same import goes on where it stopped.
pub fn import(node: &Node, path: &Path, trust: Trust) -> Result<Imported, BundleFileError> {
    let verified = verify(path, trust.clone(), EngineChoice::Cranelift)?;
    if !matches!(verified.verdict, Verdict::Match(_)) {
        return Err(BundleFileError::NotImported(Box::new(verified.verdict)));
    }
    let existing = find(node.journal(), &verified.header)?;
    let mut file = BundleFile::open(path, trust.clone())?;
    let packages = match verified.header.kind {
        BundleKind::Replay => take_packages(node, &mut BundleFile::open(path, trust)?)?,
        BundleKind::Receipt | BundleKind::Checkpoint => 0,
    };
    let (entry, receipts) = match verified.header.kind {
        BundleKind::Receipt | BundleKind::Replay => steps::import(node, path, &mut file, &verified, existing)?,
        BundleKind::Checkpoint => (checkpoint::import(node.journal(), path, &mut file, &verified, existing)?, 0),
    };
    Ok(Imported { entry, header: verified.header, receipts, packages })
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
