//! What a run must have done: the first difference, in the order in which things happened.

use super::{
    file::{Deadline, Expect, ExpectedOutcome, Scenario, StepExpect},
    played::{Cause, EffectTrail, Ended, Fired, Moment, Played, Status, shown_answer, shown_effect},
};
use crate::effects::json::{self, Mismatch, mismatch, name_matches};
use reprise_abi::{Event, Outcome};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt};

/// Longest value in a difference, in characters.
const SHOWN_CHARS_MAX: usize = 400;

/// Where a run differs from what its file expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: which event, or which expectation of the whole.
    pub at: String,
    /// What the file says.
    pub expected: Value,
    /// What happened; `None` for nothing.
    pub found: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.as_ref().map_or_else(|| "nothing".to_owned(), short);
        write!(f, "{}: expected {}, found {found}", self.at, short(&self.expected))
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    text.chars().take(SHOWN_CHARS_MAX).chain("...".chars()).collect()
}

/// The first difference between a run and what its file expects.
#[must_use]
pub fn difference(scenario: &Scenario, played: &Played) -> Option<Difference> {
    let expect = &scenario.expect;
    played
        .moments
        .iter()
        .find_map(|moment| moment_difference(scenario, played, moment))
        .or_else(|| halt_difference(expect, played))
        .or_else(|| counts_difference(expect, played))
        .or_else(|| list_difference("expect.effects", expect.effects.as_ref(), &played.effects, EffectTrail::shown))
        .or_else(|| list_difference("expect.timers", expect.timers.as_ref(), &played.timers, Fired::shown))
        .or_else(|| deadlines_difference(expect, played))
        .or_else(|| views_difference(expect, played))
        .or_else(|| figures_difference(expect, played))
}

fn moment_difference(scenario: &Scenario, played: &Played, moment: &Moment) -> Option<Difference> {
    let Moment::Input { at_ms, cause, event, ended } = moment else { return None };
    let seq = match ended {
        Ended::Step(step) => format!(", sequence number {}", step.sealed.receipt.seq),
        _ => String::new(),
    };
    let at = |what: &str| format!("{what} ({}) at {at_ms} ms{seq}", event.kind);
    match cause {
        Cause::Parameters => {
            let accepted = StepExpect { outcome: Some(ACCEPTED), ..StepExpect::default() };
            step_difference(&at("parameters"), &accepted, ended)
        }
        Cause::Event(index) => {
            let expect = scenario.events.get(*index)?.expect.as_ref()?;
            step_difference(&at(&format!("events[{index}]")), expect, ended)
        }
        Cause::Repeat => {
            let duplicate = StepExpect { outcome: Some(ExpectedOutcome::Duplicate), ..StepExpect::default() };
            step_difference(&at("repeated event"), &duplicate, ended)
        }
        Cause::World | Cause::Answer | Cause::Due if excepted(&scenario.expect, played, event, ended) => None,
        Cause::World | Cause::Answer | Cause::Due => {
            let accepted = StepExpect { outcome: Some(ACCEPTED), ..StepExpect::default() };
            step_difference(&at(&format!("what the file does not send, `{}`", event.id)), &accepted, ended)
        }
    }
}

/// What nobody wrote an expectation beside may end in another way than accepted where the file says so, or where it
/// says that the ledger halts: in the step that halts it, and after that.
fn excepted(expect: &Expect, played: &Played, event: &Event, ended: &Ended) -> bool {
    let halts = expect.halted.is_some()
        && played.halt.is_some_and(|halt| match ended {
            Ended::Step(step) => step.sealed.receipt.seq == halt.seq,
            Ended::Duplicate { .. } => false,
            Ended::Refused { .. } => true,
        });
    let code = match ended {
        Ended::Step(step) => Some(step.sealed.receipt.code),
        _ => None,
    };
    halts
        || expect.not_accepted.iter().any(|exception| {
            exception.outcome == ended.outcome()
                && exception.kind.as_ref().is_none_or(|kind| *kind == event.kind)
                && exception.id.as_ref().is_none_or(|id| name_matches(id, &event.id))
                && exception.code.is_none_or(|expected| code == Some(expected))
        })
}

const ACCEPTED: ExpectedOutcome = ExpectedOutcome::Class(reprise_abi::OutcomeClass::Accepted);

fn step_difference(at: &str, expect: &StepExpect, ended: &Ended) -> Option<Difference> {
    let found = ended.shown();
    let differs = |what: &str, expected: Value, found: Option<Value>| {
        Some(Difference { at: format!("{at}: {what}"), expected, found })
    };
    if let Some(expected) = expect.outcome.filter(|expected| *expected != ended.outcome()) {
        let code = expect.code.map_or(Value::Null, Value::from);
        let expected = if code.is_null() {
            json!({ "outcome": expected.name() })
        } else {
            json!({ "outcome": expected.name(), "code": code })
        };
        return differs("outcome", expected, Some(found));
    }
    let step = match ended {
        Ended::Step(step) => step,
        _ if expect.code.is_some() || expect.answer.is_some() || expect.effects.is_some() => {
            return differs("receipt", json!("one"), Some(found));
        }
        _ => return None,
    };
    let output = &step.sealed.record.output;
    if let Some(code) = expect.code.filter(|code| *code != step.sealed.receipt.code) {
        return differs("code", code.into(), Some(found));
    }
    if let Some(detail) = &expect.detail {
        let said = shown_answer(&output.outcome).unwrap_or(Value::Null);
        if said != **detail {
            return differs("detail", detail.clone().into(), Some(said));
        }
    }
    if let Some(expected) = &expect.answer {
        let answer = match &output.outcome {
            Outcome::Accepted { answer } => json::shown(answer),
            _ => Value::Null,
        };
        if let Some(found) = mismatch(expected, &answer) {
            return Some(placed(&format!("{at}: answer"), found));
        }
    }
    list_difference(&format!("{at}: effects"), expect.effects.as_ref(), &output.effects, shown_effect)
}

fn halt_difference(expect: &Expect, played: &Played) -> Option<Difference> {
    let shown = played.halt.map(|halt| json!({ "seq": halt.seq, "class": halt.class.name() }));
    let (at, expected) = match (&expect.halted, played.halt) {
        (None, None) => return None,
        (None, Some(_)) => ("expect.halted".to_owned(), json!(false)),
        (Some(expected), found) => {
            let seq = expected.seq.is_none_or(|seq| found.is_some_and(|halt| halt.seq == seq));
            let class =
                expected.class.as_ref().is_none_or(|class| found.is_some_and(|halt| halt.class.name() == class));
            if found.is_some() && seq && class {
                return None;
            }
            ("expect.halted".to_owned(), json!({ "seq": expected.seq, "class": expected.class }))
        }
    };
    Some(Difference { at, expected, found: Some(shown.unwrap_or(json!(false))) })
}

fn counts_difference(expect: &Expect, played: &Played) -> Option<Difference> {
    let expected = expect.outcome_counts.as_ref()?;
    let counts = played.outcome_counts();
    expected.iter().find_map(|(outcome, expected)| {
        let found = counts.get(outcome).copied().unwrap_or(0);
        let at = format!("expect.outcome_counts/{}", outcome.name());
        (found != *expected).then(|| Difference { at, expected: (*expected).into(), found: Some(found.into()) })
    })
}

impl Played {
    /// How many inputs ended in which way.
    pub(super) fn outcome_counts(&self) -> BTreeMap<ExpectedOutcome, u64> {
        let mut counts = BTreeMap::new();
        for moment in &self.moments {
            if let Moment::Input { ended, .. } = moment {
                *counts.entry(ended.outcome()).or_default() += 1;
            }
        }
        counts
    }
}

fn list_difference<T>(
    at: &str,
    expected: Option<&Vec<Map<String, Value>>>,
    found: &[T],
    shown: impl Fn(&T) -> Value,
) -> Option<Difference> {
    let expected = expected?;
    for (n, expected) in expected.iter().enumerate() {
        let at = format!("{at}[{n}]");
        let expected = Value::Object(expected.clone());
        let Some(found) = found.get(n) else { return Some(Difference { at, expected, found: None }) };
        let found = shown(found);
        if let Some(mismatch) = mismatch(&expected, &found) {
            let which = found.get("key").or(found.get("id")).and_then(Value::as_str).unwrap_or_default();
            return Some(placed(&format!("{at} ({which})"), mismatch));
        }
    }
    let more = found.get(expected.len())?;
    let at = format!("{at}[{}]", expected.len());
    Some(Difference { at, expected: json!("no more"), found: Some(shown(more)) })
}

fn deadlines_difference(expect: &Expect, played: &Played) -> Option<Difference> {
    expect.deadlines.iter().enumerate().find_map(|(index, deadline)| {
        let at = format!("expect.deadlines[{index}]");
        match (&deadline.effect, &deadline.view_holds) {
            (Some(key), _) => effect_deadline(at, key, deadline, played),
            (None, Some(view)) => match played.held_ms.get(&index) {
                Some(at_ms) if *at_ms <= deadline.by_ms => None,
                held => {
                    let expected = json!({ "view_holds": view, "is": deadline.is, "by_ms": deadline.by_ms });
                    Some(Difference { at, expected, found: held.map(|at_ms| json!({ "at_ms": at_ms })) })
                }
            },
            (None, None) => None,
        }
    })
}

fn effect_deadline(at: String, key: &str, deadline: &Deadline, played: &Played) -> Option<Difference> {
    let in_time = |trail: &&EffectTrail| match deadline.status.as_deref() {
        None => trail.at_ms <= deadline.by_ms,
        Some(status) => trail.status.name() == status && trail.ended_ms.is_some_and(|ms| ms <= deadline.by_ms),
    };
    let of_key =
        |trail: &&EffectTrail| name_matches(key, &trail.effect.idempotency_key) && trail.status != Status::Repeated;
    if played.effects.iter().filter(of_key).any(|trail| in_time(&trail)) {
        return None;
    }
    let expected = json!({ "effect": key, "status": deadline.status, "by_ms": deadline.by_ms });
    let first = played.effects.iter().find(of_key).map(|trail| {
        json!({
            "effect": trail.effect.idempotency_key,
            "at_ms": trail.at_ms,
            "status": trail.status.name(),
            "ended_ms": trail.ended_ms,
        })
    });
    Some(Difference { at, expected, found: first })
}

impl Expect {
    /// The views at the end that have arguments or are named, with their arguments.
    pub(super) fn views_asked(&self) -> Vec<(String, Option<Value>)> {
        let views = self.views.iter();
        views.flat_map(|(view, is)| readings(is).into_iter().map(|(args, _)| (view.clone(), args.cloned()))).collect()
    }
}

/// What a member of `views` says: arguments and what must be shown.
fn readings(is: &Value) -> Vec<(Option<&Value>, &Value)> {
    let with_args = |value: &'_ Value| {
        let object = value.as_object()?;
        let known = object.keys().all(|name| name == "args" || name == "is");
        known.then_some(()).and(object.get("is")).map(|_| ())
    };
    fn reading(value: &Value) -> (Option<&Value>, &Value) {
        (value.get("args"), value.get("is").unwrap_or(value))
    }
    match is {
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| with_args(item).is_some()) => {
            items.iter().map(reading).collect()
        }
        other if with_args(other).is_some() => vec![reading(other)],
        other => vec![(None, other)],
    }
}

fn views_difference(expect: &Expect, played: &Played) -> Option<Difference> {
    expect.views.iter().find_map(|(view, is)| {
        readings(is).into_iter().find_map(|(args, expected)| {
            let args = args.map(ToString::to_string);
            let at = match &args {
                Some(args) => format!("expect.views/{view} with {args}"),
                None => format!("expect.views/{view}"),
            };
            let shown = played.views.get(&(view.clone(), args)).unwrap_or(&Value::Null);
            mismatch(expected, shown).map(|found| placed(&at, found))
        })
    })
}

fn figures_difference(expect: &Expect, played: &Played) -> Option<Difference> {
    expect.figures.iter().find_map(|(place, expected)| {
        let found = played.figure(place).cloned();
        let at = format!("expect.figures/{place}");
        (found.as_ref() != Some(expected)).then(|| Difference { at, expected: expected.clone(), found })
    })
}

fn placed(at: &str, mismatch: Mismatch) -> Difference {
    let at = if mismatch.at.is_empty() { at.to_owned() } else { format!("{at}: {}", mismatch.at) };
    Difference { at, expected: mismatch.expected, found: mismatch.found }
}
