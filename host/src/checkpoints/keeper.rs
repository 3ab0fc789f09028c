//! The commit thread's part of a checkpoint: chunks, signature, and the sweep of old snapshots.

use super::{
    CheckpointError, Snapshot, retention,
    schedule::{End, Gate, Handed, Pace},
    sign,
};
use crate::journal::{Journal, JournalError, LedgerEntry};
use reprise_receipts::SigningKey;
use std::{sync::Arc, thread::JoinHandle, time::Instant};

/// Keeps what the engine thread hands over.
pub(crate) struct Keeper {
    journal: Arc<Journal>,
    entry: LedgerEntry,
    attester: Arc<SigningKey>,
    gate: Arc<Gate>,
    sweep: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn new(journal: Arc<Journal>, entry: LedgerEntry, attester: Arc<SigningKey>, gate: Arc<Gate>) -> Self {
        Self { journal, entry, attester, gate, sweep: None }
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
                End::Of(snapshot) => self.complete(&snapshot)?,
            }
        }
        Ok(())
    }

    /// The old snapshots are swept.
    pub(crate) fn finish(&mut self) {
        if let Some(sweep) = self.sweep.take()
            && sweep.join().is_err()
        {
            tracing::error!("sweeping old snapshots panicked");
        }
    }

    fn complete(&mut self, snapshot: &Snapshot) -> Result<(), JournalError> {
        match sign(&self.journal, &self.entry, snapshot, &self.attester) {
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
        self.finish();
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
