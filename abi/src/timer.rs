//! Timers: inputs that a policy sends to itself at a logical time.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Kind of the inputs that a timer becomes: the id of the event is the timer's, the payload is the timer's.
pub const TIMER_KIND: &str = "reprise.timer";

/// An input to oneself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Names the timer; setting it again replaces it. 1 to 128 bytes.
    pub id: String,
    /// Logical time at which it is due, in milliseconds.
    pub due_ms: u64,
    /// Payload of the input, at most 64 KiB.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

/// What a step does to its timers, in the order it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimerChange {
    /// Set or replace.
    Set(Timer),
    /// Forget; nothing happens if it is not set.
    Cancel {
        /// Which timer.
        id: String,
    },
}
