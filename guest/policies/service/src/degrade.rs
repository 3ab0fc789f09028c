//! Degraded modes: read-only requests and stale market data (7.1, 7.3). Queued orders (7.2) are in [`crate::orders`].

use crate::{
    error::No,
    events::{MarketData, Quote, Request},
    params::{ORDER_MAX, STALE_MAX_MS, SYMBOLS_MAX},
    state::{Exchange, QUOTES},
    turn::{Turn, number, one_more, text, word},
};
use reprise_guest::{abi::Rejection, json::Json};

/// The modes that the exchange is in; none of them: normal.
pub fn modes(exchange: &Exchange, json: &mut Json) {
    json.list("modes");
    for (on, name) in [
        (exchange.halt.is_some(), "HALTED"),
        (exchange.read_only(), "READ_ONLY"),
        (exchange.engine.down, "ORDER_QUEUE"),
        (exchange.census.feeds_down > 0, "STALE_DATA"),
    ] {
        if on {
            json.item_text(name);
        }
    }
    json.close();
}

/// A request of a client: while the exchange is read-only, reads are served by replicas with a warning, and nothing
/// else.
///
/// # Errors
/// [`No::UnknownWord`], [`No::TradingHalted`], [`No::ReadOnly`], [`No::Unavailable`].
pub fn request(turn: &mut Turn<'_>, event: &Request) -> Result<Json, Rejection> {
    let mut answer = Json::object();
    answer.number("status", 200_u32);
    if word("method", &event.method, &["GET", "POST", "PUT", "DELETE"])? > 0 {
        turn.writable()?;
    } else if !turn.exchange.data.readable {
        return Err(No::Unavailable.about("503 Service Unavailable"));
    } else if turn.exchange.read_only() {
        answer.text("from", "replica").text("banner", "read-only: changes are refused for now");
    } else {
        answer.text("from", "primary");
    }
    Ok(answer)
}

/// A price was heard.
///
/// # Errors
/// [`No::BadText`], [`No::BadNumber`], [`No::TooMany`].
pub fn market_data(turn: &mut Turn<'_>, event: &MarketData) -> Result<Json, Rejection> {
    text("symbol", &event.symbol)?;
    number("price", event.price, 1, ORDER_MAX)?;
    if !QUOTES.has(turn.host, &event.symbol) {
        one_more(&mut turn.exchange.census.symbols, SYMBOLS_MAX, &event.symbol)?;
    }
    QUOTES.put(turn.host, &event.symbol, &(event.price, turn.now_ms));
    Ok(Json::object())
}

/// The last known price, with the time when it was heard. While the market data service is down, one older than 60
/// seconds is refused.
///
/// # Errors
/// [`No::NoQuote`], [`No::StaleData`].
pub fn quote(turn: &mut Turn<'_>, event: &Quote) -> Result<Json, Rejection> {
    let Some((price, at_ms)) = QUOTES.get(turn.host, &event.symbol)? else {
        return Err(No::NoQuote.about(&event.symbol));
    };
    let down = turn.exchange.census.feeds_down > 0;
    if down && turn.now_ms.saturating_sub(at_ms) > STALE_MAX_MS {
        return Err(No::StaleData.number("503: the last price is of ", at_ms));
    }
    let mut answer = Json::object();
    answer.number("price", price).number("as_of_ms", at_ms).flag("stale", down);
    Ok(answer)
}
