//! The owner's side of replication: what each member has, what goes to it next, and what may be acknowledged.
//!
//! Invariant: a step is committed when a quorum of voting members, the owner among them, has it durable with the same log
//! root, has done it again with the same state root, and has the whole log with which the owner's epoch began. The last
//! condition makes a later owner, which asks a quorum, find it whatever the epochs before looked like.

use crate::{
    membership::Roster,
    message::{Mark, NodeKey},
};
use std::collections::BTreeMap;

/// Most steps sent to a member that it has not acknowledged.
pub const IN_FLIGHT_STEPS_MAX: u64 = 4 * 1024;

/// The books of an owner about one ledger.
#[derive(Clone, Debug)]
pub struct Lead {
    epoch: u64,
    base: Mark,
    committed: u64,
    progress: BTreeMap<NodeKey, Progress>,
}

/// What an owner knows of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// So many receipts are durable there and agreed.
    pub matched: u64,
    /// So many receipts were sent.
    pub sent: u64,
    /// When it was heard last over this connection, in milliseconds.
    pub heard_ms: Option<u64>,
    /// When something was sent last.
    pub sent_ms: Option<u64>,
    /// From which step on it was sent again last, and when.
    pub rewound: Option<(u64, u64)>,
}

impl Lead {
    /// Of an owner whose log is at `base` when its epoch begins.
    #[must_use]
    pub fn new(epoch: u64, base: Mark, roster: &Roster, me: NodeKey) -> Self {
        let others = roster.members.iter().filter(|member| member.node != me);
        let start = Progress { sent: base.size, ..Progress::default() };
        Self { epoch, base, committed: 0, progress: others.map(|member| (member.node, start)).collect() }
    }

    /// The epoch that is led.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The log with which it began.
    #[must_use]
    pub fn base(&self) -> Mark {
        self.base
    }

    /// So many receipts are committed.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// What is known of a member.
    #[must_use]
    pub fn progress(&self, node: NodeKey) -> Option<&Progress> {
        self.progress.get(&node)
    }

    /// The member has so many receipts, which are the owner's.
    pub fn agreed(&mut self, now_ms: u64, node: NodeKey, size: u64) {
        if let Some(progress) = self.progress.get_mut(&node) {
            progress.heard_ms = Some(now_ms);
            progress.matched = progress.matched.max(size);
            progress.sent = progress.sent.max(size);
        }
    }

    /// The member says that it needs the steps from this one on. Several messages that were under way say the same: only
    /// the first one within `retry_ms` counts.
    pub fn needs(&mut self, now_ms: u64, node: NodeKey, first: u64, retry_ms: u64) {
        if let Some(progress) = self.progress.get_mut(&node) {
            progress.heard_ms = Some(now_ms);
            let again = |(from, at_ms): (u64, u64)| from == first && now_ms.saturating_sub(at_ms) < retry_ms;
            if !progress.rewound.is_some_and(again) {
                (progress.sent, progress.rewound) = (first, Some((first, now_ms)));
            }
        }
    }

    /// The member was heard, but does not agree.
    pub fn heard(&mut self, now_ms: u64, node: NodeKey) {
        if let Some(progress) = self.progress.get_mut(&node) {
            progress.heard_ms = Some(now_ms);
        }
    }

    /// The connection to the member is new: what was on its way is lost.
    pub fn restart(&mut self, node: NodeKey) {
        if let Some(progress) = self.progress.get_mut(&node) {
            let matched = progress.matched;
            *progress = Progress { matched, sent: matched.max(self.base.size), ..Progress::default() };
        }
    }

    /// First step to send to the member, if something is to be sent: new steps, the same again after `retry_ms` without
    /// an answer, or a sign of life after `heartbeat_ms`.
    pub fn next_for(&mut self, now_ms: u64, node: NodeKey, size: u64, retry_ms: u64, heartbeat_ms: u64) -> Option<u64> {
        let progress = self.progress.get_mut(&node)?;
        let quiet_ms = progress.sent_ms.map_or(u64::MAX, |sent_ms| now_ms.saturating_sub(sent_ms));
        if progress.sent > progress.matched && progress.matched >= self.base.size && quiet_ms >= retry_ms {
            progress.sent = progress.matched;
        }
        progress.sent = progress.sent.min(size);
        let room = progress.sent < progress.matched.max(self.base.size) + IN_FLIGHT_STEPS_MAX;
        ((progress.sent < size && room) || quiet_ms >= heartbeat_ms).then_some(progress.sent)
    }

    /// Nothing was sent to the member for so long.
    #[must_use]
    pub fn is_quiet(&self, now_ms: u64, node: NodeKey, for_ms: u64) -> bool {
        let sent_ms = self.progress.get(&node).and_then(|progress| progress.sent_ms);
        sent_ms.is_none_or(|sent_ms| now_ms.saturating_sub(sent_ms) >= for_ms)
    }

    /// The steps up to `end` are on their way.
    pub fn pushed(&mut self, now_ms: u64, node: NodeKey, end: u64) {
        if let Some(progress) = self.progress.get_mut(&node) {
            progress.sent = end;
            progress.sent_ms = Some(now_ms);
        }
    }

    /// Counts again, with `size` receipts durable at the owner; the number of committed receipts, if it has grown.
    pub fn count(&mut self, size: u64, roster: &Roster, me: NodeKey) -> Option<u64> {
        let of = |node: NodeKey| if node == me { size } else { self.progress.get(&node).map_or(0, |p| p.matched) };
        let mut sizes: Vec<u64> = roster.voting().map(|member| of(member.node)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let held = *sizes.get(roster.needed() - 1)?;
        if held < self.base.size || held <= self.committed {
            return None;
        }
        self.committed = held.min(size);
        Some(self.committed)
    }

    /// A quorum, this node among it, was heard within `silence_ms`.
    #[must_use]
    pub fn has_quorum(&self, now_ms: u64, silence_ms: u64, roster: &Roster, me: NodeKey) -> bool {
        let recent = |heard_ms: u64| now_ms.saturating_sub(heard_ms) < silence_ms;
        let heard = |node: NodeKey| self.progress.get(&node).and_then(|p| p.heard_ms).is_some_and(recent);
        roster.voting().filter(|member| member.node == me || heard(member.node)).count() >= roster.needed()
    }

    /// When a quorum, this node among it, was heard last; none if it never was.
    #[must_use]
    pub fn quorum_heard_ms(&self, roster: &Roster, me: NodeKey) -> Option<u64> {
        let others = roster.voting().filter(|member| member.node != me);
        let mut heard: Vec<u64> = others.filter_map(|member| self.progress.get(&member.node)?.heard_ms).collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        heard.get(roster.needed().checked_sub(2)?).copied()
    }
}

#[cfg(test)]
mod tests;
