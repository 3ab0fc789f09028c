//! Planted bugs: ways to make real nodes wrong from outside, through their disks, their configurations, what submits to
//! them, and mouths before them that say or hear something else. Each must be found.

use crate::{
    disk::DiskFlaw,
    node::{Machine, key},
    office::operator,
};
use reprise_abi::decode_canonical;
use reprise_federation::{
    Grant, Mark, Message, NodeKey, Standing,
    message::{Ack, Append, Claim, Standpoint, Vote},
};
use reprise_receipts::Receipt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// All disks say that they have synced, and have not: what is acknowledged is not durable.
    DisksLie,
    /// The journal is synced before its last write is there.
    SyncsTooEarly,
    /// After a loss of power a journal is what it was at the start before: restored without its standing.
    OldJournals,
    /// After a loss of power a machine is what it was when it was started before: restored from a backup.
    OldBackups,
    /// A replaced standing is the old one after a loss of power: promises and signatures are forgotten.
    StandingsForget,
    /// A standing reaches the disk when the next one is written: signatures go out before they are kept.
    StandingsLate,
    /// That the disk has no room for a standing is not noticed.
    FullDiskIsIgnored,
    /// What was signed is not among what is written down.
    SignedIsNotWritten,
    /// The owner's configuration says that it need not wait for anybody.
    AcknowledgesAlone,
    /// The owner's configuration counts replicas as observers: fewer of them make a quorum.
    SmallQuorum,
    /// Replicas agree to steps when they come, before they have done them again.
    AgreesUnseen,
    /// The owner says of all that it has that it is committed.
    EverythingCommitted,
    /// Nobody checks the operators' signatures: whoever lies grants itself the ledger.
    BelievesGrants,
    /// A promise to a later owner is not among what is written down.
    PromisedIsNotWritten,
    /// Whoever starts a node with a new disk does not say that its memory is lost.
    LostMemoryIsNotSaid,
    /// Whoever submits gives an event that was not answered another id.
    NewIdsForOldEvents,
    /// Answers are given to whoever has submitted the next event.
    AnswersMixedUp,
}

impl Flaw {
    pub const ALL: [Self; 17] = [
        Self::DisksLie,
        Self::SyncsTooEarly,
        Self::OldJournals,
        Self::OldBackups,
        Self::StandingsForget,
        Self::StandingsLate,
        Self::FullDiskIsIgnored,
        Self::SignedIsNotWritten,
        Self::AcknowledgesAlone,
        Self::SmallQuorum,
        Self::AgreesUnseen,
        Self::EverythingCommitted,
        Self::BelievesGrants,
        Self::PromisedIsNotWritten,
        Self::LostMemoryIsNotSaid,
        Self::NewIdsForOldEvents,
        Self::AnswersMixedUp,
    ];

    /// Makes a machine's disk wrong, where that is the bug.
    pub fn plant(self, machine: &Machine) {
        machine.disk.set_flaw(match self {
            Self::DisksLie => DiskFlaw::Lies,
            Self::SyncsTooEarly => DiskFlaw::SyncsTooEarly,
            Self::OldJournals => DiskFlaw::JournalGoesBack,
            Self::OldBackups => DiskFlaw::AllGoesBack,
            Self::StandingsForget => DiskFlaw::FilesForget,
            Self::StandingsLate => DiskFlaw::FilesLate,
            Self::FullDiskIsIgnored => DiskFlaw::FullIsIgnored,
            _ => return,
        });
    }

    /// What is written of a standing, in the place of another.
    pub fn written(self, standing: Standing, before: Option<Standing>) -> Standing {
        match (self, before) {
            (Self::SignedIsNotWritten, _) => Standing { signed: Mark::EMPTY, ..standing },
            (Self::PromisedIsNotWritten, Some(before)) => Standing {
                promised: before.promised,
                owner: before.owner,
                grant: before.grant,
                log_epoch: before.log_epoch,
                ..standing
            },
            _ => standing,
        }
    }

    /// The ledger gets other owners in any case.
    pub fn needs_other_owners(self) -> bool {
        matches!(self, Self::PromisedIsNotWritten | Self::LostMemoryIsNotSaid)
    }

    /// There is somebody who lies in any case.
    pub fn needs_a_liar(self) -> bool {
        self == Self::BelievesGrants
    }

    /// Everything that this node says and hears goes through a mouth that has the bug.
    pub fn has_mouth(self, node: usize) -> bool {
        match self {
            Self::AgreesUnseen => node != 0,
            Self::EverythingCommitted => node == 0,
            _ => false,
        }
    }

    /// What the mouth says at once to what has come.
    pub fn answers(self, heard: &Message) -> Option<Message> {
        match (self, heard) {
            (Self::AgreesUnseen, Message::Append(append)) => agree(append).map(Message::Ack),
            _ => None,
        }
    }

    /// What is said instead.
    pub fn says(self, message: Message) -> Message {
        match (self, message) {
            (Self::EverythingCommitted, Message::Append(append)) => {
                Message::Append(Append { committed: append.head.size, ..append })
            }
            (_, message) => message,
        }
    }

    /// What a liar can say beside a vote of its own, because nobody checks signatures: that the ledger is its own from now on.
    pub fn forges(self, vote: &Vote, liar: usize) -> Option<Message> {
        if self != Self::BelievesGrants {
            return None;
        }
        let (owner, attester) = (NodeKey(key(liar, 0).public()), key(liar, 1).public());
        let grant = Grant { ledger: vote.ledger, epoch: vote.epoch + 100, owner, attester, roster: 1 };
        Some(Message::Claim(Claim { grant: grant.sign(&[&operator()]) }))
    }
}

/// A member that has all of these steps, if they lead to the owner's head.
fn agree(append: &Append) -> Option<Ack> {
    let end = append.before.size + append.steps.len() as u64;
    let last = append.steps.last().filter(|_| end == append.head.size)?;
    let receipt: Receipt = decode_canonical(&last.receipt).ok()?;
    Some(Ack {
        ledger: append.ledger,
        epoch: append.epoch,
        standpoint: Standpoint::Agrees,
        have: append.head,
        state_root: receipt.next_state,
    })
}
