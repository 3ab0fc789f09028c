//! Host calls: what they do, what they may not do, and what they leave in the transcript.
//!
//! There is one implementation for guests and native policies. Writes go into an overlay over the state, so that a step
//! that is not accepted has nothing to undo. A call that goes over a limit or is not allowed at that moment ends the
//! step: it returns a [`GuestFault`], which the caller must carry out of the policy.

mod overlay;
pub(super) mod reads;
mod scan;

use self::{
    overlay::{Overlay, Size},
    reads::Reads,
};
use super::executor::GuestFault;
use reprise_abi::{
    Change, Compensator, Effect, LimitKind, Outcome, Timer, TimerChange, TrapKind,
    limits::{
        DIFF_BYTES_MAX, DIFF_CHANGES_MAX, DIFF_REPLACED_BYTES_MAX, EFFECT_PAYLOAD_BYTES_MAX, EFFECTS_BYTES_MAX,
        EFFECTS_MAX, KEY_BYTES_MAX, LOG_MESSAGE_BYTES_MAX, LOG_MESSAGES_MAX, NAME_BYTES_MAX, STATE_BYTES_MAX,
        TIMER_CHANGES_MAX, VALUE_BYTES_MAX,
    },
};
use reprise_guest::{LogLevel, Page};
use reprise_receipts::{ExecutionRoot, StateTrie, Transcript, system::POLICY_NAMESPACE, transcript};

/// Which function of the policy runs, hence what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Instantiation or `describe`: they depend on nothing, so they may call nothing.
    Alone,
    /// `step`: everything.
    Step,
    /// `migrate`: everything.
    Migrate,
    /// `check`: reads and messages.
    Check,
    /// `view`: reads and messages.
    View,
}

/// What a policy has done in one step, over a state that it does not change.
pub(super) struct StepHost {
    state: StateTrie,
    mode: Mode,
    overlay: Overlay,
    effects: Vec<Effect>,
    timers: Vec<TimerChange>,
    /// Bytes of the effects and timers so far.
    sent_bytes: usize,
    log_messages: usize,
    transcript: Transcript,
    /// The last key with its namespace byte, kept so that reads need no allocation.
    full_key: Vec<u8>,
    reads: Reads,
}

/// What is left of a step when it has ended.
pub(super) struct Work {
    /// Changes in key order.
    pub(super) changes: Vec<Change>,
    /// Effects in the order they were emitted.
    pub(super) effects: Vec<Effect>,
    /// Timer changes in the order they were made.
    pub(super) timers: Vec<TimerChange>,
    /// Digest of the transcript.
    pub(super) execution: ExecutionRoot,
    /// Host calls in it.
    pub(super) calls: u64,
}

/// A page of a scan, and what it cost to make.
pub(super) struct Scanned {
    /// The page.
    pub(super) page: Page,
    /// Bytes of the keys and values looked at, removed keys included: what fuel is charged for.
    pub(super) bytes: usize,
    /// How often the state was asked for its next entry.
    pub(super) pulls: u32,
}

/// An effect that is still in the policy's memory: nothing is copied before it is known to be within its limits.
pub(super) struct EffectRef<'a> {
    /// See [`Effect::idempotency_key`].
    pub(super) idempotency_key: &'a str,
    /// See [`Effect::driver`].
    pub(super) driver: &'a str,
    /// See [`Effect::deadline_ms`].
    pub(super) deadline_ms: u64,
    /// See [`Effect::payload`].
    pub(super) payload: &'a [u8],
    /// Driver and payload of [`Effect::compensator`].
    pub(super) compensator: Option<(&'a str, &'a [u8])>,
}

impl EffectRef<'_> {
    /// Bytes of all its strings and payloads.
    pub(super) fn bytes(&self) -> usize {
        let undo = self.compensator.map_or(0, |(driver, payload)| driver.len() + payload.len());
        self.idempotency_key.len() + self.driver.len() + self.payload.len() + undo
    }

    fn to_effect(&self) -> Effect {
        let undo =
            |(driver, payload): (&str, &[u8])| Compensator { driver: driver.to_owned(), payload: payload.to_vec() };
        Effect {
            idempotency_key: self.idempotency_key.to_owned(),
            driver: self.driver.to_owned(),
            deadline_ms: self.deadline_ms,
            payload: self.payload.to_vec(),
            compensator: self.compensator.map(undo),
        }
    }
}

impl StepHost {
    /// Over `state`, with nothing allowed yet. [`StepHost::into_state`] gives the state back as it was.
    pub(super) fn new(state: StateTrie) -> Self {
        Self {
            state,
            mode: Mode::Alone,
            overlay: Overlay::default(),
            effects: Vec::new(),
            timers: Vec::new(),
            sent_bytes: 0,
            log_messages: 0,
            transcript: Transcript::new(),
            full_key: Vec::new(),
            reads: Reads::begin(),
        }
    }

    /// The next function of the policy runs.
    pub(super) fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        match mode {
            Mode::Step => self.transcript.enter(transcript::Call::Step),
            Mode::Check => self.transcript.enter(transcript::Call::Check),
            Mode::Migrate => self.transcript.enter(transcript::Call::Migrate),
            Mode::Alone | Mode::View => {}
        }
    }

    /// Some key has another value than before.
    pub(super) fn changes_state(&self) -> bool {
        self.overlay.changes()
    }

    /// Ends the step. The transcript is closed with the outcome.
    pub(super) fn finish(&mut self, outcome: &Outcome) -> Work {
        Work {
            changes: std::mem::take(&mut self.overlay).into_changes(),
            effects: std::mem::take(&mut self.effects),
            timers: std::mem::take(&mut self.timers),
            calls: self.transcript.calls(),
            execution: std::mem::take(&mut self.transcript).finish(outcome),
        }
    }

    /// The state, as it was given.
    pub(super) fn into_state(self) -> StateTrie {
        self.reads.report();
        self.state
    }

    /// The value under a key.
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, GuestFault> {
        self.may_read()?;
        self.key(key)?;
        let value = match self.overlay.get(&self.full_key) {
            Some(written) => written,
            None => {
                self.reads.get(&self.full_key);
                self.state.get(&self.full_key)
            }
        };
        self.transcript.get(key, value);
        Ok(value)
    }

    /// Stores a value.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), GuestFault> {
        self.may_write()?;
        self.key(key)?;
        require(value.len() <= VALUE_BYTES_MAX, LimitKind::Value)?;
        self.write(Some(value))?;
        self.transcript.put(key, value);
        Ok(())
    }

    /// Removes a key.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<(), GuestFault> {
        self.may_write()?;
        self.key(key)?;
        self.write(None)?;
        self.transcript.delete(key);
        Ok(())
    }

    /// A page of entries that begin with `prefix` and sort after `after`.
    pub(super) fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Result<Scanned, GuestFault> {
        self.may_read()?;
        require(prefix.len() <= KEY_BYTES_MAX, LimitKind::Key)?;
        require(after.is_none_or(|after| after.len() <= KEY_BYTES_MAX), LimitKind::Key)?;
        let scanned = scan::page(&self.state, &self.overlay, prefix, after, limit);
        self.reads.scan(prefix, after, scanned.pulls);
        let entries = scanned.page.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        self.transcript.scan(prefix, after, limit, entries, scanned.page.more);
        Ok(scanned)
    }

    /// Records an effect.
    pub(super) fn emit(&mut self, effect: &EffectRef<'_>) -> Result<(), GuestFault> {
        self.may_write()?;
        require(self.effects.len() < EFFECTS_MAX, LimitKind::Effects)?;
        name(effect.idempotency_key)?;
        name(effect.driver)?;
        payload(effect.payload)?;
        if let Some((driver, undo)) = effect.compensator {
            name(driver)?;
            payload(undo)?;
        }
        self.send(effect.bytes())?;
        let effect = effect.to_effect();
        self.transcript.emit(&effect);
        self.effects.push(effect);
        Ok(())
    }

    /// Sets or replaces a timer.
    pub(super) fn set_timer(&mut self, id: &str, due_ms: u64, bytes: &[u8]) -> Result<(), GuestFault> {
        self.may_write()?;
        require(self.timers.len() < TIMER_CHANGES_MAX, LimitKind::Timers)?;
        name(id)?;
        payload(bytes)?;
        self.send(id.len() + bytes.len())?;
        let timer = Timer { id: id.to_owned(), due_ms, payload: bytes.to_vec() };
        self.transcript.set_timer(&timer);
        self.timers.push(TimerChange::Set(timer));
        Ok(())
    }

    /// Forgets a timer.
    pub(super) fn cancel_timer(&mut self, id: &str) -> Result<(), GuestFault> {
        self.may_write()?;
        require(self.timers.len() < TIMER_CHANGES_MAX, LimitKind::Timers)?;
        name(id)?;
        self.transcript.cancel_timer(id);
        self.timers.push(TimerChange::Cancel { id: id.to_owned() });
        Ok(())
    }

    /// A message for people. It is in the transcript; beyond that it goes where the host's own messages go.
    pub(super) fn log(&mut self, level: LogLevel, message: &str) -> Result<(), GuestFault> {
        self.may_read()?;
        require(message.len() <= LOG_MESSAGE_BYTES_MAX, LimitKind::Log)?;
        require(self.log_messages < LOG_MESSAGES_MAX, LimitKind::Log)?;
        self.log_messages += 1;
        self.transcript.log(level as u8, message);
        match level {
            LogLevel::Debug => tracing::debug!(target: "reprise::policy", "{message}"),
            LogLevel::Info => tracing::info!(target: "reprise::policy", "{message}"),
            LogLevel::Warn => tracing::warn!(target: "reprise::policy", "{message}"),
            LogLevel::Error => tracing::error!(target: "reprise::policy", "{message}"),
        }
        Ok(())
    }

    /// Counts what goes into the outbox or among the timers: a part of the state like any other.
    fn send(&mut self, bytes: usize) -> Result<(), GuestFault> {
        self.sent_bytes += bytes;
        require(self.sent_bytes <= EFFECTS_BYTES_MAX, LimitKind::EffectPayload)?;
        let state_bytes = self.state.bytes().saturating_add(self.sent_bytes as u64);
        require(state_may_become(state_bytes, self.overlay.size()) && state_bytes <= STATE_BYTES_MAX, LimitKind::State)
    }

    fn may_read(&self) -> Result<(), GuestFault> {
        match self.mode {
            Mode::Step | Mode::Migrate | Mode::Check | Mode::View => Ok(()),
            Mode::Alone => Err(GuestFault::Trapped(TrapKind::ForbiddenCall)),
        }
    }

    fn may_write(&self) -> Result<(), GuestFault> {
        match self.mode {
            Mode::Step | Mode::Migrate => Ok(()),
            Mode::Alone | Mode::Check | Mode::View => Err(GuestFault::Trapped(TrapKind::ForbiddenCall)),
        }
    }

    /// Puts a policy's key into `full_key`, with the namespace byte.
    fn key(&mut self, key: &[u8]) -> Result<(), GuestFault> {
        require(!key.is_empty() && key.len() <= KEY_BYTES_MAX, LimitKind::Key)?;
        self.full_key.clear();
        self.full_key.push(POLICY_NAMESPACE);
        self.full_key.extend_from_slice(key);
        Ok(())
    }

    /// Writes to `full_key`.
    fn write(&mut self, value: Option<&[u8]>) -> Result<(), GuestFault> {
        let state = &self.state;
        self.reads.get(&self.full_key);
        self.overlay.write(&self.full_key, value, |key| state.get(key).map(<[u8]>::to_vec));
        let size = self.overlay.size();
        require(size.keys <= DIFF_CHANGES_MAX, LimitKind::DiffChanges)?;
        require(size.bytes <= DIFF_BYTES_MAX, LimitKind::DiffBytes)?;
        require(size.state_bytes_removed <= DIFF_REPLACED_BYTES_MAX, LimitKind::DiffBytes)?;
        require(state_may_become(state.bytes(), size), LimitKind::State)
    }
}

/// A state of `bytes` may take these writes: it stays within its limit, or does not grow.
fn state_may_become(bytes: u64, size: Size) -> bool {
    let grown = bytes.saturating_add(size.state_bytes_added).saturating_sub(size.state_bytes_removed);
    grown <= STATE_BYTES_MAX || size.state_bytes_added <= size.state_bytes_removed
}

fn require(holds: bool, limit: LimitKind) -> Result<(), GuestFault> {
    if holds { Ok(()) } else { Err(GuestFault::LimitExceeded(limit)) }
}

fn name(name: &str) -> Result<(), GuestFault> {
    require(!name.is_empty() && name.len() <= NAME_BYTES_MAX, LimitKind::Name)
}

fn payload(payload: &[u8]) -> Result<(), GuestFault> {
    require(payload.len() <= EFFECT_PAYLOAD_BYTES_MAX, LimitKind::EffectPayload)
}

#[cfg(test)]
mod tests;
