//! `init`: the cluster as it begins, all nodes healthy, and the election of its first leader.

use crate::{
    census::Census,
    consensus::{Causes, Quorum, Round},
    error::No,
    events::Init,
    leader,
    params::{LIST_MAX, NODES_MAX},
    state::{
        CLUSTER, Cluster, Figures, HEALTHY, Last, NODES, Node, NodeId, NodeState, PEOPLE, People, Phase, TIMEOUTS,
    },
    turn::{Turn, text},
};
use reprise_guest::{Host, abi::Rejection};

/// Begins everything, once.
///
/// # Errors
/// [`No::AlreadyInitialised`], [`No::BadNodeCount`], [`No::Duplicate`], [`No::BadParameters`], [`No::BadText`].
pub fn init(host: &mut dyn Host, now_ms: u64, init: Init) -> Result<Vec<u8>, Rejection> {
    if CLUSTER.get(host)?.is_some() {
        return Err(No::AlreadyInitialised.says(&["the cluster has begun"]));
    }
    let Init { nodes, operators, admins, timeouts } = init;
    let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    if !(1..=NODES_MAX).contains(&count) {
        return Err(No::BadNodeCount.says(&["1 to 1,000 nodes"]));
    }
    if let Some(pair) = nodes.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(No::Duplicate.node(pair[1]));
    }
    if !timeouts.in_bounds() {
        return Err(No::BadParameters.says(&["a timeout is 1 millisecond to 24 hours"]));
    }
    let people = people(operators, admins)?;
    PEOPLE.put(host, &people);
    TIMEOUTS.put(host, &timeouts);
    let mut turn = Turn::begin(host, now_ms, timeouts, cluster_of(count));
    for id in nodes {
        enter(&mut turn, id);
    }
    leader::elect(&mut turn)?;
    turn.close();
    Ok(Vec::new())
}

fn people(operators: Vec<String>, admins: Vec<String>) -> Result<People, Rejection> {
    if !(2..=LIST_MAX).contains(&operators.len()) {
        return Err(No::BadParameters.says(&["2 to 64 operators: a halt needs two"]));
    }
    for (index, name) in operators.iter().enumerate() {
        text("operators", name)?;
        if operators[..index].contains(name) {
            return Err(No::Duplicate.says(&[name]));
        }
    }
    if admins.is_empty() || admins.len() > LIST_MAX || !admins.iter().all(|admin| operators.contains(admin)) {
        return Err(No::BadParameters.says(&["at least one admin, and every admin is an operator"]));
    }
    Ok(People { operators, admins })
}

fn cluster_of(nodes: u32) -> Cluster {
    Cluster {
        phase: Phase::Running,
        causes: Causes { quorum: Quorum::Held, digests: false, vote: false },
        census: Census { by_state: [nodes, 0, 0, 0, 0], capsules: 0 },
        leader: None,
        term: 0,
        ballot: None,
        round: Round::default(),
        suspects: Vec::new(),
        last: Last::default(),
        figures: Figures::default(),
        changes: Vec::new(),
        wake: None,
    }
}

fn enter(turn: &mut Turn<'_>, id: NodeId) {
    NODES.put(turn.host, &id, &Node::new(NodeState::Healthy, turn.now_ms));
    HEALTHY.put(turn.host, &id, &());
    turn.wake(id, turn.timeouts.heartbeat_ms);
}
