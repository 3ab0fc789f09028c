//! Accounts: balances, what is held for open orders, and settlement. Everything once: again changes nothing (9.2).
//!
//! Money is counted in money units, quantities in lots, prices in money units for a lot: whole numbers, and the
//! exchange says how much a unit and a lot are.

use crate::{
    error::No,
    events::{Balance, Settle},
    params::{MONEY_MAX, PPM},
    state::{ACCOUNTS, Figure, TRADES, TRANSACTIONS},
    turn::{Turn, number, text},
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// An account, in money units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it has.
    pub balance: u64,
    /// How much of that is held for open orders and unsettled trades.
    pub held: u64,
}
stored!(Account { balance, held });

impl Account {
    /// What can be spent.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.balance.saturating_sub(self.held)
    }
}

/// A balance update, as it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Whose account.
    pub account: String,
    /// By how much.
    pub amount: i64,
    /// The balance after it.
    pub balance: u64,
}
stored!(Update { account, amount, balance });

/// Money comes or goes, once for each transaction.
///
/// # Errors
/// [`No::TransactionReused`], [`No::BadText`], [`No::BadNumber`], [`No::TradingHalted`], [`No::ReadOnly`],
/// [`No::UnknownAccount`], [`No::InsufficientFunds`], [`No::BalanceOverflow`].
pub fn balance(turn: &mut Turn<'_>, event: &Balance) -> Result<Json, Rejection> {
    let mut answer = Json::object();
    if let Some(first) = TRANSACTIONS.get(turn.host, &event.transaction)? {
        if first.account != event.account || first.amount != event.amount {
            return Err(No::TransactionReused.about(&event.transaction));
        }
        turn.exchange.count(Figure::Duplicates);
        answer.number("balance", first.balance);
        return Ok(answer);
    }
    text("transaction", &event.transaction)?;
    text("account", &event.account)?;
    let amount = event.amount.unsigned_abs();
    number("amount", amount, 1, MONEY_MAX)?;
    turn.writable()?;
    let mut account = match ACCOUNTS.get(turn.host, &event.account)? {
        Some(account) => account,
        None if event.amount > 0 => Account::default(),
        None => return Err(No::UnknownAccount.about(&event.account)),
    };
    let total = turn.exchange.money.total;
    if event.amount > 0 {
        account.balance += amount;
        let Some(total) = total.checked_add(amount).filter(|_| account.balance <= MONEY_MAX) else {
            return Err(No::BalanceOverflow.about(&event.account));
        };
        turn.exchange.money.total = total;
    } else {
        if account.available() < amount {
            return Err(No::InsufficientFunds.about(&event.account));
        }
        account.balance -= amount;
        turn.exchange.money.total = total.saturating_sub(amount);
    }
    store(turn, &event.account, &account)?;
    let update = Update { account: event.account.clone(), amount: event.amount, balance: account.balance };
    TRANSACTIONS.put(turn.host, &event.transaction, &update);
    answer.number("balance", account.balance);
    Ok(answer)
}

/// A trade is settled: the buyer pays, the seller is paid, both pay their fee.
///
/// # Errors
/// [`No::UnknownTrade`], [`No::TradingHalted`], [`No::ReadOnly`], [`No::BalanceOverflow`].
pub fn settle(turn: &mut Turn<'_>, event: &Settle) -> Result<Json, Rejection> {
    let Some(mut trade) = TRADES.get(turn.host, &event.trade)? else {
        return Err(No::UnknownTrade.number("trade ", event.trade));
    };
    let mut answer = Json::object();
    answer.number("trade", event.trade).text("status", "SETTLED");
    if trade.settled {
        turn.exchange.count(Figure::Duplicates);
        return Ok(answer);
    }
    turn.writable()?;
    let worth = trade.price * trade.quantity;
    let fee = fee(worth, turn.exchange.money.fee_ppm);
    let mut buyer = find(turn, &trade.buyer)?;
    buyer.balance = spend(buyer.balance, worth + fee, &trade.buyer)?;
    buyer.held = spend(buyer.held, trade.held, &trade.buyer)?;
    store(turn, &trade.buyer, &buyer)?;
    // After the buyer is stored: they may be one.
    let mut seller = find(turn, &trade.seller)?;
    seller.balance += worth - fee;
    if seller.balance > MONEY_MAX {
        return Err(No::BalanceOverflow.about(&trade.seller));
    }
    store(turn, &trade.seller, &seller)?;
    turn.exchange.money.fees += 2 * fee;
    trade.settled = true;
    TRADES.put(turn.host, &event.trade, &trade);
    turn.exchange.count(Figure::Settlements);
    Ok(answer)
}

/// The fee of something worth this, rounded down. In two parts, so that nothing overflows.
#[must_use]
#[inline(never)]
pub const fn fee(worth: u64, ppm: u64) -> u64 {
    worth / PPM * ppm + worth % PPM * ppm / PPM
}

/// What is held for so many lots that are to be bought at this limit: their worth and the fee.
#[must_use]
#[inline(never)]
pub const fn hold(price: u64, quantity: u64, ppm: u64) -> u64 {
    let worth = price * quantity;
    worth + fee(worth, ppm)
}

/// An account that exists.
///
/// # Errors
/// [`No::UnknownAccount`].
#[inline(never)]
pub fn find(turn: &mut Turn<'_>, name: &str) -> Result<Account, Rejection> {
    ACCOUNTS.of(turn.host, name)?.ok_or_else(|| No::UnknownAccount.about(name))
}

/// Stores an account, and keeps the sums.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn store(turn: &mut Turn<'_>, name: &str, account: &Account) -> Result<(), Rejection> {
    let before = ACCOUNTS.of(turn.host, name)?.unwrap_or_default().balance;
    let sum = |sum: u64| sum.wrapping_sub(before).wrapping_add(account.balance);
    turn.exchange.money.accounts = sum(turn.exchange.money.accounts);
    if let Some(audit) = turn.exchange.audit.as_mut().filter(|audit| name <= audit.after.as_str()) {
        audit.sum = sum(audit.sum);
    }
    ACCOUNTS.set(turn.host, name, account);
    turn.exchange.touched.accounts.push((name.into(), before));
    Ok(())
}

fn spend(from: u64, amount: u64, name: &str) -> Result<u64, Rejection> {
    from.checked_sub(amount).ok_or_else(|| No::InsufficientFunds.about(name))
}
