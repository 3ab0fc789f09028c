//! One node: heartbeat, silence, three retries, failover, restart (2.1, 2.2).
//!
//! Every node has one timer, named after it. What it means depends on the node's state, so nothing has to be cancelled:
//!
//! | state | the timer says | an order ends |
//! | --- | --- | --- |
//! | HEALTHY | silent for too long? | |
//! | DEGRADED | time for the next retry | done: HEALTHY; else the next retry, after the third FAILING |
//! | FAILING | time for the failover; without a quorum for another recovery | done: HEALTHY |
//! | RECOVERING | time for another restart | done: HEALTHY |

use crate::{
    error::No,
    events::{Beat, NodeOrder},
    leader, membership, moves,
    order::Order,
    params::RETRIES,
    state::{CLUSTER, EVICTED, MOVES, NODES, Node, NodeId, NodeState},
    turn::{NODE_AGENT, To, Turn, verb},
};
use reprise_guest::{Host, abi::Rejection, json::Json};

/// A sign of life. Of a healthy node it is two host calls, however large the cluster.
///
/// # Errors
/// [`No::NotInitialised`], [`No::UnknownNode`], [`No::NodeEvicted`], [`No::NodeOffline`].
pub fn heartbeat(host: &mut dyn Host, now_ms: u64, beat: &Beat) -> Result<Vec<u8>, Rejection> {
    let mut node = find(host, beat.node)?;
    match node.state {
        NodeState::Healthy => {
            node.beat_ms = now_ms;
            NODES.put(host, &beat.node, &node);
        }
        NodeState::Offline => return Err(No::NodeOffline.node(beat.node)),
        NodeState::Degraded | NodeState::Failing | NodeState::Recovering => {
            let mut turn = Turn::open(host, now_ms)?;
            recovered(&mut turn, beat.node, node);
            turn.close();
        }
    }
    Ok(Vec::new())
}

/// A node of the cluster.
///
/// # Errors
/// [`No::NotInitialised`], [`No::UnknownNode`], [`No::NodeEvicted`].
#[inline(never)]
pub fn find(host: &mut dyn Host, id: NodeId) -> Result<Node, Rejection> {
    if let Some(node) = NODES.get(host, &id)? {
        return Ok(node);
    }
    if CLUSTER.get(host)?.is_none() {
        return Err(No::NotInitialised.says(&["send `init` first"]));
    }
    Err(if EVICTED.get(host, &id)?.is_some() { No::NodeEvicted } else { No::UnknownNode }.node(id))
}

/// The node's timer is due. While the node's agent is asked, its answer is waited for: the timer is of an earlier
/// setting.
///
/// # Errors
/// Corrupt state.
pub fn due(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Rejection> {
    let Some(mut node) = NODES.get(turn.host, &id)?.filter(|node| node.order == 0) else { return Ok(()) };
    match node.state {
        NodeState::Healthy => {
            let silent_ms = turn.now_ms.saturating_sub(node.beat_ms);
            match turn.timeouts.heartbeat_ms.checked_sub(silent_ms) {
                Some(rest_ms @ 1..) => turn.wake(id, rest_ms),
                _ => degrade(turn, id, node),
            }
        }
        NodeState::Degraded => revive(turn, id, node, "probe", turn.timeouts.retry_ms),
        NodeState::Failing if turn.cluster.accepts_proposals() => fail_over(turn, id, &mut node)?,
        NodeState::Failing => revive(turn, id, node, "recover", turn.timeouts.recovery_interval_ms),
        NodeState::Recovering => revive(turn, id, node, "restart", turn.timeouts.recovery_interval_ms),
        NodeState::Offline => {}
    }
    Ok(())
}

fn degrade(turn: &mut Turn<'_>, id: NodeId, mut node: Node) {
    turn.change(id, &mut node, NodeState::Degraded);
    node.retries = 0;
    revive(turn, id, node, "probe", turn.timeouts.retry_ms);
}

/// Asks the node's agent for a sign of life, a recovery or a restart.
#[inline(never)]
fn revive(turn: &mut Turn<'_>, id: NodeId, mut node: Node, what: &str, for_ms: u64) {
    let attempt = node.retries.saturating_add(1);
    let mut payload = verb(what);
    payload.number("node", id.0).number("attempt", attempt);
    node.order = turn.order(NODE_AGENT, for_ms, &mut payload, None, &Order::Revive(id));
    node.due_ms = turn.now_ms.saturating_add(for_ms);
    NODES.put(turn.host, &id, &node);
}

/// A retry, recovery or restart has ended.
///
/// # Errors
/// Corrupt state.
pub fn revived(turn: &mut Turn<'_>, number: u64, id: NodeId, done: bool) -> Result<(), Rejection> {
    let Some(mut node) = NODES.get(turn.host, &id)? else { return Ok(()) };
    if node.order != number {
        return Ok(());
    }
    if done {
        recovered(turn, id, node);
        return Ok(());
    }
    node.order = 0;
    node.retries = node.retries.saturating_add(1);
    // A driver may fail faster than a retry takes: the next one waits until the time of this one is over.
    let mut wait_ms = node.due_ms.saturating_sub(turn.now_ms);
    if node.state == NodeState::Degraded && node.retries >= RETRIES {
        turn.change(id, &mut node, NodeState::Failing);
        wait_ms = turn.timeouts.failover_delay_ms;
    }
    if node.state == NodeState::Recovering && node.retries == 1 {
        turn.alert(To::Operators, "restart_failed", Json::object().number("node", id.0));
    }
    node.due_ms = turn.now_ms.saturating_add(wait_ms);
    NODES.put(turn.host, &id, &node);
    if wait_ms == 0 {
        return due(turn, id);
    }
    turn.wake(id, wait_ms);
    Ok(())
}

/// Recovery succeeded: back to HEALTHY.
#[inline(never)]
fn recovered(turn: &mut Turn<'_>, id: NodeId, mut node: Node) {
    if node.state == NodeState::Recovering {
        // The open ballot counted its voters without this node.
        node.ballot = turn.cluster.last.ballot;
        node.vote = None;
    }
    turn.change(id, &mut node, NodeState::Healthy);
    node = Node { retries: 0, order: 0, beat_ms: turn.now_ms, ..node };
    turn.cluster.figures.recoveries += 1;
    NODES.put(turn.host, &id, &node);
    turn.wake(id, turn.timeouts.heartbeat_ms);
}

/// FAILING to OFFLINE: its capsules move, and if it led, another node does. The others go on as N-1.
fn fail_over(turn: &mut Turn<'_>, id: NodeId, node: &mut Node) -> Result<(), Rejection> {
    turn.change(id, node, NodeState::Offline);
    node.order = 0;
    NODES.put(turn.host, &id, node);
    turn.cluster.figures.failovers += 1;
    membership::forget(turn, id)?;
    moves::begin(turn, id, node.beat_ms)?;
    leader::lost(turn, id)?;
    moves::finish_all(turn)
}

/// An operator fails a node over where the policy may not: when the quorum is lost.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownNode`], [`No::WrongNodeState`], [`No::NoHealthyNodes`], [`No::Busy`].
pub fn failover_by_hand(turn: &mut Turn<'_>, order: &NodeOrder) -> Result<Vec<u8>, Rejection> {
    turn.operator(&order.operator)?;
    let mut node = find(turn.host, order.node)?;
    if node.state != NodeState::Failing {
        return Err(No::WrongNodeState.says(&["only a FAILING node fails over, not a ", node.state.name()]));
    }
    turn.idle()?;
    moves::require_healthy(turn)?;
    fail_over(turn, order.node, &mut node)?;
    turn.judge();
    Ok(Json::object().done())
}

/// An operator restarts an offline node.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownNode`], [`No::WrongNodeState`], [`No::TransfersInFlight`].
pub fn restart(turn: &mut Turn<'_>, order: &NodeOrder) -> Result<Vec<u8>, Rejection> {
    turn.operator(&order.operator)?;
    let id = order.node;
    let node = find(turn.host, id)?;
    if node.state != NodeState::Offline {
        return Err(No::WrongNodeState.says(&["only an OFFLINE node restarts, not a ", node.state.name()]));
    }
    moves::require_landed(turn, id)?;
    // What has not moved stays where it is.
    MOVES.delete(turn.host, &id);
    begin_restart(turn, id, node);
    Ok(Json::object().done())
}

/// OFFLINE to RECOVERING.
pub fn begin_restart(turn: &mut Turn<'_>, id: NodeId, mut node: Node) {
    turn.change(id, &mut node, NodeState::Recovering);
    node.retries = 0;
    revive(turn, id, node, "restart", turn.timeouts.recovery_interval_ms);
}
