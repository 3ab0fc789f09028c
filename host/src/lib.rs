//! A node that runs recovery policies as deterministic WebAssembly guests and keeps signed, replayable receipts.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`engine`] | runs a policy: admission, Cranelift, Pulley, native, compiled-code cache |
//! | [`journal`] | keeps records: one redb database, group commit |
//! | [`orderer`] | gives events their place, time and epoch |
//! | [`runner`] | carries out what the head of a ledger asks for |
//! | [`pipeline`] | order and execute, commit and sign, at the same time |
//! | [`verify`] | does every step again and says match, divergent or incomparable |
//! | [`node`] | a directory with all of it |
//! | [`events`] | events as JSON lines |
//! | [`cli`] | the command `reprise` |

pub mod cli;
pub mod engine;
pub mod events;
pub mod journal;
pub mod keys;
pub mod node;
pub mod orderer;
pub mod pipeline;
pub mod runner;
pub mod verify;
