//! What the host says: a timer is due, an effect has ended.

use crate::{
    ballot, halt, incident, leader, moves, node,
    order::Order,
    restore,
    state::{NodeId, ORDERS, Phase},
    turn::{To, Turn},
    verdict, verify,
};
use reprise_guest::{
    abi::{EffectPhase, EffectResult, EffectStatus, Rejection},
    json::Json,
};

/// A timer is due. One of an earlier setting, told by its number, means nothing any more.
///
/// # Errors
/// Corrupt state.
pub fn timer(turn: &mut Turn<'_>, id: &str, payload: &[u8]) -> Result<(), Rejection> {
    let number = payload.try_into().map_or(0, u64::from_be_bytes);
    match id {
        "judge" => verdict::judge(turn),
        "ballot" => {
            if turn.cluster.ballot.as_ref().is_some_and(|ballot| ballot.number == number) {
                ballot::decide(turn, true);
            }
            Ok(())
        }
        "survey" => incident::surveyed(turn, number),
        "verify" if turn.cluster.phase != Phase::Verifying || turn.cluster.round.number != number => Ok(()),
        "verify" => verify::decide(turn, true),
        "confirm" => halt::unconfirmed(turn, number),
        "acks" => halt::time_is_over(turn, number),
        // `node.<id>`: the number is the node's.
        _ => u32::try_from(number).map_or(Ok(()), |id| node::due(turn, NodeId(id))),
    }
}

/// An effect has ended. Of announcements and alerts nothing was kept, so nothing follows.
///
/// # Errors
/// Corrupt state.
pub fn effect(turn: &mut Turn<'_>, result: &EffectResult) -> Result<(), Rejection> {
    let answer: Option<&[u8]> = match &result.status {
        EffectStatus::Done { answer } => Some(answer),
        _ => None,
    };
    if result.phase == EffectPhase::Compensate {
        if answer.is_none() {
            turn.alert(To::Operators, "not_undone", Json::object().text("effect", &result.idempotency_key));
        }
        return Ok(());
    }
    let suffix = result.idempotency_key.rsplit('.').next().unwrap_or_default();
    let Ok(number) = suffix.parse::<u64>() else { return Ok(()) };
    let Some(order) = ORDERS.get(turn.host, &number)? else { return Ok(()) };
    ORDERS.delete(turn.host, &number);
    let done = answer.is_some();
    match order {
        Order::Revive(id) => node::revived(turn, number, id, done),
        Order::Lead(term) => leader::answered(turn, term, done),
        Order::Transfer(transfer) => moves::landed(turn, transfer, answer),
        Order::Evict(id, incident) => incident::evicted(turn, id, incident, done),
        Order::Capture(name) => restore::captured(turn, name, answer),
        Order::Check(restoration) => restore::checked(turn, restoration, answer),
        Order::Restore(id, restoration) => restore::restored(turn, id, restoration, done),
    }
}
