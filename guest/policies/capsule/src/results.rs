//! `reprise.effect`: what became of the orders.
//!
//! What an agent did not do changes what is to be done; what nodes and people were not told is counted, and the next
//! deadline decides without them.

use crate::{
    case::Correction,
    orders::{self, Action},
    rejection::No,
    state::{Figure, Setback},
    turn::{Held, Turn},
};
use reprise_guest::{
    StepInput,
    abi::{EffectPhase, Rejection},
    rejection::{Code, SdkCode},
    text::decimal,
};

/// First parts of the keys of messages.
const MESSAGES: [&str; 6] = ["alert", "lineage", "lineage-release", "notice", "review", "verify"];

/// An effect has ended.
///
/// # Errors
/// [`No::UnknownEffect`], or corrupt state.
pub fn heard(turn: &mut Turn, input: &StepInput) -> Result<(), Rejection> {
    let Ended { key, phase, done } =
        Ended::of(&input.payload).ok_or_else(|| SdkCode::MalformedPayload.because("not the result of an effect"))?;
    if !done {
        turn.header.count(Figure::Undelivered);
    }
    let unknown = || No::UnknownEffect.because(key);
    let (name, rest) = cut(key, key.bytes().position(|byte| byte == b'.')).ok_or_else(unknown)?;
    let Some(action) = Action::named(name) else {
        return if MESSAGES.contains(&name) { Ok(()) } else { Err(unknown()) };
    };
    let (id, seq) = cut(rest, rest.bytes().rposition(|byte| byte == b'.')).ok_or_else(unknown)?;
    let mut held = turn.named(&String::from(id))?;
    match (phase == EffectPhase::Act as u32, done) {
        (true, true) => drop(ended(&mut held, seq)),
        (true, false) => set_back(&mut held, action, seq),
        (false, true) => {}
        (false, false) => orders::notice(turn, id, "NOT_UNDONE"),
    }
    turn.save(held);
    Ok(())
}

/// What the policy needs of an [`EffectResult`](reprise_guest::abi::EffectResult): how it begins.
///
/// The ledger made the bytes and holds them to their one encoding; reading them all again would be a fortieth of this
/// component.
struct Ended<'i> {
    key: &'i str,
    phase: u32,
    done: bool,
}

impl<'i> Ended<'i> {
    fn of(payload: &'i [u8]) -> Option<Self> {
        let ((key, phase, status), _) = postcard::take_from_bytes::<(&str, u32, u32)>(payload).ok()?;
        Some(Self { key, phase, done: status == 0 })
    }
}

/// What stands before a dot and what stands behind it.
fn cut(text: &str, dot: Option<usize>) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(dot?)?;
    Some((before, rest.strip_prefix('.')?))
}

/// The correction that this step ordered, if it is the last one: it is not pending any more.
fn ended(held: &mut Held, seq: &str) -> Option<Correction> {
    let case = held.capsule.case.as_mut()?;
    case.correction.take_if(|correction| decimal(correction.seq) == seq)
}

fn set_back(held: &mut Held, action: Action, seq: &str) {
    let setback = match action {
        Action::Heal | Action::Repair => {
            let Some(correction) = ended(held, seq) else { return };
            if let Some(phi) = correction.phi_before {
                held.capsule.phi = phi;
            }
            Setback::Correction
        }
        Action::Release => Setback::Release,
        Action::ReleaseLineage => Setback::LineageRelease,
        // It is ordered again when the tick is over: an agent that fails at once would be asked without end. A capsule
        // without a case is back in the pool, or contained with its lineage.
        Action::Quarantine | Action::IsolateLineage => {
            if let Some(case) = &mut held.capsule.case {
                case.containment.failed = true;
                held.capsule.agenda.planned = true;
            }
            return;
        }
    };
    let agenda = &mut held.capsule.agenda;
    agenda.setback = agenda.setback.max(Some(setback));
    agenda.planned = true;
}
