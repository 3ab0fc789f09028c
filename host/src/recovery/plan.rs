//! Plans: what will be done to a ledger, as a value.

use crate::journal::CaseNo;
use reprise_abi::{Canonical, CodecError, limits::DETAIL_BYTES_MAX};
use reprise_receipts::{LeafHash, LedgerId, LogRoot, StateRoot};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most steps of a plan.
pub const PLAN_STEPS_MAX: usize = 16;

/// Which recovery module made a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Module {
    /// [`super::rollback`].
    Rollback,
    /// [`super::checkpoint_restore`].
    CheckpointRestore,
    /// [`super::replay_reconstruction`].
    ReplayReconstruction,
}

/// A way to the state after some receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// The stored state, brought forward by diffs, or back by their inverses.
    StoredState,
    /// The snapshot of the checkpoint of `size` receipts, brought forward by diffs.
    Snapshot {
        /// Receipts of the checkpoint.
        size: u64,
    },
    /// All diffs from the first receipt on.
    Diffs,
    /// All inputs from the first one on, executed again.
    Replay,
}

/// What a plan is for, and what it does, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Who made it.
    pub module: Module,
    /// Why, in the operator's words; at most 1 KiB.
    pub reason: String,
    /// The node's clock when it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// What to do; at most [`PLAN_STEPS_MAX`] steps.
    pub steps: Vec<PlanStep>,
}

/// One step of a plan. Doing it twice is the same as doing it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanStep {
    /// Copy the receipts of a range, and everything that belongs to them, into a new case of quarantine.
    Quarantine {
        /// The case.
        case: CaseNo,
        /// First sequence number.
        from: u64,
        /// End of the range, not included.
        to: u64,
    },
    /// Write down that the ledger goes back, for good.
    RecordRewind {
        /// The case of quarantine with what is cut off.
        case: CaseNo,
        /// Receipts that stay in force.
        size: u64,
        /// Receipts that there are.
        old_size: u64,
        /// Leaf hash of the last of those.
        old_leaf: LeafHash,
        /// Root of the log of them.
        old_log_root: LogRoot,
        /// End of the receipts that attestations or checkpoints cover, if any of those is cut off.
        attested: Option<u64>,
    },
    /// Cut the ledger back, and store the state of then: in one transaction.
    Cut {
        /// Receipts that stay.
        size: u64,
        /// The state after them.
        state_root: StateRoot,
        /// How that state is made.
        way: Way,
    },
    /// Remove the checkpoints over more receipts, and the chunks that nobody needs then.
    RemoveCheckpoints {
        /// Receipts that stay.
        size: u64,
    },
    /// Store the state anew; receipts stay as they are.
    StoreState {
        /// Receipts that lead to it.
        size: u64,
        /// Its root.
        state_root: StateRoot,
        /// How it is made.
        way: Way,
    },
    /// Execute every input again; where a stored receipt, record or log tile differs, put it into quarantine and store
    /// what came out.
    Rebuild {
        /// The case of quarantine for what is replaced.
        case: CaseNo,
        /// Receipts.
        size: u64,
        /// Root of the log of them, which an attestation or a checkpoint names.
        log_root: LogRoot,
    },
    /// Open the ledger as a start-up does, and hold it against what the plan was made for.
    Check {
        /// Receipts.
        size: u64,
        /// The state after them.
        state_root: StateRoot,
    },
    /// Sign the last receipt, if no attestation is over it and this node's key is the ledger's attester: what is left of
    /// a ledger that was cut between two attestations is covered again.
    Attest {
        /// Receipts.
        size: u64,
    },
}

impl Canonical for Plan {
    const KIND: &'static str = "recovery plan";
    const BYTES_MAX: usize = 8 * 1024;

    fn validate(&self) -> Result<(), CodecError> {
        if self.steps.len() <= PLAN_STEPS_MAX && self.reason.len() <= DETAIL_BYTES_MAX {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "at most 16 steps, and a reason of at most 1 KiB" })
    }
}

impl Module {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::CheckpointRestore => "checkpoint_restore",
            Self::ReplayReconstruction => "replay_reconstruction",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoredState => f.write_str("the stored state and diffs"),
            Self::Snapshot { size } => write!(f, "the snapshot at {size} receipts and the diffs after it"),
            Self::Diffs => f.write_str("all diffs from the first receipt on"),
            Self::Replay => f.write_str("all inputs, executed again"),
        }
    }
}

impl fmt::Display for PlanStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantine { case, from, to } => {
                write!(
                    f,
                    "copy receipts {from}..{to}, their inputs, records, attestations and checkpoints to quarantine case {case}"
                )
            }
            Self::RecordRewind { size, old_size, attested: None, .. } => {
                write!(f, "write down that the ledger goes back from {old_size} receipts to {size}")
            }
            Self::RecordRewind { size, old_size, attested: Some(attested), .. } => write!(
                f,
                "write down that the ledger goes back from {old_size} receipts to {size}, and that another history \
                 was attested up to receipt {}",
                attested.saturating_sub(1)
            ),
            Self::Cut { size, state_root, way } => {
                write!(f, "cut the ledger to {size} receipts; state {state_root} from {way}")
            }
            Self::RemoveCheckpoints { size } => {
                write!(f, "remove checkpoints over more than {size} receipts, and chunks that nobody needs")
            }
            Self::StoreState { size, state_root, way } => {
                write!(f, "store the state {state_root} after {size} receipts, from {way}")
            }
            Self::Rebuild { case, size, log_root } => write!(
                f,
                "execute {size} inputs again; what differs goes to quarantine case {case} and is replaced; the log \
                 must come to {log_root}"
            ),
            Self::Check { size, state_root } => {
                write!(f, "open the ledger: {size} receipts, state {state_root}")
            }
            Self::Attest { size } => {
                write!(f, "sign receipt {}, if it is this node's to sign and was not yet", size.saturating_sub(1))
            }
        }
    }
}
