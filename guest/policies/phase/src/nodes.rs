//! Nodes: heartbeats, gossip, who is cut off, who comes and goes (H1, H8, H12, H14).
//!
//! Every node has one timer, named after it; what it means depends on the node: silence while it is healthy, the end of
//! the time to live or of the grace period while it is cut off, the end of retention once it has left.

use crate::{
    error::{No, Refusal},
    fields::Fields,
    ids::{NodeId, RunId, phases},
    judge, leader, log,
    params::{HEARD_MAX, NODES_MAX, Wait},
    ring,
    state::{Cause, Health, LAGGING, NODES, Node, RUNS, TOMBSTONES, WHOLE, majority, sync_majority},
    turn::{EVENT, RAFT, Turn, verb},
};
use reprise_guest::{Host, compact::encoded, json::Json};

impl Node {
    /// A member, heard of just now.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            health: Health::Healthy,
            beat_ms: now_ms,
            gossip_ms: now_ms,
            lost_ms: 0,
            pending_ms: None,
            left_ms: None,
            counter: 0,
            vc_hash: [0; 32],
        }
    }
}

/// Heartbeats or gossip pings of some nodes. For a healthy node it is two host calls, however large the cluster.
///
/// # Errors
/// [`No::NotInitialised`], [`No::BadList`], [`No::UnknownNode`], [`No::NodeLeft`], malformed.
pub fn heard(host: &mut dyn Host, now_ms: u64, fields: &mut Fields, gossip: bool) -> Result<Vec<u8>, Refusal> {
    let ids: Vec<u64> = fields.take("nodes")?;
    fields.end()?;
    if ids.is_empty() || ids.len() > HEARD_MAX {
        return Err(No::BadList.says(&["1 to 256 nodes"]));
    }
    let mut back = Vec::new();
    for id in ids {
        let id = NodeId(u32::try_from(id).unwrap_or(u32::MAX));
        let mut node = member(host, id)?;
        if gossip {
            node.gossip_ms = now_ms;
        } else {
            node.beat_ms = now_ms;
        }
        NODES.put(host, &id, &node);
        if node.health != Health::Healthy {
            back.push(id);
        }
    }
    if !back.is_empty() {
        let mut turn = Turn::open(host, now_ms)?;
        for id in back {
            look(&mut turn, id)?;
        }
        turn.close();
    }
    Ok(Vec::new())
}

/// A member.
///
/// # Errors
/// [`No::NotInitialised`], [`No::UnknownNode`], [`No::NodeLeft`].
#[inline(never)]
pub fn member(host: &mut dyn Host, id: NodeId) -> Result<Node, Refusal> {
    match NODES.get(host, &id)? {
        Some(node) if node.left_ms.is_none() => Ok(node),
        Some(_) => Err(No::NodeLeft.node(id)),
        None if WHOLE.get(host)?.is_none() => Err(No::NotInitialised.says(&["send `init` first"])),
        None => Err(No::UnknownNode.node(id)),
    }
}

/// The member that an event names.
///
/// # Errors
/// As [`member`], and malformed.
#[inline(never)]
pub fn taken(host: &mut dyn Host, fields: &mut Fields) -> Result<(NodeId, Node), Refusal> {
    let id = fields.take("node")?;
    Ok((id, member(host, id)?))
}

/// The member that an event names, which may write to the log.
///
/// # Errors
/// As [`taken`], and [`No::LogReadOnly`]: it is PARTITIONED (section 5).
#[inline(never)]
pub fn writer(host: &mut dyn Host, fields: &mut Fields) -> Result<NodeId, Refusal> {
    let (id, node) = taken(host, fields)?;
    if node.health == Health::Partitioned { Err(No::LogReadOnly.node(id)) } else { Ok(id) }
}

/// The node's timer is due.
///
/// # Errors
/// Corrupt state.
pub fn due(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Refusal> {
    match NODES.get(turn.host, &id)? {
        Some(node) if node.left_ms.is_some() => prune(turn, id, &node),
        Some(_) => look(turn, id)?,
        None => {}
    }
    Ok(())
}

/// Looks at how a member is heard of, and sets its timer again.
#[inline(never)]
fn look(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Refusal> {
    let mut node = member(turn.host, id)?;
    let (beats, gossip) = (turn.config.wait(Wait::Heartbeat), turn.config.wait(Wait::Gossip));
    let health = if turn.now_ms.saturating_sub(node.gossip_ms) > gossip {
        Health::Partitioned
    } else if turn.now_ms.saturating_sub(node.beat_ms) > beats {
        Health::Unhealthy
    } else {
        Health::Healthy
    };
    if health != node.health {
        change(turn, id, &mut node, health)?;
    }
    let due_ms = if health == Health::Healthy {
        (node.beat_ms + beats).min(node.gossip_ms + gossip) + 1
    } else if health == Health::Unhealthy && node.gossip_ms + gossip < node.lost_ms + turn.config.wait(Wait::Ttl) {
        node.gossip_ms + gossip + 1
    } else if evict_when_due(turn, id, &mut node)? {
        return Ok(());
    } else {
        node.pending_ms.map_or(node.lost_ms + turn.config.wait(Wait::Ttl), |at| at + turn.config.wait(Wait::Grace))
    };
    NODES.put(turn.host, &id, &node);
    turn.numbered_timer("node.", id.into(), due_ms.max(turn.now_ms + 1));
    Ok(())
}

fn change(turn: &mut Turn<'_>, id: NodeId, node: &mut Node, to: Health) -> Result<(), Refusal> {
    let census = &mut turn.whole.census;
    if node.health == Health::Healthy {
        census.reachable -= 1;
        node.lost_ms = turn.now_ms;
    }
    if to == Health::Healthy {
        census.reachable += 1;
        node.pending_ms = None;
    }
    node.health = to;
    turn.say(EVENT, verb("node").number("node", id).text("health", to.name()));
    turn.judge();
    if to == Health::Healthy {
        return Ok(());
    }
    let cause = if to == Health::Partitioned { Cause::Partition } else { Cause::HeartbeatLoss };
    for phase in phases() {
        let run_id = RunId { g: turn.whole.g, phase };
        if let Some(mut run) = RUNS.get(turn.host, &run_id)?.filter(|run| run.state.is_open())
            && (run.owner == id || run.started.has(id) && !run.finished.has(id))
        {
            judge::trip(turn, run_id, &mut run, cause);
        }
    }
    if turn.whole.leader == Some(id) {
        leader::lost(turn, id);
    }
    Ok(())
}

/// A node that is cut off for longer than its time to live is evicted after a grace period of 15 minutes, if the
/// others are enough (R2 10). Whether it was.
fn evict_when_due(turn: &mut Turn<'_>, id: NodeId, node: &mut Node) -> Result<bool, Refusal> {
    if turn.now_ms < node.lost_ms + turn.config.wait(Wait::Ttl) {
        return Ok(false);
    }
    let grace = turn.config.wait(Wait::Grace);
    match node.pending_ms {
        None => {
            node.pending_ms = Some(turn.now_ms);
            turn.alert_node("pending_eviction", id);
        }
        Some(since_ms) if turn.now_ms >= since_ms + grace => {
            let enough = turn.whole.census.reachable >= sync_majority(turn.whole.census.members);
            if enough && leaves_replicas(turn, id)? {
                turn.whole.figures.evictions += 1;
                leave(turn, id, node)?;
                return Ok(true);
            }
            node.pending_ms = Some(turn.now_ms);
            turn.alert_node("eviction_blocked", id);
        }
        Some(_) => {}
    }
    Ok(false)
}

/// The safe-quorum test for the log: without the node a majority is still in the replication set.
fn leaves_replicas(turn: &mut Turn<'_>, id: NodeId) -> Result<bool, Refusal> {
    let census = &turn.whole.census;
    let lagging = LAGGING.or_default(turn.host)?.has(id);
    Ok(census.replicas() - u32::from(!lagging) >= majority(census.members - 1))
}

/// Takes a member out. Its clock stays until retention is over.
fn leave(turn: &mut Turn<'_>, id: NodeId, node: &mut Node) -> Result<(), Refusal> {
    log::depart(turn, id)?;
    let census = &mut turn.whole.census;
    census.members -= 1;
    if node.health == Health::Healthy {
        census.reachable -= 1;
    }
    node.left_ms = Some(turn.now_ms);
    NODES.put(turn.host, &id, node);
    ring::remove(turn, id)?;
    turn.say(RAFT, verb("remove").number("node", id));
    turn.numbered_timer("node.", id.into(), turn.after(Wait::Retention));
    turn.judge();
    judge::touch_open(turn)
}

/// Retention is over: of the node's clock the hash remains (H12).
fn prune(turn: &mut Turn<'_>, id: NodeId, node: &Node) {
    let due_ms = node.left_ms.unwrap_or_default() + turn.config.wait(Wait::Retention);
    if turn.now_ms < due_ms {
        return turn.numbered_timer("node.", id.into(), due_ms);
    }
    TOMBSTONES.put(turn.host, &id, &node.vc_hash);
    NODES.delete(turn.host, &id);
}

/// A supervisor lets a node in: a new one, or one that was evicted. It is out of the replication set until it has the
/// log.
///
/// # Errors
/// [`No::UnknownSupervisor`], [`No::NodeKnown`], [`No::BadNodes`], [`No::TooManyLagging`], malformed.
pub fn join(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let id: NodeId = fields.take("node")?;
    turn.supervisor(fields)?;
    fields.end()?;
    let known = NODES.get(turn.host, &id)?;
    if known.as_ref().is_some_and(|node| node.left_ms.is_none()) || TOMBSTONES.get(turn.host, &id)?.is_some() {
        return Err(No::NodeKnown.node(id));
    }
    let census = &mut turn.whole.census;
    if census.members >= NODES_MAX {
        return Err(No::BadNodes.says(&["1,000 nodes are the most"]));
    }
    if census.replicas() < majority(census.members + 1) {
        return Err(No::TooManyLagging.number("out of the replication set: ", census.lagging.into()));
    }
    census.members += 1;
    census.reachable += 1;
    let mut node = Node::new(turn.now_ms);
    if let Some(known) = known {
        (node.counter, node.vc_hash) = (known.counter, known.vc_hash);
    }
    log::arrive(turn, id)?;
    enter(turn, &[id.into()], &node);
    ring::add(turn, id)?;
    turn.judge();
    turn.say(RAFT, verb("add").number("node", id));
    Ok(Json::object())
}

/// Writes new members, all the same, with their timers.
pub fn enter(turn: &mut Turn<'_>, ids: &[u64], node: &Node) {
    let bytes = encoded(node);
    let due_ms = turn.after(Wait::Heartbeat).min(turn.after(Wait::Gossip)) + 1;
    for id in ids {
        NODES.put_encoded(turn.host, &NodeId(*id as u32), &bytes);
        turn.numbered_timer("node.", *id, due_ms);
    }
}

/// A supervisor takes a node out for good.
///
/// # Errors
/// [`No::UnknownSupervisor`], [`No::UnknownNode`], [`No::NodeLeft`], [`No::UnsafeQuorum`], malformed.
pub fn decommission(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (id, mut node) = taken(turn.host, fields)?;
    turn.supervisor(fields)?;
    fields.end()?;
    let census = &turn.whole.census;
    let reachable = census.reachable - u32::from(node.health == Health::Healthy);
    let last = census.members == 1 || reachable < sync_majority(census.members - 1);
    if last || !leaves_replicas(turn, id)? {
        return Err(No::UnsafeQuorum.number("reachable without it: ", reachable.into()));
    }
    leave(turn, id, &mut node)?;
    if turn.whole.leader == Some(id) {
        leader::lost(turn, id);
    }
    Ok(Json::object())
}
