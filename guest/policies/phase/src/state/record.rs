//! Records of the log, and orders that have not ended.

use crate::ids::{Nodes, RunId};
use reprise_guest::compact::{Reader, Stored, stored, stored_enum, write_number};

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub what: Entry,
    /// Whose run.
    pub run: RunId,
    /// CRC-32 of its text.
    pub crc: u32,
    /// The fencing token it was written under.
    pub token: u64,
    /// Where it is replicated.
    pub peers: Peers,
    /// Peers that acknowledged it.
    pub acks: Nodes,
    /// The slowest of their fsyncs, in microseconds.
    pub slowest_us: u64,
    /// A majority has it.
    pub durable: bool,
}
stored!(Record { what, run, crc, token, peers, acks, slowest_us, durable });

/// So many peers on a ring, clockwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Version of the ring.
    pub ring: u32,
    /// Position of the first.
    pub from: u32,
    /// How many.
    pub count: u32,
}
stored!(Peers { ring, from, count });

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `BEGIN_PHASE`.
    Begin,
    /// `COMMIT_PHASE`.
    Commit,
    /// A signed override.
    Override,
}
stored_enum!(Entry);

impl Entry {
    const ALL: [Self; 3] = [Self::Begin, Self::Commit, Self::Override];

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["BEGIN_PHASE", "COMMIT_PHASE", "OVERRIDE"][self as usize]
    }
}

/// What was ordered and is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A step of a recovery, under this token.
    Step(RunId, u64),
    /// A new leader reads the checkpoint, under this token.
    Resume(RunId, u64),
    /// Peers leave or (one) enters the replication set.
    Reconfigure(Vec<u64>, bool),
}

impl Stored for Order {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Step(run, token) | Self::Resume(run, token) => {
                write_number(u64::from(matches!(self, Self::Resume(..))), out);
                run.store(out);
                write_number(*token, out);
            }
            Self::Reconfigure(nodes, enter) => {
                write_number(2 + u64::from(*enter), out);
                nodes.store(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Self {
        match from.below(4) {
            0 => Self::Step(Stored::load(from), Stored::load(from)),
            1 => Self::Resume(Stored::load(from), Stored::load(from)),
            kind => Self::Reconfigure(Stored::load(from), kind == 3),
        }
    }
}
