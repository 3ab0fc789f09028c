//! Values of the types around the outbox.

use crate::seeded::{Random, Seeded};
use reprise_abi::{Effect, EffectPhase, EffectResult, EffectStatus};
use reprise_receipts::system::outbox::{EffectMark, OutboxEntry};

impl Seeded for EffectStatus {
    fn seeded(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Done { answer: random.bytes(20) },
            1 => Self::Failed { detail: random.name() },
            2 => Self::Expired,
            _ => Self::Retry { detail: random.name() },
        }
    }
}

impl Seeded for EffectResult {
    fn seeded(random: &mut Random) -> Self {
        Self { idempotency_key: random.name(), phase: phase(random), status: EffectStatus::seeded(random) }
    }
}

impl Seeded for OutboxEntry {
    fn seeded(random: &mut Random) -> Self {
        Self {
            effect: Effect::seeded(random),
            seq: random.number(),
            index: random.number32(),
            epoch: random.number(),
            phase: phase(random),
            attempts: random.number32(),
            not_before_ms: random.number(),
            deadline_ms: random.number(),
        }
    }
}

impl Seeded for EffectMark {
    fn seeded(random: &mut Random) -> Self {
        match random.below(2) {
            0 => Self::Pending { entry: random.bytes(30) },
            _ => Self::Ended { at_ms: random.number() },
        }
    }
}

fn phase(random: &mut Random) -> EffectPhase {
    random.pick(&[EffectPhase::Act, EffectPhase::Compensate])
}
