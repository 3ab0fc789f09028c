//! The audit: everything is counted again and held against what the steps have counted.

use crate::{
    census::Census,
    error::No,
    events::Audit,
    state::{CapsuleId, EVICTED, FAULT, HEALTHY, HELD, LOADS, NODES, Node, NodeId, NodeState, ROUTES},
    turn::Turn,
};
use reprise_guest::{
    abi::{Rejection, limits::SCAN_ENTRIES_MAX},
    json::Json,
    text::{decimal, join},
};

/// Most capsules of one audit: routes are read one by one.
const AUDITED_MAX: u32 = 4_096;

/// Counts again. What does not add up is a violation: the ledger halts.
///
/// # Errors
/// [`No::UnknownNode`].
pub fn audit(turn: &mut Turn<'_>, audit: &Audit) -> Result<Vec<u8>, Rejection> {
    let (wrong, counted) = match audit.node {
        Some(id) => audit_capsules(turn, id)?,
        None => audit_nodes(turn)?,
    };
    if let Some(wrong) = wrong {
        FAULT.put(turn.host, &wrong);
    }
    turn.cluster.figures.audits += 1;
    Ok(Json::object().number("counted", counted).done())
}

/// Nodes by state, the list of the healthy ones, and the sum of all loads.
fn audit_nodes(turn: &mut Turn<'_>) -> Result<(Option<String>, u32), Rejection> {
    let nodes: Vec<(NodeId, Node)> = NODES.entries(turn.host)?;
    let listed: Vec<NodeId> = HEALTHY.keys(turn.host, None, SCAN_ENTRIES_MAX)?;
    let loads: Vec<(NodeId, u32)> = LOADS.entries(turn.host)?;
    let mut counted = Census { capsules: loads.iter().map(|(_, load)| *load).sum(), ..Census::default() };
    for (_, node) in &nodes {
        counted.by_state[node.state as usize] += 1;
    }
    let healthy = nodes.iter().filter(|(_, node)| node.state == NodeState::Healthy).map(|(id, _)| id);
    let wrong = if counted != turn.cluster.census {
        Some("nodes or capsules are not as many as was counted".into())
    } else if !healthy.eq(&listed) {
        Some("the list of the healthy nodes is another".into())
    } else {
        None
    };
    Ok((wrong, counted.nodes()))
}

/// The capsules of a node, up to 4,096 of them: each has its route, and together they are its load.
fn audit_capsules(turn: &mut Turn<'_>, id: NodeId) -> Result<(Option<String>, u32), Rejection> {
    if NODES.get(turn.host, &id)?.is_none() && EVICTED.get(turn.host, &id)?.is_none() {
        return Err(No::UnknownNode.node(id));
    }
    let load = LOADS.get(turn.host, &id)?.unwrap_or_default();
    let (mut count, mut after) = (0, None);
    while count < AUDITED_MAX {
        let page: Vec<CapsuleId> = HELD.keys_of(turn.host, &id, after.as_ref(), SCAN_ENTRIES_MAX)?;
        for capsule in &page {
            if ROUTES.get(turn.host, capsule)? != Some(id) {
                return Ok((Some(join(&["the route of capsule ", &decimal(capsule.0), " is another"])), count));
            }
            count += 1;
        }
        after = page.last().copied();
        if after.is_none() {
            break;
        }
    }
    let wrong = if after.is_none() && count != load || count > load {
        Some(join(&["node ", &decimal(id.0), " has another number of capsules"]))
    } else {
        None
    };
    Ok((wrong, count))
}
