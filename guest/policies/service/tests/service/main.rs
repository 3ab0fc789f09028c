//! The policy `service`, driven through a ledger in memory.

mod breakers;
mod cost;
mod crashes;
mod database;
mod drills;
mod extremes;
mod integrity;
mod malformed;
mod orders;
mod properties;
mod support;
