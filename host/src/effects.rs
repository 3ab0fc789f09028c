//! Effects on their way out, and their results on the way back.
//!
//! The [`Pump`] looks at a head whose steps are durable, and asks the driver for every effect of its outbox that may
//! begin now. What the driver answers becomes an input like any other. Between the two the node may die: then the
//! effect is still in the outbox, and the driver is asked again, with the same idempotency key. A driver therefore acts
//! at least once, and recognises a repeat by the key and an owner that was replaced by its epoch.

pub mod config;
pub(crate) mod json;
mod log;
mod owed;
pub mod rounds;
mod simulated;

pub use config::{Configured, DriverKind, DriversError};
pub use log::LogDriver;
pub use owed::Owed;
pub use simulated::{Coming, Rule, Simulated, Then, Window, WorldEvent};

use reprise_abi::{
    EFFECT_KIND, EffectPhase, EffectResult, EffectStatus, Event, HOST_SOURCE, encode,
    limits::{DETAIL_BYTES_MAX, EFFECT_ANSWER_BYTES_MAX, EFFECT_ATTEMPTS_MAX},
};
use reprise_receipts::{
    Head, LedgerId, StateTrie,
    system::{
        self,
        outbox::{self, OutboxEntry},
    },
};
use std::collections::BTreeSet;

/// Most effects that are asked for before their results are submitted: also the most that a crash repeats.
pub const DELIVERIES_MAX: usize = 256;

/// One attempt at an effect, as a driver gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The ledger that asks.
    pub ledger: LedgerId,
    /// The fencing token of the owner that asks: a driver refuses a lower one than it has seen.
    pub epoch: u64,
    /// Logical time at which it is asked, in milliseconds.
    pub at_ms: u64,
    /// The step that emitted the effect.
    pub seq: u64,
    /// Its place among that step's effects.
    pub index: u32,
    /// Which attempt of this phase it is, from 1. A repeat after a crash has the number of the attempt it repeats.
    pub attempt: u32,
    /// Whether to do it or to undo it.
    pub phase: EffectPhase,
    /// The same for every attempt and repeat.
    pub idempotency_key: String,
    /// Which driver acts.
    pub driver: String,
    /// Logical time after which it must not begin, in milliseconds.
    pub deadline_ms: u64,
    /// What to do, at most 64 KiB.
    pub payload: Vec<u8>,
}

/// What a driver answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is done.
    Done {
        /// What the world answered.
        answer: Vec<u8>,
    },
    /// It cannot be done.
    Failed {
        /// A sentence for people.
        detail: String,
    },
    /// Not this time.
    Retry {
        /// A sentence for people.
        detail: String,
    },
    /// It was taken; what becomes of it is told later, or never.
    Later,
    /// Nobody acts for this driver here.
    NotTaken,
    /// The owner that asks was replaced. Nothing was done.
    StaleEpoch {
        /// The highest epoch that the driver has seen.
        seen: u64,
    },
}

impl Delivered {
    /// How the attempt ended, if it has.
    fn status(self) -> Option<EffectStatus> {
        match self {
            Self::Done { answer } => Some(EffectStatus::Done { answer }),
            Self::Failed { detail } => Some(EffectStatus::Failed { detail }),
            Self::Retry { detail } => Some(EffectStatus::Retry { detail }),
            Self::Later | Self::NotTaken | Self::StaleEpoch { .. } => None,
        }
    }
}

/// Acts in the outside world.
pub trait Driver {
    /// Does it, unless it has done it under this idempotency key before.
    fn deliver(&mut self, delivery: &Delivery) -> Delivered;
}

/// What a pump looks at: a ledger after some step.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Which ledger.
    pub ledger: LedgerId,
    /// The epoch in force: every delivery carries it.
    pub epoch: u64,
    /// Its state, or the part of it that [`system::OWED_PREFIXES`] name.
    pub state: &'a StateTrie,
}

impl<'a> From<&'a Head> for View<'a> {
    fn from(head: &'a Head) -> Self {
        Self { ledger: head.ledger(), epoch: head.epoch(), state: head.state() }
    }
}

impl Delivery {
    fn of(entry: OutboxEntry, view: View<'_>, at_ms: u64) -> Self {
        Self {
            ledger: view.ledger,
            epoch: view.epoch,
            at_ms,
            seq: entry.seq,
            index: entry.index,
            attempt: entry.attempts + 1,
            phase: entry.phase,
            driver: entry.driver().to_owned(),
            payload: entry.payload().to_vec(),
            deadline_ms: entry.deadline_ms,
            idempotency_key: entry.effect.idempotency_key,
        }
    }

    /// The result to submit, within the bounds of the contract. Where no attempt is left, another one is a failure.
    #[must_use]
    pub fn result(&self, status: EffectStatus) -> EffectResult {
        let status = match status {
            EffectStatus::Retry { detail } if self.attempt >= EFFECT_ATTEMPTS_MAX => {
                EffectStatus::Failed { detail: bounded(detail) }
            }
            EffectStatus::Retry { detail } => EffectStatus::Retry { detail: bounded(detail) },
            EffectStatus::Failed { detail } => EffectStatus::Failed { detail: bounded(detail) },
            EffectStatus::Done { answer } if answer.len() > EFFECT_ANSWER_BYTES_MAX => EffectStatus::Failed {
                detail: format!("it was done, but the answer has {} bytes, which is too long to keep", answer.len()),
            },
            status => status,
        };
        EffectResult { idempotency_key: self.idempotency_key.clone(), phase: self.phase, status }
    }
}

/// The event that a result is submitted as.
#[must_use]
pub fn result_event(result: &EffectResult) -> Event {
    Event {
        id: result.idempotency_key.clone(),
        source: HOST_SOURCE.to_owned(),
        kind: EFFECT_KIND.to_owned(),
        payload: encode(result),
    }
}

/// Asks drivers for what is in the outbox.
pub struct Pump<D> {
    driver: D,
    asked: BTreeSet<Attempt>,
}

impl<D: Driver> Pump<D> {
    /// A pump that has not asked for anything yet.
    pub fn new(driver: D) -> Self {
        Self { driver, asked: BTreeSet::new() }
    }

    /// Asks for what may begin at `now_ms` and was not asked for before, the oldest step first, at most
    /// [`DELIVERIES_MAX`] at once. `on_delivery` hears of each. Gives the results to submit, in order.
    ///
    /// Every step up to there must be durable. A ledger that stands still asks for nothing.
    pub fn deliver<'a>(
        &mut self,
        view: impl Into<View<'a>>,
        now_ms: u64,
        mut on_delivery: impl FnMut(&Delivery, &Delivered),
    ) -> Vec<EffectResult> {
        let view = view.into();
        if system::halt(view.state).is_some() {
            return Vec::new();
        }
        // An attempt that is not there any more does not come again.
        let there: BTreeSet<Attempt> = outbox::pending(view.state).map(|entry| attempt(&entry)).collect();
        self.asked.retain(|asked| there.contains(asked));
        let mut entries = outbox::deliverable(view.state, now_ms);
        entries.retain(|entry| !self.asked.contains(&attempt(entry)));
        entries.truncate(DELIVERIES_MAX);
        let mut results = Vec::new();
        for entry in entries {
            self.asked.insert(attempt(&entry));
            let delivery = Delivery::of(entry, view, now_ms);
            let delivered = self.driver.deliver(&delivery);
            on_delivery(&delivery, &delivered);
            results.extend(delivered.status().map(|status| delivery.result(status)));
        }
        results
    }

    /// When something may begin that was not asked for yet, in milliseconds of logical time.
    #[must_use]
    pub fn next_ms<'a>(&self, view: impl Into<View<'a>>) -> Option<u64> {
        let state = view.into().state;
        if system::halt(state).is_some() {
            return None;
        }
        let new = outbox::pending(state).filter(|entry| !self.asked.contains(&attempt(entry)));
        let begin = |entry: OutboxEntry| {
            let begin_ms = entry.not_before_ms.max(outbox::breaker_open_until_ms(state, entry.driver()));
            (begin_ms <= entry.deadline_ms).then_some(begin_ms)
        };
        new.filter_map(begin).min()
    }

    /// The node was started again: it does not know what it asked for.
    pub fn restart(&mut self) {
        self.asked.clear();
    }

    /// What acts.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// What acts, to speak with it.
    pub fn driver_mut(&mut self) -> &mut D {
        &mut self.driver
    }
}

/// Which attempt at which effect: the step that emitted it and its place there, the phase, attempts that failed. A key
/// is no name for it, because a day after its effect has ended it may be used again.
type Attempt = (u64, u32, EffectPhase, u32);

fn attempt(entry: &OutboxEntry) -> Attempt {
    (entry.seq, entry.index, entry.phase, entry.attempts)
}

fn bounded(mut detail: String) -> String {
    detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
    detail
}

#[cfg(test)]
mod tests;
