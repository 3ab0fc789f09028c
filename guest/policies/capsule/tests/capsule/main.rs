//! The policy as a whole, on a ledger in memory.

mod cost;
mod flows;
mod properties;
mod support;
