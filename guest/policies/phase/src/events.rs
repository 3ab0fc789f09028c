//! What the policy is told: events, due timers, ends of effects.

use crate::{
    budget, control,
    error::Refusal,
    fields::Fields,
    ids::{NodeId, RunId, number},
    init, judge, leader, log, merge, nodes, overrides, phases, recover, ring, sel,
    state::{ORDERS, Order},
    turn::{EVENT, Turn, verb},
};
use reprise_guest::{
    Host, StepInput,
    abi::{EffectResult, EffectStatus},
    json::Json,
    rejection::{Code, SdkCode},
};

/// Kinds of input, ascending.
pub const KINDS: [&str; 24] = [
    "begin_phase",
    "caught_up",
    "checkpoint",
    "commit_phase",
    "control_write",
    "decommission",
    "exec_status",
    "fx_rates",
    "gossip",
    "heartbeat",
    "init",
    "join",
    "leader",
    "log_head",
    "log_tail",
    "override",
    "permit_async",
    "phase_transition",
    "reingest",
    "reprise.effect",
    "reprise.timer",
    "roster",
    "side_effect",
    "wal_ack",
];

/// Runs what an event asks for.
///
/// # Errors
/// The event's own rejections.
pub fn dispatch(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Refusal> {
    let (kind, now_ms) = (input.kind.as_str(), input.logical_time_ms);
    let fields = &mut Fields::read(&input.payload)?;
    match kind {
        "init" => return init::init(host, now_ms, fields),
        "heartbeat" => return nodes::heard(host, now_ms, fields, false),
        "gossip" => return nodes::heard(host, now_ms, fields, true),
        _ => {}
    }
    let at = HANDLERS.binary_search_by(|(known, _)| (*known).cmp(kind));
    let Ok(at) = at else { return Err(SdkCode::UnknownKind.because(kind).into()) };
    let mut turn = Turn::open(host, now_ms)?;
    let mut answer = HANDLERS[at].1(&mut turn, fields)?;
    turn.close();
    Ok(answer.done())
}

/// What an event asks for.
type Handler = fn(&mut Turn<'_>, &mut Fields) -> Result<Json, Refusal>;

/// Handlers by kind, ascending.
const HANDLERS: [(&str, Handler); 19] = [
    ("begin_phase", phases::begin),
    ("caught_up", log::caught_up),
    ("checkpoint", leader::checkpoint),
    ("commit_phase", phases::commit),
    ("control_write", control::write),
    ("decommission", nodes::decommission),
    ("exec_status", phases::status),
    ("fx_rates", budget::rates),
    ("join", nodes::join),
    ("leader", leader::elected),
    ("log_head", merge::head),
    ("log_tail", log::tail),
    ("override", overrides::sign),
    ("permit_async", log::permit_async),
    ("phase_transition", phases::transition),
    ("reingest", merge::reingest),
    ("roster", overrides::roster),
    ("side_effect", sel::record),
    ("wal_ack", log::acknowledge),
];

/// A timer is due. What it means is in its name; the number in its payload says whose it is.
///
/// # Errors
/// Corrupt state.
pub fn timer(turn: &mut Turn<'_>, id: &str, payload: &[u8]) -> Result<(), Refusal> {
    let number = payload.try_into().map_or(0, u64::from_be_bytes);
    let (kind, about) = id.split_once('.').unwrap_or((id, ""));
    match kind {
        "judge" => judge::judge(turn),
        "node" => nodes::due(turn, NodeId(number as u32)),
        "write" => log::late(turn, number),
        "run" => judge::due(turn, RunId::traced(about)?),
        "override" => {
            turn.touch(RunId::traced(about)?);
            Ok(())
        }
        "ring" => ring::settle(turn),
        _ => {
            turn.whole.allowance = None;
            turn.say(EVENT, &mut verb("async_ended"));
            Ok(())
        }
    }
}

/// An effect has ended. Of announcements and alerts nothing was kept, so nothing follows.
///
/// # Errors
/// Corrupt state.
pub fn effect(turn: &mut Turn<'_>, result: &EffectResult) -> Result<(), Refusal> {
    let suffix = result.idempotency_key.rsplit('.').next().unwrap_or_default();
    let Some(number) = number(suffix) else { return Ok(()) };
    let Some(order) = ORDERS.get(turn.host, &number)? else { return Ok(()) };
    ORDERS.delete(turn.host, &number);
    match order {
        Order::Step(run, token) => recover::ended(turn, run, token, &result.status),
        Order::Reconfigure(peers, enter) => {
            log::reconfigured(turn, &peers, enter, matches!(result.status, EffectStatus::Done { .. }))
        }
    }
}
