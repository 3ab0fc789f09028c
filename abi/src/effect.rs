//! Effects: what the outside world should do, recorded before it is done.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// One thing to do outside, at least once, after the receipt is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Lets the receiver recognise a repeat. 1 to 128 bytes.
    pub idempotency_key: String,
    /// Which driver acts. 1 to 128 bytes.
    pub driver: String,
    /// Logical time after which it must not begin, in milliseconds.
    pub deadline_ms: u64,
    /// For the driver, at most 64 KiB.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// How to undo it.
    pub compensator: Option<Compensator>,
}

/// How an effect is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensator {
    /// Which driver acts. 1 to 128 bytes.
    pub driver: String,
    /// For the driver, at most 64 KiB.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}
