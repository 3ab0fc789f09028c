//! Verification and resume (3.1, 3.3, 4.2): all nodes agree, all proofs are valid; else an operator has to act.

use crate::{
    ballot,
    consensus::{Causes, Quorum, open_round},
    error::No,
    events::ByOperator,
    incident, leader, moves, restore,
    state::{NODES, Phase},
    turn::{BROADCAST, To, Turn, verb},
};
use reprise_guest::{abi::Rejection, json::Json};

/// Asks every member for its digest and its proofs.
#[inline(never)]
pub fn begin(turn: &mut Turn<'_>) {
    ballot::void(turn);
    turn.cluster.phase = Phase::Verifying;
    let round = open_round(turn);
    turn.say(BROADCAST, verb("verify").number("round", round));
    turn.timer("verify", turn.timeouts.verify_ms, round);
}

/// Ends the verification if it can be ended; `late`: its time is over.
///
/// # Errors
/// Corrupt state.
pub fn decide(turn: &mut Turn<'_>, late: bool) -> Result<(), Rejection> {
    let suspected = !turn.cluster.suspects.is_empty();
    if turn.cluster.round.conflict || !turn.cluster.round.invalid.is_empty() || suspected {
        let why = if turn.cluster.round.conflict { "digests_differ" } else { "proofs_or_nodes_suspect" };
        return manual(turn, why);
    }
    if turn.cluster.is_unanimous() {
        return agreed(turn);
    }
    if late { manual(turn, "not_all_nodes_agree") } else { Ok(()) }
}

fn agreed(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    if !restore::proven(turn)? {
        return manual(turn, "not_the_restored_state");
    }
    incident::end(turn)?;
    turn.cluster.phase = Phase::Running;
    turn.cluster.causes = Causes { quorum: Quorum::Held, digests: false, vote: false };
    turn.say(BROADCAST, verb("resume").number("nodes", turn.cluster.census.members()));
    let leads = match turn.cluster.leader.clone() {
        Some(leader) => NODES.get(turn.host, &leader.node)?.is_some_and(|node| node.state.is_member()),
        None => false,
    };
    if !leads && turn.cluster.census.responsive() > 0 {
        leader::elect(turn)?;
    }
    turn.cluster.wake = None;
    moves::wake(turn, 0)
}

/// Manual intervention (4.2): everything stays halted until an operator acts.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn manual(turn: &mut Turn<'_>, why: &str) -> Result<(), Rejection> {
    turn.cluster.phase = Phase::Manual;
    let (agree, members) = (turn.cluster.round.agree, turn.cluster.census.members());
    let mut details = Json::object();
    details.text("why", why).number("agree", agree).number("nodes", members);
    turn.alert(To::Operators, "manual_intervention", &mut details);
    restore::interrupted(turn)
}

/// An operator wants operations to resume: they do if the state proves consistent.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::Busy`], [`No::RestorePending`], [`No::SuspectPresent`], [`No::NoQuorum`],
/// [`No::NothingToResume`].
pub fn resume(turn: &mut Turn<'_>, by: &ByOperator) -> Result<Vec<u8>, Rejection> {
    turn.operator(&by.operator)?;
    turn.idle()?;
    let causes = &turn.cluster.causes;
    if turn.running() && causes.quorum == Quorum::Held && !causes.digests && !causes.vote {
        return Err(No::NothingToResume.says(&["operations go on"]));
    }
    restore::require_none(turn)?;
    if let Some(suspect) = turn.cluster.suspects.first() {
        return Err(No::SuspectPresent.node(*suspect));
    }
    if !turn.cluster.census.has_quorum() {
        return Err(No::NoQuorum.says(&["wait for nodes, or fail them over"]));
    }
    begin(turn);
    Ok(Json::object().number("round", turn.cluster.round.number).done())
}
