//! Projections: computing them from a ledger's state, and checking those that others computed.
//!
//! A view runs on a copy of nothing and writes to nothing: the step host refuses every change in a view, and what comes
//! out goes to a file. To check one, the state of then is made again from the journal, by the cheapest way, and the view
//! of the same package is asked the same.

use crate::{
    recovery::{self, RecoveryError, Site},
    runner::{RunError, Runner},
};
use reprise_abi::{Canonical, decode_canonical};
use reprise_receipts::{
    Head, LeafHash, Missing, PackageDigest, Receipt, StateRoot,
    projection::{PROJECTION_FORMAT, Projection},
};

/// Why there is no projection.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The state of then cannot be made.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The package cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The view's name or its arguments are too long.
    #[error(transparent)]
    Bounds(#[from] reprise_abi::CodecError),
    /// The view refuses or fails.
    #[error("{0}")]
    View(#[from] crate::engine::ViewError),
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// This ledger gives the same.
    Match,
    /// This ledger has another state at that place.
    OtherState {
        /// Root of the state here.
        expected: StateRoot,
    },
    /// Another policy was in force.
    OtherPackage {
        /// The one in force here.
        expected: PackageDigest,
    },
    /// The view says something else.
    OtherAnswer {
        /// What it says here.
        expected: Vec<u8>,
    },
    /// Something is missing here that the answer depends on.
    Incomparable(Missing),
}

/// Asks a view of the policy in force. Only on an engine thread; the state is as before afterwards.
///
/// # Errors
/// [`ProjectionError`]: the package cannot be run, or the view refuses or fails.
pub fn project(runner: &mut Runner, head: &mut Head, view: &str, args: &[u8]) -> Result<Projection, ProjectionError> {
    let (ledger, size, state_root, package) = (head.ledger(), head.next_seq(), head.state_root(), head.package());
    let loaded = runner.in_force(head)?;
    let answer = loaded.executor.view(head.lend_state(), view, args).map_err(RunError::from)??;
    let (view, args) = (view.to_owned(), args.to_vec());
    let projection = Projection { format: PROJECTION_FORMAT, ledger, size, state_root, package, view, args, answer };
    projection.validate()?;
    Ok(projection)
}

/// Computes a projection again, from this ledger.
///
/// # Errors
/// [`ProjectionError`]: the state of then cannot be made here, or the view fails here.
pub fn check(site: &Site<'_>, projection: &Projection) -> Result<Checked, ProjectionError> {
    let reader = site.journal.read(site.entry.no).map_err(RecoveryError::from)?;
    let held = reader.size().map_err(RecoveryError::from)?;
    let Some(last) = projection.size.checked_sub(1).filter(|_| projection.size <= held) else {
        return Ok(Checked::Incomparable(Missing::Record { kind: "receipt", seq: projection.size.saturating_sub(1) }));
    };
    let missing = Checked::Incomparable(Missing::Record { kind: "receipt", seq: last });
    let Some(bytes) = reader.receipt(last).map_err(RecoveryError::from)? else { return Ok(missing) };
    let Ok(receipt) = decode_canonical::<Receipt>(&bytes) else { return Ok(missing) };
    if receipt.next_state != projection.state_root {
        return Ok(Checked::OtherState { expected: receipt.next_state });
    }
    let (_, state) = recovery::cheapest_state(site, projection.size, receipt.next_state)?;
    let mut head = Head::at(site.entry.genesis.clone(), Some((&receipt, LeafHash::of(&bytes))), state);
    if head.package() != projection.package {
        return Ok(Checked::OtherPackage { expected: head.package() });
    }
    let (mut runner, view, args) = (site.runner(), projection.view.clone(), projection.args.clone());
    let again = recovery::on_engine(move || Ok(project(&mut runner, &mut head, &view, &args)))?;
    match again {
        Err(ProjectionError::Run(RunError::Missing(missing))) => Ok(Checked::Incomparable(missing)),
        Err(error) => Err(error),
        Ok(again) if again.answer == projection.answer => Ok(Checked::Match),
        Ok(again) => Ok(Checked::OtherAnswer { expected: again.answer }),
    }
}
