//! Orders: placed, queued while the matching engine is down, cancelled (4.3, 7.2, 9).

use crate::{
    accounts::{self, hold},
    error::No,
    events::{Cancel, Place},
    idempotency,
    params::ORDER_MAX,
    state::{BOOK, Figure, OPEN, ORDERS, QUEUE, place_in_book},
    turn::{Turn, number, text, word},
};
use reprise_guest::{
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
};

/// Which side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// It buys.
    Buy,
    /// It sells.
    Sell,
}
stored_enum!(Side);

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Buy, Self::Sell];
    /// Their names, in order.
    pub const NAMES: [&str; 2] = ["buy", "sell"];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Accepted while the matching engine was down; it is submitted when that is back (7.2).
    PendingSubmission,
    /// In the book, nothing filled.
    Pending,
    /// In the book, partly filled.
    Partial,
    /// Filled.
    Filled,
    /// Cancelled.
    Cancelled,
}
stored_enum!(Status);

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::PendingSubmission, Self::Pending, Self::Partial, Self::Filled, Self::Cancelled];
    /// Their names, in order.
    pub const NAMES: [&str; 5] = ["PENDING_SUBMISSION", "PENDING", "PARTIAL", "FILLED", "CANCELLED"];

    /// Its name; the document's where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// It is in the book.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Partial)
    }

    /// Whether an order may go from one to the other.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use Status::{Cancelled, Filled, Partial, Pending, PendingSubmission};
        matches!(
            (self, to),
            (PendingSubmission, Pending | Cancelled) | (Pending | Partial, Partial | Filled | Cancelled)
        )
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whose.
    pub account: String,
    /// What.
    pub symbol: String,
    /// Which side.
    pub side: Side,
    /// Limit, in money units for a lot.
    pub price: u64,
    /// Lots.
    pub quantity: u64,
    /// Lots that were filled.
    pub filled: u64,
    /// Lots that remain.
    pub remaining: u64,
    /// Where it stands.
    pub status: Status,
    /// When it was placed, in milliseconds.
    pub placed_ms: u64,
}
stored!(Order { account, symbol, side, price, quantity, filled, remaining, status, placed_ms });

/// A new order. The same key gets the first answer.
///
/// # Errors
/// [`No::KeyReused`], [`No::BadText`], [`No::BadNumber`], [`No::UnknownWord`], [`No::TradingHalted`], [`No::ReadOnly`],
/// [`No::UnknownAccount`], [`No::InsufficientFunds`].
pub fn place(turn: &mut Turn<'_>, event: Place) -> Result<Json, Rejection> {
    let request =
        idempotency::fingerprint(&[&event.account, &event.symbol, &event.side], &[event.price, event.quantity]);
    if let Some(first) = idempotency::first(turn, &event.idempotency_key, request)? {
        return Ok(answer(first.0, first.1));
    }
    for (what, value) in
        [("idempotency_key", &event.idempotency_key), ("account", &event.account), ("symbol", &event.symbol)]
    {
        text(what, value)?;
    }
    number("price", event.price, 1, ORDER_MAX)?;
    number("quantity", event.quantity, 1, ORDER_MAX)?;
    let side = Side::ALL[word("side", &event.side, &Side::NAMES)?];
    turn.writable()?;
    let mut account = accounts::find(turn, &event.account)?;
    if side == Side::Buy {
        let held = hold(event.price, event.quantity, turn.exchange.money.fee_ppm);
        if account.available() < held {
            return Err(No::InsufficientFunds.about(&event.account));
        }
        account.held += held;
        accounts::store(turn, &event.account, &account)?;
    }
    turn.exchange.last.order += 1;
    turn.exchange.count(Figure::Orders);
    let number = turn.exchange.last.order;
    let down = turn.exchange.engine.down;
    let order = Order {
        account: event.account,
        symbol: event.symbol,
        side,
        price: event.price,
        quantity: event.quantity,
        filled: 0,
        remaining: event.quantity,
        status: if down { Status::PendingSubmission } else { Status::Pending },
        placed_ms: turn.now_ms,
    };
    if down {
        QUEUE.put(turn.host, &number, &());
        turn.exchange.engine.queued += 1;
    } else {
        OPEN.put(turn.host, &number, &());
        BOOK.put(turn.host, &place_in_book(number, &order), &());
        turn.exchange.engine.open += 1;
    }
    store(turn, number, &order);
    idempotency::keep(turn, event.idempotency_key, request, number, order.status)?;
    Ok(answer(number, order.status))
}

/// An order is cancelled. Cancelling again changes nothing.
///
/// # Errors
/// [`No::UnknownOrder`], [`No::OrderFilled`], [`No::TradingHalted`], [`No::ReadOnly`], [`No::EngineDown`].
pub fn cancel(turn: &mut Turn<'_>, event: &Cancel) -> Result<Json, Rejection> {
    let mut order = find(turn, event.order)?;
    match order.status {
        Status::Cancelled => {
            turn.exchange.count(Figure::Duplicates);
            return Ok(answer(event.order, Status::Cancelled));
        }
        Status::Filled => return Err(No::OrderFilled.number("order ", event.order)),
        Status::PendingSubmission | Status::Pending | Status::Partial => {}
    }
    turn.writable()?;
    if order.status.is_open() {
        // A match of it may be logged: what remains of it is known when the log is replayed.
        if turn.exchange.engine.down {
            return Err(No::EngineDown.about("503: the order is in the book"));
        }
        leave_book(turn, event.order, &order);
    } else {
        QUEUE.delete(turn.host, &event.order);
        turn.exchange.engine.queued = turn.exchange.engine.queued.saturating_sub(1);
    }
    if order.side == Side::Buy {
        let mut account = accounts::find(turn, &order.account)?;
        account.held = account.held.saturating_sub(hold(order.price, order.remaining, turn.exchange.money.fee_ppm));
        accounts::store(turn, &order.account, &account)?;
    }
    order.status = Status::Cancelled;
    store(turn, event.order, &order);
    Ok(answer(event.order, order.status))
}

/// Lots of an order in the book are filled. Answers how much of what was held goes with them.
pub fn fill(turn: &mut Turn<'_>, number: u64, order: &mut Order, quantity: u64) -> u64 {
    let ppm = turn.exchange.money.fee_ppm;
    let before = hold(order.price, order.remaining, ppm);
    order.filled += quantity;
    order.remaining -= quantity;
    order.status = if order.remaining == 0 { Status::Filled } else { Status::Partial };
    if order.remaining == 0 {
        leave_book(turn, number, order);
    }
    store(turn, number, order);
    before - hold(order.price, order.remaining, ppm)
}

/// An order that exists.
///
/// # Errors
/// [`No::UnknownOrder`].
#[inline(never)]
pub fn find(turn: &mut Turn<'_>, number: u64) -> Result<Order, Rejection> {
    ORDERS.get(turn.host, &number)?.ok_or_else(|| No::UnknownOrder.number("order ", number))
}

/// Stores an order, and says so to `check`.
#[inline(never)]
pub fn store(turn: &mut Turn<'_>, number: u64, order: &Order) {
    ORDERS.put(turn.host, &number, order);
    turn.exchange.touched.orders.push(number);
}

fn leave_book(turn: &mut Turn<'_>, number: u64, order: &Order) {
    OPEN.delete(turn.host, &number);
    BOOK.delete(turn.host, &place_in_book(number, order));
    turn.exchange.engine.open = turn.exchange.engine.open.saturating_sub(1);
}

fn answer(order: u64, status: Status) -> Json {
    let mut answer = Json::object();
    answer.number("order", order).text("status", status.name());
    answer
}
