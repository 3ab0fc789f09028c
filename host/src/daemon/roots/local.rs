//! What this node has of a ledger after so many receipts.

use crate::{
    checkpoints,
    journal::{JournalError, LedgerEntry},
    node::{EngineChoice, Node, NodeError},
    projection::{ProjectionError, project},
    recovery::{self, RecoveryError},
    runner::RunError,
};
use reprise_abi::decode_canonical;
use reprise_federation::message::{Projected, Refusal, Roots, RootsQuery, View};
use reprise_receipts::{Head, LeafHash, Receipt};

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum NoRoots {
    #[error("this node does not serve the ledger")]
    NotHere,
    #[error("receipt {0} is not here")]
    NoReceipt(u64),
    #[error(transparent)]
    State(#[from] RecoveryError),
    #[error("{0}")]
    Fault(String),
}

impl From<&NoRoots> for Refusal {
    fn from(why: &NoRoots) -> Self {
        match why {
            NoRoots::NotHere => Self::NotShared,
            NoRoots::NoReceipt(_) => Self::Pruned,
            NoRoots::State(_) | NoRoots::Fault(_) => Self::NotMade,
        }
    }
}

impl From<JournalError> for NoRoots {
    fn from(error: JournalError) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<NodeError> for NoRoots {
    fn from(error: NodeError) -> Self {
        Self::Fault(error.to_string())
    }
}

/// Finds it out, over one moment of the journal. After all its receipts the root is that of the state as it is stored. With a
/// view the state of then is made and its root checked, and the view runs on it, within the fuel of a step.
///
/// # Errors
/// [`NoRoots`].
pub(super) fn roots(node: &Node, entry: &LedgerEntry, query: &RootsQuery) -> Result<Roots, NoRoots> {
    let RootsQuery { size, view, .. } = query;
    let (node, size) = (&node.moment()?, *size);
    let reader = node.journal().read(entry.no)?;
    let missing = NoRoots::NoReceipt(size.saturating_sub(1));
    let Some(bytes) = size.checked_sub(1).map(|last| reader.receipt(last)).transpose()?.flatten() else {
        return Err(missing);
    };
    let receipt: Receipt = decode_canonical(&bytes).map_err(|_| missing)?;
    let log_root = checkpoints::log_root_at(&reader, size).map_err(|error| NoRoots::Fault(error.to_string()))?;
    let kept = node.journal().checkpoints(entry.no)?;
    let checkpoint = kept.into_iter().map(|kept| kept.record).rfind(|record| record.claim.size <= size);
    let projection = match view {
        Some(view) => Some(projected(node, entry, (&receipt, LeafHash::of(&bytes)), view)?),
        None => None,
    };
    let state_root = if size == reader.size()? { reader.state()?.root() } else { receipt.next_state };
    Ok(Roots { size, log_root, state_root, execution: receipt.execution, checkpoint, projection })
}

fn projected(
    node: &Node,
    entry: &LedgerEntry,
    (receipt, leaf): (&Receipt, LeafHash),
    view: &View,
) -> Result<Projected, NoRoots> {
    let site = node.site(entry, EngineChoice::Cranelift);
    let (_, state) = recovery::cheapest_state(&site, receipt.seq + 1, receipt.next_state)?;
    let mut head = Head::at(entry.genesis.clone(), Some((receipt, leaf)), state);
    let (mut runner, View { name, args }) = (site.runner(), view.clone());
    let answer = recovery::on_engine(move || Ok(project(&mut runner, &mut head, &name, &args)))?;
    match answer {
        Ok(projection) => Ok(Projected::Root(projection.root())),
        Err(ProjectionError::View(_)) => Ok(Projected::Refused),
        Err(ProjectionError::Run(RunError::Missing(_))) => Ok(Projected::Missing),
        Err(error) => Err(NoRoots::Fault(error.to_string())),
    }
}
