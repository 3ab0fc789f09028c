//! Redistribution: the capsules of a node that is out are dealt to the healthy ones, round-robin (2.4).
//!
//! Capsules are taken in the order of their numbers, targets in the order of theirs: the i-th capsule goes to
//! `healthy[i % len]`. At most [`BATCH_MAX`] capsules fly at a time; when all have landed the next batch follows, so
//! that a node with a million capsules needs many steps but no large one. The routing table changes when a transfer is
//! done, not before: until then the capsule is where it was.

use crate::{
    error::No,
    events::{Fields, NodeOrder},
    order::Order,
    params::{BATCH_MAX, NODE_RECOVERY_TARGET_MS, ORDERS_MAX, RETRIES, STEP_NODES_MAX},
    state::{CapsuleId, EVICTED, HEALTHY, HELD, LOADS, MOVES, NODES, NodeId, NodeState, ROUTES},
    turn::{BROADCAST, NODE_AGENT, To, Turn, verb},
};
use reprise_guest::{Host, LogLevel, abi::Rejection, compact::stored, json::Json, rejection::Code, text::decimal};

/// How far the capsules of one node are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The node's last sign of life, in milliseconds: what its recovery is measured from.
    pub since_ms: u64,
    /// Capsules dealt so far.
    pub dealt: u32,
    /// The last of them.
    pub after: Option<CapsuleId>,
    /// Transfers that have not ended.
    pub flying: u32,
    /// Capsules that no node took.
    pub stuck: u32,
    /// Every capsule was dealt.
    pub drained: bool,
}
stored!(Move { since_ms, dealt, after, flying, stuck, drained });

/// One transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Whose capsules.
    pub from: NodeId,
    /// To which node.
    pub to: NodeId,
    /// Attempts before this one.
    pub failed: u32,
    /// Which, ascending.
    pub capsules: Vec<CapsuleId>,
}
stored!(Transfer { from, to, failed, capsules });

/// Begins to move a node's capsules away.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn begin(turn: &mut Turn<'_>, from: NodeId, since_ms: u64) -> Result<(), Rejection> {
    deal(turn, from, Move { since_ms, dealt: 0, after: None, flying: 0, stuck: 0, drained: false })
}

/// Deals the next batch, if nothing is halted.
fn deal(turn: &mut Turn<'_>, from: NodeId, mut moving: Move) -> Result<(), Rejection> {
    if turn.cluster.accepts_proposals() {
        let batch = batch(turn, from, moving.after)?;
        moving.drained = batch.is_empty();
        let targets = targets(turn, &moving, batch.len())?;
        if targets.is_empty() && !batch.is_empty() {
            no_healthy_nodes(turn, from);
        } else if let Some(last) = batch.last() {
            moving.after = Some(*last);
            moving.flying = send(turn, from, &batch, &targets, moving.dealt);
            moving.dealt += u32::try_from(batch.len()).unwrap_or(u32::MAX);
        }
    }
    MOVES.put(turn.host, &from, &moving);
    Ok(())
}

/// The next capsules: so few that not more than [`ORDERS_MAX`] nodes get some of them.
fn batch(turn: &mut Turn<'_>, from: NodeId, after: Option<CapsuleId>) -> Result<Vec<CapsuleId>, Rejection> {
    let limit = if turn.cluster.census.responsive() <= ORDERS_MAX { BATCH_MAX } else { ORDERS_MAX };
    HELD.keys_of(turn.host, &from, after.as_ref(), limit)
}

/// The healthy nodes that so many capsules are dealt to; all of them, unless the first few are enough.
fn targets(turn: &mut Turn<'_>, moving: &Move, count: usize) -> Result<Vec<NodeId>, Rejection> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let all = turn.cluster.census.responsive();
    let enough = moving.dealt.saturating_add(count).min(all);
    HEALTHY.keys(turn.host, None, enough)
}

/// One transfer for each target that gets something. Answers how many.
fn send(turn: &mut Turn<'_>, from: NodeId, batch: &[CapsuleId], targets: &[NodeId], dealt: u32) -> u32 {
    let mut hands: Vec<Vec<CapsuleId>> = targets.iter().map(|_| Vec::new()).collect();
    let mut at = dealt as usize % targets.len();
    for capsule in batch {
        hands[at].push(*capsule);
        at = if at + 1 == targets.len() { 0 } else { at + 1 };
    }
    let mut sent = 0;
    for (to, capsules) in targets.iter().zip(hands) {
        if !capsules.is_empty() {
            transfer(turn, Transfer { from, to: *to, failed: 0, capsules });
            sent += 1;
        }
    }
    sent
}

fn transfer(turn: &mut Turn<'_>, transfer: Transfer) {
    let order = |what| {
        let mut order = verb(what);
        order.number("from", transfer.from.0).number("to", transfer.to.0).numbers("capsules", &transfer.capsules);
        order
    };
    let (mut act, mut undo) = (order("transfer"), order("take_back"));
    turn.order(NODE_AGENT, turn.timeouts.transfer_ms, &mut act, Some(&mut undo), &Order::Transfer(transfer));
}

/// A transfer has ended. A done one may answer `{"unhealthy": [3, 7]}`: capsules that did not arrive in good health.
///
/// # Errors
/// Corrupt state.
pub fn landed(turn: &mut Turn<'_>, mut flight: Transfer, answer: Option<&[u8]>) -> Result<(), Rejection> {
    let from = flight.from;
    let Some(mut moving) = MOVES.get(turn.host, &from)? else { return Ok(()) };
    let target = NODES.get(turn.host, &flight.to)?;
    let arrived = answer.filter(|_| target.is_some_and(|target| target.state.is_member()));
    if let Some(answer) = arrived {
        reroute(turn, &flight)?;
        verify_health(turn, &flight, answer);
    } else {
        flight.failed += 1;
        let next = if flight.failed < RETRIES && turn.cluster.accepts_proposals() {
            healthy_after(turn, Some(flight.to))?
        } else {
            None
        };
        if let Some(to) = next {
            transfer(turn, Transfer { to, ..flight });
            return Ok(());
        }
        moving.stuck += u32::try_from(flight.capsules.len()).unwrap_or(u32::MAX);
        let mut details = Json::object();
        details.number("from", from.0).numbers("capsules", &flight.capsules);
        turn.alert(To::Operators, "capsules_not_moved", &mut details);
    }
    moving.flying = moving.flying.saturating_sub(1);
    if moving.flying > 0 {
        MOVES.put(turn.host, &from, &moving);
        return Ok(());
    }
    deal(turn, from, moving)?;
    finish_all(turn)
}

/// The routing table says where the capsules are now.
fn reroute(turn: &mut Turn<'_>, flight: &Transfer) -> Result<(), Rejection> {
    let mut count = 0;
    for capsule in &flight.capsules {
        // A capsule may have ended while it was on its way.
        if ROUTES.get(turn.host, capsule)? == Some(flight.from) {
            HELD.delete(turn.host, &(flight.from, *capsule));
            HELD.put(turn.host, &(flight.to, *capsule), &());
            ROUTES.put(turn.host, capsule, &flight.to);
            count += 1;
        }
    }
    add_load(turn.host, flight.to, count)?;
    take_load(turn.host, flight.from, count)?;
    turn.cluster.figures.moved += u64::from(count);
    Ok(())
}

/// Fourth step of the strategy (2.4). An answer that cannot be read vouches for no capsule.
fn verify_health(turn: &mut Turn<'_>, flight: &Transfer, answer: &[u8]) {
    let unhealthy = match Fields::read(answer) {
        _ if answer.is_empty() => Vec::new(),
        Some(mut arrival) => {
            let mut unhealthy = arrival.unhealthy.take().unwrap_or_default();
            unhealthy.retain(|capsule| flight.capsules.contains(capsule));
            unhealthy
        }
        None => flight.capsules.clone(),
    };
    if !unhealthy.is_empty() {
        turn.cluster.figures.unhealthy += unhealthy.len() as u64;
        let mut details = Json::object();
        details.number("node", flight.to.0).numbers("capsules", &unhealthy);
        turn.alert(To::Operators, "capsules_unhealthy", &mut details);
    }
}

/// Ends the recoveries that have nothing left to do: all capsules moved, a leader confirmed. Resume with N-1 (2.1).
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn finish_all(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    if !turn.running() || !turn.cluster.leader.as_ref().is_some_and(|leader| leader.confirmed) {
        return Ok(());
    }
    let moves: Vec<(NodeId, Move)> = MOVES.entries(turn.host)?;
    for (from, moving) in moves {
        if moving.drained && moving.flying == 0 && moving.stuck == 0 {
            MOVES.delete(turn.host, &from);
            let took_ms = turn.now_ms.saturating_sub(moving.since_ms);
            turn.cluster.figures.last_recovery_ms = took_ms;
            turn.cluster.figures.late_recoveries += u64::from(took_ms >= NODE_RECOVERY_TARGET_MS);
            let (nodes, moved) = (turn.cluster.census.members(), decimal(moving.dealt));
            turn.log(LogLevel::Info, &["redistributed ", &moved, " capsules from node ", &decimal(from.0)]);
            turn.say(BROADCAST, verb("resume").number("without", from.0).number("nodes", nodes));
        }
    }
    Ok(())
}

/// Moves that wait have another try, from their beginning: what they have moved is not theirs any more. A few at a time,
/// those of node `first` and up; what is left follows when this tick is over.
///
/// # Errors
/// Corrupt state.
pub fn wake(turn: &mut Turn<'_>, first: u32) -> Result<(), Rejection> {
    let moves = MOVES.entries(turn.host)?;
    let mut waiting = moves.into_iter().filter(|(from, moving)| from.0 >= first && moving.flying == 0);
    for (from, moving) in waiting.by_ref().take(STEP_NODES_MAX) {
        begin(turn, from, moving.since_ms)?;
    }
    if let Some((next, _)) = waiting.next() {
        turn.cluster.wake = Some(next.0);
        turn.judge();
    }
    finish_all(turn)
}

/// An operator has another try at a node's capsules.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownNode`], [`No::WrongNodeState`], [`No::TransfersInFlight`],
/// [`No::NothingToMove`], [`No::MutationsHalted`], [`No::NoHealthyNodes`].
pub fn redistribute(turn: &mut Turn<'_>, order: &NodeOrder) -> Result<Vec<u8>, Rejection> {
    turn.operator(&order.operator)?;
    let id = order.node;
    if EVICTED.get(turn.host, &id)?.is_none() {
        let node = crate::node::find(turn.host, id)?;
        if node.state != NodeState::Offline {
            return Err(No::WrongNodeState.says(&["the node is ", node.state.name()]));
        }
    }
    require_landed(turn, id)?;
    let since_ms = MOVES.get(turn.host, &id)?.map_or(turn.now_ms, |moving| moving.since_ms);
    if LOADS.get(turn.host, &id)?.is_none() {
        return Err(No::NothingToMove.node(id));
    }
    require_healthy(turn)?;
    turn.mutable()?;
    begin(turn, id, since_ms)?;
    Ok(Json::object().done())
}

/// Somebody could take over.
///
/// # Errors
/// [`No::NoHealthyNodes`].
pub fn require_healthy(turn: &Turn<'_>) -> Result<(), Rejection> {
    if turn.cluster.census.responsive() > 0 {
        return Ok(());
    }
    Err(No::NoHealthyNodes.says(&["cannot redistribute, no node is HEALTHY"]))
}

/// Nothing of the node is on its way.
///
/// # Errors
/// [`No::TransfersInFlight`].
#[inline(never)]
pub fn require_landed(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Rejection> {
    match MOVES.get(turn.host, &id)? {
        Some(moving) if moving.flying > 0 => Err(No::TransfersInFlight.node(id)),
        _ => Ok(()),
    }
}

fn no_healthy_nodes(turn: &mut Turn<'_>, from: NodeId) {
    turn.alert(
        To::Operators,
        "no_healthy_nodes",
        Json::object().number("code", No::NoHealthyNodes.code()).number("from", from.0),
    );
}

/// The next healthy node after this one, in turn; the first one after none.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn healthy_after(turn: &mut Turn<'_>, after: Option<NodeId>) -> Result<Option<NodeId>, Rejection> {
    let next = HEALTHY.keys(turn.host, after.as_ref(), 1)?;
    let next = if next.is_empty() && after.is_some() { HEALTHY.keys(turn.host, None, 1)? } else { next };
    Ok(next.first().copied())
}

/// The node has so many capsules more.
///
/// # Errors
/// Corrupt state.
pub fn add_load(host: &mut dyn Host, id: NodeId, count: u32) -> Result<(), Rejection> {
    if count > 0 {
        let load = LOADS.get(host, &id)?.unwrap_or_default();
        LOADS.put(host, &id, &(load + count));
    }
    Ok(())
}

/// The node has so many capsules fewer.
///
/// # Errors
/// Corrupt state.
pub fn take_load(host: &mut dyn Host, id: NodeId, count: u32) -> Result<(), Rejection> {
    let load = LOADS.get(host, &id)?.unwrap_or_default();
    match load.saturating_sub(count) {
        0 => LOADS.delete(host, &id),
        rest => LOADS.put(host, &id, &rest),
    }
    Ok(())
}
