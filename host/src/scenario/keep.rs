//! Where the sealed steps of a scenario go: nowhere, or, when the node is to crash, to a journal on the disk.

use crate::{
    journal::{Group, Journal, JournalError, LedgerEntry},
    node::open_ledger,
};
use reprise_receipts::{AttestationBody, Genesis, Head, Sealed, SigningKey, log::LogTail};
use std::io;
use tempfile::TempDir;

/// Why a step could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// No directory for the journal.
    #[error("a temporary directory cannot be made: {0}")]
    Directory(#[from] io::Error),
    /// The journal refuses.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
}

/// A journal in a directory of its own.
pub(super) struct Keep {
    dir: TempDir,
    journal: Option<Journal>,
    entry: LedgerEntry,
    tail: LogTail,
    attester: SigningKey,
}

impl Keep {
    pub(super) fn new(genesis: &Genesis, attester: SigningKey) -> Result<Self, KeepError> {
        let dir = tempfile::tempdir()?;
        let journal = Journal::create(&dir.path().join("journal.redb"))?;
        let entry = journal.put_ledger(genesis)?;
        Ok(Self { dir, journal: Some(journal), entry, tail: LogTail::new(), attester })
    }

    /// Makes a step durable, with its attestation.
    pub(super) fn commit(&mut self, step: &Sealed) -> Result<(), KeepError> {
        self.tail.append(step.leaf);
        let (ledger, seq, leaf) = (self.entry.id, step.receipt.seq, step.leaf);
        let attestation = AttestationBody { ledger, seq, leaf, log_root: self.tail.root() }.sign(&self.attester);
        let tiles = self.tail.take_complete_tiles();
        let group = Group { steps: std::slice::from_ref(step), tiles: &tiles, attestation: Some(&attestation) };
        let journal = self.journal.as_ref().expect("it is only closed while it is opened again");
        Ok(journal.commit(self.entry.no, &group)?)
    }

    /// Drops the journal as it is, opens it again, and gives the head that it leads to.
    pub(super) fn crash(&mut self) -> Result<Head, KeepError> {
        self.journal = None;
        let journal = Journal::open(&self.dir.path().join("journal.redb"))?;
        let open = open_ledger(&journal, &self.entry)?;
        self.journal = Some(journal);
        self.tail = open.tail;
        Ok(open.head)
    }
}
