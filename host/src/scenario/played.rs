//! What happened in a run: moments, effects with their ends, timers, and what the views show at the end.

use super::file::ExpectedOutcome;
use crate::effects::{Delivery, json::shown};
use reprise_abi::{Compensator, Effect, EffectPhase, EffectResult, EffectStatus, Event, Outcome};
use reprise_receipts::{Sealed, system::Halt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Everything that came to the node, in order.
    pub moments: Vec<Moment>,
    /// Every effect that a step emitted, in order.
    pub effects: Vec<EffectTrail>,
    /// Every timer that fired, in order.
    pub timers: Vec<Fired>,
    /// When each of the file's deadlines of the form `view_holds` held first, in milliseconds.
    pub held_ms: BTreeMap<usize, u64>,
    /// What the policy's views show at the end, with the arguments that the file asks for, or with none.
    pub views: BTreeMap<(String, Option<String>), Value>,
    /// Why the ledger stands still at the end, if it does.
    pub halt: Option<Halt>,
    /// Logical time at the end, in milliseconds.
    pub end_ms: u64,
}

/// One thing that came to the node.
#[derive(Clone, Debug)]
pub enum Moment {
    /// An input, or what could have been one.
    Input {
        /// When, in milliseconds.
        at_ms: u64,
        /// Where it comes from.
        cause: Cause,
        /// What it is.
        event: Event,
        /// What became of it.
        ended: Ended,
    },
    /// The node was dropped and opened again.
    Crash {
        /// When, in milliseconds.
        at_ms: u64,
    },
}

/// Where an input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The file's parameters.
    Parameters,
    /// A line of the file's events.
    Event(usize),
    /// The last event again.
    Repeat,
    /// An event of the outside world.
    World,
    /// The outside world has an answer to an effect.
    Answer,
    /// The ledger itself: a timer or an expiry is due.
    Due,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It has a receipt.
    Step(Box<Step>),
    /// It is the same as an event before.
    Duplicate {
        /// Where the first is.
        first: u64,
    },
    /// It got no place.
    Refused {
        /// Why.
        why: String,
    },
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Receipt, diff and output.
    pub sealed: Sealed,
    /// Host calls.
    pub calls: u64,
}

impl Ended {
    /// What files and reports show of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        match self {
            Self::Duplicate { first } => json!({ "outcome": "duplicate", "first": first }),
            Self::Refused { why } => json!({ "outcome": "refused", "why": why }),
            Self::Step(step) => {
                let receipt = &step.sealed.receipt;
                let mut shown = json!({ "outcome": receipt.class.name() });
                if receipt.code != 0 {
                    shown["code"] = receipt.code.into();
                }
                if let Some(answer) = shown_answer(&step.sealed.record.output.outcome) {
                    shown["answer"] = answer;
                }
                shown
            }
        }
    }

    /// How it ended, in the words of the file.
    pub(super) fn outcome(&self) -> ExpectedOutcome {
        match self {
            Self::Step(step) => ExpectedOutcome::Class(step.sealed.receipt.class),
            Self::Duplicate { .. } => ExpectedOutcome::Duplicate,
            Self::Refused { .. } => ExpectedOutcome::Refused,
        }
    }
}

/// An effect, from its emission to its end.
#[derive(Clone, Debug)]
pub struct EffectTrail {
    /// When it was emitted, in milliseconds.
    pub at_ms: u64,
    /// The step that emitted it.
    pub seq: u64,
    /// The effect.
    pub effect: Effect,
    /// What became of it.
    pub status: Status,
    /// When it got that status, in milliseconds; `None` while it is pending.
    pub ended_ms: Option<u64>,
    /// How often a driver was asked, repeats after a crash included.
    pub deliveries: u64,
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has not ended.
    Pending,
    /// It was done.
    Done,
    /// It failed for good, and was not undone.
    Failed,
    /// Its deadline passed, and it was not undone.
    Expired,
    /// It failed or expired, and was undone.
    Undone,
    /// Its idempotency key was known: the ledger passed it over.
    Repeated,
}

impl Status {
    /// Its name in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Undone => "undone",
            Self::Repeated => "repeated",
        }
    }
}

/// A timer that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// When, in milliseconds.
    pub at_ms: u64,
    /// Which.
    pub id: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Played {
    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps_with_kinds().map(|(step, _)| step)
    }

    /// The steps, in order, with the kinds of their inputs.
    pub(super) fn steps_with_kinds(&self) -> impl Iterator<Item = (&Step, &str)> {
        self.moments.iter().filter_map(|moment| match moment {
            Moment::Input { event, ended: Ended::Step(step), .. } => Some((&**step, event.kind.as_str())),
            _ => None,
        })
    }

    /// What a view shows at a place: `view/json/pointer`.
    #[must_use]
    pub fn figure(&self, place: &str) -> Option<&Value> {
        let view = place.split('/').next().unwrap_or_default();
        self.views.get(&(view.to_owned(), None))?.pointer(&place[view.len()..])
    }

    /// A result was taken by the ledger.
    pub(super) fn settle(&mut self, result: &EffectResult, at_ms: u64) {
        let status = match (&result.status, result.phase) {
            (EffectStatus::Retry { .. }, _) => return,
            (EffectStatus::Done { .. }, EffectPhase::Act) => Status::Done,
            (EffectStatus::Done { .. }, EffectPhase::Compensate) => Status::Undone,
            (EffectStatus::Failed { .. }, EffectPhase::Act) => Status::Failed,
            (EffectStatus::Expired, EffectPhase::Act) => Status::Expired,
            (EffectStatus::Failed { .. } | EffectStatus::Expired, EffectPhase::Compensate) => return,
        };
        if let Some(trail) = self.trail(&result.idempotency_key) {
            trail.status = status;
            trail.ended_ms = Some(at_ms);
        }
    }

    /// A driver was asked.
    pub(super) fn delivered(&mut self, delivery: &Delivery) {
        if let Some(trail) = self.trail(&delivery.idempotency_key) {
            trail.deliveries += 1;
        }
    }

    fn trail(&mut self, key: &str) -> Option<&mut EffectTrail> {
        let is = |trail: &&mut EffectTrail| trail.effect.idempotency_key == key && trail.status != Status::Repeated;
        self.effects.iter_mut().rev().find(is)
    }
}

impl EffectTrail {
    /// What files and reports show of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = shown_effect(&self.effect);
        shown["at_ms"] = self.at_ms.into();
        shown["seq"] = self.seq.into();
        shown["status"] = self.status.name().into();
        shown["ended_ms"] = self.ended_ms.into();
        shown["deliveries"] = self.deliveries.into();
        shown
    }
}

impl Fired {
    /// What files and reports show of it.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({ "at_ms": self.at_ms, "id": self.id, "payload": shown(&self.payload) })
    }
}

/// What files and reports show of an effect.
pub(super) fn shown_effect(effect: &Effect) -> Value {
    let undo = |undo: &Compensator| json!({ "driver": undo.driver, "payload": shown(&undo.payload) });
    json!({
        "key": effect.idempotency_key,
        "driver": effect.driver,
        "deadline_ms": effect.deadline_ms,
        "payload": shown(&effect.payload),
        "compensator": effect.compensator.as_ref().map(undo),
    })
}

/// What an outcome answers, as files and reports show it; the sentence of anything but an accepted one.
pub(super) fn shown_answer(outcome: &Outcome) -> Option<Value> {
    match outcome {
        Outcome::Accepted { answer } => (!answer.is_empty()).then(|| shown(answer)),
        Outcome::Rejected(rejection) => Some(rejection.detail.clone().into()),
        Outcome::InvariantViolated(violation) => Some(format!("{}: {}", violation.invariant, violation.detail).into()),
        Outcome::Trapped(kind) => Some(format!("{kind:?}").into()),
        Outcome::LimitExceeded(kind) => Some(format!("{kind:?}").into()),
        Outcome::OutOfFuel => None,
    }
}
