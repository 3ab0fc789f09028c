//! What the policy keeps: lease table, rank health, recovery epoch, and what it needs to go on where it stopped.

use crate::{
    checkpoint::Checkpoint, config::Config, detect::FailureEvent, digest::Digest, error::No, execute::Execution,
    plan::RecoveryPlan, trace::TraceEntry,
};
use reprise_guest::typed::{Cell, Map, StateKey};
use serde::{Deserialize, Serialize};

/// The pinned configuration.
pub const CONFIG: Cell<Config> = Cell::new(b"config");
/// Epoch, figures, chains.
pub const HEADER: Cell<Header> = Cell::new(b"header");
/// Rank health.
pub const RANKS: Map<Rank, RankRecord> = Map::new(b"rank/");
/// The lease table.
pub const LEASES: Map<Partition, Lease> = Map::new(b"lease/");
/// The pending plan.
pub const PLAN: Cell<RecoveryPlan> = Cell::new(b"plan");
/// How far the pending plan is.
pub const EXECUTION: Cell<Execution> = Cell::new(b"execution");
/// The last committed checkpoint.
pub const CHECKPOINT: Cell<Checkpoint> = Cell::new(b"checkpoint");
/// The newest trace entries.
pub const TRACE: Map<u64, TraceEntry> = Map::new(b"trace/");
/// What the last step touched: see [`crate::check`].
pub const TOUCHED: Cell<Touched> = Cell::new(b"touched");

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl StateKey for $name {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }

            fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
                u32::read(bytes).map(|(id, rest)| (Self(id), rest))
            }
        }
    };
}
id!(
    /// One process of the distributed run.
    Rank
);
id!(
    /// One part of the work, owned by one rank at a time.
    Partition
);

/// How a rank is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Heard of in time.
    Healthy,
    /// Missed a heartbeat.
    Suspected,
    /// Lost, silent for too long, or ended; waits for its action.
    Failed,
    /// Being restarted.
    Restarting,
    /// Cut off from the majority; waits for its eviction.
    Isolated,
    /// No member any more.
    Evicted,
    /// Asked to come back; waits for its action.
    Rejoining,
}

impl Health {
    /// It may own a partition.
    #[must_use]
    pub fn may_own(self) -> bool {
        matches!(self, Self::Healthy | Self::Suspected)
    }

    /// It counts when a majority is asked for.
    #[must_use]
    pub fn is_member(self) -> bool {
        !matches!(self, Self::Evicted | Self::Rejoining)
    }
}

/// What is known of a rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankRecord {
    /// How it is.
    pub health: Health,
    /// Which life of it.
    pub incarnation: u64,
    /// When it was last heard of, in milliseconds of logical time.
    pub last_heartbeat_ms: u64,
    /// Restarts since it joined.
    pub restarts: u64,
    /// The failure event that its outstanding action is for.
    pub fault: Option<FailureEvent>,
}

/// Who owns a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Number of the last grant: whoever acts for the partition shows it.
    pub token: u64,
    /// Epoch of the last grant or fence.
    pub epoch: u64,
    /// Owned, free or fenced.
    pub standing: Standing,
}

/// The state of a lease. There is one place for an owner, so there can be only one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Standing {
    /// Owned.
    Held {
        /// By whom.
        owner: Rank,
        /// Until when, in milliseconds of logical time.
        expires_ms: u64,
    },
    /// Free.
    Vacant {
        /// Who had it.
        last: Option<Rank>,
        /// Nobody may have it before, in milliseconds of logical time.
        free_from_ms: u64,
    },
    /// Closed: nobody may have it until one rank claims it in a later epoch.
    Fenced {
        /// Nobody may have it before, in milliseconds of logical time.
        free_from_ms: u64,
    },
}

impl Lease {
    /// Its owner.
    #[must_use]
    pub fn owner(&self) -> Option<Rank> {
        match self.standing {
            Standing::Held { owner, .. } => Some(owner),
            Standing::Vacant { .. } | Standing::Fenced { .. } => None,
        }
    }
}

/// What the report counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Ranks that failed or were cut off.
    pub failed_ranks: u64,
    /// Plans that were begun.
    pub recovery_attempts: u64,
    /// Recoveries whose final cluster state was validated.
    pub recovery_success: u64,
    /// Partitions that were fenced because two ranks could have acted for them.
    pub split_brain_prevented: u64,
}

/// The cluster, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing ever happened, and everything is owned.
    Stable,
    /// A plan is being executed, or waited for.
    Recovering,
    /// Validated after a recovery.
    Recovered,
    /// A rank is not healthy or a partition is not owned.
    Degraded,
    /// A partition is fenced.
    FailedClosed,
    /// A plan halted or no rank may own anything.
    Unrecoverable,
}

/// Epoch, figures, chains: what nearly every step reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The recovery epoch. Every plan has one of its own.
    pub epoch: u64,
    /// Number of the next failure event.
    pub event_seq: u64,
    /// Number of the next effect: makes idempotency keys unique.
    pub effect_seq: u64,
    /// Number of the next trace entry.
    pub trace_seq: u64,
    /// Chain over failure events, lease transitions and ends of attempts.
    pub failure_log: Digest,
    /// Chain over all trace entries.
    pub trace: Digest,
    /// Digest of the last committed checkpoint; zeros if there is none.
    pub checkpoint: Digest,
    /// Digest of the last plan; zeros if there was none.
    pub plan: Digest,
    /// What the report counts.
    pub figures: Figures,
    /// A recovery has begun and its final state is not validated yet.
    pub open: bool,
    /// The last verdict.
    pub verdict: Verdict,
    /// The plan that `restore` has to bring before anything else.
    pub awaits: Option<Digest>,
}

/// What a step touched, for the invariants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The recovery epoch before the step.
    pub epoch_before: u64,
    /// Which partition; `None`: look at everything.
    pub partition: Option<Partition>,
}

/// One more, or a refusal.
///
/// # Errors
/// `full`: the number is 2^64 - 1.
pub fn increment(number: &mut u64, full: No) -> Result<(), No> {
    *number = number.checked_add(1).ok_or(full)?;
    Ok(())
}
