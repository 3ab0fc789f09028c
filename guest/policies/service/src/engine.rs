//! The matching engine's recovery: the order book is rebuilt from open orders, unprocessed matches are replayed, queued
//! orders submitted (4.3, 7.2). Slice by slice, so that a step costs the same with any number of orders.

use crate::{
    integrity, matches,
    orders::{self, Status},
    params::SLICE,
    stage::Stage,
    state::{BOOK, MATCHES, OPEN, ORDERS, QUEUE, place_in_book},
    turn::Turn,
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// The matching engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// It is being recovered: orders are queued, matches logged.
    pub down: bool,
    /// The last match that was logged.
    pub logged: u64,
    /// The last match that was applied.
    pub processed: u64,
    /// Orders that are open.
    pub open: u64,
    /// Orders that wait to be submitted.
    pub queued: u64,
    /// The last order that was put back into the book.
    pub cursor: u64,
}
stored!(Engine { down, logged, processed, open, queued, cursor });

/// What a slice came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// There is more.
    More,
    /// That was the last one.
    Over,
    /// The stage is not done in slices.
    NotMine,
}

/// A slice of a stage.
///
/// # Errors
/// Corrupt state.
pub fn slice(turn: &mut Turn<'_>, stage: Stage) -> Result<Slice, Rejection> {
    let done = match stage {
        Stage::Clear => clear(turn),
        Stage::Reload => reload(turn)?,
        Stage::Rematch => rematch(turn)?,
        Stage::Submit => submit(turn)?,
        _ => return Ok(Slice::NotMine),
    };
    Ok(if done < SLICE as usize { Slice::Over } else { Slice::More })
}

/// What the engine is told when it resumes.
pub fn describe(turn: &Turn<'_>, payload: &mut Json) {
    let engine = &turn.exchange.engine;
    payload.number("open_orders", engine.open).number("processed", engine.processed).number("queued", engine.queued);
}

fn clear(turn: &mut Turn<'_>) -> usize {
    turn.exchange.engine.cursor = 0;
    BOOK.take(turn.host, SLICE).len()
}

/// Open orders come in the order of their numbers; the book's keys sort them by price, then by time.
fn reload(turn: &mut Turn<'_>) -> Result<usize, Rejection> {
    let numbers = OPEN.numbers(turn.host, Some(turn.exchange.engine.cursor), SLICE);
    for number in &numbers {
        if let Some(order) = ORDERS.get(turn.host, number)? {
            BOOK.put(turn.host, &place_in_book(*number, &order), &());
            turn.exchange.touched.orders.push(*number);
        }
        turn.exchange.engine.cursor = *number;
    }
    Ok(numbers.len())
}

/// A match that does not fit is a violation: trading halts, and the others are applied.
fn rematch(turn: &mut Turn<'_>) -> Result<usize, Rejection> {
    let numbers = MATCHES.numbers(turn.host, None, SLICE);
    for number in &numbers {
        if let Some(unprocessed) = MATCHES.get(turn.host, number)? {
            MATCHES.delete(turn.host, number);
            if let Err(why) = matches::apply(turn, *number, &unprocessed) {
                integrity::halt(turn, "a logged match does not fit", &why.detail);
            }
        }
        turn.exchange.engine.processed = *number;
    }
    Ok(numbers.len())
}

fn submit(turn: &mut Turn<'_>) -> Result<usize, Rejection> {
    let numbers = QUEUE.numbers(turn.host, None, SLICE);
    for number in &numbers {
        QUEUE.delete(turn.host, number);
        let Some(mut order) = ORDERS.get(turn.host, number)? else { continue };
        order.status = Status::Pending;
        turn.exchange.engine.queued = turn.exchange.engine.queued.saturating_sub(1);
        turn.exchange.engine.open += 1;
        OPEN.put(turn.host, number, &());
        BOOK.put(turn.host, &place_in_book(*number, &order), &());
        orders::store(turn, *number, &order);
    }
    if !numbers.is_empty() {
        turn.say("client", Json::object().text("do", "submitted").number("orders", numbers.len() as u64));
    }
    Ok(numbers.len())
}

/// The best order of a side, if the book has any.
pub fn best(turn: &mut Turn<'_>, symbol: &str, side: u8) -> Option<u64> {
    BOOK.numbers_of(turn.host, &(symbol.into(), side), 1).first().copied()
}
