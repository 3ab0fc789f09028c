//! Global failure (3.1): halt all mutations, find the mode, apply its remedy, verify, resume.

use crate::{
    ballot,
    consensus::open_round,
    error::No,
    events::{ByOperator, Reason},
    leader, membership,
    order::Order,
    params::STEP_NODES_MAX,
    state::{INCIDENT, NODES, NodeId, Phase},
    turn::{BROADCAST, SNAPSHOTS, To, Turn, text, verb},
    verify,
};
use reprise_guest::{
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
    text::{decimal, join},
};

/// The mode of a global failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Network partition. Remedy: wait for reunion.
    Partition,
    /// Leader failure. Remedy: elect a new one.
    Leader,
    /// State corrupt. Remedy: restore from a snapshot.
    Corruption,
    /// Byzantine attack. Remedy: evict the malicious nodes.
    Byzantine,
}
stored_enum!(Mode);

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Partition, Self::Leader, Self::Corruption, Self::Byzantine];

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Leader => "leader",
            Self::Corruption => "corruption",
            Self::Byzantine => "byzantine",
        }
    }
}

/// A global failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub number: u64,
    /// What was seen.
    pub reason: String,
    /// Its mode, once it is found; none when nothing was found wrong.
    pub mode: Option<Mode>,
    /// When it began, in milliseconds.
    pub since_ms: u64,
    /// When operations resumed, in milliseconds.
    pub ended_ms: Option<u64>,
    /// Evictions that have not ended.
    pub pending: u32,
    /// An operator cleared it (5.2, level 4).
    pub cleared: bool,
}
stored!(Incident { number, reason, mode, since_ms, ended_ms, pending, cleared });

/// Somebody found that the cluster does not coordinate any more.
///
/// # Errors
/// [`No::BadText`], [`No::FailureKnown`].
pub fn coordination_failure(turn: &mut Turn<'_>, reason: &Reason) -> Result<Vec<u8>, Rejection> {
    text("reason", &reason.reason)?;
    if !turn.running() {
        return Err(No::FailureKnown.says(&["phase ", turn.cluster.phase.name()]));
    }
    begin(turn, &reason.reason);
    Ok(Json::object().number("incident", turn.cluster.last.incident).done())
}

/// Halts all mutations and asks every node for its digest.
pub fn begin(turn: &mut Turn<'_>, reason: &str) {
    ballot::void(turn);
    turn.cluster.phase = Phase::Identifying;
    turn.cluster.last.incident += 1;
    turn.cluster.figures.incidents += 1;
    let number = turn.cluster.last.incident;
    let (reason, since_ms) = (String::from(reason), turn.now_ms);
    turn.alert(
        To::Operators,
        "coordination_failure",
        Json::object().number("incident", number).text("reason", &reason),
    );
    let incident =
        Box::new(Incident { number, reason, mode: None, since_ms, ended_ms: None, pending: 0, cleared: false });
    INCIDENT.put(turn.host, &incident);
    // Evidence of corruption is the conflict of the round before, too.
    turn.cluster.causes.digests |= turn.cluster.round.conflict || !turn.cluster.round.invalid.is_empty();
    let round = open_round(turn);
    turn.say(BROADCAST, verb("survey").number("incident", number).number("round", round));
    turn.timer("survey", turn.timeouts.survey_ms, number);
}

/// The survey is over: finds the mode and applies its remedy.
///
/// # Errors
/// Corrupt state.
pub fn surveyed(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    let Some(mut incident) = INCIDENT.get(turn.host)?.filter(|incident| incident.number == number) else {
        return Ok(());
    };
    if turn.cluster.phase != Phase::Identifying {
        return Ok(());
    }
    let mode = identify(turn)?;
    incident.mode = mode;
    INCIDENT.put(turn.host, &incident);
    let name = mode.map_or("none", Mode::name);
    let mut details = Json::object();
    details.number("incident", number).text("mode", name);
    let to = if mode == Some(Mode::Byzantine) { To::Security } else { To::Operators };
    turn.alert(to, "failure_mode", &mut details);
    match mode {
        None => verify::begin(turn),
        Some(Mode::Partition) => {
            turn.cluster.phase = Phase::AwaitingReunion;
            turn.judge();
        }
        Some(Mode::Leader) => {
            turn.cluster.phase = Phase::Electing;
            leader::elect(turn)?;
        }
        Some(Mode::Corruption) => turn.cluster.phase = Phase::AwaitingRestore,
        Some(Mode::Byzantine) => {
            preserve(turn, number);
            evict_suspects(turn, incident)?;
        }
    }
    Ok(())
}

/// The worst first: an attacker can feign the other modes, corrupt state must not outlive an election, and an election
/// needs a quorum.
fn identify(turn: &mut Turn<'_>) -> Result<Option<Mode>, Rejection> {
    let cluster = &turn.cluster;
    if !cluster.suspects.is_empty() {
        return Ok(Some(Mode::Byzantine));
    }
    let proven = cluster.is_unanimous();
    if cluster.round.conflict || !cluster.round.invalid.is_empty() || cluster.causes.digests && !proven {
        return Ok(Some(Mode::Corruption));
    }
    if !cluster.census.has_quorum() {
        return Ok(Some(Mode::Partition));
    }
    let leads = match cluster.leader.clone().filter(|leader| leader.confirmed) {
        Some(leader) => NODES.get(turn.host, &leader.node)?.is_some_and(|node| node.state.is_responsive()),
        None => false,
    };
    Ok(if leads { None } else { Some(Mode::Leader) })
}

/// Evicts the members that contradicted themselves, a few at a time, unless nobody healthy would be left.
fn evict_suspects(turn: &mut Turn<'_>, mut incident: Box<Incident>) -> Result<(), Rejection> {
    let suspects: Vec<NodeId> = turn.cluster.suspects.clone();
    let mut healthy = 0;
    let mut nodes = Vec::with_capacity(suspects.len());
    for id in suspects {
        if let Some(node) = NODES.get(turn.host, &id)? {
            healthy += u32::from(node.state.is_responsive());
            nodes.push((id, node));
        }
    }
    if turn.cluster.census.responsive() <= healthy {
        return verify::manual(turn, "every_healthy_node_is_suspected");
    }
    turn.cluster.phase = Phase::Evicting;
    nodes.truncate(STEP_NODES_MAX);
    incident.pending = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    INCIDENT.put(turn.host, &incident);
    if nodes.is_empty() {
        verify::begin(turn);
    }
    for (id, node) in nodes {
        membership::evict(turn, id, &node, incident.number)?;
    }
    Ok(())
}

/// The forensic state (5.2, level 4).
fn preserve(turn: &mut Turn<'_>, incident: u64) {
    let name = join(&["incident-", &decimal(incident)]);
    let mut payload = verb("capture");
    payload.text("snapshot", &name).flag("forensic", true);
    turn.order(SNAPSHOTS, turn.timeouts.restore_ms, &mut payload, None, &Order::Capture(name));
}

/// An eviction has ended. The node is no member either way; one that could not be told is for people to stop.
///
/// # Errors
/// Corrupt state.
pub fn evicted(turn: &mut Turn<'_>, id: NodeId, number: u64, done: bool) -> Result<(), Rejection> {
    if !done {
        turn.alert(To::Security, "eviction_failed", Json::object().number("node", id.0));
    }
    let Some(mut incident) = INCIDENT.get(turn.host)?.filter(|incident| incident.number == number) else {
        return Ok(());
    };
    incident.pending = incident.pending.saturating_sub(1);
    INCIDENT.put(turn.host, &incident);
    if incident.pending > 0 || turn.cluster.phase != Phase::Evicting {
        return Ok(());
    }
    if turn.cluster.suspects.is_empty() {
        verify::begin(turn);
        return Ok(());
    }
    evict_suspects(turn, incident)
}

/// An operator clears a security incident: its suspects are no longer suspected, and a restoration is allowed.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::Busy`], [`No::NothingToClear`].
pub fn clear(turn: &mut Turn<'_>, by: &ByOperator) -> Result<Vec<u8>, Rejection> {
    turn.operator(&by.operator)?;
    turn.idle()?;
    let mut incident = INCIDENT.get(turn.host)?;
    let uncleared = incident.as_mut().filter(|incident| is_uncleared(incident));
    if uncleared.is_none() && turn.cluster.suspects.is_empty() {
        return Err(No::NothingToClear.says(&["no security incident is open"]));
    }
    if let Some(incident) = uncleared {
        incident.cleared = true;
        INCIDENT.put(turn.host, incident);
    }
    turn.cluster.suspects.clear();
    Ok(Json::object().done())
}

/// A security incident that nobody has cleared, resumed or not.
#[must_use]
pub fn is_uncleared(incident: &Incident) -> bool {
    incident.mode == Some(Mode::Byzantine) && !incident.cleared
}

/// Operations resume.
///
/// # Errors
/// Corrupt state.
pub fn end(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    if let Some(mut incident) = INCIDENT.get(turn.host)?.filter(|incident| incident.ended_ms.is_none()) {
        incident.ended_ms = Some(turn.now_ms);
        INCIDENT.put(turn.host, &incident);
    }
    Ok(())
}
