//! What the host itself tells a policy: a timer is due, an effect has ended.
//!
//! A policy that wants to hear of them names `reprise.timer` and `reprise.effect` among the input kinds of its
//! description. Where it does not, the ledger keeps its books and the policy does not run.

use crate::{
    policy::StepInput,
    rejection::{Code, SdkCode},
};
use reprise_abi::{EFFECT_KIND, EffectResult, Rejection, TIMER_KIND, decode_canonical};

/// An input, by who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent<'i> {
    /// A timer that the policy set is due. It is not set any more.
    Timer {
        /// Its id.
        id: &'i str,
        /// Its payload.
        payload: &'i [u8],
    },
    /// An effect that the policy emitted has ended: done, failed for good, or expired.
    Effect(EffectResult),
    /// Somebody submitted it: read it with [`typed::event`](crate::typed::event).
    Submitted,
}

impl<'i> HostEvent<'i> {
    /// Tells the host's own inputs from submitted ones.
    ///
    /// # Errors
    /// [`SdkCode::MalformedPayload`]: the result of an effect does not decode. A ledger never lets that happen.
    pub fn of(input: &'i StepInput) -> Result<Self, Rejection> {
        match input.kind.as_str() {
            TIMER_KIND => Ok(Self::Timer { id: &input.id, payload: &input.payload }),
            EFFECT_KIND => match decode_canonical(&input.payload) {
                Ok(result) => Ok(Self::Effect(result)),
                Err(_) => Err(SdkCode::MalformedPayload.because("not the result of an effect")),
            },
            _ => Ok(Self::Submitted),
        }
    }
}
