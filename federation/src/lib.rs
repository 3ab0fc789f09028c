//! How nodes that share a ledger agree, find out where they differ, and repair themselves: state machines without
//! sockets or clock.
//!
//! Everything here is driven from outside: [`Federation::handle`] takes a message, [`Federation::tick`] the time, and
//! [`Federation::poll`] says what is to be done. Local data is read through [`Ledgers`], so that the host answers from its
//! journal, and a simulation from memory. The same calls in the same order give the same actions.

#![forbid(unsafe_code)]

pub mod bundle;
pub mod compare;
pub mod fetch;
pub mod ledgers;
pub mod limits;
pub mod list;
pub mod membership;
pub mod message;
pub mod node;
pub mod plan;
pub mod quarantine;
pub mod replicate;
pub mod score;
pub mod window;

pub use compare::Divergence;
pub use ledgers::{LedgerHead, Ledgers, LocalHead};
pub use list::List;
pub use membership::{Durability, Grant, Member, Quorum, Role, Roster, SignedGrant, Standing, Suspension, WindowRule};
pub use message::{Mark, Message, NodeKey};
pub use node::{Action, Config, Federation};
pub use plan::Remedy;
