//! Who belongs to the cluster: eviction (3.1) and admission.

use crate::{
    error::No,
    events::NodeOrder,
    leader, moves,
    node::{self, find},
    order::Order,
    params::NODES_MAX,
    state::{EVICTED, HEALTHY, MOVES, NODES, Node, NodeId, NodeState, REPORTS},
    turn::{NODE_AGENT, Turn, verb},
};
use reprise_guest::{abi::Rejection, json::Json};

/// Takes a node out, whatever its state. Its capsules move as soon as nothing is halted.
///
/// # Errors
/// Corrupt state.
pub fn evict(turn: &mut Turn<'_>, id: NodeId, node: &Node, incident: u64) -> Result<(), Rejection> {
    forget(turn, id)?;
    turn.cluster.census.by_state[node.state as usize] -= 1;
    if node.state == NodeState::Healthy {
        HEALTHY.delete(turn.host, &id);
    }
    NODES.delete(turn.host, &id);
    EVICTED.put(turn.host, &id, &turn.now_ms);
    turn.cluster.suspects.retain(|suspect| *suspect != id);
    turn.cluster.figures.evictions += 1;
    let mut payload = verb("evict");
    payload.number("node", id.0);
    turn.order(NODE_AGENT, turn.timeouts.retry_ms, &mut payload, None, &Order::Evict(id, incident));
    if MOVES.get(turn.host, &id)?.is_none() {
        moves::begin(turn, id, turn.now_ms)?;
    }
    leader::lost(turn, id)?;
    moves::finish_all(turn)
}

/// The node's report counts no more; if it comes back within the round, it may report again.
///
/// # Errors
/// Corrupt state.
pub fn forget(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Rejection> {
    if let Some(report) = REPORTS.get(turn.host, &id)? {
        let round = &mut turn.cluster.round;
        if report.round == round.number && !round.conflict {
            round.agree = round.agree.saturating_sub(1);
        }
        REPORTS.delete(turn.host, &id);
    }
    Ok(())
}

/// An operator evicts a node.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownNode`], [`No::NodeEvicted`], [`No::Busy`], [`No::NoHealthyNodes`].
pub fn evict_by_hand(turn: &mut Turn<'_>, order: &NodeOrder) -> Result<Vec<u8>, Rejection> {
    turn.operator(&order.operator)?;
    let node = find(turn.host, order.node)?;
    turn.idle()?;
    let others = turn.cluster.census.responsive() - u32::from(node.state == NodeState::Healthy);
    if others == 0 {
        return Err(No::NoHealthyNodes.says(&["nobody would be left to take over"]));
    }
    evict(turn, order.node, &node, 0)?;
    turn.judge();
    Ok(Json::object().done())
}

/// An operator lets a node in, a new one or one that was evicted. It begins like one that is restarted by hand.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::NodeKnown`], [`No::BadNodeCount`], [`No::MutationsHalted`], [`No::TransfersInFlight`].
pub fn admit(turn: &mut Turn<'_>, order: &NodeOrder) -> Result<Vec<u8>, Rejection> {
    turn.operator(&order.operator)?;
    let id = order.node;
    if NODES.get(turn.host, &id)?.is_some() {
        return Err(No::NodeKnown.node(id));
    }
    turn.mutable()?;
    if turn.cluster.census.nodes() >= NODES_MAX {
        return Err(No::BadNodeCount.says(&["at most 1,000 nodes"]));
    }
    moves::require_landed(turn, id)?;
    MOVES.delete(turn.host, &id);
    EVICTED.delete(turn.host, &id);
    turn.cluster.census.by_state[NodeState::Offline as usize] += 1;
    node::begin_restart(turn, id, Node::new(NodeState::Offline, turn.now_ms));
    Ok(Json::object().done())
}
