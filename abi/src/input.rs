//! Events as submitted, inputs as ordered.

use crate::{
    codec::{Canonical, CodecError, require},
    limits::{INPUT_BYTES_MAX, INPUT_PAYLOAD_BYTES_MAX, NAME_BYTES_MAX},
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Kinds with this prefix are the host's own commands; nobody else may submit them.
pub const HOST_KIND_PREFIX: &str = "reprise.";

/// Source of the inputs that the ledger gives itself: due timers, results of effects.
pub const HOST_SOURCE: &str = "reprise";

/// What somebody submits: not ordered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Idempotency key, unique for `source` within the retention time. 1 to 128 bytes.
    pub id: String,
    /// Who submits. 1 to 128 bytes.
    pub source: String,
    /// What it is. 1 to 128 bytes.
    pub kind: String,
    /// The submitter's bytes, at most 64 KiB.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

/// Why an event cannot be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A name is empty.
    #[error("`{field}` is empty")]
    EmptyName {
        /// Which field.
        field: &'static str,
    },
    /// A name is too long.
    #[error("`{field}` is {len} bytes long, at most {NAME_BYTES_MAX} are allowed")]
    NameTooLong {
        /// Which field.
        field: &'static str,
        /// Bytes given.
        len: usize,
    },
    /// The payload is too long.
    #[error("the payload is {len} bytes long, at most {INPUT_PAYLOAD_BYTES_MAX} are allowed")]
    PayloadTooLong {
        /// Bytes given.
        len: usize,
    },
}

impl Event {
    /// Holds the bounds of every field.
    ///
    /// # Errors
    /// [`EventError`], naming the field.
    pub fn bounds(&self) -> Result<(), EventError> {
        for (field, name) in [("id", &self.id), ("source", &self.source), ("kind", &self.kind)] {
            if name.is_empty() {
                return Err(EventError::EmptyName { field });
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(EventError::NameTooLong { field, len: name.len() });
            }
        }
        if self.payload.len() > INPUT_PAYLOAD_BYTES_MAX {
            return Err(EventError::PayloadTooLong { len: self.payload.len() });
        }
        Ok(())
    }
}

impl Canonical for Event {
    const KIND: &'static str = "event";
    const BYTES_MAX: usize = INPUT_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        require(self.bounds().is_ok(), Self::KIND, "a field is empty or over its limit")
    }
}

/// One event in its order: what a step is a function of, beside the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Position in the ledger, from 0, without gaps.
    pub seq: u64,
    /// The fencing token: which grant of ownership ordered it.
    pub epoch: u64,
    /// Milliseconds, stamped by the owner; never decreases within a ledger.
    pub logical_time_ms: u64,
    /// What was submitted.
    pub event: Event,
}

impl Canonical for Input {
    const KIND: &'static str = "input";
    const BYTES_MAX: usize = INPUT_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        require(self.event.bounds().is_ok(), Self::KIND, "a field is empty or over its limit")
    }
}
