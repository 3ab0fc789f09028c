//! Checkpoints: recovery epoch, lease table and pending-plan hash, bound by a digest; and how a recovery goes on from one.

use crate::{
    digest::{self, Digest, from_hex},
    error::{ErrorRecord, No},
    events::Restore,
    execute::{self, Execution},
    plan::RecoveryPlan,
    report::Answer,
    state::{CHECKPOINT, Header, Lease, Partition, Rank, RankRecord},
    table::Table,
    trace::Happening,
    turn::{Cluster, Turn},
};
use reprise_guest::{
    abi::Rejection,
    text::{decimal, hex, join},
    wire,
};
use serde::{Deserialize, Serialize};

/// What a checkpoint binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The recovery epoch.
    pub epoch: u64,
    /// The lease table.
    pub leases: Table<Partition, Lease>,
    /// Hash of the pending plan.
    pub pending_plan: Option<Digest>,
}

impl Binding {
    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(digest::BINDING, self)
    }
}

/// A checkpoint: the binding, and what a recovery needs to go on in the middle of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// When it was written, in milliseconds of logical time.
    pub at_ms: u64,
    /// Lease policy hash it was written under.
    pub policy: Digest,
    /// What it binds.
    pub binding: Binding,
    /// Epoch, figures, chains.
    pub header: Header,
    /// Rank health.
    pub ranks: Table<Rank, RankRecord>,
    /// The pending plan.
    pub plan: Option<RecoveryPlan>,
    /// How far it is.
    pub execution: Option<Execution>,
}

impl Checkpoint {
    fn of(turn: &Turn<'_>) -> Self {
        let Cluster { config, header, ranks, leases, plan, execution } = turn.cluster.clone();
        let pending_plan = plan.as_ref().map(RecoveryPlan::hash);
        let binding = Binding { epoch: header.epoch, leases, pending_plan };
        Self { at_ms: turn.now_ms, policy: config.policy_hash(), binding, header, ranks, plan, execution }
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(digest::CHECKPOINT, self)
    }

    /// Binds what it comes with.
    fn is_bound(&self) -> bool {
        self.binding.epoch == self.header.epoch
            && self.binding.pending_plan == self.plan.as_ref().map(RecoveryPlan::hash)
            && self.plan.is_some() == self.execution.is_some()
    }
}

/// `checkpoint`: writes down where things stand.
///
/// # Errors
/// Overflows.
pub fn checkpoint(mut turn: Turn<'_>) -> Result<Answer, ErrorRecord> {
    let checkpoint = Checkpoint::of(&turn);
    let hash = checkpoint.digest();
    CHECKPOINT.put(turn.host, &checkpoint);
    turn.cluster.header.checkpoint = hash;
    turn.trace(Happening::Checkpoint { hash });
    Ok(Answer::new(&turn.close()?, 0, 0, &[]))
}

/// `restore`: goes on from the last committed checkpoint, in the middle of its plan.
///
/// A ledger that `init` began with a pending plan takes over everything but its trace. The ledger that wrote the
/// checkpoint has everything already, and nothing must go back: it only begins the interrupted attempt anew, and only if
/// nothing has happened since.
///
/// # Errors
/// No checkpoint, a checkpoint that is damaged, outdated, of another policy or of other ranks; overflows.
pub fn restore(mut turn: Turn<'_>, restore: &Restore) -> Result<Answer, Rejection> {
    let checkpoint = find(&mut turn, restore)?;
    let own = &turn.cluster.header;
    if checkpoint.policy != turn.cluster.config.policy_hash() {
        return Err(No::PolicyMismatch.says(&["it was written under ", &hex(&checkpoint.policy.0)]).into());
    }
    if own.awaits.is_some() {
        adopt(&mut turn, checkpoint)?;
    } else if own.failure_log != checkpoint.header.failure_log {
        let context =
            join(&["it is of epoch ", &decimal(checkpoint.header.epoch), ", this ledger is at ", &decimal(own.epoch)]);
        return Err(No::StaleCheckpoint.at(context).into());
    }
    turn.trace(Happening::Restored { hash: restore.checkpoint });
    if turn.cluster.execution.as_ref().is_some_and(|execution| !execution.halted) {
        execute::begin_attempt(&mut turn)?;
    }
    Ok(Answer::new(&turn.close()?, 0, 0, &[]))
}

fn find(turn: &mut Turn<'_>, restore: &Restore) -> Result<Checkpoint, Rejection> {
    let committed = turn.cluster.header.checkpoint;
    if committed == Digest::default() {
        return Err(No::NoCheckpoint.into());
    }
    if committed != restore.checkpoint {
        return Err(No::CheckpointMismatch.says(&["the last committed checkpoint is ", &hex(&committed.0)]).into());
    }
    let checkpoint = match &restore.record {
        None => CHECKPOINT.get(turn.host)?.ok_or(No::NoCheckpoint)?,
        Some(digits) => {
            let bytes = from_hex(digits).ok_or_else(|| No::CheckpointMismatch.at("the record is not hexadecimal"))?;
            let checkpoint: Checkpoint =
                wire::decode(&bytes).map_err(|_| No::CheckpointMismatch.at("the record is not a checkpoint"))?;
            if wire::encode(&checkpoint) != bytes {
                return Err(No::CheckpointMismatch.at("the record is not a checkpoint").into());
            }
            checkpoint
        }
    };
    let found = checkpoint.digest();
    if found == restore.checkpoint && checkpoint.is_bound() {
        Ok(checkpoint)
    } else {
        Err(No::CheckpointMismatch.says(&["the digest of the record is ", &hex(&found.0)]).into())
    }
}

/// Takes over everything but the trace, which goes on, and heartbeats that were heard since.
fn adopt(turn: &mut Turn<'_>, checkpoint: Checkpoint) -> Result<(), ErrorRecord> {
    let Cluster { header, ranks, leases, plan, execution, .. } = &mut turn.cluster;
    if header.awaits != checkpoint.binding.pending_plan {
        return Err(No::CheckpointMismatch.at("it does not hold the plan that the snapshots name"));
    }
    if !checkpoint.ranks.keys().eq(ranks.keys()) || checkpoint.binding.leases != *leases {
        return Err(No::CheckpointMismatch.at("it is of other ranks or leases"));
    }
    let Header { trace_seq, trace, checkpoint: hash, .. } = *header;
    *header = Header { trace_seq, trace, checkpoint: hash, awaits: None, ..checkpoint.header };
    for (rank, record) in ranks.iter_mut() {
        let last_heartbeat_ms = record.last_heartbeat_ms.max(checkpoint.ranks[rank].last_heartbeat_ms);
        *record = RankRecord { last_heartbeat_ms, ..checkpoint.ranks[rank].clone() };
    }
    *plan = checkpoint.plan;
    *execution = checkpoint.execution;
    Ok(())
}
