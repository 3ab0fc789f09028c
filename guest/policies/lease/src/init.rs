//! Initialisation: load the snapshots, validate the binding of the last checkpoint, set the recovery epoch.

use crate::{
    checkpoint::Binding,
    config::{PARTITIONS_MAX, RANKS_MAX},
    detect::{Detection, FailureClass, Finding},
    digest::{self, Digest},
    error::{ErrorRecord, No},
    events::{Init, LeaseSnapshot, RankSnapshot},
    procedure::recover,
    report::Answer,
    state::{HEADER, Header, Health, Lease, Partition, Rank, RankRecord, Standing, Verdict},
    table::Table,
    trace::Happening,
    turn::{Cluster, Turn},
};
use reprise_guest::{
    Host,
    abi::Rejection,
    text::{decimal, hex},
};

/// `init`.
///
/// # Errors
/// Initialised already, a configuration or snapshot that breaks a rule, a checkpoint that does not bind the snapshots.
pub fn init(host: &mut dyn Host, now_ms: u64, init: Init) -> Result<Answer, Rejection> {
    if HEADER.get(host)?.is_some() {
        return Err(No::AlreadyInitialised.into());
    }
    let failed: Vec<Rank> = init.ranks.iter().filter(|r| r.health == Health::Failed).map(|r| r.rank).collect();
    let cluster = load(init, now_ms)?;
    let mut turn = Turn::begin(host, now_ms, cluster);
    turn.trace(Happening::Initialised);
    let mut events = 0;
    if turn.cluster.header.awaits.is_none() {
        let lost = |rank| (Finding { rank, source_seq: 0, class: FailureClass::RankLost }, ());
        let findings = failed.into_iter().map(lost).collect();
        events = recover(&mut turn, Detection { findings, ..Detection::default() })?.events;
    }
    Ok(Answer::new(&turn.close()?, events, 0, &[]))
}

fn load(init: Init, now_ms: u64) -> Result<Cluster, ErrorRecord> {
    init.config.validate().map_err(|no| no.at("a name, a time or a limit is out of bounds"))?;
    let ranks = load_ranks(&init.ranks, now_ms)?;
    let leases = load_leases(&init, &ranks, now_ms)?;
    // The failure-event log begins with what it happens to.
    let snapshots = (init.epoch, init.event_seq, init.figures, &ranks, &leases);
    let failure_log = Digest::of_value(digest::FAILURE_LOG, &snapshots);
    let mut header = Header {
        epoch: init.epoch,
        event_seq: init.event_seq,
        effect_seq: 0,
        trace_seq: 0,
        failure_log,
        trace: Digest::default(),
        checkpoint: Digest::default(),
        plan: Digest::default(),
        figures: init.figures,
        open: false,
        verdict: Verdict::Stable,
        awaits: None,
    };
    let mut bound = leases;
    if let Some(reference) = init.checkpoint {
        let binding = Binding { epoch: init.epoch, leases: bound, pending_plan: reference.pending_plan };
        let found = binding.digest();
        if found != reference.binding {
            return Err(
                No::CheckpointMismatch.says(&["epoch, leases and pending plan have the digest ", &hex(&found.0)])
            );
        }
        header.checkpoint = reference.checkpoint;
        header.awaits = reference.pending_plan;
        bound = binding.leases;
    }
    Ok(Cluster { config: init.config, header, ranks, leases: bound, plan: None, execution: None })
}

fn load_ranks(snapshots: &[RankSnapshot], now_ms: u64) -> Result<Table<Rank, RankRecord>, ErrorRecord> {
    if snapshots.is_empty() || snapshots.len() > RANKS_MAX {
        return Err(No::BadRankCount.says(&[&decimal(snapshots.len() as u64), " ranks"]));
    }
    let mut ranks = Table::default();
    for RankSnapshot { rank, incarnation, health, restarts } in snapshots {
        // A failed rank begins as a healthy one that is then found lost, so that it takes the ordinary way.
        let health = match health {
            Health::Healthy | Health::Failed => Health::Healthy,
            Health::Evicted => Health::Evicted,
            _ => {
                return Err(No::BadConfig.says(&[
                    "rank ",
                    &decimal(rank.0),
                    " is neither healthy, failed nor evicted",
                ]));
            }
        };
        let (incarnation, restarts) = (*incarnation, *restarts);
        let record = RankRecord { health, incarnation, last_heartbeat_ms: now_ms, restarts, fault: None };
        if !ranks.insert_new(*rank, record) {
            return Err(No::Duplicate.of("rank ", rank.0));
        }
    }
    Ok(ranks)
}

fn load_leases(
    init: &Init,
    ranks: &Table<Rank, RankRecord>,
    now_ms: u64,
) -> Result<Table<Partition, Lease>, ErrorRecord> {
    if init.leases.len() > PARTITIONS_MAX {
        return Err(No::TooManyPartitions.says(&[&decimal(init.leases.len() as u64), " partitions"]));
    }
    let mut leases = Table::default();
    for snapshot in &init.leases {
        let LeaseSnapshot { partition, token, epoch, .. } = snapshot;
        let standing = load_standing(snapshot, now_ms, init.config.lease_ttl_ms)?;
        if let Standing::Held { owner, .. } = standing {
            let record = ranks.get(&owner).ok_or_else(|| No::UnknownRank.of("rank ", owner.0))?;
            if !record.health.may_own() {
                return Err(No::RankNotActive.says(&["rank ", &decimal(owner.0), " cannot own a partition"]));
            }
        }
        let epoch = epoch.unwrap_or(init.epoch);
        if epoch > init.epoch {
            return Err(No::EpochAhead.says(&["partition ", &decimal(partition.0), " is of epoch ", &decimal(epoch)]));
        }
        if !leases.insert_new(*partition, Lease { token: *token, epoch, standing }) {
            return Err(No::Duplicate.of("partition ", partition.0));
        }
    }
    Ok(leases)
}

fn load_standing(snapshot: &LeaseSnapshot, now_ms: u64, lease_ttl_ms: u64) -> Result<Standing, ErrorRecord> {
    match (&snapshot.standing, snapshot.owner, snapshot.expires_ms) {
        (Some(standing), None, None) => Ok(standing.clone()),
        (None, None, None) => Ok(Standing::Vacant { last: None, free_from_ms: 0 }),
        (None, Some(owner), Some(expires_ms)) => Ok(Standing::Held { owner, expires_ms }),
        (None, Some(owner), None) => {
            Ok(Standing::Held { owner, expires_ms: now_ms.checked_add(lease_ttl_ms).ok_or(No::TimeOverflow)? })
        }
        _ => {
            Err(No::BadConfig.says(&["partition ", &decimal(snapshot.partition.0), ": either an owner or a standing"]))
        }
    }
}
