//! The policy on a ledger in memory.

mod flows;
mod malformed;
mod properties;
mod support;
