//! Matches: applied in the order of the engine's log, or logged while the engine is down (4.3).

use crate::{
    engine,
    error::No,
    events::NewMatch,
    orders::{self, Side},
    params::ORDER_MAX,
    state::{Figure, MATCHES, TRADES},
    turn::{Turn, number},
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// A match of two orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The order that buys.
    pub buy: u64,
    /// The order that sells.
    pub sell: u64,
    /// Money units for a lot.
    pub price: u64,
    /// Lots.
    pub quantity: u64,
}
stored!(Match { buy, sell, price, quantity });

/// What a match came to: to be settled, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The account that buys.
    pub buyer: String,
    /// The account that sells.
    pub seller: String,
    /// Money units for a lot.
    pub price: u64,
    /// Lots.
    pub quantity: u64,
    /// What is held for it of the buyer's money.
    pub held: u64,
    /// It is settled.
    pub settled: bool,
}
stored!(Trade { buyer, seller, price, quantity, held, settled });

/// A match of the engine's log. One that is known changes nothing; one that is ahead has to wait for those before it.
///
/// # Errors
/// [`No::MatchAhead`], [`No::BadNumber`], [`No::TradingHalted`], [`No::ReadOnly`], and those of [`apply`].
pub fn log(turn: &mut Turn<'_>, event: &NewMatch) -> Result<Json, Rejection> {
    let mut answer = Json::object();
    answer.number("trade", event.number);
    let logged = turn.exchange.engine.logged;
    if event.number <= logged && event.number > 0 {
        turn.exchange.count(Figure::Duplicates);
        return Ok(answer);
    }
    if event.number != logged + 1 {
        return Err(No::MatchAhead.number("the last match is ", logged));
    }
    number("price", event.price, 1, ORDER_MAX)?;
    number("quantity", event.quantity, 1, ORDER_MAX)?;
    turn.writable()?;
    let new = Match { buy: event.buy, sell: event.sell, price: event.price, quantity: event.quantity };
    if turn.exchange.engine.down {
        MATCHES.put(turn.host, &event.number, &new);
    } else {
        apply(turn, event.number, &new)?;
        turn.exchange.engine.processed = event.number;
    }
    turn.exchange.engine.logged = event.number;
    Ok(answer)
}

/// Fills both orders and makes a trade of it. Nothing is changed when it does not fit.
///
/// # Errors
/// [`No::UnknownOrder`], [`No::BadMatch`], [`No::PriceOutside`], [`No::NotBest`].
pub fn apply(turn: &mut Turn<'_>, number: u64, new: &Match) -> Result<(), Rejection> {
    let mut buy = orders::find(turn, new.buy)?;
    let mut sell = orders::find(turn, new.sell)?;
    let sides = buy.side == Side::Buy && sell.side == Side::Sell && buy.symbol == sell.symbol;
    let fits = new.quantity <= buy.remaining && new.quantity <= sell.remaining;
    if !sides || !fits || !buy.status.is_open() || !sell.status.is_open() {
        return Err(No::BadMatch.number("match ", number));
    }
    if new.price > buy.price || new.price < sell.price {
        return Err(No::PriceOutside.number("match ", number));
    }
    for (order, side) in [(new.buy, Side::Buy), (new.sell, Side::Sell)] {
        let best = engine::best(turn, &buy.symbol, side as u8);
        if best != Some(order) {
            return Err(No::NotBest.number("first comes order ", best.unwrap_or_default()));
        }
    }
    let held = orders::fill(turn, new.buy, &mut buy, new.quantity);
    orders::fill(turn, new.sell, &mut sell, new.quantity);
    let trade = Trade {
        buyer: buy.account,
        seller: sell.account,
        price: new.price,
        quantity: new.quantity,
        held,
        settled: false,
    };
    TRADES.put(turn.host, &number, &trade);
    Ok(())
}
