//! A node that runs: it keeps its journal open, serves its ledgers, and shares them with its peers.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`config`] | the configuration file |
//! | `run` | start, signals, stop |
//! | `network` | calls peers and is called, and moves what arrives to the driver |
//! | `driver` | one thread that owns the federation's state machines and carries out what they ask for |
//! | `facts` | what those ask of the journal |
//! | `owner` | the pipeline of a ledger that this node owns, and answers that wait for a quorum |
//! | `deliverer` | gives the effects of a ledger that this node owns to their drivers |
//! | `follower` | does the steps of an owner again |
//! | [`own`], `reconcile` | the node's own ledger, whose policy decides about differences, and carrying that out |
//! | `roster` | who shares which ledger |
//! | `bundles` | bundles made for peers, fetched from them, and the beginning of a ledger on a new member |
//! | `roots` | the roots of a ledger, told to peers and compared with theirs |
//! | `revoked` | peers that an operator does not let in |
//! | [`rejected`] | what peers sent and was rejected, in files |
//! | `standing` | what this node has promised and signed, in files |
//! | [`world`] | what a node takes from outside: keys, time, randomness, files, threads |
//! | [`control`], [`client`] | the socket in the node's directory by which commands reach a running node |
//! | [`commands`] | commands that run over its journal |
//!
//! Invariant: what the state machines ask for is carried out in their order, and what they want durable is durable before
//! the next thing is done.

mod bundles;
pub mod client;
pub mod commands;
pub mod config;
pub mod control;
mod deliverer;
mod driver;
mod facts;
mod follower;
mod happening;
mod network;
pub mod own;
mod owner;
mod reconcile;
pub mod rejected;
mod revoked;
mod roots;
mod roster;
mod run;
mod standing;
pub mod world;

pub use run::{RunNodeError, Running, link_config, run};
