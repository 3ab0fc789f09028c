//! Where the steps of a ledger begin on this node: with its first receipt, or with the checkpoint that it was taken over
//! from or pruned behind.
//!
//! Whatever does steps again begins here. What was before is vouched for by signatures over the log: the edge of the
//! log at this place has the root that the next attestation or a checkpoint signs, the last receipt before it is its
//! last leaf, and that receipt names the root of the state.

use super::{RecoveryError, Site, ways};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Genesis, Head, LeafHash, Receipt, StateTrie,
    log::{LogError, LogTail},
};

/// Everything that the first step on this node depends on.
pub struct Origin {
    /// Receipts before it.
    pub size: u64,
    /// The last of those, with its leaf hash; none before the first receipt of all.
    pub last: Option<(Receipt, LeafHash)>,
    /// The state after them, which has the root that the last of them names.
    pub state: StateTrie,
    /// The right edge of their log, whose last leaf is that receipt's.
    pub tail: LogTail,
}

impl Origin {
    /// Finds it. Only a ledger that begins with a checkpoint here has to have its state made.
    ///
    /// # Errors
    /// [`RecoveryError`]: the beginning is damaged, or nothing here leads to its state.
    pub fn find(site: &Site<'_>) -> Result<Self, RecoveryError> {
        let reader = site.journal.read(site.entry.no)?;
        let Some(base) = reader.base() else {
            return Ok(Self { size: 0, last: None, state: StateTrie::new(), tail: LogTail::new() });
        };
        let (size, leaf) = (base.size, LeafHash::of(&base.last_receipt));
        let receipt: Receipt =
            decode_canonical(&base.last_receipt).map_err(|_| RecoveryError::NoReceipt(size.saturating_sub(1)))?;
        let tail = LogTail::load(size, |level, index| base.tile(level, index).map(<[u8]>::to_vec))?;
        if tail.last_leaf() != Some(leaf) {
            return Err(LogError::MissingTile { level: 0, index: (size - 1) >> 8 }.into());
        }
        let (_, state) = ways::cheapest_state(site, size, receipt.next_state)
            .map_err(|error| RecoveryError::NoOrigin { size, error: Box::new(error) })?;
        Ok(Self { size, last: Some((receipt, leaf)), state, tail })
    }

    /// The head there, with a state of its own.
    #[must_use]
    pub fn head(&self, genesis: Genesis) -> Head {
        let last = self.last.as_ref().map(|(receipt, leaf)| (receipt, *leaf));
        Head::at(genesis, last, self.state.clone())
    }
}
