//! What must hold of balances, positions and orders, and the halt of trading when it does not (8.2).
//!
//! What this policy computes itself is held to the same by [`crate::check`], which halts the ledger. Here is what
//! others report: a violation halts trading and pages on-call, and an operator resumes.

use crate::{
    alert::Severity,
    error::No,
    events::{Corruption, NewPosition, OrderState, Resume, Totals},
    orders,
    params::{LEVERAGE_MAX, ORDER_MAX},
    stage::Kind,
    state::{Figure, POSITIONS},
    turn::{Turn, number, text},
    verdict,
};
use reprise_guest::{
    abi::Rejection,
    compact::stored,
    json::Json,
    text::{decimal, join},
};

/// Trading is halted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Why.
    pub reason: String,
    /// Of what.
    pub about: String,
    /// Since when, in milliseconds.
    pub since_ms: u64,
}
stored!(Halt { reason, about, since_ms });

/// A position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Lots.
    pub size: u64,
    /// Money units for a lot.
    pub entry_price: u64,
    /// Money units.
    pub margin: u64,
    /// Times.
    pub leverage: u64,
}
stored!(Position { size, entry_price, margin, leverage });

impl Position {
    /// Size x entry price = margin x leverage (8.2). Margin is whole money units, rounded up, so the right side may be
    /// more by less than one unit of margin, which is `leverage`.
    #[must_use]
    pub fn holds(&self) -> bool {
        let (left, right) = (self.size.checked_mul(self.entry_price), self.margin.checked_mul(self.leverage));
        let (Some(left), Some(right)) = (left, right) else { return false };
        right.checked_sub(left).is_some_and(|more| more < self.leverage)
    }
}

/// Halts trading, pages on-call, tells the exchange.
pub fn halt(turn: &mut Turn<'_>, reason: &str, about: &str) {
    turn.exchange.count(Figure::Violations);
    turn.alert(Severity::P0, reason, about);
    if turn.exchange.halt.is_none() {
        turn.say("exchange", Json::object().text("do", "halt_trading").text("reason", reason).text("about", about));
        turn.exchange.halt = Some(Halt { reason: reason.into(), about: about.into(), since_ms: turn.now_ms });
    }
}

/// A position as it stands.
///
/// # Errors
/// [`No::BadText`], [`No::BadNumber`].
pub fn position(turn: &mut Turn<'_>, event: &NewPosition) -> Result<Json, Rejection> {
    text("account", &event.account)?;
    text("symbol", &event.symbol)?;
    number("size", event.size, 0, ORDER_MAX)?;
    number("entry_price", event.entry_price, 0, ORDER_MAX)?;
    number("leverage", event.leverage, 1, LEVERAGE_MAX)?;
    let position =
        Position { size: event.size, entry_price: event.entry_price, margin: event.margin, leverage: event.leverage };
    let holds = position.holds();
    if holds {
        let key = (event.account.clone(), event.symbol.clone());
        POSITIONS.put(turn.host, &key, &position);
        turn.exchange.touched.positions.push(key);
    } else {
        halt(turn, "position x price is not margin x leverage", &join(&[&event.account, " ", &event.symbol]));
    }
    Ok(held(holds))
}

/// What somebody else says of an order.
///
/// # Errors
/// [`No::UnknownOrder`].
pub fn order_state(turn: &mut Turn<'_>, event: &OrderState) -> Result<Json, Rejection> {
    let order = orders::find(turn, event.order)?;
    let holds = event.filled.checked_add(event.remaining) == Some(order.quantity);
    if !holds {
        halt(turn, "filled + remaining is not the quantity", &join(&["order ", &decimal(event.order)]));
    }
    Ok(held(holds))
}

/// What somebody else has counted.
///
/// # Errors
/// None of its own.
pub fn totals(turn: &mut Turn<'_>, event: &Totals) -> Result<Json, Rejection> {
    let money = &turn.exchange.money;
    let holds = event.accounts.checked_add(event.fees) == Some(event.total)
        && (event.total, event.accounts, event.fees) == (money.total, money.accounts, money.fees);
    if !holds {
        halt(turn, "balances are not accounts + fees", "totals");
    }
    Ok(held(holds))
}

/// A checksum does not match (8.1).
///
/// # Errors
/// [`No::BadText`].
pub fn corruption(turn: &mut Turn<'_>, event: &Corruption) -> Result<Json, Rejection> {
    text("place", &event.place)?;
    verdict::plan(turn, Kind::Corruption, &event.place, "checksum")?;
    Ok(Json::object())
}

/// An operator ends a halt of trading.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::NothingWaits`], [`No::StillWrong`].
pub fn resume(turn: &mut Turn<'_>, event: &Resume) -> Result<Json, Rejection> {
    let operator = event.operator.as_str();
    turn.operator(operator)?;
    if turn.exchange.halt.is_none() {
        return Err(No::NothingWaits.about("trading is not halted"));
    }
    if turn.exchange.data.corrupt > 0 {
        return Err(No::StillWrong.number("places that are still corrupt: ", turn.exchange.data.corrupt.into()));
    }
    turn.exchange.halt = None;
    turn.say("exchange", Json::object().text("do", "resume_trading").text("operator", operator));
    turn.alert(Severity::P3, "trading_resumed", operator);
    Ok(Json::object())
}

fn held(holds: bool) -> Json {
    let mut answer = Json::object();
    answer.flag("holds", holds);
    answer
}
