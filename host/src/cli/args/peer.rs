//! Arguments of commands about other nodes.

use clap::Subcommand;
use std::net::SocketAddr;

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// The key by which other nodes know this one
    Key,
    /// Let a peer of the running node in no more: its connection ends, and it is not called, until it is allowed again
    Revoke {
        /// Its name in the configuration
        peer: String,
    },
    /// Let a peer in again that was revoked
    Allow {
        /// Its name in the configuration
        peer: String,
    },
    /// Call a node and say what it answers: its key, whether it lets this node in, its version, the round-trip time
    Probe {
        /// Its address, such as 127.0.0.1:7400
        #[arg(value_name = "ADDR")]
        address: SocketAddr,
        /// Expect this node key, 64 hexadecimal digits; whoever answers when absent
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}
