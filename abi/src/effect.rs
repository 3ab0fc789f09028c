//! Effects: what the outside world should do, recorded before it is done.

use crate::{
    codec::{Canonical, CodecError, require},
    limits::{DETAIL_BYTES_MAX, EFFECT_ANSWER_BYTES_MAX, INPUT_PAYLOAD_BYTES_MAX, NAME_BYTES_MAX},
};
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

/// Kind of the inputs that tell what became of an effect. Their payload is an [`EffectResult`].
pub const EFFECT_KIND: &str = "reprise.effect";

/// What became of one effect: the host submits it as an input, with the effect's idempotency key as its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectResult {
    /// Which effect. 1 to 128 bytes.
    pub idempotency_key: String,
    /// Whether it was carried out, or undone.
    pub phase: EffectPhase,
    /// How it ended.
    pub status: EffectStatus,
}

/// Which half of an effect a driver works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u32)]
pub enum EffectPhase {
    /// The effect itself.
    Act = 0,
    /// Its compensator.
    Compensate = 1,
}

/// How the work on an effect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EffectStatus {
    /// The driver did it.
    Done {
        /// What the world answered, at most 16 KiB.
        #[serde(with = "serde_bytes")]
        answer: Vec<u8>,
    },
    /// The driver gave up. Whether the world changed is not known.
    Failed {
        /// A sentence for people, at most 1 KiB.
        detail: String,
    },
    /// The deadline passed before a driver did it.
    Expired,
    /// One attempt failed and another follows. The ledger counts it; the policy does not see it.
    Retry {
        /// A sentence for people, at most 1 KiB.
        detail: String,
    },
}

impl Canonical for EffectResult {
    const KIND: &'static str = "effect result";
    const BYTES_MAX: usize = INPUT_PAYLOAD_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        let named = !self.idempotency_key.is_empty() && self.idempotency_key.len() <= NAME_BYTES_MAX;
        require(named, Self::KIND, "the idempotency key is 1 to 128 bytes long")?;
        let bounded = match &self.status {
            EffectStatus::Done { answer } => answer.len() <= EFFECT_ANSWER_BYTES_MAX,
            EffectStatus::Failed { detail } | EffectStatus::Retry { detail } => detail.len() <= DETAIL_BYTES_MAX,
            EffectStatus::Expired => true,
        };
        require(bounded, Self::KIND, "an answer has at most 16 KiB, a sentence at most 1 KiB")
    }
}
