//! `UML_OS.Runtime.ComputeRecoveryPlan_v1`: `(cluster_state, failure_events, lease_state) -> recovery_plan`. Pure.
//!
//! A plan is a value: one action for each rank that needs one, in the order (epoch, rank, event_seq). It can hold
//! actions of several epochs, because a new failure replaces the plan by one over everything that is outstanding.

use crate::{
    detect::{FailureClass, FailureEvent},
    digest::{self, Digest},
    error::No,
    state::{Lease, Partition, Rank, RankRecord, Standing},
    table::Table,
};
use core::cmp::Reverse;
use serde::{Deserialize, Serialize};

/// What has to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPlan {
    /// The recovery epoch that begins with it.
    pub epoch: u64,
    /// Strictly ascending by (epoch, rank, event_seq).
    pub actions: Vec<Action>,
}

/// One thing to do about one rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Epoch of the failure event.
    pub epoch: u64,
    /// Which rank.
    pub rank: Rank,
    /// Number of the failure event.
    pub event_seq: u64,
    /// What to do.
    pub kind: ActionKind,
    /// Why.
    pub cause: FailureClass,
    /// The life of the rank that it ends (evict) or begins (restart, rejoin).
    pub incarnation: u64,
    /// Partitions that the rank may believe are its own while nobody owns them: to be fenced before anything else.
    pub fence: Vec<Partition>,
}

/// What can be done about a rank, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Take it back in.
    Rejoin,
    /// Start it again.
    Restart,
    /// Take it out.
    Evict,
}

/// The part of the cluster that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct ClusterState<'a> {
    /// The epoch that begins with the plan.
    pub epoch: u64,
    /// Rank health.
    pub ranks: &'a Table<Rank, RankRecord>,
    /// Restarts of one rank until it is evicted instead.
    pub restarts_max: u64,
}

impl RecoveryPlan {
    /// The restart-plan hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of_value(digest::PLAN, self)
    }

    /// Its actions are in their order, without repeats.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.actions.is_sorted_by(|a, b| a.order() < b.order())
    }
}

impl Action {
    fn order(&self) -> (u64, Rank, u64) {
        (self.epoch, self.rank, self.event_seq)
    }
}

/// The plan for a set of failure events, in whatever order they are given. Events that need no action have none.
///
/// # Errors
/// [`No::CounterOverflow`]: a rank's incarnation cannot go higher.
pub fn compute_recovery_plan(
    cluster: ClusterState<'_>,
    events: &[FailureEvent],
    leases: &Table<Partition, Lease>,
) -> Result<RecoveryPlan, No> {
    let mut strongest: Table<Rank, (ActionKind, &FailureEvent)> = Table::default();
    for event in events {
        let Some(record) = cluster.ranks.get(&event.rank) else { continue };
        let Some(kind) = remedy(event.class, record, cluster.restarts_max) else { continue };
        let strength = |(kind, event): (ActionKind, &FailureEvent)| (kind, Reverse((event.epoch, event.event_seq)));
        match strongest.get_mut(&event.rank) {
            Some(best) if strength(*best) >= strength((kind, event)) => {}
            Some(best) => *best = (kind, event),
            None => _ = strongest.insert_new(event.rank, (kind, event)),
        }
    }
    let mut actions = Table::default();
    for (rank, (kind, event)) in strongest.iter() {
        let action = Action {
            epoch: event.epoch,
            rank: *rank,
            event_seq: event.event_seq,
            kind: *kind,
            cause: event.class,
            incarnation: incarnation(*kind, event.class, &cluster.ranks[rank])?,
            fence: believed(leases, *rank),
        };
        actions.insert_new(action.order(), action);
    }
    Ok(RecoveryPlan { epoch: cluster.epoch, actions: actions.into_values().collect() })
}

/// What a failure asks for.
#[must_use]
pub fn remedy(class: FailureClass, record: &RankRecord, restarts_max: u64) -> Option<ActionKind> {
    match class {
        FailureClass::LeaseConflict { .. } | FailureClass::NoMajority { .. } => None,
        FailureClass::RejoinRequested { .. } => Some(ActionKind::Rejoin),
        _ if class.may_restart() && record.restarts < restarts_max => Some(ActionKind::Restart),
        _ => Some(ActionKind::Evict),
    }
}

fn incarnation(kind: ActionKind, class: FailureClass, record: &RankRecord) -> Result<u64, No> {
    match (kind, class) {
        (ActionKind::Rejoin, FailureClass::RejoinRequested { incarnation }) => Ok(incarnation),
        (ActionKind::Restart | ActionKind::Rejoin, _) => record.incarnation.checked_add(1).ok_or(No::CounterOverflow),
        (ActionKind::Evict, _) => Ok(record.incarnation),
    }
}

fn believed(leases: &Table<Partition, Lease>, rank: Rank) -> Vec<Partition> {
    let believes = |lease: &Lease| match lease.standing {
        Standing::Held { owner, .. } => owner == rank,
        Standing::Vacant { last, .. } => last == Some(rank),
        Standing::Fenced { .. } => false,
    };
    leases.iter().filter(|(_, lease)| believes(lease)).map(|(partition, _)| *partition).collect()
}

#[cfg(test)]
mod tests;
