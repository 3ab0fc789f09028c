//! A host in memory, for an author's own tests.
//!
//! It keeps what the real host keeps of a step and forgets what the real host forgets: a rejected step leaves nothing,
//! and invariants are checked after every step that changed something. It does not enforce the limits of
//! [`reprise_abi::limits`].

mod ledger;

pub use ledger::{MemoryLedger, Pending, Ran};

use crate::{
    host::{Host, LogLevel, Page},
    policy::{Policy, StepInput},
};
use reprise_abi::{Effect, Outcome, Timer, TimerChange, limits::SCAN_ENTRIES_MAX};
use std::{collections::BTreeMap, mem};

/// State in memory, and a record of everything else that a policy did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryHost {
    /// The policy's keys and values.
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Effects of the last step, in order.
    pub effects: Vec<Effect>,
    /// Timer changes of the last step, in order.
    pub timers: Vec<TimerChange>,
    /// Messages of the last step, in order.
    pub logs: Vec<(LogLevel, String)>,
    /// Host calls of the last step and its check.
    pub calls: u64,
}

impl MemoryHost {
    /// A host with no state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs one step and, if it changed state, the invariants.
    ///
    /// Unless the outcome is [`Outcome::Accepted`], the state is what it was and there are no effects or timers;
    /// messages stay, as they do in a transcript.
    pub fn step<P: Policy>(&mut self, input: &StepInput) -> Outcome {
        let before = self.state.clone();
        self.effects.clear();
        self.timers.clear();
        self.logs.clear();
        self.calls = 0;
        let outcome = match P::step(self, input) {
            Err(rejection) => Outcome::Rejected(rejection),
            Ok(answer) if self.state == before => Outcome::Accepted { answer },
            Ok(answer) => match P::check(self) {
                Ok(()) => Outcome::Accepted { answer },
                Err(violation) => Outcome::InvariantViolated(violation),
            },
        };
        if !outcome.is_accepted() {
            self.state = before;
            self.effects.clear();
            self.timers.clear();
        }
        outcome
    }

    /// Reads a view. What it would write is dropped.
    pub fn view<P: Policy>(&mut self, name: &str, args: &[u8]) -> Outcome {
        let before = self.clone();
        let answer = P::view(self, name, args);
        *self = before;
        answer.map_or_else(Outcome::Rejected, |answer| Outcome::Accepted { answer })
    }

    /// Effects of the last step, taken out.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        mem::take(&mut self.effects)
    }
}

impl Host for MemoryHost {
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.calls += 1;
        self.state.get(key).cloned()
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.calls += 1;
        self.state.insert(key.to_vec(), value.to_vec());
    }

    fn delete(&mut self, key: &[u8]) {
        self.calls += 1;
        self.state.remove(key);
    }

    fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Page {
        self.calls += 1;
        let start = after.map_or(prefix, |after| after.max(prefix));
        let mut rest = self
            .state
            .range(start.to_vec()..)
            .skip_while(|(key, _)| after.is_some_and(|after| key.as_slice() <= after))
            .take_while(|(key, _)| key.starts_with(prefix));
        let take = limit.min(SCAN_ENTRIES_MAX) as usize;
        let entries = rest.by_ref().take(take).map(|(key, value)| (key.clone(), value.clone())).collect();
        Page { entries, more: rest.next().is_some() }
    }

    fn emit(&mut self, effect: Effect) {
        self.calls += 1;
        self.effects.push(effect);
    }

    fn set_timer(&mut self, timer: Timer) {
        self.calls += 1;
        self.timers.push(TimerChange::Set(timer));
    }

    fn cancel_timer(&mut self, id: &str) {
        self.calls += 1;
        self.timers.push(TimerChange::Cancel { id: id.into() });
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        self.calls += 1;
        self.logs.push((level, message.into()));
    }
}
