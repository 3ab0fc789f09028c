//! The outside world of a scenario: rules that say what happens to an effect, and when.
//!
//! The world does not forget when the node dies: an attempt that it is asked for again goes on as it was.

use super::{Delivered, Delivery, Driver, json, result_event};
use reprise_abi::{EffectPhase, EffectStatus, Event};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Source of the events that the world sends.
pub const WORLD_SOURCE: &str = "world";

/// One rule: for which attempts it holds, and what happens then.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only for this driver.
    pub driver: Option<String>,
    /// Only for these idempotency keys: a name, or its beginning and `*`.
    pub key: Option<String>,
    /// Only where the payload matches this.
    pub payload: Option<Value>,
    /// Only for doing, or only for undoing.
    pub phase: Option<Phase>,
    /// For this many attempts; for all of them when absent.
    pub times: Option<u64>,
    /// When the result is there, in milliseconds after the driver was asked.
    #[serde(default)]
    pub after_ms: u64,
    /// What the result is.
    pub then: Then,
    /// The world's answer, when it is done.
    pub answer: Option<Value>,
    /// Why not, when it is not.
    #[serde(default)]
    pub detail: String,
    /// What else happens.
    #[serde(default)]
    pub events: Vec<WorldEvent>,
}

/// Doing or undoing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The effect.
    Act,
    /// Its compensator.
    Compensate,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Done.
    Done,
    /// It cannot be done.
    Fail,
    /// Not this time.
    Retry,
    /// Nothing is heard of it.
    Silent,
}

/// Something that the world does because of an effect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldEvent {
    /// When, in milliseconds after the driver was asked.
    #[serde(default)]
    pub after_ms: u64,
    /// Kind of the event.
    pub kind: String,
    /// Its data. `"$key"`, `"$driver"`, `"$payload"` and `"$payload.a.b"` stand for what the effect has.
    pub data: Option<Value>,
}

/// A time in which a driver cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which driver.
    pub driver: String,
    /// Its first millisecond.
    pub from_ms: u64,
    /// The first millisecond after it.
    pub to_ms: u64,
}

/// What the world sends to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coming {
    /// The result of an attempt.
    Result(Event),
    /// An event of its own.
    Event(Event),
}

/// The world.
#[derive(Debug, Default)]
pub struct Simulated {
    rules: Vec<(Rule, u64)>,
    windows: Vec<Window>,
    known: BTreeSet<(u64, u32, EffectPhase, u32)>,
    coming: BTreeMap<(u64, u64), Coming>,
    counter: u64,
}

impl Simulated {
    /// A world with these rules, the first that matches being the one that holds.
    #[must_use]
    pub fn new(rules: Vec<Rule>, windows: Vec<Window>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect(), windows, ..Self::default() }
    }

    /// When the world sends something next, in milliseconds.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.coming.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// What it sends next.
    pub fn take_next(&mut self) -> Option<Coming> {
        self.coming.pop_first().map(|(_, coming)| coming)
    }

    fn send(&mut self, at_ms: u64, coming: Coming) {
        self.coming.insert((at_ms, self.counter), coming);
        self.counter += 1;
    }

    fn send_event(&mut self, at_ms: u64, kind: &str, payload: Vec<u8>) {
        let (id, source) = (format!("world-{}", self.counter), WORLD_SOURCE.to_owned());
        self.send(at_ms, Coming::Event(Event { id, source, kind: kind.to_owned(), payload }));
    }

    /// The first moment from `at_ms` on at which the driver can be reached.
    fn reachable_ms(&self, driver: &str, at_ms: u64) -> u64 {
        let inside = |at_ms: u64| {
            let window = self.windows.iter().find(|w| w.driver == driver && (w.from_ms..w.to_ms).contains(&at_ms));
            window.map(|window| window.to_ms)
        };
        std::iter::successors(Some(at_ms), |at_ms| inside(*at_ms)).last().unwrap_or(at_ms)
    }

    fn rule_for(&mut self, delivery: &Delivery) -> Option<Rule> {
        let payload = json::shown(&delivery.payload);
        let (rule, used) = self.rules.iter_mut().find(|(rule, used)| rule.holds(*used, delivery, &payload))?;
        *used += 1;
        Some(rule.clone())
    }
}

impl Driver for Simulated {
    fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        if !self.known.insert((delivery.seq, delivery.index, delivery.phase, delivery.attempt)) {
            return Delivered::Later;
        }
        let Some(rule) = self.rule_for(delivery) else { return Delivered::NotTaken };
        let begin_ms = self.reachable_ms(&delivery.driver, delivery.at_ms);
        for event in &rule.events {
            let payload = event.data.as_ref().map_or_else(Vec::new, |data| json::compact(&filled_in(data, delivery)));
            self.send_event(begin_ms.saturating_add(event.after_ms), &event.kind, payload);
        }
        if let Some(status) = rule.status(delivery) {
            let at_ms = self.reachable_ms(&delivery.driver, begin_ms.saturating_add(rule.after_ms));
            self.send(at_ms, Coming::Result(result_event(&delivery.result(status))));
        }
        Delivered::Later
    }
}

impl Rule {
    fn holds(&self, used: u64, delivery: &Delivery, payload: &Value) -> bool {
        let phase = match delivery.phase {
            EffectPhase::Act => Phase::Act,
            EffectPhase::Compensate => Phase::Compensate,
        };
        self.times.is_none_or(|times| used < times)
            && self.driver.as_ref().is_none_or(|driver| *driver == delivery.driver)
            && self.key.as_ref().is_none_or(|key| json::name_matches(key, &delivery.idempotency_key))
            && self.phase.is_none_or(|only| only == phase)
            && self.payload.as_ref().is_none_or(|expected| json::mismatch(expected, payload).is_none())
    }

    fn status(&self, delivery: &Delivery) -> Option<EffectStatus> {
        let answer = || self.answer.as_ref().map_or_else(Vec::new, |data| json::compact(&filled_in(data, delivery)));
        match self.then {
            Then::Done => Some(EffectStatus::Done { answer: answer() }),
            Then::Fail => Some(EffectStatus::Failed { detail: self.detail.clone() }),
            Then::Retry => Some(EffectStatus::Retry { detail: self.detail.clone() }),
            Then::Silent => None,
        }
    }
}

/// Data with `$` names replaced by what the effect has. A name that it does not have stays as it is.
fn filled_in(data: &Value, delivery: &Delivery) -> Value {
    let payload = json::shown(&delivery.payload);
    json::replace_strings(data, &|text| match text {
        "$key" => Some(delivery.idempotency_key.clone().into()),
        "$driver" => Some(delivery.driver.clone().into()),
        "$payload" => Some(payload.clone()),
        _ => payload.pointer(&format!("/{}", text.strip_prefix("$payload.")?.replace('.', "/"))).cloned(),
    })
}
