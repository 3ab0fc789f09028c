//! The contract between a recovery policy and its host: WIT world, canonical codec, inputs, diffs, effects, outcomes, limits.
//!
//! Both sides of the sandbox and every verifier depend on this crate and on nothing else in common. It is `no_std`,
//! does no I/O and hashes nothing: it says what the objects are and gives each of them exactly one encoding.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod codec;
pub mod description;
pub mod diff;
pub mod effect;
pub mod input;
pub mod limits;
pub mod outcome;
pub mod timer;

pub use codec::{Canonical, CodecError, decode_canonical, encode};
pub use description::{Description, GovernedRule, RejectionCode};
pub use diff::{Change, Diff, DiffError};
pub use effect::{Compensator, EFFECT_KIND, Effect, EffectPhase, EffectResult, EffectStatus};
pub use input::{Event, EventError, HOST_SOURCE, Input};
pub use outcome::{LimitKind, Outcome, OutcomeClass, Rejection, TrapKind, Violation};
pub use timer::{TIMER_KIND, Timer, TimerChange};

/// The WIT text of the policy world, for tools that build or inspect components.
pub const POLICY_WIT: &str = include_str!("../wit/policy.wit");
