//! The link between nodes: over real sockets on loopback with friends and strangers, and over a simulated network.

mod alone;
#[path = "../support/mod.rs"]
mod bench;
mod cost;
mod door;
mod hostile;
#[path = "../../../federation/tests/support/leaves.rs"]
mod leaves;
mod probe;
mod raw;
mod restart;
mod sim_socket;
mod simulated;
mod support;
