//! Copies to repair from: an archive of the ledger, another node's directory, or one with package files.
//!
//! A copy proves nothing by itself. It is taken when it has the digest that is asked for.

use crate::{
    archive::{ArchiveReader, ArchivedStep, Directory},
    journal::{ChunkReader, Journal, JournalError, LedgerReader},
    node::{NodeError, read_package},
};
use reprise_receipts::{LedgerId, Package, PackageDigest, digest::ChunkId};
use std::{fs, path::Path, sync::Arc};

/// What is at hand.
#[derive(Default)]
pub struct Copies {
    packages: Vec<Package>,
    journal: Option<Journal>,
    archive: Option<Arc<Directory>>,
}

impl Copies {
    /// What a directory has: an archive, `journal.redb` of another node, package files with the ending `.reprise`.
    ///
    /// # Errors
    /// [`NodeError`]: the directory cannot be read.
    pub fn in_dir(dir: &Path) -> Result<Self, NodeError> {
        let file_error = |error| NodeError::File { path: dir.to_owned(), error };
        let mut copies = Self::default();
        for entry in fs::read_dir(dir).map_err(file_error)? {
            let path = entry.map_err(file_error)?.path();
            if path.extension().is_some_and(|ending| ending == "reprise") {
                match read_package(&path) {
                    Ok(package) => copies.packages.push(package),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "no copy of a package"),
                }
            }
        }
        let path = dir.join("journal.redb");
        if path.exists() {
            let journal = Journal::open_read_only(&path);
            copies.journal = Some(journal.map_err(|error| NodeError::Journal { dir: dir.to_owned(), error })?);
        }
        let archive = Directory::new(dir);
        if ArchiveReader::open_if_there(&archive).is_ok_and(|reader| reader.is_some()) {
            copies.archive = Some(Arc::new(archive));
        }
        Ok(copies)
    }

    /// From another journal that is open already.
    #[must_use]
    pub fn of_journal(journal: Journal) -> Self {
        Self { journal: Some(journal), ..Self::default() }
    }

    /// A package that has this digest.
    #[must_use]
    pub fn package(&self, digest: PackageDigest) -> Option<Package> {
        let has = |package: &&Package| package.manifest.digest() == digest && package.verify_component().is_ok();
        let in_journal = || self.journal.as_ref().and_then(|journal| journal.package(digest).ok().flatten());
        let in_archive = || {
            let reader = ArchiveReader::open(self.archive.as_deref()?).ok()?;
            reader.package(digest).ok().filter(|package| has(&package))
        };
        self.packages.iter().find(has).cloned().or_else(in_journal).or_else(in_archive)
    }

    /// The genesis record of a ledger, encoded.
    #[must_use]
    pub fn genesis(&self, ledger: LedgerId) -> Option<Vec<u8>> {
        let ledgers = self.journal.as_ref().and_then(|journal| journal.raw_ledgers().ok()).unwrap_or_default();
        let in_archive = self.archive.as_deref().and_then(|archive| {
            let reader = ArchiveReader::open(archive).ok()?;
            reader.genesis().map(reprise_abi::encode)
        });
        let copies = ledgers.into_iter().map(|(_, _, genesis)| genesis).chain(in_archive);
        copies.into_iter().find(|genesis| LedgerId::of(genesis) == ledger)
    }

    /// What there is of a ledger in the other journal and in the archive.
    pub(super) fn ledger(&self, ledger: LedgerId) -> CopiedLedger {
        let journal = self.journal.as_ref().and_then(|journal| {
            let (no, _, _) = journal.raw_ledgers().ok()?.into_iter().find(|(_, id, _)| *id == ledger)?;
            Some((journal.read(no).ok()?, journal.chunks(no).ok()?))
        });
        CopiedLedger { journal, archive: self.archive.clone() }
    }
}

/// Copies of one ledger. Whoever asks holds them against a digest.
pub(super) struct CopiedLedger {
    journal: Option<(LedgerReader, ChunkReader)>,
    archive: Option<Arc<Directory>>,
}

impl CopiedLedger {
    pub(super) fn input(&self, seq: u64) -> Option<Vec<u8>> {
        self.in_journal(|reader| reader.input(seq)).or_else(|| Some(self.archived(seq)?.parts.input))
    }

    pub(super) fn receipt(&self, seq: u64) -> Option<Vec<u8>> {
        self.in_journal(|reader| reader.receipt(seq)).or_else(|| Some(self.archived(seq)?.receipt_bytes))
    }

    pub(super) fn record(&self, seq: u64) -> Option<Vec<u8>> {
        self.in_journal(|reader| reader.record(seq)).or_else(|| Some(self.archived(seq)?.parts.record))
    }

    pub(super) fn attestation(&self, seq: u64) -> Option<Vec<u8>> {
        let filed = |reader: &LedgerReader| {
            let filed = reader.attestations(seq..seq.saturating_add(1))?.next().transpose()?;
            Ok(filed.map(|(_, bytes)| bytes))
        };
        self.in_journal(filed).or_else(|| self.archived(seq)?.parts.attestation)
    }

    pub(super) fn chunk(&self, id: ChunkId) -> Option<Vec<u8>> {
        let (_, chunks) = self.journal.as_ref()?;
        chunks.chunk(id).ok().flatten()
    }

    fn in_journal<T>(&self, read: impl FnOnce(&LedgerReader) -> Result<Option<T>, JournalError>) -> Option<T> {
        let (reader, _) = self.journal.as_ref()?;
        read(reader).ok().flatten()
    }

    fn archived(&self, seq: u64) -> Option<ArchivedStep> {
        ArchiveReader::open(self.archive.as_deref()?).ok()?.step(seq).ok()
    }
}
