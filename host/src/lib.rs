//! A node that runs recovery policies as deterministic WebAssembly guests and keeps signed, replayable receipts.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`engine`] | runs a policy: admission, Cranelift, Pulley, native, compiled-code cache |
//! | [`journal`] | keeps records: one redb database, group commit |
//! | [`operators`] | what operators' commands rest on, and the events that carry them |
//! | [`orderer`] | gives events their place, time and epoch |
//! | [`runner`] | carries out what the head of a ledger asks for |
//! | [`pipeline`] | order and execute, commit and sign, at the same time |
//! | [`verify`] | does every step again and says match, divergent or incomparable |
//! | [`node`] | a directory with all of it |
//! | [`events`] | events as JSON lines |
//! | [`evidence`] | proofs that somebody signed something wrong: made, kept, verified |
//! | [`effects`] | gives effects to drivers and takes their results |
//! | [`scenario`] | plays scripted worlds on the real ledger |
//! | [`bundles`] | portable files: written from a journal, verified alone, read into a journal |
//! | [`checkpoints`] | makes checkpoints of a running ledger, keeps and drops their snapshots |
//! | [`archive`] | moves old steps to plain files that transparency clients read, and back |
//! | [`projection`] | computes projections and checks those of others |
//! | [`recovery`] | takes ledgers back, restores, rebuilds and repairs them |
//! | [`link`] | carries frames and streams between nodes: QUIC with mutual raw keys |
//! | [`succession`] | moves a ledger to another owner: grants, and the fence after a rollback |
//! | [`daemon`] | runs: serves ledgers and shares them with peers |
//! | [`cli`] | the command `reprise` |

pub mod archive;
pub mod bundles;
pub mod checkpoints;
pub mod cli;
pub mod daemon;
pub mod effects;
pub mod engine;
pub mod events;
pub mod evidence;
mod finality;
pub mod journal;
pub mod keys;
pub mod link;
pub mod node;
pub mod operators;
pub mod orderer;
mod panics;
pub mod pipeline;
pub mod projection;
pub mod recovery;
pub mod runner;
pub mod scenario;
pub mod succession;
pub mod verify;
