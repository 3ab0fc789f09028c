//! What the ledger owes itself: timers and expiries, each with the one input that it becomes.

use super::{outbox, timers};
use crate::trie::StateTrie;
use reprise_abi::{
    EFFECT_KIND, EffectPhase, EffectResult, EffectStatus, Event, HOST_SOURCE, TIMER_KIND, Timer, encode,
};

/// Something that has to be ordered before any other input of its time or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A timer.
    Timer(Timer),
    /// An effect whose deadline has passed.
    Expiry {
        /// Its idempotency key.
        idempotency_key: String,
        /// What was not done in time.
        phase: EffectPhase,
        /// The first millisecond after its deadline.
        expires_ms: u64,
    },
}

impl Due {
    /// When the first of all is due, in milliseconds of logical time: told by its key, not read.
    #[must_use]
    pub fn first_ms(state: &StateTrie) -> Option<u64> {
        [timers::first_due_ms(state), outbox::first_expiry_ms(state)].into_iter().flatten().min()
    }

    /// A change of this key may change what is due first.
    #[must_use]
    pub fn is_told_by(key: &[u8]) -> bool {
        key.starts_with(timers::QUEUE_PREFIX) || key.starts_with(outbox::QUEUE_PREFIX)
    }

    /// What comes first of all that is due by `at_ms`: by time, timers before expiries, then by id or by step.
    #[must_use]
    pub fn first_by(state: &StateTrie, at_ms: u64) -> Option<Self> {
        if Self::first_ms(state)? > at_ms {
            return None;
        }
        let timer = timers::first(state).map(Self::Timer);
        let expiry = outbox::first(state).and_then(|entry| {
            let expires_ms = entry.expires_ms()?;
            Some(Self::Expiry { idempotency_key: entry.effect.idempotency_key, phase: entry.phase, expires_ms })
        });
        [timer, expiry].into_iter().flatten().min_by_key(Self::due_ms)
    }

    /// When, in milliseconds of logical time.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        match self {
            Self::Timer(timer) => timer.due_ms,
            Self::Expiry { expires_ms, .. } => *expires_ms,
        }
    }

    /// The event that it becomes.
    #[must_use]
    pub fn into_event(self) -> Event {
        let source = HOST_SOURCE.to_owned();
        match self {
            Self::Timer(Timer { id, payload, .. }) => Event { id, source, kind: TIMER_KIND.to_owned(), payload },
            Self::Expiry { idempotency_key, phase, .. } => {
                let id = idempotency_key.clone();
                let result = EffectResult { idempotency_key, phase, status: EffectStatus::Expired };
                Event { id, source, kind: EFFECT_KIND.to_owned(), payload: encode(&result) }
            }
        }
    }
}
