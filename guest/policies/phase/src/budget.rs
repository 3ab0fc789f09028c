//! The cost-aware circuit breaker (H6, section 7): what a trace may cost, in the currency of the budget.
//!
//! Sums are hundredths of a unit of a currency; a rate is the worth of one unit in millionths of the budget's. Products
//! are rounded up.

use crate::{
    error::{No, Refusal},
    fields::{Fields, bounded},
    params::{DAY_MS, RATE_MAX, SWING_WINDOW_MS, SWINGS, within},
    state::{RATES, REGIONS, Run},
    turn::Turn,
};
use reprise_guest::{compact::stored, json::Json};

/// The rates of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Days since the beginning of logical time, from 1.
    pub day: u64,
    /// The currencies.
    pub currencies: Vec<String>,
    /// Millionths of the budget's currency for one unit of each.
    pub ppm: Vec<u64>,
}
stored!(Rates { day, currencies, ppm });

/// The rates of a day: the old ones do not count any more.
///
/// # Errors
/// [`No::StaleRates`], [`No::BadList`], [`No::BadText`], [`No::BadParameter`], malformed.
pub fn rates(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let day: u64 = fields.take("day")?;
    let rows = fields.objects("rates", false)?;
    fields.end()?;
    let last = RATES.or_default(turn.host)?.day;
    if day <= last || day > turn.now_ms / DAY_MS + 1 {
        return Err(No::StaleRates.number("the last ones are of day ", last));
    }
    let mut rates = Rates { day, ..Rates::default() };
    for mut row in rows {
        let (currency, ppm): (String, u64) = (row.take("currency")?, row.take("ppm")?);
        row.end()?;
        bounded("currency", &currency)?;
        within("ppm", ppm, 1, RATE_MAX)?;
        rates.currencies.push(currency);
        rates.ppm.push(ppm);
    }
    RATES.put(turn.host, &rates);
    Ok(Json::object())
}

/// A sum in a region's currency, in the budget's; and the cap of a trace there.
///
/// # Errors
/// [`No::UnknownCurrency`].
pub fn normalised(turn: &mut Turn<'_>, region: Option<&str>, sums: [u64; 2]) -> Result<([u64; 2], u64), Refusal> {
    let Some(name) = region else { return Ok((sums, turn.config.cost_limit)) };
    let Some(region) = REGIONS.get(turn.host, &name.into())? else {
        return Err(No::UnknownCurrency.says(&["region ", name]));
    };
    if region.currency == turn.config.currency {
        return Ok((sums, region.limit));
    }
    let rates = RATES.or_default(turn.host)?;
    let mut pairs = rates.currencies.iter().zip(&rates.ppm);
    let Some((_, ppm)) = pairs.find(|(currency, _)| **currency == region.currency) else {
        return Err(No::UnknownCurrency.says(&["no rate for ", &region.currency]));
    };
    let convert = |sum: u64| (sum * ppm).div_ceil(1_000_000);
    Ok((sums.map(convert), convert(region.limit)))
}

/// Creating, deleting, or neither.
#[must_use]
pub fn direction(action: &str) -> Option<u64> {
    ["other", "delete", "create"].iter().position(|known| *known == action).map(|at| at as u64)
}

/// Counts a sum, and a change between creating and deleting. Automation stops when the cap is passed, or at more than
/// three changes within ten minutes.
#[inline(never)]
pub fn count(turn: &mut Turn<'_>, run: &mut Run, sum: u64, direction: u64) {
    let spend = &mut run.spend;
    spend.cost = spend.cost.saturating_add(sum);
    if direction != 0 {
        if spend.direction != 0 && spend.direction != direction {
            spend.swings_ms.push(turn.now_ms);
        }
        spend.direction = direction;
    }
    let now_ms = turn.now_ms;
    spend.swings_ms.retain(|at_ms| now_ms - at_ms < SWING_WINDOW_MS);
    if spend.swings_ms.len() > SWINGS + 1 {
        spend.swings_ms.remove(0);
    }
}

/// Whether automation has to stop.
#[must_use]
pub fn exceeded(run: &Run) -> bool {
    run.spend.cost > run.spend.cap || run.spend.swings_ms.len() > SWINGS
}
