//! Every bound of the link, with what it is for. Those that other nodes must share are constants.

use std::time::Duration;

/// The name of the protocol in TLS. Another major version has another name, and the handshake fails.
pub const ALPN: &[u8] = b"reprise/1";

/// The version that hellos carry. Both sides must have the same one.
pub const LINK_VERSION: u16 = 1;

/// Longest control frame, in bytes, without its length.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Longest greeting in a hello, in bytes.
pub const GREETING_BYTES_MAX: usize = 16 * 1024;

/// Bytes before those of a transfer: its id and its length.
pub const TRANSFER_HEADER_BYTES: usize = 16;

/// What a link may use.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Waits.
    pub times: Times,
    /// Before a connection is authorised.
    pub door: DoorLimits,
    /// For each peer.
    pub peer: PeerLimits,
    /// For each transfer.
    pub transfer: TransferLimits,
}

/// How long is waited for what.
#[derive(Clone, Debug)]
pub struct Times {
    /// A connection on which nothing arrives for so long is lost.
    pub idle: Duration,
    /// Something is sent at least so often. Several of these fit into `idle`, because packets get lost.
    pub keep_alive: Duration,
    /// From the first packet to both hellos.
    pub handshake: Duration,
    /// To finish a frame that was begun, and to take what is sent: a peer that needs longer is cut.
    pub stall: Duration,
}

/// What strangers can make a link hold.
#[derive(Clone, Debug)]
pub struct DoorLimits {
    /// Handshakes at the same time. More are refused.
    pub handshakes_max: usize,
    /// Handshakes at the same time from one host: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub handshakes_per_host_max: usize,
    /// With so many handshakes under way, an address must first show that it receives (RFC 9000, 8.1.2).
    pub retry_from: usize,
    /// Packets kept for connections that wait to be looked at, in bytes.
    pub buffer_bytes_max: u64,
}

/// What each peer can make a link hold.
#[derive(Clone, Debug)]
pub struct PeerLimits {
    /// Connections at the same time; a further one takes the place of the oldest. Two, because both sides may call.
    pub connections_max: usize,
    /// Transfers towards us at the same time, for each connection.
    pub transfers_max: u32,
    /// Bytes sent and not yet taken by whoever reads them, for each direction of a connection.
    pub in_flight_bytes_max: u32,
    /// Frames that wait to be sent or to be taken, for each connection.
    pub queue_frames_max: usize,
    /// Frames taken in a second, on average; further ones wait with the sender.
    pub frames_per_second: u32,
}

/// What a transfer may be.
#[derive(Clone, Debug)]
pub struct TransferLimits {
    /// Longest transfer that is taken, in bytes.
    pub bytes_max: u64,
    /// Slowest rate that is waited for.
    pub bytes_per_second_min: u64,
    /// Waiting that is not held against the rate.
    pub grace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            keep_alive: Duration::from_secs(2),
            handshake: Duration::from_secs(5),
            stall: Duration::from_secs(10),
        }
    }
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self { handshakes_max: 64, handshakes_per_host_max: 16, retry_from: 8, buffer_bytes_max: 1024 * 1024 }
    }
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            connections_max: 2,
            transfers_max: 8,
            in_flight_bytes_max: 4 * 1024 * 1024,
            queue_frames_max: 64,
            frames_per_second: 20_000,
        }
    }
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self { bytes_max: 16 * 1024 * 1024 * 1024, bytes_per_second_min: 16 * 1024, grace: Duration::from_secs(10) }
    }
}
