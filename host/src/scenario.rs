//! Scenarios: a policy, what is submitted and when, what the outside world does, what goes wrong, and what must come
//! of it.
//!
//! A scenario runs on the real engine and the real ledger: the orderer, the runner and the head that a node has. Only
//! time and the outside world are scripted. Nonce and key are fixed, so the same file gives the same bytes.
//!
//! ```text
//! file.rs    the file as written              script.rs   its events and faults, one by one, in order
//! stage.rs   a policy on an engine            keep.rs     where sealed steps go: nowhere, or to a journal
//! play.rs    the run                          played.rs   what happened
//! check.rs   the first difference             trace.rs    the golden trace
//! ```

mod check;
mod file;
mod keep;
mod play;
mod played;
mod script;
mod stage;
mod trace;

pub use check::{Difference, difference};
pub use file::{Deadline, Expect, FILE_BYTES_MAX, FileError, Scenario};
pub use keep::KeepError;
pub use play::{PlayError, STEPS_MAX};
pub use played::{Cause, EffectTrail, Ended, Fired, Moment, Played, Status, Step};
pub use stage::{Stage, StageError, package_for};
pub use trace::{TRACE_LINES_MAX, trace};

#[cfg(test)]
mod tests;
