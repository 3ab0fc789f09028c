//! Where the sealed steps of a scenario go: nowhere, or, when the node is to crash, to a journal on the disk.

use crate::{
    journal::{Group, Journal, JournalError, LedgerEntry},
    node::{Node, NodeError, open_ledger},
};
use reprise_receipts::{AttestationBody, Genesis, Head, Sealed, SigningKey, log::LogTail};
use std::{io, sync::Arc};
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
    /// The node's keys cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// A journal in a directory of its own, or a node's.
pub(super) struct Keep {
    /// Of its own.
    dir: Option<TempDir>,
    journal: Option<Arc<Journal>>,
    entry: LedgerEntry,
    tail: LogTail,
    attester: SigningKey,
}

impl Keep {
    pub(super) fn new(genesis: &Genesis, attester: SigningKey) -> Result<Self, KeepError> {
        let dir = tempfile::tempdir()?;
        let journal = Journal::create(&dir.path().join("journal.redb"))?;
        let entry = journal.put_ledger(genesis)?;
        Ok(Self { dir: Some(dir), journal: Some(Arc::new(journal)), entry, tail: LogTail::new(), attester })
    }

    /// Keeps the steps of a new ledger where its node keeps them.
    pub(super) fn on(node: &Node, entry: &LedgerEntry) -> Result<Self, KeepError> {
        let (journal, tail) = (node.journal().clone(), LogTail::new());
        Ok(Self { dir: None, journal: Some(journal), entry: entry.clone(), tail, attester: node.attester()? })
    }

    /// Makes a step durable, with its attestation.
    pub(super) fn commit(&mut self, step: &Sealed) -> Result<(), KeepError> {
        self.tail.append(step.leaf);
        let attestation = AttestationBody::of(&step.receipt, step.leaf, self.tail.root()).sign(&self.attester);
        let tiles = self.tail.take_complete_tiles();
        let group = Group { steps: std::slice::from_ref(step), tiles: &tiles, attestation: Some(&attestation) };
        let journal = self.journal.as_ref().expect("it is only closed while it is opened again");
        Ok(journal.commit(self.entry.no, &group)?)
    }

    /// Drops the journal as it is, opens it again, and gives the head that it leads to. A node's journal is used by
    /// others: there only the ledger is opened again.
    pub(super) fn crash(&mut self) -> Result<Head, KeepError> {
        if let Some(dir) = &self.dir {
            self.journal = None;
            self.journal = Some(Arc::new(Journal::open(&dir.path().join("journal.redb"))?));
        }
        let journal = self.journal.as_ref().expect("it was just opened");
        let open = open_ledger(journal, &self.entry)?;
        self.tail = open.tail;
        Ok(open.head)
    }
}
