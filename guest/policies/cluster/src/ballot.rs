//! Proposals and votes: one ballot at a time, two thirds decide, and a ballot that cannot be decided is a loss of
//! consensus (2.3).

use crate::{
    census::quorum,
    consensus::{self, Trigger},
    error::No,
    events::{Propose, Vote},
    node::find,
    state::{NODES, NodeState},
    turn::{BROADCAST, Turn, text, verb},
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// The open ballot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Its number.
    pub number: u64,
    /// What is to be decided.
    pub proposal: String,
    /// Members when it was opened.
    pub voters: u32,
    /// Votes for it.
    pub yes: u32,
    /// Votes against it.
    pub no: u32,
}
stored!(Ballot { number, proposal, voters, yes, no });

/// How a ballot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Two thirds are for it.
    Passed,
    /// Two thirds are against it.
    Refused,
    /// Neither can be reached any more.
    Deadlocked,
    /// Votes are missing.
    Open,
}

impl Ballot {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (need, left) = (quorum(self.voters), self.voters.saturating_sub(self.yes + self.no));
        if self.yes >= need {
            Standing::Passed
        } else if self.no >= need {
            Standing::Refused
        } else if self.yes + left < need && self.no + left < need {
            Standing::Deadlocked
        } else {
            Standing::Open
        }
    }
}

/// Opens a ballot.
///
/// # Errors
/// [`No::BadText`], [`No::ProposalsHalted`], [`No::BallotOpen`].
pub fn propose(turn: &mut Turn<'_>, propose: &Propose) -> Result<Vec<u8>, Rejection> {
    text("proposal", &propose.proposal)?;
    if !turn.cluster.accepts_proposals() {
        return Err(No::ProposalsHalted.says(&["the cluster is read-only, phase ", turn.cluster.phase.name()]));
    }
    if let Some(ballot) = &turn.cluster.ballot {
        return Err(No::BallotOpen.number("ballot ", ballot.number));
    }
    turn.cluster.last.ballot += 1;
    let (number, voters) = (turn.cluster.last.ballot, turn.cluster.census.members());
    turn.cluster.ballot = Some(Ballot { number, proposal: propose.proposal.clone(), voters, yes: 0, no: 0 });
    turn.timer("ballot", turn.timeouts.vote_ms, number);
    Ok(Json::object().number("ballot", number).number("voters", voters).number("quorum", quorum(voters)).done())
}

/// Counts a vote. The ballot is decided when the tick is over.
///
/// # Errors
/// [`No::NoBallot`], [`No::UnknownNode`], [`No::NotAVoter`], [`No::AlreadyVoted`].
pub fn vote(turn: &mut Turn<'_>, vote: &Vote) -> Result<Vec<u8>, Rejection> {
    let mut node = find(turn.host, vote.node)?;
    let Some(ballot) = turn.cluster.ballot.as_mut().filter(|ballot| ballot.number == vote.ballot) else {
        return Err(No::NoBallot.number("ballot ", vote.ballot));
    };
    let cast = if node.ballot == ballot.number { Some(node.vote) } else { None };
    match cast {
        Some(Some(before)) if before == vote.approve => return Err(No::AlreadyVoted.node(vote.node)),
        Some(Some(_)) => {
            consensus::suspect(turn, vote.node);
            return Ok(Json::object().done());
        }
        None if node.state == NodeState::Healthy => {}
        _ => return Err(No::NotAVoter.node(vote.node)),
    }
    *(if vote.approve { &mut ballot.yes } else { &mut ballot.no }) += 1;
    let decided = ballot.standing() != Standing::Open;
    node.ballot = vote.ballot;
    node.vote = Some(vote.approve);
    NODES.put(turn.host, &vote.node, &node);
    if decided {
        turn.judge();
    }
    Ok(Json::object().done())
}

/// Closes the ballot if it is decided or deadlocked; `late`: its time is over, so that open is deadlocked.
pub fn decide(turn: &mut Turn<'_>, late: bool) {
    let Some(ballot) = &turn.cluster.ballot else { return };
    let passed = match ballot.standing() {
        Standing::Passed => true,
        Standing::Refused => false,
        Standing::Open if !late => return,
        Standing::Open | Standing::Deadlocked => return consensus::lose(turn, Trigger::Deadlock),
    };
    let mut notice = verb("decided");
    notice.number("ballot", ballot.number).text("proposal", &ballot.proposal);
    turn.cluster.ballot = None;
    turn.cluster.causes.vote = false;
    turn.say(BROADCAST, notice.flag("passed", passed));
}

/// Closes the ballot without a decision.
pub fn void(turn: &mut Turn<'_>) {
    if let Some(ballot) = turn.cluster.ballot.take() {
        turn.say(BROADCAST, verb("void").number("ballot", ballot.number).text("proposal", &ballot.proposal));
    }
}
