//! Who is allowed, who is connected, and what was counted. One lock, so that a key that is revoked in the middle of a
//! handshake does not slip in.

use super::{
    counters::{Counts, DoorCounters, PeerCounters},
    end::Code,
    line::Line,
};
use reprise_receipts::PublicKey;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a link knows of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its key.
    pub key: PublicKey,
    /// Where its connections lead to, the oldest first, with the current estimate of their round-trip time.
    pub connections: Vec<(SocketAddr, Duration)>,
    /// What was counted since its key was allowed.
    pub counts: Counts,
}

/// The peers of a link.
#[derive(Debug)]
pub(super) struct Peers {
    allowed: Mutex<BTreeMap<PublicKey, Peer>>,
    door: DoorCounters,
    connections_max: usize,
}

#[derive(Debug, Default)]
struct Peer {
    counters: Arc<PeerCounters>,
    /// Those that are open or ended just now, the oldest first.
    connections: Vec<Line>,
}

impl Peers {
    /// `connections_max`: for each peer.
    pub(super) fn new(allowed: impl IntoIterator<Item = PublicKey>, connections_max: usize) -> Arc<Self> {
        let allowed = allowed.into_iter().map(|key| (key, Peer::default())).collect();
        Arc::new(Self { allowed: Mutex::new(allowed), door: DoorCounters::default(), connections_max })
    }

    pub(super) fn door(&self) -> &DoorCounters {
        &self.door
    }

    pub(super) fn is_allowed(&self, key: &PublicKey) -> bool {
        self.peers().contains_key(key)
    }

    pub(super) fn allow(&self, key: PublicKey) {
        self.peers().entry(key).or_default();
    }

    /// Forgets a key and closes its connections. False when it was not allowed.
    pub(super) fn revoke(&self, key: &PublicKey) -> bool {
        let Some(peer) = self.peers().remove(key) else { return false };
        for connection in peer.connections {
            connection.close(Code::Revoked);
        }
        true
    }

    /// Takes a connection among those of its peer, and closes the oldest of them when they are too many. `None`: the
    /// key was revoked meanwhile.
    pub(super) fn enter(&self, key: &PublicKey, connection: &Line) -> Option<Arc<PeerCounters>> {
        let mut peers = self.peers();
        let peer = peers.get_mut(key)?;
        peer.connections.retain(Line::is_open);
        while peer.connections.len() >= self.connections_max.max(1) {
            peer.connections.remove(0).close(Code::Replaced);
        }
        peer.connections.push(connection.clone());
        peer.counters.connections.add(1);
        Some(peer.counters.clone())
    }

    /// Forgets a connection that ended, and keeps what it counted.
    pub(super) fn leave(&self, key: &PublicKey, connection: &Line, counters: &PeerCounters) {
        let mut peers = self.peers();
        if let Some(peer) = peers.get_mut(key) {
            peer.connections.retain(|other| !other.is(connection));
        }
        counters.add_wire(&connection.quic().stats());
    }

    /// All allowed peers, in the order of their keys.
    pub(super) fn report(&self) -> Vec<PeerReport> {
        self.peers().iter().map(|(key, peer)| peer.report(key)).collect()
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<PublicKey, Peer>> {
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn report(&self, key: &PublicKey) -> PeerReport {
        let mut counts = self.counters.now();
        for connection in &self.connections {
            let stats = connection.quic().stats();
            counts.sent.wire_bytes += stats.udp_tx.bytes;
            counts.received.wire_bytes += stats.udp_rx.bytes;
        }
        let open = self.connections.iter().filter(|line| line.is_open()).map(Line::quic);
        let connections = open.map(|open| (open.remote_address(), open.rtt())).collect();
        PeerReport { key: *key, connections, counts }
    }
}
