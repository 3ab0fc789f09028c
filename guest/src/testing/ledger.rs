//! A ledger in memory: [`MemoryHost`] with a clock, timers that fire and effects that end.
//!
//! The rules are the real ledger's: what is due goes first, in (time, timers before expiries, id) order, at the time it
//! was due or the last step's, whichever is later.

use super::MemoryHost;
use crate::policy::{Policy, StepInput};
use core::marker::PhantomData;
use reprise_abi::{
    EFFECT_KIND, Effect, EffectPhase, EffectResult, EffectStatus, HOST_SOURCE, Outcome, TIMER_KIND, TimerChange,
    encode, limits::IDEMPOTENCY_RETENTION_MS,
};
use std::collections::BTreeMap;

/// One step that a [`MemoryLedger`] ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The input.
    pub input: StepInput,
    /// How it ended.
    pub outcome: Outcome,
    /// What it emitted.
    pub effects: Vec<Effect>,
}

/// An effect that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What to do, and how to undo it.
    pub effect: Effect,
    /// Whether it is being carried out or undone.
    pub phase: EffectPhase,
    /// Logical time after which it expires, in milliseconds.
    pub deadline_ms: u64,
}

/// A policy's state, timers and outbox over many steps.
#[derive(Clone, Debug)]
pub struct MemoryLedger<P> {
    /// State, and what the last step did.
    pub host: MemoryHost,
    /// (due, id) to payload.
    pub timers: BTreeMap<(u64, String), Vec<u8>>,
    /// Effects that have not ended, by idempotency key.
    pub outbox: BTreeMap<String, Pending>,
    /// Every step so far.
    pub ran: Vec<Ran>,
    now_ms: u64,
    policy: PhantomData<P>,
}

impl<P: Policy> Default for MemoryLedger<P> {
    fn default() -> Self {
        Self {
            host: MemoryHost::new(),
            timers: BTreeMap::new(),
            outbox: BTreeMap::new(),
            ran: Vec::new(),
            now_ms: 0,
            policy: PhantomData,
        }
    }
}

impl<P: Policy> MemoryLedger<P> {
    /// A ledger without steps, at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Logical time of the last step, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Runs what is due by `at_ms`, then this event. A time before the last step's counts as the last step's.
    pub fn submit(&mut self, at_ms: u64, kind: &str, payload: &[u8]) -> Outcome {
        self.advance(at_ms);
        let id = format!("event-{}", self.ran.len());
        self.run(at_ms, "test", &id, kind, payload.to_vec())
    }

    /// Runs what is due by `at_ms`: timers, and effects whose deadline is before it.
    pub fn advance(&mut self, at_ms: u64) {
        while let Some(due) = self.first_due().filter(|due| due.time_ms() <= at_ms) {
            match due {
                Due::Timer { due_ms, id } => {
                    let payload = self.timers.remove(&(due_ms, id.clone())).expect("it was just seen");
                    self.run(due_ms, HOST_SOURCE, &id, TIMER_KIND, payload);
                }
                Due::Expiry { at_ms, key } => {
                    self.end(at_ms, &key, EffectStatus::Expired);
                }
            }
        }
    }

    /// Ends an effect of the outbox, after what is due by `at_ms`: `None` when there is no such effect (any more).
    ///
    /// An effect that fails or expires and has a compensator stays, to be undone.
    pub fn settle(&mut self, at_ms: u64, key: &str, status: EffectStatus) -> Option<Outcome> {
        self.advance(at_ms);
        self.end(at_ms, key, status)
    }

    /// A view of the state.
    pub fn view(&mut self, name: &str, args: &[u8]) -> Outcome {
        self.host.view::<P>(name, args)
    }

    fn end(&mut self, at_ms: u64, key: &str, status: EffectStatus) -> Option<Outcome> {
        let Pending { effect, phase, .. } = self.outbox.remove(key)?;
        let undo = phase == EffectPhase::Act && matches!(status, EffectStatus::Failed { .. } | EffectStatus::Expired);
        if undo && effect.compensator.is_some() {
            let deadline_ms = self.now_ms.max(at_ms).saturating_add(IDEMPOTENCY_RETENTION_MS);
            self.outbox.insert(key.to_owned(), Pending { effect, phase: EffectPhase::Compensate, deadline_ms });
        }
        let result = EffectResult { idempotency_key: key.to_owned(), phase, status };
        Some(self.run(at_ms, HOST_SOURCE, key, EFFECT_KIND, encode(&result)))
    }

    fn run(&mut self, at_ms: u64, source: &str, id: &str, kind: &str, payload: Vec<u8>) -> Outcome {
        self.now_ms = self.now_ms.max(at_ms);
        let input = StepInput {
            seq: self.ran.len() as u64,
            epoch: 1,
            logical_time_ms: self.now_ms,
            id: id.into(),
            source: source.into(),
            kind: kind.into(),
            payload,
            seed: [self.ran.len() as u64, 1, 2, 3],
        };
        let heard = source != HOST_SOURCE || P::describe().input_kinds.iter().any(|known| known == kind);
        let outcome = if heard { self.host.step::<P>(&input) } else { Outcome::Accepted { answer: Vec::new() } };
        let effects = if heard { self.host.take_effects() } else { Vec::new() };
        if heard {
            self.keep(&effects);
        }
        self.ran.push(Ran { input, outcome: outcome.clone(), effects });
        outcome
    }

    fn keep(&mut self, effects: &[Effect]) {
        for change in std::mem::take(&mut self.host.timers) {
            let id = match &change {
                TimerChange::Set(timer) => &timer.id,
                TimerChange::Cancel { id } => id,
            };
            self.timers.retain(|(_, set), _| set != id);
            if let TimerChange::Set(timer) = change {
                self.timers.insert((timer.due_ms, timer.id), timer.payload);
            }
        }
        for effect in effects {
            let new = || Pending { effect: effect.clone(), phase: EffectPhase::Act, deadline_ms: effect.deadline_ms };
            self.outbox.entry(effect.idempotency_key.clone()).or_insert_with(new);
        }
    }

    fn first_due(&self) -> Option<Due> {
        let timer = self.timers.keys().next().map(|(due_ms, id)| Due::Timer { due_ms: *due_ms, id: id.clone() });
        let expiry = self
            .outbox
            .iter()
            .filter_map(|(key, pending)| Some((pending.deadline_ms.checked_add(1)?, key)))
            .min()
            .map(|(at_ms, key)| Due::Expiry { at_ms, key: key.clone() });
        [timer, expiry].into_iter().flatten().min_by_key(Due::time_ms)
    }
}

#[derive(Debug)]
enum Due {
    Timer { due_ms: u64, id: String },
    Expiry { at_ms: u64, key: String },
}

impl Due {
    fn time_ms(&self) -> u64 {
        match self {
            Self::Timer { due_ms, .. } => *due_ms,
            Self::Expiry { at_ms, .. } => *at_ms,
        }
    }
}

#[cfg(test)]
mod tests;
