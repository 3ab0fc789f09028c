//! Consensus: the status of the cluster, the loss of consensus (2.3), and the rounds of digests that show one.

use crate::{
    ballot,
    error::No,
    events::Report,
    node::find,
    state::{Cluster, NodeId, Phase, REPORTS, Reported},
    turn::{To, Turn, text},
};
use reprise_guest::{
    LogLevel,
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
    text::{decimal, join},
};

/// The cluster's status (2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Normal,
    /// Consensus was lost, a quorum goes on.
    Degraded,
    /// No quorum, or everything is halted: no proposals, no failover, no new capsules.
    ReadOnly,
}

impl Status {
    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Degraded => "DEGRADED",
            Self::ReadOnly => "READ_ONLY",
        }
    }
}

/// Whether two thirds are responsive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// They are.
    Held,
    /// They are not.
    Lost,
    /// They are again; an operator has to resume (4.1: recovery from quorum loss is manual).
    Back,
}
stored_enum!(Quorum);

impl Quorum {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Held, Self::Lost, Self::Back];
}

/// Why consensus is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Causes {
    /// Fewer than two thirds were responsive.
    pub quorum: Quorum,
    /// Digests of one round conflicted, and no later round has been unanimous.
    pub digests: bool,
    /// A vote was deadlocked, and no later one has been decided.
    pub vote: bool,
}
stored!(Causes { quorum, digests, vote });

/// A round of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Its number.
    pub number: u64,
    /// The digest that all reports have; empty before the first one and after a conflict.
    pub digest: String,
    /// How many members reported it.
    pub agree: u32,
    /// Two reports differ.
    pub conflict: bool,
    /// Nodes whose proofs do not verify, ascending.
    pub invalid: Vec<NodeId>,
    /// People were told of them.
    pub told: bool,
}
stored!(Round { number, digest, agree, conflict, invalid, told });

impl Cluster {
    /// The status that follows from everything else.
    #[must_use]
    #[inline(never)]
    pub fn status(&self) -> Status {
        if self.phase != Phase::Running || self.causes.quorum != Quorum::Held {
            Status::ReadOnly
        } else if self.causes.digests || self.causes.vote {
            Status::Degraded
        } else {
            Status::Normal
        }
    }

    /// New proposals are taken, and with them every other change.
    #[must_use]
    pub fn accepts_proposals(&self) -> bool {
        self.status() != Status::ReadOnly
    }

    /// Every member has reported the same digest, with valid proofs.
    #[must_use]
    pub fn is_unanimous(&self) -> bool {
        let round = &self.round;
        !round.conflict && round.invalid.is_empty() && round.agree > 0 && round.agree == self.census.members()
    }
}

/// What made consensus be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Fewer than two thirds of the nodes are responsive.
    Unresponsive,
    /// Conflicting state digests.
    Digests,
    /// Vote deadlock.
    Deadlock,
}

/// The document's procedure (2.3). Its fourth step needs nothing here: every silent node has its next attempt scheduled
/// all the time, which [`crate::check`] holds.
pub fn lose(turn: &mut Turn<'_>, trigger: Trigger) {
    ballot::void(turn);
    let (responsive, members) = (turn.cluster.census.responsive(), turn.cluster.census.members());
    let quorum = turn.cluster.census.has_quorum();
    let causes = &mut turn.cluster.causes;
    let trigger = match trigger {
        Trigger::Unresponsive => "unresponsive",
        Trigger::Digests => {
            causes.digests = true;
            "conflicting_digests"
        }
        Trigger::Deadlock => {
            causes.vote = true;
            "vote_deadlock"
        }
    };
    turn.cluster.figures.consensus_losses += 1;
    let mut numbers = Json::object();
    numbers.text("trigger", trigger).number("responsive", responsive).number("nodes", members);
    if quorum {
        let of = join(&[&decimal(responsive), "/", &decimal(members)]);
        turn.log(LogLevel::Warn, &["operating with ", &of, " nodes: ", trigger]);
        turn.alert(To::Operators, "consensus_degraded", &mut numbers);
    } else {
        turn.cluster.causes.quorum = Quorum::Lost;
        turn.log(LogLevel::Error, &["QUORUM LOST: read-only mode engaged"]);
        turn.alert(To::Operators, "quorum_lost", numbers.flag("manual_intervention", true));
    }
}

/// Notices that the quorum is lost, or back.
pub fn watch_quorum(turn: &mut Turn<'_>) {
    if !turn.running() {
        return;
    }
    match (turn.cluster.causes.quorum, turn.cluster.census.has_quorum()) {
        (Quorum::Held | Quorum::Back, false) => lose(turn, Trigger::Unresponsive),
        (Quorum::Lost, true) => {
            turn.cluster.causes.quorum = Quorum::Back;
            turn.alert(
                To::Operators,
                "quorum_back",
                Json::object().number("responsive", turn.cluster.census.responsive()),
            );
        }
        _ => {}
    }
}

/// Begins a round that all members are asked for.
pub fn open_round(turn: &mut Turn<'_>) -> u64 {
    let number = turn.cluster.round.number + 1;
    turn.cluster.round = Round { number, ..Round::default() };
    number
}

/// A member reports the digest of its state. What follows from it is judged when the tick is over.
///
/// # Errors
/// [`No::BadText`], [`No::UnknownNode`], [`No::WrongNodeState`], [`No::StaleRound`], [`No::RoundAhead`],
/// [`No::AlreadyReported`].
pub fn report(turn: &mut Turn<'_>, report: Report) -> Result<Vec<u8>, Rejection> {
    let Report { node: id, round, digest, proofs_valid } = report;
    text("digest", &digest)?;
    let node = find(turn.host, id)?;
    if !node.state.is_member() {
        return Err(No::WrongNodeState.says(&["a member reports, not a node that is ", node.state.name()]));
    }
    let present = turn.cluster.round.number;
    if round < present {
        return Err(No::StaleRound.number("the round is ", present));
    }
    if round > present {
        if !turn.running() || round - present > 1 {
            return Err(No::RoundAhead.number("the round is ", present));
        }
        open_round(turn);
    }
    let last = REPORTS.get(turn.host, &id)?.filter(|last| last.round == round);
    match last {
        Some(last) if last.digest == digest && last.proofs_valid == proofs_valid => {
            return Err(No::AlreadyReported.node(id));
        }
        Some(_) => suspect(turn, id),
        None => {
            count(&mut turn.cluster.round, id, &digest, proofs_valid);
            REPORTS.put(turn.host, &id, &Reported { round, digest, proofs_valid });
        }
    }
    let round = &turn.cluster.round;
    if round.conflict || !round.invalid.is_empty() || turn.cluster.is_unanimous() {
        turn.judge();
    }
    Ok(Json::object().done())
}

fn count(round: &mut Round, id: NodeId, digest: &str, proofs_valid: bool) {
    if !proofs_valid && let Err(place) = round.invalid.binary_search(&id) {
        round.invalid.insert(place, id);
    }
    if round.conflict {
        return;
    }
    if round.agree > 0 && round.digest != digest {
        // Nobody says which of them is right, so nothing of them is kept: any order of reports leaves the same.
        round.conflict = true;
        round.agree = 0;
        round.digest.clear();
        return;
    }
    if round.agree == 0 {
        // Also when whoever reported before is no member any more.
        round.digest.clear();
        round.digest.push_str(digest);
    }
    round.agree += 1;
}

/// The node contradicted itself: two digests in one round, or two votes in one ballot.
pub fn suspect(turn: &mut Turn<'_>, id: NodeId) {
    if let Err(place) = turn.cluster.suspects.binary_search(&id) {
        turn.cluster.suspects.insert(place, id);
        turn.judge();
    }
}
