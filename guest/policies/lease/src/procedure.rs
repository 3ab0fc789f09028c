//! The document's procedure: detect and classify, resolve leases, compute the plan, execute and validate.

use crate::{
    detect::{Detection, FailureEvent, Finding, detect_failure_events, detect_silence, number},
    error::{ErrorRecord, No, Trouble, emit},
    events::{ActionResult, LeaseClaim, Observe},
    execute::{self, Execution},
    plan::{ClusterState, compute_recovery_plan, remedy},
    report::Answer,
    resolve::{Claim, ClaimKind, LeaseChange, Why, assign_vacant, resolve_lease_state},
    state::{Health, Partition, Rank, increment},
    table::Table,
    trace::{Happening, Stage},
    turn::Turn,
};
use reprise_guest::text::{decimal, hex, join};
use serde::Serialize;

/// `observe`: things were seen.
///
/// # Errors
/// Refusals of detection; overflows.
pub fn observe(mut turn: Turn<'_>, observed: Observe) -> Result<Answer, ErrorRecord> {
    if observed.events.is_empty() || observed.events.len() > crate::config::OBSERVATIONS_MAX {
        return Err(No::BadObservationCount.says(&[&decimal(observed.events.len() as u64), " observations"]));
    }
    let detection = detect_failure_events(&turn.cluster.ranks, observed.events)?;
    for claim in detection.claims.keys() {
        known_partition(&turn, claim.partition)?;
    }
    let recovery = recover(&mut turn, detection)?;
    Ok(recovery.answer(&turn.close()?))
}

/// `tick`: time has passed.
///
/// # Errors
/// Overflows.
pub fn tick(mut turn: Turn<'_>) -> Result<Answer, ErrorRecord> {
    let (findings, suspects) = detect_silence(&turn.cluster.ranks, &turn.cluster.config, turn.now_ms);
    for rank in suspects {
        turn.set_health(rank, Health::Suspected);
    }
    let mut recovery = recover(&mut turn, Detection { findings, ..Detection::default() })?;
    let late = |execution: &Execution| !execution.halted && turn.now_ms >= execution.due_ms;
    if !recovery.planned && turn.cluster.execution.as_ref().is_some_and(late) {
        recovery.events += execute::attempt_failed(&mut turn, Stage::TimedOut)?;
    }
    Ok(recovery.answer(&turn.close()?))
}

/// `lease_claim`: a rank asks for a partition.
///
/// # Errors
/// Why it cannot have it; overflows.
pub fn lease_claim(mut turn: Turn<'_>, claim: &LeaseClaim) -> Result<Answer, ErrorRecord> {
    let LeaseClaim { partition, rank, epoch } = *claim;
    known_partition(&turn, partition)?;
    if turn.cluster.ranks.get(&rank).is_none() {
        return Err(No::UnknownRank.of("rank ", rank.0));
    }
    let claims = [(Claim { partition, rank, epoch, kind: ClaimKind::Requested }, ())].into_iter().collect();
    let recovery = recover(&mut turn, Detection { claims, ..Detection::default() })?;
    if let Some((_, no)) = recovery.refused.first() {
        let lease = &turn.cluster.leases[&partition];
        let now = turn.cluster.header.epoch;
        let owner = lease.owner().map_or(String::from("nobody"), |owner| join(&["rank ", &decimal(owner.0)]));
        let context = join(&[
            "partition ",
            &decimal(partition.0),
            ": ",
            &owner,
            " owns it since epoch ",
            &decimal(lease.epoch),
            ", now is ",
            &decimal(now),
        ]);
        return Err(no.at(context));
    }
    Ok(recovery.answer(&turn.close()?))
}

/// `action_result`: an attempt at an action ended.
///
/// # Errors
/// The result is not of the action in flight; overflows.
pub fn action_result(mut turn: Turn<'_>, result: &ActionResult) -> Result<Answer, ErrorRecord> {
    let (Some(plan), Some(execution)) = (&turn.cluster.plan, &turn.cluster.execution) else {
        return Err(No::NoPlanPending.into());
    };
    if plan.hash() != result.plan {
        return Err(No::StalePlan.says(&["pending is ", &hex(&plan.hash().0)]));
    }
    if execution.halted {
        return Err(No::PlanHalted.into());
    }
    if execution.next != result.index {
        return Err(No::ActionNotInFlight.of("in flight is action ", execution.next));
    }
    let mut recovery = Recovery::default();
    if result.ok {
        execute::attempt_succeeded(&mut turn)?;
    } else {
        recovery.events = execute::attempt_failed(&mut turn, Stage::Failed)?;
    }
    recovery.settle(&mut turn)?;
    Ok(recovery.answer(&turn.close()?))
}

fn known_partition(turn: &Turn<'_>, partition: Partition) -> Result<(), ErrorRecord> {
    let known = turn.cluster.leases.get(&partition).is_some();
    if known { Ok(()) } else { Err(No::UnknownPartition.of("partition ", partition.0)) }
}

/// What a pass through the procedure came to.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Failure events that were recorded.
    pub events: u32,
    /// Observations that said nothing new.
    pub ignored: u32,
    /// Claims that were refused.
    pub refused: Vec<(Claim, No)>,
    /// A new plan was begun.
    pub planned: bool,
}

/// The procedure, from findings to the first action.
///
/// # Errors
/// Overflows.
pub fn recover(turn: &mut Turn<'_>, detection: Detection) -> Result<Recovery, No> {
    let mut recovery = Recovery { ignored: detection.ignored, ..Recovery::default() };
    let claims: Vec<Claim> = detection.claims.into_keys().collect();
    let failures = record(turn, &detection.findings)?;

    let mut leases = std::mem::take(&mut turn.cluster.leases);
    let rules = turn.cluster.rules(turn.now_ms);
    let resolution = resolve_lease_state(rules, &mut leases, &claims, &detection.undecided)?;
    turn.cluster.leases = leases;
    announce(turn, &resolution.changes)?;
    let fences = record(turn, &resolution.fenced)?;
    recovery.refused = resolution.refused;

    recovery.events = failures + fences;
    if recovery.events > 0 {
        plan_anew(turn)?;
        recovery.planned = true;
    }
    recovery.settle(turn)?;
    Ok(recovery)
}

impl Recovery {
    /// Gives free partitions an owner: last, so that a plan sees who believed to own them.
    fn settle(&self, turn: &mut Turn<'_>) -> Result<(), No> {
        let mut leases = std::mem::take(&mut turn.cluster.leases);
        let changes = assign_vacant(turn.cluster.rules(turn.now_ms), &mut leases)?;
        turn.cluster.leases = leases;
        announce(turn, &changes)
    }

    fn answer(&self, cluster: &crate::turn::Cluster) -> Answer {
        Answer::new(cluster, self.events, self.ignored, &self.refused)
    }
}

/// Numbers failures, extends the failure-event log, and marks the ranks.
fn record(turn: &mut Turn<'_>, findings: &Table<Finding, ()>) -> Result<u32, No> {
    let header = &mut turn.cluster.header;
    let events = number(findings, header.epoch, turn.now_ms, &mut header.event_seq)?;
    let count = u32::try_from(events.len()).expect("at most one event for each observation, rank and partition");
    for event in events {
        turn.trace(Happening::Failure(event.clone()));
        mark(turn, event)?;
    }
    Ok(count)
}

fn mark(turn: &mut Turn<'_>, event: FailureEvent) -> Result<(), No> {
    let restarts_max = turn.cluster.config.restarts_max;
    let Some(record) = turn.cluster.ranks.get_mut(&event.rank) else { return Ok(()) };
    let Some(action) = remedy(event.class, record, restarts_max) else { return Ok(()) };
    let pending = record.fault.as_ref().and_then(|fault| remedy(fault.class, record, restarts_max));
    let (rank, to, alive) = (event.rank, health_after(&event), record.health.may_own());
    if pending < Some(action) {
        record.fault = Some(event);
        turn.set_health(rank, to);
    }
    if alive {
        increment(&mut turn.cluster.header.figures.failed_ranks, No::CounterOverflow)?;
    }
    Ok(())
}

fn health_after(event: &FailureEvent) -> Health {
    use crate::detect::FailureClass::{Isolated, RejoinRequested};
    match event.class {
        Isolated => Health::Isolated,
        RejoinRequested { .. } => Health::Rejoining,
        _ => Health::Failed,
    }
}

/// Begins an epoch with a plan over everything that is outstanding.
fn plan_anew(turn: &mut Turn<'_>) -> Result<(), No> {
    let cluster = &mut turn.cluster;
    increment(&mut cluster.header.epoch, No::EpochOverflow)?;
    increment(&mut cluster.header.figures.recovery_attempts, No::CounterOverflow)?;
    let outstanding: Vec<FailureEvent> = cluster.ranks.values().filter_map(|record| record.fault.clone()).collect();
    let restarts_max = cluster.config.restarts_max;
    let state = ClusterState { epoch: cluster.header.epoch, ranks: &cluster.ranks, restarts_max };
    let plan = compute_recovery_plan(state, &outstanding, &cluster.leases)?;
    let (hash, actions) = (plan.hash(), u32::try_from(plan.actions.len()).expect("one action for each rank"));
    cluster.header.plan = hash;
    cluster.header.open = true;
    turn.trace(Happening::Plan { hash, actions });
    execute::execute_recovery_plan(turn, plan)
}

/// What the orchestrator is told of leases.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LeaseOrder {
    /// The rank owns the partition; only this token is good.
    Grant { partition: Partition, rank: Rank, token: u64, expires_ms: u64 },
    /// No token up to this one is good.
    Fence { partition: Partition, token: u64 },
}

/// Traces lease transitions, counts and emits fences, and tells the orchestrator.
fn announce(turn: &mut Turn<'_>, changes: &[LeaseChange]) -> Result<(), No> {
    for change in changes {
        turn.trace(Happening::Lease(change.clone()));
        let LeaseChange { partition, to, token, why, .. } = *change;
        let fence = LeaseOrder::Fence { partition, token };
        if let Some(rank) = to {
            let crate::state::Standing::Held { expires_ms, .. } = turn.cluster.leases[&partition].standing else {
                continue;
            };
            let grant = LeaseOrder::Grant { partition, rank, token, expires_ms };
            turn.effect("grant", expires_ms, &grant, Some(&fence))?;
        }
        let trouble = match why {
            Why::Conflict => Trouble::LeaseConflict,
            Why::NoMajority => Trouble::NoMajority,
            _ => continue,
        };
        increment(&mut turn.cluster.header.figures.split_brain_prevented, No::CounterOverflow)?;
        emit(turn, &trouble.at(join(&["partition ", &decimal(partition.0), " is fenced at token ", &decimal(token)])));
        turn.effect("fence", u64::MAX, &fence, None)?;
    }
    Ok(())
}
