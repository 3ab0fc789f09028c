//! Rounds of deliveries: what may begin is asked for, and the results are made durable before anything else is.
//!
//! The command line runs them on a ledger that it has open, a running node on one whose pipeline runs beside.

use super::{Delivered, Delivery, Driver, Owed, Pump, result_event};
use crate::orderer::{Origin, Proposal};
use reprise_abi::EffectResult;

/// Most rounds in a row for somebody who waits until nothing may begin: a policy that answers every result with another
/// effect does not keep him for ever.
pub const ROUNDS_MAX: u32 = 1_000;

/// Who has the ledger whose effects are delivered.
pub trait Books {
    /// Why the ledger cannot be used.
    type Error;

    /// What the ledger owes. All of it may be acted on.
    ///
    /// # Errors
    /// Nothing may be acted on.
    fn owed(&mut self) -> Result<&Owed, Self::Error>;

    /// Submits results, then lets happen what is due by `now_ms`. Returns when all of that is durable.
    ///
    /// # Errors
    /// Some results may be lost: their effects are delivered again.
    fn settle(&mut self, results: &[EffectResult], now_ms: u64) -> Result<(), Self::Error>;
}

/// How a round has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// So many results are durable. Something more may begin.
    Delivered {
        /// How many.
        results: u64,
    },
    /// Nothing may begin now.
    Nothing {
        /// When something may, in milliseconds of logical time, unless a step changes that.
        next_ms: Option<u64>,
    },
}

/// Asks for what may begin at `at_ms`, or at the ledger's own time if that is later, and makes the results durable.
/// `on_delivery` hears of each delivery.
///
/// # Errors
/// What the ledger says. What was delivered stays so, and what has no result is delivered again after
/// [`Pump::restart`].
pub fn round<D: Driver, B: Books>(
    pump: &mut Pump<D>,
    books: &mut B,
    at_ms: u64,
    on_delivery: impl FnMut(&Delivery, &Delivered),
) -> Result<Round, B::Error> {
    let owed = books.owed()?;
    let now_ms = owed.logical_time_ms().max(at_ms);
    let results = pump.deliver(owed.view(), now_ms, on_delivery);
    let next_ms = pump.next_ms(owed.view());
    if results.is_empty() && next_ms.is_none_or(|next_ms| next_ms > now_ms) {
        return Ok(Round::Nothing { next_ms });
    }
    books.settle(&results, now_ms)?;
    Ok(Round::Delivered { results: results.len() as u64 })
}

/// Results as a pipeline takes them. The tag of each is its place.
pub fn proposals(results: &[EffectResult], now_ms: u64) -> impl Iterator<Item = Proposal> {
    (0..).zip(results).map(move |(tag, result)| Proposal {
        tag,
        event: result_event(result),
        time_ms: Some(now_ms),
        origin: Origin::Driver,
    })
}
