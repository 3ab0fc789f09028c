//! Invariants, after every step that changed state (8.2).
//!
//! They hold the exchange's record against itself and against what the last step changed, so that a step costs the same
//! with any number of accounts and orders. What only a look at everything can find, an audit finds: it leaves word in
//! [`FAULT`], and the step that left it is discarded here.

use crate::{
    accounts::Account,
    orders::Status,
    params::ATTEMPTS_MAX,
    stage::Stage,
    state::{
        ACCOUNTS, ACTIVE, BOOK, DATABASE, EXCHANGE, Exchange, FAULT, OPEN, ORDERS, POSITIONS, QUEUE, RECOVERIES,
        place_in_book,
    },
};
use reprise_guest::{
    Host,
    abi::{Rejection, Violation},
    text::decimal,
};

/// Holds the invariants.
///
/// # Errors
/// The first one that does not hold.
pub fn check(host: &mut dyn Host) -> Result<(), Violation> {
    if let Some(fault) = FAULT.get(host).map_err(unreadable)? {
        return violated("audit-finds-nothing", &fault);
    }
    let Some(exchange) = EXCHANGE.get(host).map_err(unreadable)? else { return Ok(()) };
    check_money(host, &exchange)?;
    check_data(host, &exchange)?;
    for number in &exchange.touched.orders {
        check_order(host, &exchange, *number)?;
    }
    for key in &exchange.touched.positions {
        if !POSITIONS.get(host, key).map_err(unreadable)?.is_some_and(|position| position.holds()) {
            return violated("position-x-price-is-margin-x-leverage", &key.0);
        }
    }
    for (at, (number, (from, to))) in exchange.touched.stages.iter().enumerate() {
        let last = exchange.touched.stages[at + 1..].iter().all(|(later, _)| later != number);
        check_stage(host, *number, *from, *to, last)?;
    }
    Ok(())
}

/// Total balances = sum of all accounts + fees (8.2).
fn check_money(host: &mut dyn Host, exchange: &Exchange) -> Result<(), Violation> {
    let (money, touched) = (&exchange.money, &exchange.touched);
    if money.accounts.checked_add(money.fees) != Some(money.total) {
        return violated("total-is-accounts-plus-fees", "");
    }
    let mut sum = touched.accounts_before;
    for (at, (name, before)) in touched.accounts.iter().enumerate() {
        // What an account held before the first change of the step, and what it holds now.
        let seen = touched.accounts[..at].iter().any(|(known, _)| known == name);
        let Account { balance, held } = ACCOUNTS.get(host, name).map_err(unreadable)?.unwrap_or_default();
        if held > balance {
            return violated("held-is-there", name);
        }
        if !seen {
            sum = sum.wrapping_sub(*before).wrapping_add(balance);
        }
    }
    if sum == money.accounts { Ok(()) } else { violated("sum-of-accounts", "") }
}

/// Nothing acknowledged is lost, no lease comes twice, and who leads has a vote (5, 3.3).
fn check_data(host: &mut dyn Host, exchange: &Exchange) -> Result<(), Violation> {
    let (data, (token, acknowledged)) = (&exchange.data, exchange.touched.data_before);
    if data.token < token || data.acknowledged < acknowledged {
        return violated("tokens-and-acknowledgements-grow", "");
    }
    let Some(database) = DATABASE.get(host).map_err(unreadable)? else { return Ok(()) };
    if database.writes < data.acknowledged {
        return violated("nothing-acknowledged-is-lost", &decimal(data.acknowledged));
    }
    let voters = database.voters().count();
    let answering = database.voters().filter(|node| node.answers()).count();
    if data.quorum != (answering * 2 > voters) {
        return violated("quorum-is-more-than-half", "");
    }
    let fenced = database.nodes.get(database.primary as usize).is_none_or(|node| node.fenced);
    if fenced && data.failing_over == 0 {
        return violated("the-primary-has-a-vote", database.primary());
    }
    Ok(())
}

/// Order filled + remaining = total quantity (8.2); it is where its status says.
fn check_order(host: &mut dyn Host, exchange: &Exchange, number: u64) -> Result<(), Violation> {
    let name = decimal(number);
    let Some(order) = ORDERS.get(host, &number).map_err(unreadable)? else { return violated("order-is-kept", &name) };
    if order.filled.checked_add(order.remaining) != Some(order.quantity) {
        return violated("filled-plus-remaining-is-quantity", &name);
    }
    let fits = match order.status {
        Status::PendingSubmission | Status::Pending => order.filled == 0,
        Status::Partial => order.filled > 0 && order.remaining > 0,
        Status::Filled => order.remaining == 0,
        Status::Cancelled => order.remaining > 0,
    };
    if !fits {
        return violated("status-fits-what-is-filled", &name);
    }
    let open = OPEN.has(host, &number);
    let queued = QUEUE.has(host, &number);
    if open != order.status.is_open() || queued != (order.status == Status::PendingSubmission) {
        return violated("order-is-where-its-status-says", &name);
    }
    // While the engine is being recovered the book is being built.
    let booked = BOOK.has(host, &place_in_book(number, &order));
    if !exchange.engine.down && booked != order.status.is_open() {
        return violated("open-orders-are-in-the-book", &name);
    }
    Ok(())
}

/// A recovery went from stage to stage as its kind may, and is not forgotten where it is.
fn check_stage(host: &mut dyn Host, number: u64, from: Stage, to: Stage, last: bool) -> Result<(), Violation> {
    let name = decimal(number);
    let Some(recovery) = RECOVERIES.get(host, &number).map_err(unreadable)? else {
        return if to == Stage::Done || !last { Ok(()) } else { violated("recovery-is-kept", &name) };
    };
    if !recovery.kind.may_become(from, to) {
        return violated("only-documented-transitions", &name);
    }
    if recovery.attempt > ATTEMPTS_MAX {
        return violated("two-attempts-then-a-person", &name);
    }
    if !last {
        return Ok(());
    }
    let active = ACTIVE.get(host, &(recovery.kind as u8, recovery.subject.clone())).map_err(unreadable)?;
    let over = recovery.stage == Stage::Done;
    if over != (active != Some(number)) || over != recovery.ended_ms.is_some() {
        return violated("recovery-is-active-until-it-is-over", &name);
    }
    if recovery.stage.ask().is_some() && recovery.sent == 0 && recovery.retries == 0 {
        return violated("recovery-waits-for-something", &name);
    }
    Ok(())
}

#[inline(never)]
fn violated(invariant: &str, detail: &str) -> Result<(), Violation> {
    Err(Violation { invariant: invariant.into(), detail: detail.into() })
}

#[inline(never)]
fn unreadable(why: Rejection) -> Violation {
    Violation { invariant: "state-readable".into(), detail: why.detail }
}
