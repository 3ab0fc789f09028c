//! Effects of a ledger to its drivers, and their results through the pipeline, until nothing may begin now.

use super::{
    drivers,
    error::CliError,
    report::{Record, say},
    session,
};
use crate::{
    effects::{
        self, Configured, Delivered, Owed, Pump,
        rounds::{self, Books, ROUNDS_MAX, Round},
    },
    journal::LedgerEntry,
    node::Node,
    orderer::TimeSource,
    pipeline::{Answer, Committed, Request},
};
use reprise_abi::EffectResult;

/// What became of the effects.
#[derive(Default)]
pub(crate) struct Delivery {
    /// Results that have a receipt.
    pub(crate) results: u64,
    /// Where the ledger is then; `None` when nothing was delivered.
    pub(crate) committed: Option<Committed>,
}

/// Delivers what may begin at `at_ms`, or at the ledger's own time if that is later. A result may lead to more
/// effects, and to timers that are due: both are carried out too. With `each`, one JSON line is printed for every
/// delivery, and one for every result as soon as it is durable.
///
/// # Errors
/// [`CliError`]: what was delivered stays so, and what has no result is delivered again the next time.
pub(crate) fn run(node: &Node, entry: &LedgerEntry, at_ms: u64, each: bool) -> Result<Delivery, CliError> {
    let mut delivery = Delivery::default();
    run_into(&mut delivery, node, entry, at_ms, each).map(|()| delivery)
}

/// [`run`], for a caller who wants to know what was done before an error, too.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_into(
    delivery: &mut Delivery,
    node: &Node,
    entry: &LedgerEntry,
    at_ms: u64,
    each: bool,
) -> Result<(), CliError> {
    let configured = Configured::open(node.dir(), entry.id).map_err(drivers::fault)?;
    if configured.is_empty() {
        return Ok(());
    }
    let mut pump = Pump::new(configured);
    let mut books = Offline { node, entry, each, owed: None, committed: &mut delivery.committed };
    for _ in 0..ROUNDS_MAX {
        let done = rounds::round(&mut pump, &mut books, at_ms, |delivery, delivered| {
            if each {
                say(serde_json::Value::from(delivered_line(delivery, delivered)));
            }
        });
        match done? {
            Round::Delivered { results } => delivery.results += results,
            Round::Nothing { .. } => return Ok(()),
        }
    }
    tracing::warn!(ROUNDS_MAX, "every result leads to another effect: the rest waits for the next time");
    Ok(())
}

/// A ledger that nobody else has open: what its journal says is all there is.
struct Offline<'a> {
    node: &'a Node,
    entry: &'a LedgerEntry,
    each: bool,
    owed: Option<Owed>,
    committed: &'a mut Option<Committed>,
}

impl Books for Offline<'_> {
    type Error = CliError;

    fn owed(&mut self) -> Result<&Owed, CliError> {
        let owed = Owed::read(self.node.journal(), self.entry)?;
        Ok(self.owed.insert(owed))
    }

    fn settle(&mut self, results: &[EffectResult], now_ms: u64) -> Result<(), CliError> {
        let advance = Request::Advance { tag: 0, to_ms: now_ms };
        let feed = rounds::proposals(results, now_ms).map(Request::from).chain([advance]).map(Ok);
        let feed: Vec<_> = feed.collect();
        let mut refused = None;
        let place = |tag| usize::try_from(tag).ok().and_then(|at| results.get(at));
        let key = |tag| place(tag).map(|result| &result.idempotency_key[..]);
        let committed =
            session::run(self.node, self.entry, TimeSource::Event, feed.into_iter(), |answer| match answer {
                Answer::Receipt { tag, seq, class, code, .. } if self.each => {
                    let line = Record::new().with("effect", key(tag)).with("seq", seq);
                    say(serde_json::Value::from(line.with("outcome", class.name()).with("code", code)));
                }
                Answer::Refused { tag, refusal } => {
                    refused.get_or_insert((tag, refusal));
                }
                Answer::Receipt { .. } | Answer::Advanced(_) => {}
            })?;
        *self.committed = Some(committed);
        match refused {
            Some((tag, refusal)) => {
                let key = key(tag).unwrap_or_default();
                Err(CliError::Refusal(format!("the result of effect `{key}` was refused: {refusal}")))
            }
            None => Ok(()),
        }
    }
}

fn delivered_line(delivery: &effects::Delivery, delivered: &Delivered) -> Record {
    let how = match delivered {
        Delivered::Done { .. } => "done",
        Delivered::Failed { .. } => "failed",
        Delivered::Retry { .. } => "retry",
        Delivered::Later => "taken",
        Delivered::NotTaken => "no driver",
        Delivered::StaleEpoch { .. } => "stale epoch",
    };
    Record::new()
        .with("delivered", delivery.idempotency_key.clone())
        .with("driver", delivery.driver.clone())
        .with("epoch", delivery.epoch)
        .with("attempt", delivery.attempt)
        .with("how", how)
}
