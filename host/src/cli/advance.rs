//! `reprise advance`: lets a ledger's time go on, so that what is due happens and what may begin is delivered.

use super::{
    args::AdvanceOptions,
    deliver,
    error::{CliError, Exit},
    grant,
    report::{Printer, Record, say},
    session, text,
};
use crate::{
    node::{Access, Node},
    orderer::{TimeSource, clock_ms},
    pipeline::{Answer, Request},
};
use std::{path::Path, time::UNIX_EPOCH};

pub(crate) fn run(options: &AdvanceOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let to_ms = parse_time(&options.to)?;
    let node = Node::open(dir, Access::Write)?;
    let entry = node.find_ledger(&options.ledger)?;
    grant::is_alone(dir, &entry)?;
    let (mut due, mut refused) = (0, None);
    let advance = std::iter::once(Ok(Request::Advance { tag: 0, to_ms }));
    let committed = session::run(&node, &entry, TimeSource::Event, advance, |answer| match answer {
        Answer::Advanced { steps, .. } => due += steps,
        Answer::Refused { refusal, .. } => refused = Some(refusal),
        Answer::Receipt { .. } => {}
    })?;
    if let Some(refusal) = refused {
        return Err(CliError::Refusal(refusal.to_string()));
    }
    if options.each {
        say(serde_json::Value::from(Record::new().with("due steps", due)));
    }
    let delivery = deliver::run(&node, &entry, to_ms, options.each)?;
    let committed = delivery.committed.unwrap_or(committed);
    if options.each {
        return Ok(Exit::Done);
    }
    print.record(
        Record::new()
            .with("ledger", entry.genesis.name.clone())
            .with("time", text::time(to_ms))
            .with("timers and deadlines", due)
            .with("results of effects", delivery.results)
            .with("receipts in the ledger", committed.size)
            .with("state root", committed.state_root.map(|root| root.to_string())),
    );
    Ok(Exit::Done)
}

/// A time as typed, in milliseconds since 1970.
fn parse_time(text: &str) -> Result<u64, CliError> {
    if text == "now" {
        return Ok(clock_ms());
    }
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let time = humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let ms = time.and_then(|since_1970| u64::try_from(since_1970.as_millis()).ok());
    ms.ok_or_else(|| {
        let expected = "RFC 3339 such as 2026-03-14T02:17:09.120Z, milliseconds since 1970, or now";
        CliError::Usage(format!("`{text}` is not a time: write {expected}"))
    })
}
