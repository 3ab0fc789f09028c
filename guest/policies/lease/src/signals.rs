//! What ranks say all the time: heartbeats and renewals. They read and write a few keys, however large the cluster is.

use crate::{
    error::{ErrorRecord, No},
    events::{Heartbeat, LeaseRenew},
    state::{CONFIG, HEADER, Health, LEASES, Partition, RANKS, Rank, Standing, TOUCHED, Touched},
    trace::{Happening, TraceEntry},
};
use reprise_guest::{Host, abi::Rejection, text::decimal};

/// `heartbeat`: a rank lives.
///
/// Of a healthy rank this is one read and one write, and one call that tells `check` that there is nothing to look at.
///
/// # Errors
/// The rank is unknown, not active, or in another life.
pub fn heartbeat(host: &mut dyn Host, now_ms: u64, beat: &Heartbeat) -> Result<(), Rejection> {
    let rank = beat.rank;
    let Some(mut record) = RANKS.get(host, &rank)? else { return Err(no_rank(host, rank)?.into()) };
    if beat.incarnation != record.incarnation {
        let no = if beat.incarnation < record.incarnation { No::StaleIncarnation } else { No::UnexpectedIncarnation };
        return Err(no
            .says(&["rank ", &decimal(rank.0), " lives in incarnation ", &decimal(record.incarnation)])
            .into());
    }
    if !record.health.may_own() {
        return Err(No::RankNotActive.says(&["rank ", &decimal(rank.0), " is out until its action is done"]).into());
    }
    let was = record.health;
    record.health = Health::Healthy;
    record.last_heartbeat_ms = now_ms;
    RANKS.put(host, &rank, &record);
    TOUCHED.delete(host);
    if was == Health::Suspected {
        let mut header = HEADER.get(host)?.ok_or(No::NotInitialised)?;
        let what = vec![Happening::Rank { rank, from: was, to: Health::Healthy }];
        TraceEntry { at_ms: now_ms, epoch: header.epoch, what }.record(host, &mut header)?;
        HEADER.put(host, &header);
    }
    Ok(())
}

fn no_rank(host: &mut dyn Host, rank: Rank) -> Result<ErrorRecord, Rejection> {
    let known = HEADER.get(host)?.is_some();
    let no = if known { No::UnknownRank } else { No::NotInitialised };
    Ok(no.of("rank ", rank.0))
}

/// `lease_renew`: an owner goes on.
///
/// # Errors
/// The lease is not its own, not of that token, or has expired; overflow.
pub fn lease_renew(host: &mut dyn Host, now_ms: u64, renew: &LeaseRenew) -> Result<(), Rejection> {
    let header = HEADER.get(host)?.ok_or(No::NotInitialised)?;
    if header.awaits.is_some() {
        return Err(No::RestorePending.into());
    }
    let config = CONFIG.get(host)?.ok_or(No::NotInitialised)?;
    let LeaseRenew { partition, rank, token } = *renew;
    let mut lease = LEASES.get(host, &partition)?.ok_or_else(|| about(No::UnknownPartition, partition))?;
    let Standing::Held { owner, expires_ms } = &mut lease.standing else {
        let fenced = matches!(lease.standing, Standing::Fenced { .. });
        return Err(about(if fenced { No::PartitionFenced } else { No::NotOwner }, partition).into());
    };
    if *owner != rank {
        return Err(about(No::NotOwner, partition).into());
    }
    if lease.token != token {
        return Err(about(No::StaleToken, partition).into());
    }
    if now_ms >= *expires_ms {
        return Err(about(No::LeaseExpired, partition).into());
    }
    *expires_ms = now_ms.checked_add(config.lease_ttl_ms).ok_or(No::TimeOverflow)?;
    LEASES.put(host, &partition, &lease);
    TOUCHED.put(host, &Touched { epoch_before: header.epoch, partition: Some(partition) });
    Ok(())
}

fn about(no: No, partition: Partition) -> ErrorRecord {
    no.of("partition ", partition.0)
}

#[cfg(test)]
mod tests;
