//! Invariants, after every step that changed state (X12).
//!
//! They hold the cluster's record against itself and against the nodes whose state the last step changed, so that a
//! step costs the same in a cluster of any size. What only a look at everything can find, an audit finds: it leaves
//! word in [`FAULT`], and the step that left it is discarded here.

use crate::{
    census::Census,
    consensus::Quorum,
    halt::Halt,
    params::NODES_MAX,
    state::{CLUSTER, Change, Cluster, FAULT, HALT, HEALTHY, NODES, NodeState, Phase},
};
use reprise_guest::{
    Host,
    abi::{Rejection, Violation},
    text::decimal,
};

/// Holds the invariants.
///
/// # Errors
/// The first one that does not hold.
pub fn check(host: &mut dyn Host) -> Result<(), Violation> {
    if let Some(fault) = FAULT.get(host).map_err(unreadable)? {
        return violated("audit-finds-nothing", &fault);
    }
    let Some(cluster) = CLUSTER.get(host).map_err(unreadable)? else { return Ok(()) };
    check_whole(&cluster)?;
    check_halt(&cluster, HALT.get(host).map_err(unreadable)?.as_deref())?;
    if let Some(leader) = &cluster.leader {
        let node = NODES.get(host, &leader.node).map_err(unreadable)?;
        if leader.term != cluster.term || !node.is_some_and(|node| node.state.is_member()) {
            return violated("leader-is-a-member", &decimal(leader.node.0));
        }
    }
    for (index, change) in cluster.changes.iter().enumerate() {
        let last = cluster.changes[index + 1..].iter().all(|later| later.node != change.node);
        check_change(host, change, last)?;
    }
    Ok(())
}

fn check_whole(cluster: &Cluster) -> Result<(), Violation> {
    let Census { by_state, .. } = &cluster.census;
    let nodes = by_state.iter().try_fold(0_u32, |sum, count| sum.checked_add(*count));
    if !nodes.is_some_and(|nodes| (1..=NODES_MAX).contains(&nodes)) {
        return violated("node-count-in-bounds", "");
    }
    let writable = cluster.accepts_proposals();
    if writable && !cluster.census.has_quorum() {
        return violated("no-change-without-a-quorum", "");
    }
    if cluster.phase == Phase::Running && cluster.causes.quorum == Quorum::Back && !cluster.census.has_quorum() {
        return violated("quorum-is-back", "");
    }
    if let Some(ballot) = &cluster.ballot {
        if !writable {
            return violated("no-ballot-while-halted", &decimal(ballot.number));
        }
        if ballot.yes.checked_add(ballot.no).is_none_or(|votes| votes > ballot.voters) {
            return violated("one-vote-for-each-node", &decimal(ballot.number));
        }
    }
    if cluster.round.agree > cluster.census.members() || cluster.round.conflict && cluster.round.agree > 0 {
        return violated("one-report-for-each-member", &decimal(cluster.round.number));
    }
    if !cluster.suspects.is_sorted() {
        return violated("suspects-in-order", "");
    }
    Ok(())
}

fn check_halt(cluster: &Cluster, halt: Option<&Halt>) -> Result<(), Violation> {
    let Some(halt) = halt else {
        return if cluster.phase == Phase::Halting { violated("halt-has-a-record", "") } else { Ok(()) };
    };
    if halt.first.is_empty() || halt.first == halt.second {
        return violated("halt-has-two-operators", &decimal(halt.number));
    }
    if cluster.phase == Phase::Halting && (halt.is_pending() || halt.success.is_some()) {
        return violated("halting-is-undecided", &decimal(halt.number));
    }
    if halt.success == Some(true) && halt.acks < halt.need {
        return violated("halt-succeeds-by-quorum", &decimal(halt.number));
    }
    Ok(())
}

/// A node changed by a transition of the document; index, record and schedule say the same of it.
fn check_change(host: &mut dyn Host, change: &Change, last: bool) -> Result<(), Violation> {
    let id = decimal(change.node.0);
    if !change.from.may_become(change.to) {
        return violated("only-documented-transitions", &id);
    }
    let node = NODES.get(host, &change.node).map_err(unreadable)?;
    let Some(node) = node.filter(|_| last) else { return Ok(()) };
    if node.state != change.to {
        return violated("node-is-in-its-state", &id);
    }
    let listed = HEALTHY.get(host, &change.node).map_err(unreadable)?.is_some();
    if listed != (node.state == NodeState::Healthy) {
        return violated("healthy-nodes-are-listed", &id);
    }
    // An attempt is under way, or the timer was set to begin one: nobody missing is forgotten.
    let attempted = node.order != 0 || node.due_ms > node.beat_ms;
    if matches!(node.state, NodeState::Degraded | NodeState::Failing | NodeState::Recovering) && !attempted {
        return violated("missing-nodes-are-attempted", &id);
    }
    Ok(())
}

#[inline(never)]
fn violated(invariant: &str, detail: &str) -> Result<(), Violation> {
    Err(Violation { invariant: invariant.into(), detail: detail.into() })
}

#[inline(never)]
fn unreadable(why: impl Into<Rejection>) -> Violation {
    Violation { invariant: "state-readable".into(), detail: why.into().detail }
}

#[cfg(test)]
mod tests;
