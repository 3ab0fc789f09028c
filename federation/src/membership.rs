//! Who shares a ledger, who may do what, and how ownership moves.
//!
//! A **roster** names the members of a ledger, the rules of its quorum and the operators. One voting member is the
//! *owner*: it orders, executes and attests. The others are *replicas*: they do every step again and cosign. *Observers*
//! verify and keep, and their word does not count.
//!
//! Ownership moves by a **grant**: an epoch, higher than all before, and the member that owns the ledger under it, signed
//! by as many operators as the roster asks for. A member that has seen a grant refuses every lower epoch from then on,
//! and at most one grant of an epoch: two owners of one epoch would need two quorums without a member in common.

mod grant;
mod standing;

pub use self::{
    grant::{Grant, GrantError, SignedGrant},
    standing::{STANDING_FORMAT, Standing, Suspension},
};

use crate::{limits::MEMBERS_MAX, list::List, message::NodeKey};
use reprise_abi::{Canonical, CodecError};
use reprise_receipts::{LedgerId, PublicKey, genesis::OPERATORS_MAX};
use serde::{Deserialize, Serialize};

/// What a member does for a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Orders, executes, attests.
    Owner,
    /// Follows, does every step again, cosigns.
    Replica,
    /// Verifies and keeps.
    Observer,
}

/// A node that shares a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its node key.
    pub node: NodeKey,
    /// The key that attests and cosigns for it.
    pub receipts: PublicKey,
    /// It is an observer, now and whoever owns the ledger.
    pub observer: bool,
}

/// How many voting members decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quorum {
    /// More than half: any two quorums share a member. Enough while members only crash.
    Majority,
    /// `floor(2n / 3) + 1`: any two quorums share an honest member while fewer than a third are not.
    TwoThirds,
}

/// When a submitted input is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Durability {
    /// Durable at the owner.
    Local,
    /// Durable at a quorum that agrees on the root.
    Majority,
}

/// How often the members compare and cosign; whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRule {
    /// After so many receipts, at least 1.
    pub receipts: u64,
    /// After so many milliseconds, if there are new receipts; at least 1.
    pub every_ms: u64,
}

/// The members of a ledger and its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Number of the roster: a later one replaces an earlier one.
    pub number: u64,
    /// The epoch of the genesis record.
    pub first_epoch: u64,
    /// Who owns the ledger in that epoch.
    pub first_owner: NodeKey,
    /// Ascending strictly by node key.
    pub members: List<Member, MEMBERS_MAX>,
    /// How many voting members decide.
    pub quorum: Quorum,
    /// When an input is acknowledged.
    pub durability: Durability,
    /// When the members cosign.
    pub window: WindowRule,
    /// Keys that may grant ownership, ascending strictly.
    pub operators: List<PublicKey, OPERATORS_MAX>,
    /// How many of them must sign.
    pub operator_threshold: u32,
}

impl Quorum {
    /// Members that it takes out of `voting` ones.
    #[must_use]
    pub const fn needed(self, voting: usize) -> usize {
        match self {
            Self::Majority => voting / 2 + 1,
            Self::TwoThirds => 2 * voting / 3 + 1,
        }
    }

    /// So many others of `voting` members know of every epoch that this one can have promised.
    ///
    /// A grant is handed to its owner, who asks the others one by one: with a majority this one's promise may have been the
    /// first, and only the owner to be knows of it. So all others are asked. With two thirds any two quorums share an honest
    /// member beside this one: what was committed meanwhile is known to whoever closes the round.
    #[must_use]
    pub const fn witnesses(self, voting: usize) -> usize {
        let others = voting - 1;
        match self {
            Self::Majority => others,
            Self::TwoThirds => {
                let enough = 2 * (voting - self.needed(voting)) + 1;
                if enough < others { enough } else { others }
            }
        }
    }
}

impl Roster {
    /// A member by its node key.
    #[must_use]
    pub fn member(&self, node: NodeKey) -> Option<&Member> {
        self.members.iter().find(|member| member.node == node)
    }

    /// The member that signs with this key.
    #[must_use]
    pub fn signer(&self, key: &PublicKey) -> Option<&Member> {
        self.members.iter().find(|member| member.receipts == *key)
    }

    /// What a node does when `owner` owns the ledger; `None` for a stranger.
    #[must_use]
    pub fn role(&self, node: NodeKey, owner: NodeKey) -> Option<Role> {
        let member = self.member(node)?;
        Some(match member.observer {
            true => Role::Observer,
            false if node == owner => Role::Owner,
            false => Role::Replica,
        })
    }

    /// Members whose word counts.
    pub fn voting(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.observer)
    }

    /// Voting members that are needed for a decision.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.quorum.needed(self.voting().count())
    }

    /// Other members that [`Quorum::witnesses`] asks for.
    #[must_use]
    pub fn witnesses(&self) -> usize {
        self.quorum.witnesses(self.voting().count())
    }
}

impl Canonical for Roster {
    const KIND: &'static str = "roster";
    const BYTES_MAX: usize = 8 * 1024;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.members.is_sorted_by(|a, b| a.node < b.node), "members ascend strictly by node key")?;
        let mut signers: Vec<_> = self.members.iter().map(|member| member.receipts).collect();
        signers.sort_unstable();
        rule(signers.is_sorted_by(|a, b| a < b), "no two members sign with the same key")?;
        let owner = self.member(self.first_owner);
        rule(owner.is_some_and(|member| !member.observer), "the first owner is a voting member")?;
        rule(self.window.receipts > 0 && self.window.every_ms > 0, "windows have at least 1 receipt and 1 ms")?;
        rule(self.operators.is_sorted_by(|a, b| a < b), "operators ascend strictly")?;
        let threshold = self.operator_threshold as usize;
        rule((1..=self.operators.len()).contains(&threshold), "the threshold is between 1 and the number of operators")
    }
}

#[cfg(test)]
mod tests;
