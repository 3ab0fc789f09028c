//! Roots at one size of a ledger, compared one by one: what is asked for, and what is told. Since version 4 of the protocol.

use super::rule;
use crate::limits::VIEW_ARGS_MAX;
use reprise_abi::{Canonical, CodecError, limits::NAME_BYTES_MAX};
use reprise_receipts::{
    LedgerId, LogRoot, StateRoot,
    checkpoint::CheckpointRecord,
    digest::{ExecutionRoot, ProjectionRoot},
    log::LOG_SIZE_MAX,
};
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootsQuery {
    /// Which ledger.
    pub ledger: LedgerId,
    /// After so many receipts, at least 1.
    pub size: u64,
    /// A projection, too.
    pub view: Option<View>,
}

/// A view of the policy that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its name, 1 to 128 bytes.
    pub name: String,
    /// Its arguments, at most [`VIEW_ARGS_MAX`] bytes.
    #[serde(with = "serde_bytes")]
    pub args: Vec<u8>,
}

/// What a node has after so many receipts. It is told, not signed: whoever doubts it fetches and does the steps again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// After so many receipts.
    pub size: u64,
    /// RFC 6962 root of them.
    pub log_root: LogRoot,
    /// Of the state: as it is stored, if these are all receipts; else as the last of them says.
    pub state_root: StateRoot,
    /// What the last step did.
    pub execution: ExecutionRoot,
    /// The newest checkpoint that the node has of no more receipts than these.
    pub checkpoint: Option<CheckpointRecord>,
    /// Of the view that was asked for; none if none was.
    pub projection: Option<Projected>,
}

/// What became of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projected {
    /// Its root: see `reprise_receipts::projection`.
    Root(ProjectionRoot),
    /// The policy has no such view, or it refuses or fails.
    Refused,
    /// The package that was in force cannot be run there.
    Missing,
}

impl View {
    /// `None`: the name or the arguments are too long, or there is no name.
    #[must_use]
    pub fn new(name: String, args: Vec<u8>) -> Option<Self> {
        Some(Self { name, args }).filter(|view| view.validate().is_ok())
    }

    fn validate(&self) -> Result<(), CodecError> {
        rule((1..=NAME_BYTES_MAX).contains(&self.name.len()), "the view's name is 1 to 128 bytes long")?;
        rule(self.args.len() <= VIEW_ARGS_MAX, "a view's arguments have at most 4 KiB")
    }
}

impl RootsQuery {
    /// These roots are what was asked for.
    #[must_use]
    pub fn is_met_by(&self, roots: &Roots) -> bool {
        let is_of_ledger = roots.checkpoint.as_ref().is_none_or(|record| record.claim.ledger == self.ledger);
        roots.size == self.size && is_of_ledger && roots.projection.is_some() == self.view.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        rule((1..=LOG_SIZE_MAX).contains(&self.size), "roots are those after 1 to 2^48 receipts")?;
        self.view.as_ref().map_or(Ok(()), View::validate)
    }
}

impl Roots {
    pub(super) fn validate(&self) -> Result<(), CodecError> {
        rule((1..=LOG_SIZE_MAX).contains(&self.size), "roots are those after 1 to 2^48 receipts")?;
        let Some(record) = &self.checkpoint else { return Ok(()) };
        rule(record.claim.size <= self.size, "the checkpoint has no more receipts than the log")?;
        record.validate()
    }
}
