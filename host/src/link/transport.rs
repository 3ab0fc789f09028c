//! Limits as settings of QUIC.

use super::limits::Limits;
use quinn::{IdleTimeout, TransportConfig, VarInt};
use std::{sync::Arc, time::Duration};

/// Which side of a connection a node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that called.
    Caller,
    /// The one that was called.
    Callee,
}

/// Longest idle time that is set, whatever the limits say: the setting of QUIC has 62 bits of milliseconds.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Settings of one connection.
pub(super) fn config(limits: &Limits, side: Side) -> Arc<TransportConfig> {
    let window = limits.peer.in_flight_bytes_max;
    let idle = IdleTimeout::try_from(limits.times.idle.min(IDLE_MAX)).expect("a day fits");
    // The control stream is the caller's, and the only one that goes both ways.
    let control_streams = match side {
        Side::Caller => 0_u8,
        Side::Callee => 1,
    };
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits.times.keep_alive))
        .max_concurrent_bidi_streams(control_streams.into())
        .max_concurrent_uni_streams(limits.peer.transfers_max.into())
        .receive_window(VarInt::from_u32(window))
        // One stream may not take it all: frames must come through beside transfers.
        .stream_receive_window(VarInt::from_u32(window / 2))
        .send_window(window.into())
        .datagram_receive_buffer_size(None);
    Arc::new(config)
}
