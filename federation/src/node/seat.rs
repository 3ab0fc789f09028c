//! A node's place in one ledger: what it must not forget, and what it can find out again.

use super::{
    pursue::Pursuit,
    work::{Applying, Work},
};
use crate::{
    membership::{Durability, Role, Roster, Standing, Suspension},
    message::{Mark, NodeKey, Promise},
    replicate::Lead,
    window::Windows,
};
use std::collections::BTreeMap;

/// A node's place in one ledger.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) roster: Roster,
    /// Durable.
    pub(super) standing: Standing,
    /// As the owner: what the others have.
    pub(super) lead: Option<Lead>,
    /// As the owner to be: what the others have promised.
    pub(super) round: Option<Round>,
    pub(super) follow: Follow,
    pub(super) windows: Windows,
    pub(super) pursuit: Option<Pursuit>,
    /// What the driver does to the log.
    pub(super) work: Work,
    /// The last size that the driver was told to acknowledge.
    pub(super) acknowledged: u64,
}

/// What a follower knows of its owner's log.
#[derive(Clone, Debug, Default)]
pub(super) struct Follow {
    /// When the owner was heard last.
    pub(super) heard_ms: Option<u64>,
    /// The durable log before this size was compared with the owner's, and is the same.
    pub(super) sure: u64,
    /// The owner's log, as it told last.
    pub(super) told: Option<Mark>,
    /// The owner's log with which its epoch began.
    pub(super) base: Option<u64>,
    /// What the owner says is committed.
    pub(super) committed: u64,
    pub(super) applying: Applying,
    /// Where a node that lost its memory has to get before its word counts again.
    pub(super) goal: Option<u64>,
}

/// The promises that a new owner collects.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    pub(super) promises: BTreeMap<NodeKey, Promise>,
    pub(super) asked_ms: Option<u64>,
}

/// What a node can do for a ledger now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It orders inputs.
    Orders,
    /// It follows an owner that was heard just now: reads are current up to what is committed.
    Follows,
    /// It owns the ledger, but cannot reach a quorum, or has not heard its owner: reads are stale, writes are refused.
    Stale {
        /// When the owner or a quorum was heard last, if ever.
        heard_ms: Option<u64>,
    },
    /// It does not advance: reads are stale, writes are refused.
    Suspended(Suspension),
}

/// What is known of a seat, for people.
#[derive(Debug)]
pub struct SeatView<'a> {
    /// The members and rules.
    pub roster: &'a Roster,
    /// Promises and signatures.
    pub standing: &'a Standing,
    /// What this node does.
    pub role: Option<Role>,
    /// As the owner: what the others have.
    pub lead: Option<&'a Lead>,
    /// It is looking for a difference or catching up to this log.
    pub pursuing: Option<Mark>,
}

impl Seat {
    pub(super) fn new(roster: Roster, standing: Standing) -> Self {
        Self {
            roster,
            standing,
            lead: None,
            round: None,
            follow: Follow::default(),
            windows: Windows::default(),
            pursuit: None,
            work: Work::default(),
            acknowledged: 0,
        }
    }

    /// Everything that was planned is void: another owner, or a suspension. What the driver was given, it does.
    pub(super) fn forget_plans(&mut self) {
        (self.lead, self.round, self.pursuit) = (None, None, None);
        self.follow = Follow { goal: self.follow.goal, ..Follow::default() };
    }

    pub(super) fn peer_gone(&mut self, peer: NodeKey) {
        if let Some(lead) = &mut self.lead {
            lead.restart(peer);
        }
        if let Some(pursuit) = &mut self.pursuit
            && pursuit.peer_gone(peer)
        {
            self.pursuit = None;
        }
    }

    /// It advances, as far as this node is concerned.
    pub(super) fn is_open(&self) -> bool {
        self.standing.suspended.is_none()
    }

    pub(super) fn service(&self, now_ms: u64, me: NodeKey, silence_ms: u64) -> Service {
        if let Some(why) = self.standing.suspended {
            return Service::Suspended(why);
        }
        if let Some(lead) = &self.lead {
            let alone = self.roster.durability == Durability::Local;
            let quorum = alone || lead.has_quorum(now_ms, silence_ms, &self.roster, me);
            let heard_ms = lead.quorum_heard_ms(&self.roster, me);
            return if quorum { Service::Orders } else { Service::Stale { heard_ms } };
        }
        match self.follow.heard_ms {
            Some(heard_ms) if now_ms.saturating_sub(heard_ms) < silence_ms => Service::Follows,
            heard_ms => Service::Stale { heard_ms },
        }
    }

    pub(super) fn view(&self, me: NodeKey) -> SeatView<'_> {
        SeatView {
            roster: &self.roster,
            standing: &self.standing,
            role: self.roster.role(me, self.standing.owner),
            lead: self.lead.as_ref(),
            pursuing: self.pursuit.as_ref().map(Pursuit::target),
        }
    }
}
