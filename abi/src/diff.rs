//! Diffs: the canonical list of key changes of a step.

use crate::{
    codec::{Canonical, CodecError, require},
    limits::STEP_RECORD_BYTES_MAX,
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One key before and after. `None` is "not there".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The whole state key, namespace byte included.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Value before the step.
    #[serde(with = "serde_bytes")]
    pub before: Option<Vec<u8>>,
    /// Value after the step.
    #[serde(with = "serde_bytes")]
    pub after: Option<Vec<u8>>,
}

/// Changes in strictly ascending key order, each of which changes something.
///
/// Both values are in it, so that a diff can be inverted without any other material, and so that applying it to the
/// wrong state is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    changes: Vec<Change>,
}

/// Why a list of changes is not a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// Keys are not strictly ascending.
    #[error("change {index}: keys must be strictly ascending")]
    Order {
        /// Position of the offending change.
        index: usize,
    },
    /// Before and after are the same.
    #[error("change {index}: the value does not change")]
    NoChange {
        /// Position of the offending change.
        index: usize,
    },
}

impl Diff {
    /// A diff from changes that are already in canonical order.
    ///
    /// # Errors
    /// [`DiffError`] with the position of the first change that breaks a rule.
    pub fn new(changes: Vec<Change>) -> Result<Self, DiffError> {
        Self::check(&changes)?;
        Ok(Self { changes })
    }

    /// The changes, in key order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The diff that undoes this one.
    #[must_use]
    pub fn inverted(&self) -> Self {
        let swap = |c: &Change| Change { key: c.key.clone(), before: c.after.clone(), after: c.before.clone() };
        Self { changes: self.changes.iter().map(swap).collect() }
    }

    fn check(changes: &[Change]) -> Result<(), DiffError> {
        for (index, change) in changes.iter().enumerate() {
            if index > 0 && changes[index - 1].key >= change.key {
                return Err(DiffError::Order { index });
            }
            if change.before == change.after {
                return Err(DiffError::NoChange { index });
            }
        }
        Ok(())
    }
}

impl Canonical for Diff {
    const KIND: &'static str = "diff";
    const BYTES_MAX: usize = STEP_RECORD_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        require(Self::check(&self.changes).is_ok(), Self::KIND, "keys ascend strictly and every change changes")
    }
}
