//! One segment of a range, on one thread.

use super::{Found, Replay, VerifyError};
use crate::{
    journal::{LedgerEntry, LedgerReader},
    node::EngineChoice,
    recovery::Origin,
    runner::Runner,
};
use reprise_receipts::{Head, LeafHash};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A run of steps to verify.
pub(super) struct Segment {
    pub(super) reader: LedgerReader,
    pub(super) entry: LedgerEntry,
    pub(super) origin: Arc<Origin>,
    pub(super) range: Range<u64>,
    pub(super) runner: Runner,
    pub(super) engine: EngineChoice,
}

/// A segment that holds.
pub(super) struct Done {
    /// Leaf hashes of its receipts.
    pub(super) leaves: Vec<LeafHash>,
    /// The head after its last step.
    pub(super) head: Head,
}

impl Segment {
    pub(super) fn verify(self, progress: &AtomicU64) -> Result<Found<Done>, VerifyError> {
        let Self { reader, entry, origin, range, runner, engine } = self;
        let mut replay = match Replay::start(reader, &entry, origin, range, runner, engine)? {
            Ok(replay) => replay,
            Err(verdict) => return Ok(Err(verdict)),
        };
        let mut leaves = Vec::new();
        while let Some(step) = replay.next_step()? {
            match step {
                Ok((_, sealed)) => leaves.push(sealed.leaf),
                Err(verdict) => return Ok(Err(verdict)),
            }
            progress.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Ok(Done { leaves, head: replay.into_head() }))
    }
}
