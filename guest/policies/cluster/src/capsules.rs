//! Capsules come and go. Where they are is the routing table's business: see [`crate::moves`].

use crate::{
    error::No,
    events::{Assign, Retire},
    moves::{add_load, take_load},
    node::find,
    params::BATCH_MAX,
    state::{CapsuleId, HELD, NodeState, ROUTES},
    turn::Turn,
};
use reprise_guest::{abi::Rejection, json::Json};

/// New capsules on a healthy node.
///
/// # Errors
/// [`No::BadCapsuleCount`], [`No::UnknownNode`], [`No::WrongNodeState`], [`No::MutationsHalted`],
/// [`No::CapsuleAssigned`].
pub fn assign(turn: &mut Turn<'_>, assign: &Assign) -> Result<Vec<u8>, Rejection> {
    let count = count(&assign.capsules)?;
    let node = find(turn.host, assign.node)?;
    if node.state != NodeState::Healthy {
        return Err(No::WrongNodeState.says(&["a HEALTHY node takes capsules, not a ", node.state.name()]));
    }
    turn.mutable()?;
    for capsule in &assign.capsules {
        if ROUTES.get(turn.host, capsule)?.is_some() {
            return Err(No::CapsuleAssigned.number("capsule ", u64::from(capsule.0)));
        }
        ROUTES.put(turn.host, capsule, &assign.node);
        HELD.put(turn.host, &(assign.node, *capsule), &());
    }
    add_load(turn.host, assign.node, count)?;
    turn.cluster.census.capsules = turn
        .cluster
        .census
        .capsules
        .checked_add(count)
        .ok_or_else(|| No::BadCapsuleCount.says(&["at most 4,294,967,295 capsules"]))?;
    Ok(Json::object().done())
}

/// Capsules end, wherever they are.
///
/// # Errors
/// [`No::BadCapsuleCount`], [`No::MutationsHalted`], [`No::UnknownCapsule`].
pub fn retire(turn: &mut Turn<'_>, retire: &Retire) -> Result<Vec<u8>, Rejection> {
    let count = count(&retire.capsules)?;
    turn.mutable()?;
    for capsule in &retire.capsules {
        let Some(node) = ROUTES.get(turn.host, capsule)? else {
            return Err(No::UnknownCapsule.number("capsule ", u64::from(capsule.0)));
        };
        ROUTES.delete(turn.host, capsule);
        HELD.delete(turn.host, &(node, *capsule));
        take_load(turn.host, node, 1)?;
    }
    turn.cluster.census.capsules -= count;
    Ok(Json::object().done())
}

fn count(capsules: &[CapsuleId]) -> Result<u32, Rejection> {
    match u32::try_from(capsules.len()) {
        Ok(count @ 1..=BATCH_MAX) => Ok(count),
        _ => Err(No::BadCapsuleCount.says(&["1 to 1,024 capsules"])),
    }
}
