//! Views: JSON of what the policy keeps. Arguments are not used.

use crate::{
    checkpoint::Checkpoint,
    digest::Digest,
    error::No,
    execute::Execution,
    plan::RecoveryPlan,
    report::Report,
    state::{CHECKPOINT, Lease, Partition, Rank, RankRecord, TRACE, Verdict},
    trace::TraceEntry,
    turn::Cluster,
};
use reprise_guest::{
    Host,
    abi::Rejection,
    json,
    rejection::{Code, SdkCode},
    text::{hex, join},
    wire,
};
use serde::Serialize;

/// Names of the views, ascending.
pub const VIEWS: [&str; 5] = ["checkpoint", "cluster", "plan", "report", "trace"];

/// The JSON of one view.
///
/// # Errors
/// [`No::NotInitialised`], [`No::NoCheckpoint`], unknown view.
pub fn view(host: &mut dyn Host, name: &str) -> Result<Vec<u8>, Rejection> {
    match name {
        "report" => Ok(json::of(&Report::of(&Cluster::load(host)?))),
        "plan" => Ok(json::of(&PlanView::of(&Cluster::load(host)?))),
        "cluster" => Ok(json::of(&ClusterView::of(&Cluster::load(host)?))),
        "trace" => trace(host),
        "checkpoint" => checkpoint(host),
        _ => Err(SdkCode::UnknownView.because(join(&["`", name, "`"]))),
    }
}

/// The pending plan, or that there is none.
#[derive(Serialize)]
struct PlanView<'a> {
    hash: Digest,
    plan: Option<&'a RecoveryPlan>,
    execution: Option<&'a Execution>,
}

impl<'a> PlanView<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        Self { hash: cluster.header.plan, plan: cluster.plan.as_ref(), execution: cluster.execution.as_ref() }
    }
}

#[derive(Serialize)]
struct ClusterView<'a> {
    epoch: u64,
    verdict: Verdict,
    ranks: Vec<RankView<'a>>,
    leases: Vec<LeaseView<'a>>,
}

#[derive(Serialize)]
struct RankView<'a> {
    rank: Rank,
    record: &'a RankRecord,
}

#[derive(Serialize)]
struct LeaseView<'a> {
    partition: Partition,
    lease: &'a Lease,
}

impl<'a> ClusterView<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        Self {
            epoch: cluster.header.epoch,
            verdict: cluster.header.verdict,
            ranks: cluster.ranks.iter().map(|(rank, record)| RankView { rank: *rank, record }).collect(),
            leases: cluster
                .leases
                .iter()
                .map(|(partition, lease)| LeaseView { partition: *partition, lease })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct TraceView {
    seq: u64,
    entry: TraceEntry,
}

fn trace(host: &mut dyn Host) -> Result<Vec<u8>, Rejection> {
    let entries: Vec<(u64, TraceEntry)> = TRACE.scan(host).collect::<Result<_, _>>()?;
    Ok(json::of(&entries.into_iter().map(|(seq, entry)| TraceView { seq, entry }).collect::<Vec<_>>()))
}

/// A checkpoint for people, and as `restore` takes it.
#[derive(Serialize)]
struct CheckpointView {
    checkpoint: Digest,
    binding: Digest,
    epoch: u64,
    at_ms: u64,
    pending_plan: Option<Digest>,
    record: String,
}

fn checkpoint(host: &mut dyn Host) -> Result<Vec<u8>, Rejection> {
    let checkpoint: Checkpoint = CHECKPOINT.get(host)?.ok_or(No::NoCheckpoint)?;
    Ok(json::of(&CheckpointView {
        checkpoint: checkpoint.digest(),
        binding: checkpoint.binding.digest(),
        epoch: checkpoint.binding.epoch,
        at_ms: checkpoint.at_ms,
        pending_plan: checkpoint.binding.pending_plan,
        record: hex(&wire::encode(&checkpoint)),
    }))
}
