//! What is counted: for each peer as long as its key is allowed, and at the door for those who have no key.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Control frames, hellos not among them.
    pub frames: u64,
    /// Their bytes, lengths included.
    pub frame_bytes: u64,
    /// Transfers that were begun.
    pub transfers: u64,
    /// Their bytes, headers included.
    pub transfer_bytes: u64,
    /// Bytes of the UDP datagrams, with everything that QUIC adds.
    pub wire_bytes: u64,
}

/// What was counted for a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// From here to the peer.
    pub sent: Traffic,
    /// From the peer to here.
    pub received: Traffic,
    /// How often something came after something was sent: questions and answers as the network sees them.
    pub round_trips: u64,
    /// Connections that were authorised.
    pub connections: u64,
    /// What the peer sent and we did not take: frames and transfers that break a rule, connections cut for it.
    pub refused: u64,
    /// Frames that had to wait because the peer sends too many.
    pub throttled: u64,
}

/// What was counted at the door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorCounts {
    /// Handshakes that were begun.
    pub handshakes: u64,
    /// Callers that had to show first that they receive.
    pub retried: u64,
    /// Callers turned away because too many handshakes were under way.
    pub busy: u64,
    /// Callers whose key is not allowed.
    pub unknown_keys: u64,
    /// Handshakes that failed or took too long, those of unknown keys included.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Way {
    pub(super) frames: Counter,
    pub(super) frame_bytes: Counter,
    pub(super) transfers: Counter,
    pub(super) transfer_bytes: Counter,
    pub(super) wire_bytes: Counter,
}

/// The counters of a peer, shared by its connections.
#[derive(Debug, Default)]
pub(super) struct PeerCounters {
    pub(super) sent: Way,
    pub(super) received: Way,
    pub(super) connections: Counter,
    pub(super) refused: Counter,
    pub(super) throttled: Counter,
    round_trips: Counter,
    asked: AtomicBool,
}

/// The counters of the door.
#[derive(Debug, Default)]
pub(super) struct DoorCounters {
    pub(super) handshakes: Counter,
    pub(super) retried: Counter,
    pub(super) busy: Counter,
    pub(super) unknown_keys: Counter,
    pub(super) failed: Counter,
}

impl PeerCounters {
    pub(super) fn frame_sent(&self, bytes: usize) {
        self.sent.frames.add(1);
        self.sent.frame_bytes.add(bytes as u64);
        self.asked.store(true, Ordering::Relaxed);
    }

    pub(super) fn frame_received(&self, bytes: usize) {
        self.received.frames.add(1);
        self.received.frame_bytes.add(bytes as u64);
        self.answered();
    }

    pub(super) fn transfer_received(&self) {
        self.received.transfers.add(1);
        self.answered();
    }

    /// Adds what a connection that ended has sent and received.
    pub(super) fn add_wire(&self, stats: &quinn::ConnectionStats) {
        self.sent.wire_bytes.add(stats.udp_tx.bytes);
        self.received.wire_bytes.add(stats.udp_rx.bytes);
    }

    pub(super) fn now(&self) -> Counts {
        Counts {
            sent: self.sent.now(),
            received: self.received.now(),
            round_trips: self.round_trips.now(),
            connections: self.connections.now(),
            refused: self.refused.now(),
            throttled: self.throttled.now(),
        }
    }

    fn answered(&self) {
        if self.asked.swap(false, Ordering::Relaxed) {
            self.round_trips.add(1);
        }
    }
}

impl DoorCounters {
    pub(super) fn now(&self) -> DoorCounts {
        DoorCounts {
            handshakes: self.handshakes.now(),
            retried: self.retried.now(),
            busy: self.busy.now(),
            unknown_keys: self.unknown_keys.now(),
            failed: self.failed.now(),
        }
    }
}

impl Way {
    fn now(&self) -> Traffic {
        Traffic {
            frames: self.frames.now(),
            frame_bytes: self.frame_bytes.now(),
            transfers: self.transfers.now(),
            transfer_bytes: self.transfer_bytes.now(),
            wire_bytes: self.wire_bytes.now(),
        }
    }
}
