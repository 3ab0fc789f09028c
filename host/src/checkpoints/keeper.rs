//! The commit thread's part of a checkpoint: chunks, signature, and the sweep of old snapshots.

use super::{
    CheckpointError, Snapshot, retention,
    schedule::{End, Gate, Handed, Pace},
    sign,
};
use crate::{
    journal::{Journal, JournalError, LedgerEntry},
    pipeline::Signer,
};
use std::{sync::Arc, thread::JoinHandle, time::Instant};

/// Keeps what the engine thread hands over.
pub(crate) struct Keeper {
    journal: Arc<Journal>,
    entry: LedgerEntry,
    signer: Signer,
    gate: Arc<Gate>,
    /// Complete, and not signed yet: some of its receipts may still be taken back.
    waiting: Option<Snapshot>,
    sweep: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn new(journal: Arc<Journal>, entry: LedgerEntry, signer: Signer, gate: Arc<Gate>) -> Self {
        Self { journal, entry, signer, gate, waiting: None, sweep: None }
    }

    /// Keeps chunks. After the last ones: all steps up to the snapshot must be durable.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses. Anything else costs the checkpoint, not the ledger.
    pub(crate) fn keep(&mut self, parts: Vec<Handed>) -> Result<(), JournalError> {
        let mut chunks = Vec::new();
        let mut ends = Vec::new();
        for Handed { chunks: more, bytes, end } in parts {
            chunks.extend(more);
            ends.push((bytes, end));
        }
        if !chunks.is_empty() {
            let begun = Instant::now();
            self.journal.put_chunks(self.entry.no, &chunks, false)?;
            self.gate.keeping_took(begun.elapsed());
        }
        for (bytes, end) in ends {
            self.gate.chunks_kept(bytes);
            match end {
                End::More => {}
                End::Failed => self.gate.open(),
                End::Of(snapshot) => self.waiting = Some(snapshot),
            }
        }
        self.sign_what_stays()
    }

    /// A snapshot is complete and not signed. Until it is, no other one is begun.
    pub(crate) fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Signs the snapshot that waits, if all its receipts stay.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub(crate) fn sign_what_stays(&mut self) -> Result<(), JournalError> {
        match self.waiting.take_if(|waiting| waiting.size <= self.signer.stays.get()) {
            Some(snapshot) => self.complete(&snapshot),
            None => Ok(()),
        }
    }

    /// The old snapshots are swept; what may still be taken back is not signed any more.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub(crate) fn finish(&mut self) -> Result<(), JournalError> {
        self.sign_what_stays()?;
        if let Some(Snapshot { size, .. }) = self.waiting.take() {
            tracing::info!(size, "no checkpoint: not all its receipts are on a quorum yet");
        }
        self.end_sweep();
        Ok(())
    }

    fn end_sweep(&mut self) {
        if let Some(sweep) = self.sweep.take()
            && sweep.join().is_err()
        {
            tracing::error!("sweeping old snapshots panicked");
        }
    }

    fn complete(&mut self, snapshot: &Snapshot) -> Result<(), JournalError> {
        match sign(&self.journal, &self.entry, snapshot, &self.signer.key) {
            Ok(_) => self.sweep_old(),
            Err(CheckpointError::Journal(error)) => Err(error),
            Err(error) => {
                tracing::error!(%error, size = snapshot.size, "no checkpoint");
                self.gate.open();
                Ok(())
            }
        }
    }

    /// On a thread of its own, where time is measured: finding out what nobody needs takes longer than a step may wait.
    fn sweep_old(&mut self) -> Result<(), JournalError> {
        self.end_sweep();
        let keep = self.journal.checkpoint_settings(self.entry.no)?.keep;
        let excess = retention::excess(&self.journal.checkpoints(self.entry.no)?, keep);
        if excess.is_empty() {
            self.gate.open();
            return Ok(());
        }
        let (journal, no, gate) = (self.journal.clone(), self.entry.no, self.gate.clone());
        let sweep = move || {
            match retention::drop_snapshots(&journal, no, &excess) {
                Ok(chunks) => tracing::debug!(chunks, "old snapshots swept"),
                Err(error) => tracing::warn!(%error, "old snapshots are not swept"),
            }
            gate.open();
        };
        if self.gate.pace() == Pace::Fixed {
            sweep();
            return Ok(());
        }
        match std::thread::Builder::new().name("reprise-sweep".to_owned()).spawn(sweep) {
            Ok(thread) => self.sweep = Some(thread),
            Err(error) => {
                tracing::warn!(%error, "old snapshots are not swept");
                self.gate.open();
            }
        }
        Ok(())
    }
}
