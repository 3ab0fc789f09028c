//! Planted bugs: each makes the drivers of all nodes do a thing that they must not, as if a check of the state machine were
//! not there. The invariants must notice every one of them.

use crate::{
    node::SimNode,
    support::{keys, ledger_id, operator},
};
use reprise_federation::{
    Grant, List, Message, NodeKey, Roster, Standing,
    message::{Claim, Standpoint},
    quarantine::Rejected,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Steps count as durable before the disk has them.
    AcknowledgeBeforeSync,
    /// A promise is forgotten in a crash.
    ForgetPromises,
    /// An owner of a lower epoch is followed.
    AcceptLowerEpoch,
    /// A vote counts whoever made its signature.
    SkipVoteSignatures,
    /// A grant counts without the operators' signatures.
    SkipGrantSignatures,
    /// Receipts are stored without doing the steps again.
    BelieveReceipts,
    /// Rejected steps are stored.
    MergeQuarantined,
    /// One member fewer makes a quorum.
    SmallQuorum,
    /// Everything that the owner sends is taken for committed.
    EverythingCommitted,
    /// A roll-back takes back one step more.
    RollBackTooFar,
    /// Suspension is ignored.
    IgnoreSuspension,
    /// A node without its memory counts as if it had it.
    TrustLostMemory,
    /// An owner acknowledges what only it has.
    AcknowledgeAlone,
    /// A member that is behind counts as one that agrees.
    CountAnyAck,
    /// A member is in line with an epoch before it has what the epoch began with.
    InLineTooEarly,
}

impl Flaw {
    pub const ALL: [Self; 15] = [
        Self::AcknowledgeBeforeSync,
        Self::ForgetPromises,
        Self::AcceptLowerEpoch,
        Self::SkipVoteSignatures,
        Self::SkipGrantSignatures,
        Self::BelieveReceipts,
        Self::MergeQuarantined,
        Self::SmallQuorum,
        Self::EverythingCommitted,
        Self::RollBackTooFar,
        Self::IgnoreSuspension,
        Self::TrustLostMemory,
        Self::AcknowledgeAlone,
        Self::CountAnyAck,
        Self::InLineTooEarly,
    ];

    /// The roster as the flawed node reads it.
    pub fn roster(self, roster: &Roster) -> Roster {
        let mut roster = roster.clone();
        if self == Self::SmallQuorum {
            let owner = roster.first_owner;
            let mut observers = 0;
            let members = roster.members.iter().map(|member| {
                let demote = member.node != owner && observers + 2 < roster.members.len();
                observers += usize::from(demote);
                reprise_federation::Member { observer: demote, ..*member }
            });
            roster.members = List::first(members.collect::<Vec<_>>());
        }
        roster
    }

    /// What the flawed node makes of a message.
    pub fn inbound(self, from: NodeKey, message: Message, node: &SimNode) -> (NodeKey, Message) {
        let message = match (self, message) {
            // Whoever brings it, and whatever stands under it, it counts as its signer's.
            (Self::SkipVoteSignatures, Message::Vote(vote)) => {
                let signer = (0..8).map(keys).find(|keys| keys.receipts.public() == vote.signer);
                return match signer {
                    Some(keys) if vote.verify().is_err() => (keys.id(), Message::Vote(vote.sign(&keys.receipts))),
                    Some(keys) => (keys.id(), Message::Vote(vote)),
                    None => (from, Message::Vote(vote)),
                };
            }
            (Self::SkipGrantSignatures, Message::Claim(claim)) => {
                let grant = Grant { ledger: ledger_id(), roster: 1, ..claim.grant.grant };
                Message::Claim(Claim { grant: grant.sign(&[&operator(0), &operator(1)]) })
            }
            (Self::EverythingCommitted, Message::Append(mut append)) => {
                append.committed = append.head.size;
                append.base = 0;
                Message::Append(append)
            }
            (Self::InLineTooEarly, Message::Append(mut append)) => {
                append.base = 0;
                Message::Append(append)
            }
            (Self::CountAnyAck, Message::Ack(mut ack)) => {
                let own = &node.disk.ledger;
                ack.standpoint = Standpoint::Agrees;
                ack.have = own.mark();
                ack.state_root = own.end.state;
                ack.epoch = node.leads.unwrap_or(ack.epoch);
                Message::Ack(ack)
            }
            (_, message) => message,
        };
        (from, message)
    }

    pub fn roll_back_to(self, size: u64) -> u64 {
        if self == Self::RollBackTooFar { size.saturating_sub(3) } else { size }
    }

    /// What the flawed node's disk keeps of its standing.
    pub fn stored(self, standing: Standing, before: Option<&Standing>) -> Standing {
        match (self, before) {
            (Self::ForgetPromises, Some(before)) => Standing {
                promised: before.promised,
                owner: before.owner,
                grant: before.grant.clone(),
                log_epoch: before.log_epoch,
                ..standing
            },
            (Self::IgnoreSuspension, _) => Standing { suspended: None, ..standing },
            _ => standing,
        }
    }
}

/// Planted: what is in quarantine is stored all the same.
pub fn merge(record: &Rejected, node: &mut SimNode) {
    if let Ok(Message::Append(append)) = Message::from_frame(&record.bytes) {
        for step in append.steps.iter() {
            node.unsynced.push(step.clone());
        }
    }
}

/// Planted: the sender of an append of a lower epoch becomes the owner again.
pub fn lower_epoch(message: &Message, from: NodeKey, standing: Option<&Standing>) -> Option<Standing> {
    let (Message::Append(append), Some(standing)) = (message, standing) else { return None };
    let (epoch, log_epoch) = (append.epoch, standing.log_epoch.min(append.epoch));
    let lower = Standing { promised: epoch, owner: from, grant: None, log_epoch, ..standing.clone() };
    (epoch < standing.promised).then_some(lower)
}
