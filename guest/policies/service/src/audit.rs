//! The audit: all accounts are counted again and held against their sum (6.1). Slice by slice, while money moves.

use crate::{
    params::SLICE,
    state::{ACCOUNTS, FAULT, Figure},
    turn::Turn,
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// An audit that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The last account that was counted. What changes up to here changes the sum, too.
    pub after: String,
    /// The sum so far, in money units.
    pub sum: u64,
    /// Accounts so far.
    pub counted: u64,
}
stored!(Audit { after, sum, counted });

/// Begins an audit, unless one is under way.
///
/// # Errors
/// Corrupt state.
pub fn begin(turn: &mut Turn<'_>) -> Result<Json, Rejection> {
    if turn.exchange.audit.is_none() {
        turn.exchange.audit = Some(Audit::default());
        turn.timer("audit", "next", 1);
    }
    Ok(Json::object())
}

/// Counts another slice. What does not add up is a violation: the ledger halts.
///
/// # Errors
/// Corrupt state.
pub fn slice(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    let Some(mut audit) = turn.exchange.audit.take() else { return Ok(()) };
    let after = Some(audit.after.as_str()).filter(|_| audit.counted > 0);
    let names = ACCOUNTS.names(turn.host, after, SLICE)?;
    let more = names.len() == SLICE as usize;
    for name in names {
        let account = ACCOUNTS.get(turn.host, &name)?.unwrap_or_default();
        audit.sum = audit.sum.wrapping_add(account.balance);
        audit.counted += 1;
        if account.held > account.balance {
            FAULT.put(turn.host, &name);
        }
        audit.after = name;
    }
    if more {
        turn.exchange.audit = Some(audit);
        turn.timer("audit", "next", 1);
    } else if audit.sum == turn.exchange.money.accounts {
        turn.exchange.count(Figure::Audits);
    } else {
        FAULT.put(turn.host, &"accounts are not their sum".into());
    }
    Ok(())
}
