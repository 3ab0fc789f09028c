//! What a node knows of one peer: its connection, its score, what it was asked.

use crate::{
    compare::Divergence,
    ledgers::LedgerHead,
    limits::QUESTIONS_MAX,
    message::{NodeKey, PROTOCOL_VERSION_MIN},
    score::Score,
};
use reprise_receipts::{LedgerId, PublicKey};
use std::collections::BTreeMap;

/// Streams that are announced but not there, with one peer.
const STREAMS_MAX: usize = 64;

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connected: bool,
    /// Its hello has come and holds: the version that both speak, and the key that it signs receipts with.
    pub(super) greeted: Option<(u16, PublicKey)>,
    pub(super) score: Score,
    pub(super) compare_at_ms: u64,
    /// Heads that it told last.
    pub(super) heads: BTreeMap<LedgerId, LedgerHead>,
    /// The last difference that was told of.
    pub(super) findings: BTreeMap<LedgerId, Divergence>,
    /// When all heads were the same.
    pub(super) agreed_ms: Option<u64>,
    pub(super) asked: BTreeMap<u32, Asked>,
    /// Streams to come, with what they are for and the time by which they must be complete.
    pub(super) streams: BTreeMap<u64, (Purpose, u64)>,
}

/// A question without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) sent_ms: u64,
    pub(super) deadline_ms: u64,
    pub(super) purpose: Purpose,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A comparison of all heads.
    Heads,
    /// The search of a pursuit.
    Search(LedgerId),
    /// The receipt in which a fork begins.
    Fork(LedgerId),
    /// Steps over the stream with this number.
    Steps(LedgerId, u64),
    /// The driver asked, under this number.
    Driver(u32),
    /// The driver asked for something that is made first, under this number. How long it takes says nothing about the round
    /// trip.
    Made(u32),
}

/// What is known of a peer, for people.
#[derive(Debug)]
pub struct PeerView<'a> {
    /// Its node key.
    pub node: NodeKey,
    /// There is a connection, and it has said who it is.
    pub connected: bool,
    /// The version of the protocol that is spoken with it.
    pub version: u16,
    /// When all heads that are shared with it were the same.
    pub agreed_ms: Option<u64>,
    /// The heads that it told last.
    pub heads: &'a BTreeMap<LedgerId, LedgerHead>,
    /// The last difference to it, by ledger.
    pub findings: &'a BTreeMap<LedgerId, Divergence>,
    /// Its score.
    pub score: &'a Score,
}

impl Peer {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            connected: false,
            greeted: None,
            score: Score::new(seed),
            compare_at_ms: 0,
            heads: BTreeMap::new(),
            findings: BTreeMap::new(),
            agreed_ms: None,
            asked: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    pub(super) fn connect(&mut self, now_ms: u64) {
        self.disconnect();
        (self.connected, self.compare_at_ms) = (true, now_ms);
    }

    pub(super) fn disconnect(&mut self) {
        (self.connected, self.greeted) = (false, None);
        self.asked.clear();
        self.streams.clear();
    }

    /// The version of the protocol that is spoken with it.
    pub(super) fn version(&self) -> u16 {
        self.greeted.map_or(PROTOCOL_VERSION_MIN, |(version, _)| version)
    }

    pub(super) fn is_there(&self) -> bool {
        self.connected && self.greeted.is_some()
    }

    /// It may be asked one more thing.
    pub(super) fn has_room(&self, now_ms: u64) -> bool {
        self.is_there()
            && self.score.is_usable(now_ms)
            && self.asked.len() < QUESTIONS_MAX
            && self.streams.len() < STREAMS_MAX
    }

    /// Takes out what was not answered in time.
    pub(super) fn take_expired(&mut self, now_ms: u64) -> Vec<Purpose> {
        let mut late = Vec::new();
        self.asked.retain(|_, asked| {
            let in_time = now_ms < asked.deadline_ms;
            if !in_time {
                late.push(asked.purpose);
            }
            in_time
        });
        self.streams.retain(|_, (purpose, deadline_ms)| {
            let in_time = now_ms < *deadline_ms;
            if !in_time {
                late.push(*purpose);
            }
            in_time
        });
        late
    }

    pub(super) fn view(&self, node: NodeKey) -> PeerView<'_> {
        PeerView {
            node,
            connected: self.is_there(),
            version: self.version(),
            agreed_ms: self.agreed_ms,
            heads: &self.heads,
            findings: &self.findings,
            score: &self.score,
        }
    }
}
