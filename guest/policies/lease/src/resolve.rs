//! `UML_OS.Runtime.ResolveLeaseState_v1`: at most one owner for every partition; what cannot be decided is closed.
//!
//! Every partition is ruled on by itself: expiry, loss of the owner, undecided network partition, claims. Only the
//! assignment of what is free looks at all of them, in the order of their numbers, because it spreads the load.

use crate::{
    config::{Assignment, Config},
    detect::{FailureClass, Finding},
    error::No,
    state::{Health, Lease, Partition, Rank, RankRecord, Standing, increment},
    table::Table,
};
use serde::{Deserialize, Serialize};

/// A rank says that a partition is, or should be, its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Which partition.
    pub partition: Partition,
    /// Which rank.
    pub rank: Rank,
    /// In which recovery epoch.
    pub epoch: u64,
    /// Whether it asks or acts.
    pub kind: ClaimKind,
}

/// Whether a claim asks or acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimKind {
    /// The rank asks. It waits for the answer, so asking in vain does no harm.
    Requested,
    /// The rank was seen acting as the owner.
    Asserted,
}

/// One transition of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseChange {
    /// Of which partition.
    pub partition: Partition,
    /// Owner before.
    pub from: Option<Rank>,
    /// Owner after.
    pub to: Option<Rank>,
    /// Token after.
    pub token: u64,
    /// Why.
    pub why: Why,
}

/// Why a lease changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was not renewed in time.
    Expired,
    /// Its owner failed.
    OwnerLost,
    /// Two ranks have an equal claim.
    Conflict,
    /// Its owner is in a network partition without a strict majority.
    NoMajority,
    /// A claim won.
    Claimed,
    /// The policy chose.
    Assigned,
}

/// What resolving came to. The lease table itself is changed in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Transitions, in the order of the partitions.
    pub changes: Vec<LeaseChange>,
    /// Partitions that were fenced, as failures of the lowest rank concerned.
    pub fenced: Table<Finding, ()>,
    /// Claims that were refused, and why.
    pub refused: Vec<(Claim, No)>,
}

/// What claims, undecided ranks and time are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Rank health after the step's failures.
    pub ranks: &'a Table<Rank, RankRecord>,
    /// Lease time to live, assignment.
    pub config: &'a Config,
    /// The recovery epoch.
    pub epoch: u64,
    /// Milliseconds of logical time.
    pub now_ms: u64,
}

/// Resolves every lease: expiry, lost owners, undecided ranks, claims. `claims` is sorted.
///
/// # Errors
/// [`No::TokenOverflow`], [`No::TimeOverflow`].
pub fn resolve_lease_state(
    rules: Rules<'_>,
    leases: &mut Table<Partition, Lease>,
    claims: &[Claim],
    undecided: &Table<Rank, ()>,
) -> Result<Resolution, No> {
    let mut resolution = Resolution::default();
    for (partition, lease) in leases.iter_mut() {
        let begin = claims.partition_point(|claim| claim.partition < *partition);
        let end = claims.partition_point(|claim| claim.partition <= *partition);
        let mut one = OnePartition { rules, partition: *partition, lease, into: &mut resolution };
        one.expire_or_revoke();
        one.fence_undecided(undecided)?;
        one.rule_on(&claims[begin..end])?;
    }
    Ok(resolution)
}

struct OnePartition<'a> {
    rules: Rules<'a>,
    partition: Partition,
    lease: &'a mut Lease,
    into: &'a mut Resolution,
}

impl OnePartition<'_> {
    fn expire_or_revoke(&mut self) {
        let Standing::Held { owner, expires_ms } = self.lease.standing else { return };
        let record = self.rules.ranks.get(&owner);
        if record.is_none_or(|record| !record.health.may_own()) {
            let fault = record.and_then(|record| record.fault.as_ref());
            let confirmed = fault.is_some_and(|fault| fault.class.is_confirmed());
            let free_from_ms = if confirmed { self.rules.now_ms } else { expires_ms };
            self.change(Standing::Vacant { last: Some(owner), free_from_ms }, Why::OwnerLost);
        } else if self.rules.now_ms >= expires_ms {
            self.change(Standing::Vacant { last: Some(owner), free_from_ms: expires_ms }, Why::Expired);
        }
    }

    fn fence_undecided(&mut self, undecided: &Table<Rank, ()>) -> Result<(), No> {
        match self.lease.owner().filter(|owner| undecided.get(owner).is_some()) {
            Some(owner) => self.fence(owner, Why::NoMajority),
            None => Ok(()),
        }
    }

    fn rule_on(&mut self, claims: &[Claim]) -> Result<(), No> {
        let mut valid = Vec::new();
        for claim in claims {
            match self.admit(claim) {
                Ok(true) => valid.push(claim),
                Ok(false) => {}
                Err(no) => self.into.refused.push((claim.clone(), no)),
            }
        }
        let Some(highest) = valid.iter().map(|claim| claim.epoch).max() else { return Ok(()) };
        let best: Table<Rank, ()> = valid.iter().filter(|c| c.epoch == highest).map(|c| (c.rank, ())).collect();
        let contested = self.lease.owner().is_some() || best.len() > 1;
        let lowest = best.into_keys().next().expect("the highest epoch is some claim's");
        if contested {
            return self.fence(self.lease.owner().map_or(lowest, |owner| owner.min(lowest)), Why::Conflict);
        }
        self.grant(lowest, Why::Claimed)
    }

    /// Whether a claim counts: against a living lease as a contest, otherwise as a candidate.
    fn admit(&self, claim: &Claim) -> Result<bool, No> {
        if self.rules.ranks.get(&claim.rank).is_none_or(|record| record.health != Health::Healthy) {
            return Err(No::RankNotActive);
        }
        if claim.epoch > self.rules.epoch {
            return Err(No::EpochAhead);
        }
        match self.lease.standing {
            Standing::Fenced { .. } if claim.epoch <= self.lease.epoch => return Err(No::PartitionFenced),
            Standing::Held { owner, .. } if owner == claim.rank => return Ok(false),
            _ => {}
        }
        let too_old = match claim.kind {
            ClaimKind::Requested => claim.epoch < self.rules.epoch,
            ClaimKind::Asserted => claim.epoch < self.lease.epoch,
        };
        if too_old {
            return Err(No::StaleEpoch);
        }
        match self.lease.standing {
            Standing::Held { .. } if claim.kind == ClaimKind::Requested || claim.epoch > self.lease.epoch => {
                Err(No::LeaseHeld)
            }
            Standing::Vacant { free_from_ms, .. } | Standing::Fenced { free_from_ms }
                if self.rules.now_ms < free_from_ms =>
            {
                Err(No::LeaseDraining)
            }
            _ => Ok(true),
        }
    }

    fn grant(&mut self, to: Rank, why: Why) -> Result<(), No> {
        let expires_ms = self.time_to_live()?;
        increment(&mut self.lease.token, No::TokenOverflow)?;
        self.lease.epoch = self.rules.epoch;
        self.change(Standing::Held { owner: to, expires_ms }, why);
        Ok(())
    }

    /// Closes the partition for as long as anybody may believe in a lease: whoever acts as an owner without being known
    /// as one may have been told so just now.
    fn fence(&mut self, rank: Rank, why: Why) -> Result<(), No> {
        let partition = self.partition;
        let known_ms = if let Standing::Held { expires_ms, .. } = self.lease.standing { expires_ms } else { 0 };
        let free_from_ms = if why == Why::Conflict { known_ms.max(self.time_to_live()?) } else { known_ms };
        let class = match why {
            Why::NoMajority => FailureClass::NoMajority { partition },
            _ => FailureClass::LeaseConflict { partition },
        };
        self.into.fenced.insert_new(Finding { rank, source_seq: 0, class }, ());
        self.lease.epoch = self.rules.epoch;
        self.change(Standing::Fenced { free_from_ms }, why);
        Ok(())
    }

    fn time_to_live(&self) -> Result<u64, No> {
        self.rules.now_ms.checked_add(self.rules.config.lease_ttl_ms).ok_or(No::TimeOverflow)
    }

    fn change(&mut self, to: Standing, why: Why) {
        let from = self.lease.owner();
        self.lease.standing = to;
        let (partition, token, to) = (self.partition, self.lease.token, self.lease.owner());
        self.into.changes.push(LeaseChange { partition, from, to, token, why });
    }
}

/// Gives every free partition an owner, if the configuration says so and a healthy rank is there.
///
/// # Errors
/// [`No::TokenOverflow`], [`No::TimeOverflow`].
pub fn assign_vacant(rules: Rules<'_>, leases: &mut Table<Partition, Lease>) -> Result<Vec<LeaseChange>, No> {
    let mut resolution = Resolution::default();
    if rules.config.assignment == Assignment::ByClaim {
        return Ok(resolution.changes);
    }
    let healthy = rules.ranks.iter().filter(|(_, record)| record.health == Health::Healthy);
    let mut load: Table<Rank, u32> = healthy.map(|(rank, _)| (*rank, 0)).collect();
    for owner in leases.values().filter_map(Lease::owner) {
        count(&mut load, owner);
    }
    for (partition, lease) in leases.iter_mut() {
        let Standing::Vacant { last, free_from_ms } = lease.standing else { continue };
        let candidate = load.iter().min_by_key(|(rank, n)| (last == Some(**rank), **n, **rank)).map(|(rank, _)| *rank);
        let Some(to) = candidate.filter(|_| rules.now_ms >= free_from_ms) else { continue };
        OnePartition { rules, partition: *partition, lease, into: &mut resolution }.grant(to, Why::Assigned)?;
        count(&mut load, to);
    }
    Ok(resolution.changes)
}

/// One more lease for a rank that counts.
fn count(load: &mut Table<Rank, u32>, rank: Rank) {
    if let Some(leases) = load.get_mut(&rank) {
        *leases += 1;
    }
}

#[cfg(test)]
mod tests;
