//! What the policy puts out: the recovery report, the restart-plan hash, the final cluster state and its verdict.

use crate::{
    digest::{self, Digest},
    error::No,
    execute::Execution,
    resolve::Claim,
    state::{Figures, Health, Lease, Partition, Rank, RankRecord, Standing, Verdict, increment},
    table::Table,
    trace::Happening,
    turn::{Cluster, Turn},
};
use reprise_guest::rejection::Code;
use serde::Serialize;

/// The recovery report. Its outcome is reproducible from the first three hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Chain over failure events, lease transitions and ends of attempts.
    pub failure_event_log_hash: Digest,
    /// Lease rules, restart rules and configuration.
    pub lease_policy_hash: Digest,
    /// The last committed checkpoint; zeros if there is none.
    pub checkpoint_hash: Digest,
    /// The last plan; zeros if there was none.
    pub restart_plan_hash: Digest,
    /// Chain over all trace entries.
    pub trace_hash: Digest,
    /// The recovery epoch.
    pub epoch: u64,
    /// Failures, attempts, successes, fences.
    pub figures: Figures,
    /// The final cluster state.
    pub final_cluster_state: FinalState,
}

/// The final cluster state: the verdict, and a digest of what it was reached on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FinalState {
    /// The verdict.
    pub verdict: Verdict,
    /// Digest over each rank's health and incarnation and each partition's owner and token.
    pub digest: Digest,
}

impl Report {
    /// The report of a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let header = &cluster.header;
        let ranks: Vec<_> = cluster.ranks.iter().map(|(rank, r)| (*rank, r.health, r.incarnation)).collect();
        let leases: Vec<_> = cluster.leases.iter().map(|(partition, l)| (*partition, l.owner(), l.token)).collect();
        let digest = Digest::of_value(digest::FINAL_STATE, &(ranks, leases));
        Self {
            failure_event_log_hash: header.failure_log,
            lease_policy_hash: cluster.config.policy_hash(),
            checkpoint_hash: header.checkpoint,
            restart_plan_hash: header.plan,
            trace_hash: header.trace,
            epoch: header.epoch,
            figures: header.figures,
            final_cluster_state: FinalState { verdict: header.verdict, digest },
        }
    }
}

/// What a step answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The recovery epoch.
    pub epoch: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Hash of the pending plan.
    pub plan: Option<Digest>,
    /// The action in flight.
    pub action: Option<u32>,
    /// Failure events that were recorded.
    pub events: u32,
    /// Observations that said nothing new.
    pub ignored: u32,
    /// Claims that were refused.
    pub refused: Vec<RefusedClaim>,
}

/// A claim that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedClaim {
    /// To which partition.
    pub partition: Partition,
    /// By which rank.
    pub rank: Rank,
    /// Rejection code.
    pub code: u32,
    /// Its name.
    pub name: &'static str,
}

impl Answer {
    /// Of a cluster after a pass through the procedure.
    #[must_use]
    pub fn new(cluster: &Cluster, events: u32, ignored: u32, refused: &[(Claim, No)]) -> Self {
        let refusal = |(claim, no): &(Claim, No)| RefusedClaim {
            partition: claim.partition,
            rank: claim.rank,
            code: no.code(),
            name: no.name(),
        };
        let header = &cluster.header;
        let execution = cluster.execution.as_ref();
        Self {
            epoch: header.epoch,
            verdict: header.verdict,
            plan: execution.map(|_| header.plan),
            action: execution.map(|execution| execution.next),
            events,
            ignored,
            refused: refused.iter().map(refusal).collect(),
        }
    }
}

/// Judges the cluster; a recovery that leaves everything as it should be is a success.
///
/// # Errors
/// [`No::CounterOverflow`].
pub fn judge(turn: &mut Turn<'_>) -> Result<(), No> {
    let Cluster { header, ranks, leases, execution, .. } = &turn.cluster;
    let verdict = match header.awaits {
        Some(_) => Verdict::Recovering,
        None => validate_final_state(ranks, leases, execution.as_ref(), header.figures.recovery_attempts > 0),
    };
    let changed = verdict != header.verdict;
    let header = &mut turn.cluster.header;
    header.verdict = verdict;
    if header.open && verdict == Verdict::Recovered {
        header.open = false;
        increment(&mut header.figures.recovery_success, No::CounterOverflow)?;
    }
    if changed {
        turn.trace(Happening::Judged { verdict });
    }
    Ok(())
}

/// The final cluster-state verdict: everything is owned and every member is healthy, or what is missing.
#[must_use]
pub fn validate_final_state(
    ranks: &Table<Rank, RankRecord>,
    leases: &Table<Partition, Lease>,
    execution: Option<&Execution>,
    recovered: bool,
) -> Verdict {
    let halted = execution.is_some_and(|execution| execution.halted);
    let fenced = leases.values().any(|lease| matches!(lease.standing, Standing::Fenced { .. }));
    let unowned = leases.values().any(|lease| lease.owner().is_none());
    let unwell = ranks.values().any(|record| !matches!(record.health, Health::Healthy | Health::Evicted));
    if halted || !ranks.values().any(|record| record.health.may_own()) && execution.is_none() {
        Verdict::Unrecoverable
    } else if execution.is_some() {
        Verdict::Recovering
    } else if fenced {
        Verdict::FailedClosed
    } else if unowned || unwell {
        Verdict::Degraded
    } else if recovered {
        Verdict::Recovered
    } else {
        Verdict::Stable
    }
}
