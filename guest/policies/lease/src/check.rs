//! Invariants, after every step that changed state.
//!
//! A heartbeat must not cost more in a large cluster than in a small one. So a step leaves word of what it touched, and
//! the invariants are held there: after a heartbeat nowhere (it can make a healthy rank only healthier), after a renewal
//! on that partition and its owner, after anything else on everything. A tick is such a step, so that whatever a
//! narrower check could have missed is found within one tick.

use crate::{
    state::{CONFIG, HEADER, Header, LEASES, Lease, Partition, RANKS, Rank, RankRecord, Standing, TOUCHED},
    turn::Cluster,
};
use reprise_guest::{
    Host,
    abi::{Rejection, Violation},
    text::{decimal, join},
};

/// Holds the invariants that the last step can have broken.
///
/// # Errors
/// The first one that does not hold.
pub fn check(host: &mut dyn Host) -> Result<(), Violation> {
    let Some(touched) = TOUCHED.get(host).map_err(unreadable)? else { return Ok(()) };
    let Some(partition) = touched.partition else { return check_all(host, touched.epoch_before) };
    let (Some(header), Some(lease)) =
        (HEADER.get(host).map_err(unreadable)?, LEASES.get(host, &partition).map_err(unreadable)?)
    else {
        return violated("state-present", join(&["partition ", &decimal(partition.0)]));
    };
    let owner = match lease.owner() {
        Some(owner) => RANKS.get(host, &owner).map_err(unreadable)?,
        None => None,
    };
    check_epoch(&header, touched.epoch_before)?;
    check_lease(&header, partition, &lease, owner.as_ref())
}

fn check_all(host: &mut dyn Host, epoch_before: u64) -> Result<(), Violation> {
    let cluster = Cluster::load(host).map_err(unreadable)?;
    check_epoch(&cluster.header, epoch_before)?;
    for (partition, lease) in cluster.leases.iter() {
        let owner = lease.owner().and_then(|owner| cluster.ranks.get(&owner));
        check_lease(&cluster.header, *partition, lease, owner)?;
    }
    for (rank, record) in cluster.ranks.iter() {
        check_rank(*rank, record)?;
    }
    check_plan(&cluster)?;
    if CONFIG.get(host).map_err(unreadable)?.is_none_or(|config| config.validate().is_err()) {
        return violated("configuration-pinned", String::new());
    }
    Ok(())
}

fn check_epoch(header: &Header, before: u64) -> Result<(), Violation> {
    if header.epoch >= before {
        Ok(())
    } else {
        violated("epoch-never-falls", join(&[&decimal(before), " to ", &decimal(header.epoch)]))
    }
}

/// At most one owner is given by the shape of [`Lease`]; that he may own, and under which epoch, is held here.
fn check_lease(
    header: &Header,
    partition: Partition,
    lease: &Lease,
    owner: Option<&RankRecord>,
) -> Result<(), Violation> {
    if matches!(lease.standing, Standing::Held { .. }) && owner.is_none_or(|record| !record.health.may_own()) {
        return violated("owner-is-an-active-member", join(&["partition ", &decimal(partition.0)]));
    }
    if lease.epoch > header.epoch {
        return violated("lease-epoch-has-begun", join(&["partition ", &decimal(partition.0)]));
    }
    Ok(())
}

/// A rank waits for an action exactly when a failure event says so.
fn check_rank(rank: Rank, record: &RankRecord) -> Result<(), Violation> {
    use crate::state::Health::{Evicted, Healthy, Suspected};
    let at_rest = matches!(record.health, Healthy | Suspected | Evicted);
    if at_rest == record.fault.is_none() {
        Ok(())
    } else {
        violated("failure-has-an-event", join(&["rank ", &decimal(rank.0)]))
    }
}

fn check_plan(cluster: &Cluster) -> Result<(), Violation> {
    match (&cluster.plan, &cluster.execution) {
        (None, None) => {}
        (Some(plan), Some(execution)) => {
            if !plan.is_ordered() {
                return violated("plan-in-order", join(&["plan of epoch ", &decimal(plan.epoch)]));
            }
            if plan.epoch != cluster.header.epoch || plan.hash() != cluster.header.plan {
                return violated("plan-is-of-this-epoch", join(&["plan of epoch ", &decimal(plan.epoch)]));
            }
            if usize::try_from(execution.next).is_ok_and(|next| next >= plan.actions.len()) {
                return violated("action-in-flight-exists", join(&["action ", &decimal(execution.next)]));
            }
        }
        _ => return violated("plan-has-its-execution", String::new()),
    }
    let waiting = cluster.ranks.iter().filter(|(_, record)| record.fault.is_some());
    let awaited = cluster.header.awaits.is_some();
    let planned = |rank: &Rank| cluster.plan.as_ref().is_some_and(|p| p.actions.iter().any(|a| a.rank == *rank));
    for (rank, _) in waiting {
        if !awaited && !planned(rank) {
            return violated("failure-is-in-the-plan", join(&["rank ", &decimal(rank.0)]));
        }
    }
    Ok(())
}

fn violated(invariant: &str, detail: String) -> Result<(), Violation> {
    Err(Violation { invariant: invariant.into(), detail })
}

fn unreadable(why: impl Into<Rejection>) -> Violation {
    Violation { invariant: "state-readable".into(), detail: why.into().detail }
}

#[cfg(test)]
mod tests;
