//! `reprise replay`: a range of steps again, each of them printed.

use super::{
    args::ReplayOptions,
    error::{CliError, Exit},
    place::Place,
    receipts::{answer, change, outcome},
    report::{Printer, Record},
    text, verify,
};
use crate::{
    engine::on_engine_thread,
    journal::{LedgerEntry, LedgerReader},
    node::{Access, EngineChoice, PackageExecutors},
    recovery::Origin,
    runner::Runner,
    verify::{Replay, origin},
};
use reprise_abi::Input;
use reprise_receipts::Sealed;
use std::{ops::Range, sync::Arc};

pub(crate) fn run(options: &ReplayOptions, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(&options.ledger)?;
    let reader = node.journal().read(entry.no)?;
    let size = reader.size()?;
    let first = reader.base().map_or(0, |base| base.size);
    let range = options.range.as_deref().map_or(Ok(first..size), |range| text::parse_range(range, size))?;
    let engine: EngineChoice = options.engine.into();
    let origin = match origin(&node.site(&entry, engine), &range, first)? {
        Ok(origin) => Arc::new(origin),
        Err(verdict) => {
            let report = verify::report(&entry.genesis.name, &verdict, engine);
            print.record(verify::advise(report, &entry, &range, first));
            return Ok(verify::exit(&verdict));
        }
    };
    let runner = Runner::new(Box::new(PackageExecutors::new(node.journal().clone(), engine, node.dir())));
    let (changes, out) = (options.changes, print.clone());
    let thread = on_engine_thread("reprise-replay", move || {
        replay(reader, &entry, (origin, range), runner, engine, changes, &out)
    });
    let thread = thread.map_err(|error| CliError::Fault(error.to_string()))?;
    thread.join().map_err(|_| CliError::Fault("the engine thread panicked".to_owned()))?
}

fn replay(
    reader: LedgerReader,
    entry: &LedgerEntry,
    (origin, range): (Arc<Origin>, Range<u64>),
    runner: Runner,
    engine: EngineChoice,
    changes: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let mut steps = match Replay::start(reader, entry, origin, range, runner, engine)? {
        Ok(steps) => steps,
        Err(verdict) => return Ok(diverged(entry, &verdict, engine, print)),
    };
    while let Some(step) = steps.next_step()? {
        if print.is_full() {
            break;
        }
        match step {
            Ok((input, sealed)) => print_step(&input, &sealed, changes, print),
            Err(verdict) => return Ok(diverged(entry, &verdict, engine, print)),
        }
    }
    Ok(Exit::Done)
}

fn diverged(entry: &LedgerEntry, verdict: &reprise_receipts::Verdict, engine: EngineChoice, print: &Printer) -> Exit {
    print.record(verify::report(&entry.genesis.name, verdict, engine));
    verify::exit(verdict)
}

fn print_step(input: &Input, sealed: &Sealed, changes: bool, print: &Printer) {
    let record = Record::new()
        .with("seq", sealed.receipt.seq)
        .with("logical time", text::time(sealed.receipt.logical_time_ms))
        .with("source", input.event.source.clone())
        .with("kind", input.event.kind.clone())
        .with("outcome", outcome(&sealed.record.output.outcome))
        .with("answer", answer(&sealed.record.output.outcome))
        .with("fuel", sealed.receipt.fuel)
        .with("state root", sealed.receipt.next_state.to_string())
        .with("changes", sealed.record.diff.changes().iter().map(change).collect::<Vec<_>>());
    print.line(record, || {
        let mut lines = format!(
            "{:>8}  {}  {:<16} {:<16} {}  state {}",
            sealed.receipt.seq,
            text::time(sealed.receipt.logical_time_ms),
            input.event.source,
            input.event.kind,
            outcome(&sealed.record.output.outcome),
            text::digest(sealed.receipt.next_state),
        );
        if let Some(answer) = answer(&sealed.record.output.outcome) {
            lines.push_str(&format!("\n          answer {answer}"));
        }
        for change in sealed.record.diff.changes().iter().filter(|_| changes) {
            let value = |value: &Option<Vec<u8>>| value.as_deref().map_or("-".to_owned(), text::bytes);
            let (before, after) = (value(&change.before), value(&change.after));
            lines.push_str(&format!("\n          {}: {before} -> {after}", text::state_key(&change.key)));
        }
        lines
    });
}
