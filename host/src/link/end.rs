//! How connections end: the codes that nodes send, and what the side that is left is told.

use quinn::{ConnectionError, VarInt};
use std::fmt;

/// Bits of a transport error that carries a TLS alert (RFC 9001, 4.8).
const TLS_ALERT: u64 = 0x100;
/// The key is not one that is let in (RFC 8446, 6.2).
const ACCESS_DENIED: u64 = 49;
const NO_APPLICATION_PROTOCOL: u64 = 120;
/// RFC 9000, 20.1.
const CONNECTION_REFUSED: u64 = 0x2;

/// Why a node closes a connection or cuts a stream, as the other side reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// Nothing more to say.
    Done = 0,
    /// The node stops.
    Stopping = 1,
    /// The key is not allowed any more.
    Revoked = 2,
    /// A newer connection of the same peer takes its place.
    Replaced = 3,
    /// Something did not decode, or came where it may not.
    Malformed = 4,
    /// A frame or transfer is longer than is taken.
    TooLong = 5,
    /// A stream stood still for too long, or came too slowly.
    TooSlow = 6,
    /// The hellos do not have the same version.
    Version = 7,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This node closed it, for this reason.
    Here(Code),
    /// The peer closed it, for this reason.
    ByPeer(Code),
    /// The peer closed it, for a reason that this version does not know.
    ByPeerUnknown(u64),
    /// The peer does not allow our key.
    NotAuthorised,
    /// The peer speaks no version of this protocol, or not ours.
    NoCommonProtocol,
    /// The peer has too many handshakes under way.
    Busy,
    /// Nothing came for too long.
    TimedOut,
    /// The peer has started again and knows nothing of the connection.
    Restarted,
    /// QUIC or TLS broke off, with this code of RFC 9000, 20.
    Transport(u64),
}

impl Code {
    pub(super) fn to_wire(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    fn from_wire(code: u64) -> Option<Self> {
        use Code::*;
        [Done, Stopping, Revoked, Replaced, Malformed, TooLong, TooSlow, Version]
            .into_iter()
            .find(|known| *known as u32 as u64 == code)
    }
}

impl From<&ConnectionError> for Ended {
    fn from(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                let code = close.error_code.into_inner();
                Code::from_wire(code).map_or(Self::ByPeerUnknown(code), Self::ByPeer)
            }
            ConnectionError::ConnectionClosed(close) => from_transport(close.error_code.into()),
            ConnectionError::TransportError(error) => Self::Transport(error.code.into()),
            ConnectionError::VersionMismatch => Self::NoCommonProtocol,
            ConnectionError::Reset => Self::Restarted,
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => Self::Here(Code::Done),
        }
    }
}

fn from_transport(code: u64) -> Ended {
    match code {
        CONNECTION_REFUSED => Ended::Busy,
        code if code == TLS_ALERT + ACCESS_DENIED => Ended::NotAuthorised,
        code if code == TLS_ALERT + NO_APPLICATION_PROTOCOL => Ended::NoCommonProtocol,
        code => Ended::Transport(code),
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "there is nothing more to say",
            Self::Stopping => "the node stops",
            Self::Revoked => "the key was revoked",
            Self::Replaced => "a newer connection took its place",
            Self::Malformed => "something that was sent breaks the rules",
            Self::TooLong => "something that was sent is too long",
            Self::TooSlow => "a stream was too slow",
            Self::Version => "the versions differ",
        })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(code) => write!(f, "this node closed the connection: {code}"),
            Self::ByPeer(code) => write!(f, "the peer closed the connection: {code}"),
            Self::ByPeerUnknown(code) => write!(f, "the peer closed the connection with the unknown code {code}"),
            Self::NotAuthorised => f.write_str("the peer does not allow the key of this node"),
            Self::NoCommonProtocol => f.write_str("the peer does not speak this version of the protocol"),
            Self::Busy => f.write_str("the peer has too many handshakes under way"),
            Self::TimedOut => f.write_str("nothing came for too long"),
            Self::Restarted => f.write_str("the peer has started again"),
            Self::Transport(code) => write!(f, "the transport broke off with code {code:#x}"),
        }
    }
}
