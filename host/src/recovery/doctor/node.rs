//! What all ledgers of a node share: packages, genesis records, the format record.

use super::{Copies, Finding, Options, Outcome, Report, Subject, search};
use crate::journal::{Journal, JournalError};
use reprise_abi::decode_canonical;
use reprise_receipts::{Genesis, LedgerId, NoteKey, Package, PackageDigest};

/// Looks at packages and genesis records. `publishers` are the keys that packages were signed with, as far as known.
///
/// # Errors
/// [`JournalError`]: the disk refuses.
pub fn examine_node(journal: &Journal, publishers: &[NoteKey], options: &Options) -> Result<Report, JournalError> {
    let mut report = Report::default();
    if !journal.has_known_format()? {
        let reason = "it is not what this version writes".to_owned();
        let outcome = if options.repair {
            journal.mend_format()?;
            Outcome::Repaired("the tables are those of this format")
        } else {
            Outcome::Found
        };
        report.findings.push(Finding { subject: Subject::Format, reason, outcome });
    }
    report.records += 1;
    for (digest, bytes) in journal.raw_packages()? {
        report.records += 1;
        if let Err(reason) = package_holds(digest, &bytes, publishers) {
            let outcome = mend_package(journal, digest, options)?;
            report.findings.push(Finding { subject: Subject::Package(digest), reason, outcome });
        }
    }
    for (no, id, bytes) in journal.raw_ledgers()? {
        report.records += 1;
        if let Err(reason) = genesis_holds(id, &bytes) {
            let outcome = match mended_genesis(id, &bytes, &options.copies) {
                None => Outcome::Unproven("no change of one byte gives the ledger's id; a copy would do"),
                Some(_) if !options.repair => Outcome::Found,
                Some((mended, how)) => {
                    journal.mend_genesis(no, id, &mended)?;
                    Outcome::Repaired(how)
                }
            };
            report.findings.push(Finding { subject: Subject::Genesis, reason, outcome });
        }
    }
    Ok(report)
}

fn package_holds(digest: PackageDigest, bytes: &[u8], publishers: &[NoteKey]) -> Result<(), String> {
    let package: Package = decode_canonical(bytes).map_err(|error| error.to_string())?;
    package.verify_component().map_err(|error| error.to_string())?;
    if package.manifest.digest() != digest {
        return Err("its manifest has another digest".to_owned());
    }
    let mut known = publishers.iter().filter(|key| key.name() == package.manifest.publisher).peekable();
    if known.peek().is_none() || known.any(|key| package.verify(key).is_ok()) {
        return Ok(());
    }
    Err("the publisher's note does not hold".to_owned())
}

fn mend_package(journal: &Journal, digest: PackageDigest, options: &Options) -> Result<Outcome, JournalError> {
    match options.copies.package(digest) {
        None => Ok(Outcome::Unproven("a package is proved by a copy only: add it again, or give --archive")),
        Some(_) if !options.repair => Ok(Outcome::Found),
        Some(package) => {
            journal.put_package(&package)?;
            Ok(Outcome::Repaired("a copy has the digest"))
        }
    }
}

fn genesis_holds(id: LedgerId, bytes: &[u8]) -> Result<(), String> {
    let genesis: Genesis = decode_canonical(bytes).map_err(|error| error.to_string())?;
    let found = genesis.ledger_id();
    if found == id { Ok(()) } else { Err(format!("its digest is {found}")) }
}

fn mended_genesis(id: LedgerId, bytes: &[u8], copies: &Copies) -> Option<(Vec<u8>, &'static str)> {
    let found = search::one_byte(bytes, |candidate| LedgerId::of(candidate) == id);
    let found = found.map(|mended| (mended, "one byte changed gives the ledger's id"));
    found.or_else(|| copies.genesis(id).map(|copy| (copy, "a copy has the ledger's id")))
}
