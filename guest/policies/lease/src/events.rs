//! Inputs, as typed events. The kind of the input names the variant, the payload is its JSON, read strictly.

mod fields;

use crate::{
    config::Config,
    digest::Digest,
    state::{Figures, Health, Partition, Rank, Standing},
};

/// Every kind of input that the policy knows, ascending.
pub const KINDS: [&str; 9] =
    ["action_result", "checkpoint", "heartbeat", "init", "lease_claim", "lease_renew", "observe", "restore", "tick"];

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A rank lives. First, because nearly every input is one.
    Heartbeat(Heartbeat),
    /// Time has passed.
    Tick,
    /// An owner goes on.
    LeaseRenew(LeaseRenew),
    /// A rank wants a partition.
    LeaseClaim(LeaseClaim),
    /// Things were seen, in no particular order.
    Observe(Observe),
    /// An attempt at an action ended.
    ActionResult(ActionResult),
    /// Write down where things stand.
    Checkpoint,
    /// Go on from a checkpoint.
    Restore(Restore),
    /// Begin.
    Init(Box<Init>),
}

/// A rank lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which rank.
    pub rank: Rank,
    /// Which life of it.
    pub incarnation: u64,
}

/// An owner goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRenew {
    /// Of which partition.
    pub partition: Partition,
    /// The owner.
    pub rank: Rank,
    /// The token it was granted.
    pub token: u64,
}

/// A rank wants a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseClaim {
    /// Which partition.
    pub partition: Partition,
    /// Which rank.
    pub rank: Rank,
    /// The recovery epoch that the rank knows.
    pub epoch: u64,
}

/// Observations without an order among them: any permutation has the same outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observe {
    /// 1 to 256 observations.
    pub events: Vec<Observation>,
}

/// Something that was seen. `event_seq` is the observer's own number, 0 if it has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observation {
    /// A rank is gone, on good authority (the machine is down, the job manager says so).
    RankLost {
        /// Which rank.
        rank: Rank,
        /// Which life of it.
        incarnation: u64,
        /// The observer's number.
        event_seq: u64,
    },
    /// A rank's process ended.
    ExitCode {
        /// Which rank.
        rank: Rank,
        /// Which life of it.
        incarnation: u64,
        /// 0 to 255, as a shell gives it: 128 and above for a signal.
        code: u8,
        /// The observer's number.
        event_seq: u64,
    },
    /// The network fell apart. Ranks that are on no side were not seen.
    Partition {
        /// At least two groups that do not reach each other.
        sides: Vec<Vec<Rank>>,
        /// The observer's number.
        event_seq: u64,
    },
    /// A rank acts as the owner of a partition.
    LeaseClaim {
        /// Which partition.
        partition: Partition,
        /// Which rank.
        rank: Rank,
        /// The recovery epoch it acts in.
        epoch: u64,
        /// The observer's number.
        event_seq: u64,
    },
    /// An evicted rank wants to come back.
    RejoinRequest {
        /// Which rank.
        rank: Rank,
        /// Its new life: higher than the one that was evicted.
        incarnation: u64,
        /// The observer's number.
        event_seq: u64,
    },
}

/// An attempt at an action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionResult {
    /// Hash of the plan.
    pub plan: Digest,
    /// Which action of it.
    pub index: u32,
    /// It worked.
    pub ok: bool,
    /// Why not, for people.
    pub reason: String,
}

/// Go on from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Digest of the checkpoint.
    pub checkpoint: Digest,
    /// The record, in hexadecimal, as the view `checkpoint` gives it; without it, the one in this ledger's state.
    pub record: Option<String>,
}

/// Begin: configuration and snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// Pinned from now on.
    pub config: Config,
    /// The recovery epoch of the snapshots.
    pub epoch: u64,
    /// Rank health.
    pub ranks: Vec<RankSnapshot>,
    /// The lease table.
    pub leases: Vec<LeaseSnapshot>,
    /// The last committed checkpoint that the snapshots belong to.
    pub checkpoint: Option<CheckpointReference>,
    /// Number of the first failure event.
    pub event_seq: u64,
    /// Figures to go on counting from.
    pub figures: Figures,
}

/// A rank at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankSnapshot {
    /// Which rank.
    pub rank: Rank,
    /// Which life of it.
    pub incarnation: u64,
    /// `healthy`, `failed` or `evicted`; a failed one is recovered at once.
    pub health: Health,
    /// Restarts so far.
    pub restarts: u64,
}

/// A lease at the beginning: held if it has an owner, otherwise free; or exactly as the view `cluster` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSnapshot {
    /// Of which partition.
    pub partition: Partition,
    /// Who holds it.
    pub owner: Option<Rank>,
    /// The token of the last grant.
    pub token: u64,
    /// The epoch of the last grant; the snapshot's if not given.
    pub epoch: Option<u64>,
    /// Until when, in milliseconds of logical time; one time to live from now if not given.
    pub expires_ms: Option<u64>,
    /// Instead of `owner` and `expires_ms`: owned, free or fenced.
    pub standing: Option<Standing>,
}

/// The last committed checkpoint, given with the snapshots: three fields of the view `checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReference {
    /// Digest of the whole record: the one that `restore` takes.
    pub checkpoint: Digest,
    /// Hash of the plan that was pending.
    pub pending_plan: Option<Digest>,
    /// Digest over (epoch, lease table, pending plan hash).
    pub binding: Digest,
}
