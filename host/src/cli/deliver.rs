//! Effects of a ledger to its drivers, and their results through the pipeline, until nothing may begin now.

use super::{
    drivers,
    error::CliError,
    report::{Record, say},
    session,
};
use crate::{
    effects::{self, Configured, Delivered, Pump, result_event},
    journal::LedgerEntry,
    node::Node,
    orderer::{Origin, Proposal, TimeSource},
    pipeline::{Answer, Committed, OpenLedger, Request},
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

/// Most rounds of deliveries and results in one call: a policy that answers every result with another effect does not
/// keep it for ever.
const ROUNDS_MAX: u32 = 1_000;

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
    for _ in 0..ROUNDS_MAX {
        // Opened from the journal: only what is durable is acted on.
        let open = node.open_ledger(entry)?;
        let head = &open.head;
        let now_ms = head.logical_time_ms().max(at_ms);
        let print = |delivery: &effects::Delivery, delivered: &Delivered| {
            if each {
                say(serde_json::Value::from(delivered_line(delivery, delivered)));
            }
        };
        let results = pump.deliver(head, now_ms, print);
        if results.is_empty() && pump.next_ms(head).is_none_or(|next_ms| next_ms > now_ms) {
            return Ok(());
        }
        let committed = submit(node, entry, open, now_ms, &results, each)?;
        delivery.results += results.len() as u64;
        delivery.committed = Some(committed);
    }
    tracing::warn!(ROUNDS_MAX, "every result leads to another effect: the rest waits for the next time");
    Ok(())
}

fn submit(
    node: &Node,
    entry: &LedgerEntry,
    open: OpenLedger,
    now_ms: u64,
    results: &[EffectResult],
    each: bool,
) -> Result<Committed, CliError> {
    let propose = |(tag, result)| {
        let (event, time_ms) = (result_event(result), Some(now_ms));
        Request::from(Proposal { tag, event, time_ms, origin: Origin::Driver })
    };
    let proposals: Vec<_> = (0..).zip(results).map(propose).collect();
    let advance = Request::Advance { tag: 0, to_ms: now_ms };
    let feed = proposals.into_iter().chain([advance]).map(Ok);
    let mut refused = None;
    let key = |tag| usize::try_from(tag).ok().and_then(|at| results.get(at)).map(|result| &result.idempotency_key[..]);
    let committed = session::run_open(node, entry, (open, None), TimeSource::Event, feed, |answer| match answer {
        Answer::Receipt { tag, seq, class, code, .. } if each => {
            let line = Record::new().with("effect", key(tag)).with("seq", seq);
            say(serde_json::Value::from(line.with("outcome", class.name()).with("code", code)));
        }
        Answer::Refused { tag, refusal } => {
            refused.get_or_insert((tag, refusal));
        }
        Answer::Receipt { .. } | Answer::Advanced { .. } => {}
    })?;
    match refused {
        Some((tag, refusal)) => {
            let key = key(tag).unwrap_or_default();
            Err(CliError::Refusal(format!("the result of effect `{key}` was refused: {refusal}")))
        }
        None => Ok(committed),
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
