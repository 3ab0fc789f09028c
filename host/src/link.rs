//! The transport between nodes: QUIC with mutual raw keys. It carries opaque frames and byte streams and knows nothing
//! of ledgers.
//!
//! A [`Link`] is one UDP socket. Nodes know each other by Ed25519 keys (RFC 7250 raw public keys in TLS 1.3, both
//! ways); the set of keys that are allowed can change at any moment, and a key that leaves it loses its connections.
//! A connection has one control stream with frames of at most [`FRAME_BYTES_MAX`], which begins with a hello both ways,
//! and one stream for each transfer of declared length. `docs/link.md` has the bytes and the bounds.
//!
//! | module | what it does |
//! | --- | --- |
//! | `limits` | every bound, with what it is for |
//! | `identity` | the node key as TLS sees it, and what is derived from it |
//! | `tls` | who is let in, and what is switched off |
//! | `transport` | limits as settings of QUIC |
//! | `gate` | handshakes at the same time, in all and for each host |
//! | `peers` | who is allowed, who is connected, and what was counted |
//! | `endpoint` | the socket: accept, connect, probe |
//! | `hello` | the first frame each way |
//! | `frame` | frames on the control stream |
//! | `transfer` | streams of declared length |
//! | `line` | a connection that remembers why it was closed |
//! | `session` | a connection that is authorised |
//! | `end` | how connections end |
//!
//! Invariant: nothing here reads a clock but tokio's, so that paused and simulated time work.
//! Invariant: no queue, window, count or wait is without a bound.

mod connect;
mod counters;
mod end;
mod endpoint;
mod frame;
mod gate;
mod hello;
mod identity;
mod limits;
mod line;
mod pace;
mod peers;
mod session;
mod tls;
mod transfer;
mod transport;

pub use connect::{Answer, ConnectError, Refusal};
pub use counters::{Counts, DoorCounts, Traffic};
pub use end::{Code, Ended};
pub use endpoint::{BindError, Link, LinkConfig};
pub use limits::{
    ALPN, DoorLimits, FRAME_BYTES_MAX, GREETING_BYTES_MAX, LINK_VERSION, Limits, PeerLimits, TRANSFER_HEADER_BYTES,
    Times, TransferLimits,
};
pub use peers::PeerReport;
pub use session::{Event, Inbox, SendError, Session};
pub use transfer::{Receiving, Sending, TransferError};
