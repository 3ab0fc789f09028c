//! Recovery: what a node does about a history that has to be taken back, restored, rebuilt or repaired.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`host`] | start-up after a crash: the cheapest sound way to the state, and which one it was |
//! | [`runtime`] | guest faults and suspension: what to do, with the command to sign |
//! | [`rollback`] | takes a ledger back to an earlier receipt or checkpoint |
//! | [`checkpoint_restore`] | makes the state anew from a checkpoint, on this node or on a new one |
//! | [`replay_reconstruction`] | does every input again, and writes what was lost or damaged |
//! | [`doctor`] | looks at every record, and repairs what other material proves |
//!
//! Whatever changes a ledger is a [`Plan`]: a value that is printed before it is carried out, and kept in the journal
//! while it is. Every step of it can be done twice, so that a crash at any moment is answered by doing the step again.
//! One that cannot be brought to its end is given up where nothing of it shows yet ([`abandon`]).

mod abandon;
pub mod checkpoint_restore;
pub mod doctor;
pub mod host;
mod origin;
mod perform;
pub mod plan;
pub mod replay_reconstruction;
pub mod rollback;
pub mod runtime;
mod ways;

pub use abandon::{Abandoned, abandon};
pub use origin::Origin;
pub use perform::{Moment, NoWatch, Stop, Watch, carry_out, resume};
pub use plan::{Module, Plan, PlanStep, Way};
pub(crate) use replay_reconstruction::on_engine;
pub use ways::{Cost, cheapest_state, state_by};

use crate::{
    checkpoints::CheckpointError,
    engine::HostFault,
    journal::{Journal, JournalError, LedgerEntry},
    node::{EngineChoice, PackageExecutors},
    runner::{RunError, Runner},
};
use reprise_receipts::{Divergence, StateRoot, log::LogError};
use std::{path::Path, sync::Arc};

/// A ledger and what is at hand to recover it.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The journal, open for writing if anything is to be carried out.
    pub journal: &'a Arc<Journal>,
    /// The ledger.
    pub entry: &'a LedgerEntry,
    /// The node's directory: compiled code is cached there.
    pub dir: &'a Path,
    /// What does steps again.
    pub engine: EngineChoice,
}

/// The ways to the state after `size` receipts that need no execution, cheapest first.
///
/// # Errors
/// [`RecoveryError::Journal`].
pub fn ways_to(site: &Site<'_>, size: u64) -> Result<Vec<(Way, Cost)>, RecoveryError> {
    ways::ways(site.journal, site.entry, &site.journal.read(site.entry.no)?, size)
}

impl Site<'_> {
    pub(crate) fn runner(&self) -> Runner {
        Runner::new(Box::new(PackageExecutors::new(self.journal.clone(), self.engine, self.dir)))
    }
}

/// Why a ledger cannot be recovered like this. What was done before stays done and can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be read or written.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// A checkpoint or its snapshot does not hold.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log cannot be read.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// A ledger cannot be taken over from a checkpoint.
    #[error(transparent)]
    Point(#[from] checkpoint_restore::PointError),
    /// A step could not be executed here.
    #[error("sequence number {seq} could not be executed: {error}")]
    Run {
        /// Which step.
        seq: u64,
        /// Why.
        error: RunError,
    },
    /// The engine thread could not be started, or it panicked.
    #[error("engine: {0}")]
    Engine(#[from] HostFault),
    /// There is nothing at that place.
    #[error("the ledger has {size} receipts: it cannot go back to {wanted}")]
    Beyond {
        /// Receipts.
        size: u64,
        /// Asked for.
        wanted: u64,
    },
    /// What is asked for was before the place where the ledger begins here.
    #[error(
        "receipts before {first} are not on this node: `reprise archive hydrate LEDGER --archive DIR` brings them back"
    )]
    BeforeOrigin {
        /// First receipt that is here.
        first: u64,
    },
    /// Nothing here leads to the state with which the ledger begins.
    #[error(
        "the ledger begins here after {size} receipts, but nothing here leads to the state of then ({error}): `reprise \
         archive hydrate LEDGER --archive DIR` brings the steps before it back"
    )]
    NoOrigin {
        /// Receipts before the first one here.
        size: u64,
        /// Why the cheapest way does not lead there.
        error: Box<RecoveryError>,
    },
    /// There is no material to make a state from.
    #[error(
        "there is neither a stored state nor a snapshot nor all diffs to make the state after {size} receipts from"
    )]
    NoWay {
        /// Receipts.
        size: u64,
    },
    /// Receipts that others may rely on would be cut off.
    #[error(
        "receipts up to {attested} are attested: whoever has seen them keeps a proof against this key once other \
         receipts take their places; to do it all the same give `--attested` and `--reason TEXT`"
    )]
    Attested {
        /// The last receipt that is attested or under a checkpoint.
        attested: u64,
    },
    /// The state that came out is another one.
    #[error("{way} leads to the state {found} after {size} receipts, the receipt says {expected}")]
    OtherState {
        /// How the state was made.
        way: Way,
        /// Receipts.
        size: u64,
        /// What the receipt says.
        expected: StateRoot,
        /// What came out.
        found: StateRoot,
    },
    /// A receipt that a plan relies on is not there.
    #[error("receipt {0} is missing or damaged: `reprise doctor --repair` may prove it")]
    NoReceipt(u64),
    /// Doing a step again gives another receipt than the one that is attested.
    #[error(
        "step {} gives another receipt here than the attested one ({}): nothing is written. Compare with another \
         engine (`--engine`) or node",
        .0.seq, .0.what.name()
    )]
    Divergent(Box<Divergence>),
    /// No signature says which of two histories is the right one.
    #[error(
        "step {seq} gives something else than is stored, and no attestation reaches to it ({proven} receipts are \
         proven): nothing says which of the two is right, so nothing is written"
    )]
    Unproven {
        /// The last step that differs.
        seq: u64,
        /// Receipts that an attestation or a checkpoint proves.
        proven: u64,
    },
    /// Another plan is in the middle.
    #[error(
        "a plan for this ledger was begun and is not done: `reprise recover resume` goes on with it, `reprise recover \
         abandon` gives it up where that is safe"
    )]
    Unfinished,
    /// A plan is too far to be given up.
    #[error(
        "the ledger was cut back to {size} receipts already, and checkpoints of what was cut off are left: the plan can \
         only be brought to its end, with `reprise recover resume`"
    )]
    PastAbandoning {
        /// Receipts that stayed.
        size: u64,
    },
    /// This node's key cannot be read.
    #[error(transparent)]
    Key(#[from] crate::keys::KeyError),
    /// The plan that was begun does not decode.
    #[error("the plan that was begun does not decode: {0}")]
    Plan(#[from] reprise_abi::CodecError),
    /// Somebody who watches the plan stopped it.
    #[error("the plan was stopped before it was done; `reprise recover resume` goes on with it")]
    Stopped,
}
