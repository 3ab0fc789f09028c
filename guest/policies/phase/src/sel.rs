//! The side-effect ledger (H6): every call to the outside is recorded before it is made, with an idempotency key and a
//! compensator.
//!
//! In ROLLBACK the compensators run one by one, the last one recorded first, before the state goes back. The host's outbox
//! gives each of them 5 jittered attempts, with waits up to 15 minutes, and opens the breaker of a driver for 30.

use crate::{
    budget,
    digest::crc32,
    error::{No, Refusal},
    fields::{Fields, bounded},
    ids::RunId,
    leader,
    params::{EFFECTS_MAX, MONEY_MAX, Wait, within},
    state::{EFFECTS, KEYS, Order, RUNS, Run},
    turn::{SEL, Turn, verb_run},
};
use reprise_guest::{
    compact::stored,
    json::Json,
    text::{decimal, join},
};

/// A call to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideEffect {
    /// Its idempotency key.
    pub key: String,
    /// What it creates or deletes: see [`budget::direction`].
    pub direction: u64,
    /// Payload of its compensator.
    pub undo: String,
    /// Its cost, in hundredths of a unit of the budget's currency.
    pub cost: u64,
    /// Its compensation's.
    pub undo_cost: u64,
    /// CRC-32 of what was recorded: whoever records it again says the same.
    pub said: u32,
}
stored!(SideEffect { key, direction, undo, cost, undo_cost, said });

/// Records a side effect. The same one under the same key gets the first answer.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRun`], [`No::WrongState`],
/// [`No::StaleToken`], [`No::BadText`], [`No::BadName`], [`No::BadParameter`], [`No::UnknownCurrency`],
/// [`No::Repeated`], [`No::TooManyEffects`], malformed.
pub fn record(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (_, id, mut run) = leader::fenced(turn, fields)?;
    let (key, undo): (String, String) = (fields.take("key")?, fields.take("undo")?);
    let action: String = fields.take("action")?;
    let sums: [u64; 2] = [fields.maybe("cost")?.unwrap_or(0), fields.maybe("undo_cost")?.unwrap_or(0)];
    let region: Option<String> = fields.maybe("region")?;
    fields.end()?;
    bounded("key", &key)?;
    bounded("undo", &undo)?;
    for sum in sums {
        within("cost", sum, 0, MONEY_MAX)?;
    }
    let Some(direction) = budget::direction(&action) else { return Err(No::BadName.says(&["action ", &action])) };
    let [of_act, of_undo] = sums.map(decimal);
    let region_name = region.as_deref().unwrap_or_default();
    let said = join(&[&action, "\n", &undo, "\n", &of_act, "\n", &of_undo, "\n", region_name]);
    let said = crc32(said.as_bytes());
    let place = (id, key);
    if let Some(index) = KEYS.get(turn.host, &place)? {
        if EFFECTS.get(turn.host, &(id, index))?.is_none_or(|known| known.said != said) {
            return Err(No::Repeated.says(&["another side effect has the key ", &place.1]));
        }
        return Ok(answer(index));
    }
    let ([cost, undo_cost], cap) = budget::normalised(turn, region.as_deref(), sums)?;
    if !run.state.is_open() {
        return Err(No::WrongState.says(&[run.state.name()]));
    }
    let index = run.spend.effects;
    if index >= EFFECTS_MAX {
        return Err(No::TooManyEffects.run(id));
    }
    KEYS.put(turn.host, &place, &index);
    let effect = SideEffect { key: place.1, direction, undo, cost, undo_cost, said };
    EFFECTS.put(turn.host, &(id, index), &effect);
    run.spend.effects += 1;
    run.spend.cap = cap;
    run.recovery.uncompensated = run.spend.effects;
    spend(turn, id, &mut run, cost, direction);
    RUNS.put(turn.host, &id, &run);
    Ok(answer(index))
}

/// The first answer. It does not depend on when it is asked for again.
fn answer(index: u32) -> Json {
    let mut json = Json::object();
    json.number("index", index);
    json
}

/// Counts what was spent. Past the cap automation stops, and people are told once.
fn spend(turn: &mut Turn<'_>, id: RunId, run: &mut Run, cost: u64, direction: u64) {
    let before = budget::exceeded(run);
    budget::count(turn, run, cost, direction);
    if budget::exceeded(run) && !before {
        run.recovery.held = true;
        turn.alert_run("COST_CAP_EXCEEDED", id);
    }
}

/// Orders the next compensation. Whether there was one to order.
///
/// # Errors
/// Corrupt state.
pub fn compensate(turn: &mut Turn<'_>, id: RunId, run: &mut Run, token: u64) -> Result<bool, Refusal> {
    let Some(index) = run.recovery.uncompensated.checked_sub(1) else { return Ok(false) };
    let Some(effect) = EFFECTS.get(turn.host, &(id, index))? else {
        run.recovery.uncompensated = index;
        return compensate(turn, id, run, token);
    };
    let mut order = verb_run("compensate", id);
    order.number("token", token).text("key", &effect.key).text("undo", &effect.undo);
    // Five attempts with waits of up to 15 minutes, and the breaker, fit into T_blocked.
    run.recovery.order = turn.order(SEL, turn.after(Wait::Blocked), &mut order, &Order::Step(id, token));
    Ok(true)
}

/// A compensation is done: its cost counts, and what was created is deleted.
///
/// # Errors
/// Corrupt state.
pub fn compensated(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    let Some(index) = run.recovery.uncompensated.checked_sub(1) else { return Ok(()) };
    run.recovery.uncompensated = index;
    if let Some(effect) = EFFECTS.get(turn.host, &(id, index))? {
        let opposite = if effect.direction == 0 { 0 } else { 3 - effect.direction };
        spend(turn, id, run, effect.undo_cost, opposite);
    }
    Ok(())
}

/// Forgets the side effects of a run.
///
/// # Errors
/// Corrupt state.
pub fn forget(turn: &mut Turn<'_>, id: RunId, run: &Run) -> Result<(), Refusal> {
    for index in 0..run.spend.effects {
        if let Some(effect) = EFFECTS.get(turn.host, &(id, index))? {
            KEYS.delete(turn.host, &(id, effect.key));
        }
        EFFECTS.delete(turn.host, &(id, index));
    }
    Ok(())
}
