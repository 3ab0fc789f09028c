//! The leader: the healthy nodes are asked in turn, in the order of their numbers, until one takes the lead (2.1).

use crate::{
    incident,
    moves::{self, healthy_after},
    order::Order,
    params::RETRIES,
    state::{NodeId, Phase},
    turn::{BROADCAST, NODE_AGENT, To, Turn, verb},
    verify,
};
use reprise_guest::{LogLevel, abi::Rejection, compact::stored, json::Json, text::decimal};

/// Who leads, or is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Which node.
    pub node: NodeId,
    /// In which term. Rises with every candidate: whoever shows an older one does not lead.
    pub term: u64,
    /// It has taken the lead.
    pub confirmed: bool,
    /// Candidates before it that did not.
    pub refused: u32,
}
stored!(Leader { node, term, confirmed, refused });

/// Elects a leader: the first healthy node is asked.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn elect(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    let first = healthy_after(turn, None)?;
    ask(turn, first, 0)
}

fn ask(turn: &mut Turn<'_>, candidate: Option<NodeId>, refused: u32) -> Result<(), Rejection> {
    let Some(node) = candidate else {
        turn.cluster.leader = None;
        turn.alert(To::Operators, "no_candidate_for_the_lead", Json::object().number("term", turn.cluster.term));
        if turn.cluster.phase == Phase::Electing {
            verify::manual(turn, "no_leader")?;
        }
        return Ok(());
    };
    turn.cluster.term += 1;
    let term = turn.cluster.term;
    turn.cluster.leader = Some(Leader { node, term, confirmed: false, refused });
    let order = |what| {
        let mut order = verb(what);
        order.number("node", node.0).number("term", term);
        order
    };
    let (mut act, mut undo) = (order("lead"), order("step_down"));
    turn.order(NODE_AGENT, turn.timeouts.election_ms, &mut act, Some(&mut undo), &Order::Lead(term));
    Ok(())
}

/// The node leads no more. Another one is asked, unless the lead was another's anyway.
///
/// # Errors
/// Corrupt state.
pub fn lost(turn: &mut Turn<'_>, id: NodeId) -> Result<(), Rejection> {
    match &turn.cluster.leader {
        Some(leader) if leader.node == id => elect(turn),
        _ => Ok(()),
    }
}

/// A candidate has answered, or not.
///
/// # Errors
/// Corrupt state.
pub fn answered(turn: &mut Turn<'_>, term: u64, done: bool) -> Result<(), Rejection> {
    let Some(leader) = turn.cluster.leader.clone().filter(|leader| leader.term == term) else { return Ok(()) };
    if done {
        turn.cluster.leader = Some(Leader { confirmed: true, ..leader });
        turn.log(LogLevel::Info, &["node ", &decimal(leader.node.0), " leads"]);
        turn.say(BROADCAST, verb("leader").number("node", leader.node.0).number("term", term));
        moves::finish_all(turn)?;
        if turn.cluster.phase == Phase::Electing {
            verify::begin(turn);
        }
        return Ok(());
    }
    let refused = leader.refused + 1;
    if refused < RETRIES {
        let next = healthy_after(turn, Some(leader.node))?;
        return ask(turn, next, refused);
    }
    turn.cluster.leader = None;
    match turn.cluster.phase {
        Phase::Running => incident::begin(turn, "no candidate takes the lead"),
        Phase::Electing => verify::manual(turn, "no_leader")?,
        _ => {}
    }
    Ok(())
}
