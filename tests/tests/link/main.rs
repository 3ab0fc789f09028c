//! The link between nodes: over real sockets on loopback with friends and strangers, and over a simulated network.

mod alone;
#[path = "../support/mod.rs"]
mod bench;
mod door;
mod hostile;
mod probe;
mod raw;
mod restart;
mod sim_socket;
mod simulated;
mod support;
