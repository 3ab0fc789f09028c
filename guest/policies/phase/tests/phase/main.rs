//! The policy as a whole, on a ledger in memory.

mod chaos;
mod cost;
mod flows;
mod malformed;
mod properties;
mod recovery;
mod support;
