//! Values of the contract's types.

use crate::seeded::{Random, Seeded};
use reprise_abi::{
    Change, Compensator, Description, Diff, Effect, Event, GovernedRule, Input, LimitKind, Outcome, OutcomeClass,
    Rejection, RejectionCode, Timer, TimerChange, TrapKind, Violation,
};

impl Seeded for Event {
    fn seeded(random: &mut Random) -> Self {
        Self { id: random.name(), source: random.name(), kind: random.name(), payload: random.bytes(40) }
    }
}

impl Seeded for Input {
    fn seeded(random: &mut Random) -> Self {
        Self {
            seq: random.number(),
            epoch: random.number(),
            logical_time_ms: random.number(),
            event: Event::seeded(random),
        }
    }
}

impl Seeded for Diff {
    fn seeded(random: &mut Random) -> Self {
        let change = |random: &mut Random| Change {
            key: random.bytes(12),
            before: random.option(|random| random.bytes(20)),
            after: random.option(|random| random.bytes(20)),
        };
        let mut changes = random.ascending(5, change, |change| change.key.clone());
        changes.retain(|change| change.before != change.after);
        Self::new(changes).expect("sorted, and every change changes something")
    }
}

impl Seeded for Description {
    fn seeded(random: &mut Random) -> Self {
        let code = |random: &mut Random| RejectionCode { code: random.number32(), name: random.name() };
        let rule = |random: &mut Random| GovernedRule { name: random.name(), digest: random.digest() };
        Self {
            name: random.name(),
            version: format!("{}.{}.{}", random.below(20), random.below(20), random.below(300)),
            input_kinds: random.ascending(4, Random::name, String::clone),
            views: random.ascending(4, Random::name, String::clone),
            rejections: random.ascending(4, code, |code| code.code),
            governed: random.ascending(2, rule, |rule| rule.name.clone()),
        }
    }
}

impl Seeded for Outcome {
    fn seeded(random: &mut Random) -> Self {
        match random.below(8) {
            0 => Self::Rejected(Rejection { code: random.number32(), detail: random.name() }),
            1 => Self::Trapped(TrapKind::seeded(random)),
            2 => Self::OutOfFuel,
            3 => Self::LimitExceeded(LimitKind::seeded(random)),
            4 => Self::InvariantViolated(Violation { invariant: random.name(), detail: random.name() }),
            _ => Self::Accepted { answer: random.bytes(40) },
        }
    }
}

impl Seeded for OutcomeClass {
    fn seeded(random: &mut Random) -> Self {
        Outcome::seeded(random).class()
    }
}

impl Seeded for TrapKind {
    fn seeded(random: &mut Random) -> Self {
        random.pick(&[
            Self::Unreachable,
            Self::MemoryOutOfBounds,
            Self::TableOutOfBounds,
            Self::BadIndirectCall,
            Self::Arithmetic,
            Self::BadValue,
            Self::ForbiddenCall,
        ])
    }
}

impl Seeded for LimitKind {
    fn seeded(random: &mut Random) -> Self {
        random.pick(&[
            Self::Key,
            Self::Value,
            Self::DiffChanges,
            Self::DiffBytes,
            Self::Effects,
            Self::EffectPayload,
            Self::Timers,
            Self::Name,
            Self::Answer,
            Self::Log,
            Self::State,
        ])
    }
}

impl Seeded for Effect {
    fn seeded(random: &mut Random) -> Self {
        let compensator = |random: &mut Random| Compensator { driver: random.name(), payload: random.bytes(20) };
        Self {
            idempotency_key: random.name(),
            driver: random.name(),
            deadline_ms: random.number(),
            payload: random.bytes(20),
            compensator: random.option(compensator),
        }
    }
}

impl Seeded for TimerChange {
    fn seeded(random: &mut Random) -> Self {
        match random.below(2) {
            0 => Self::Cancel { id: random.name() },
            _ => Self::Set(Timer { id: random.name(), due_ms: random.number(), payload: random.bytes(20) }),
        }
    }
}
