//! `reprise verify`: match, divergent or incomparable.

mod file;

use super::{
    args::VerifyOptions,
    error::{CliError, Exit},
    finality,
    place::{Opened, Place},
    report::{Printer, Record},
    text,
};
use crate::{
    journal::{LedgerEntry, LedgerReader},
    node::{Access, EngineChoice, Node},
    verify::{self, VerifyError},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reprise_receipts::{Verdict, verdict::KeyDifference};
use serde_json::Value;
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(options: &VerifyOptions, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let file = &options.file();
    if !options.trust.key.is_empty() || options.trust.trust.is_some() {
        return file::verify(file, options, place, print);
    }
    let (node, entry) = match ledger(place, &options.ledger) {
        Err(_) if file.is_file() => return file::verify(file, options, place, print),
        opened => opened?,
    };
    let reader = node.journal().read(entry.no)?;
    let (size, first) = (reader.size()?, reader.base().map_or(0, |base| base.size));
    let range = options.range.as_deref().map(|range| text::parse_range(range, size)).transpose()?;
    let attested = if place.is_shared() { attested(&reader, first)? } else { size };
    let range = range.unwrap_or(first..attested);
    let jobs = options.jobs.map_or_else(|| processors(place), usize::from);
    let options = verify::VerifyOptions { range: Some(range.clone()), engine: options.engine.into(), jobs };
    let verdict = with_progress(&node, &entry, &options, range.end - range.start, print)?;
    let report = report(&entry.genesis.name, &verdict, options.engine);
    let report = finality::of_ledger(report, &node, &entry, &verdict)?;
    let report = advise(report, &entry, &range, first);
    // Of a ledger that goes on, the last receipts are attested in a moment.
    print.record(if attested < size { report.with("not attested yet", size - attested) } else { report });
    Ok(exit(&verdict))
}

/// Receipts that are attested.
fn attested(reader: &LedgerReader, first: u64) -> Result<u64, CliError> {
    Ok(reader.last_attestation()?.map_or(first, |(seq, _)| seq + 1).max(first))
}

fn ledger<'a>(place: &'a Place<'_>, selector: &str) -> Result<(Opened<'a>, LedgerEntry), CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(selector)?;
    Ok((node, entry))
}

/// What is to be done about steps that are not on this node, where the ledger begins with receipt `first`.
pub(crate) fn advise(report: Record, entry: &LedgerEntry, range: &Range<u64>, first: u64) -> Record {
    let ledger = &entry.genesis.name;
    match first {
        0 => report,
        _ if range.start < first => report.with(
            "what to do",
            format!(
                "receipts before {first} are not on this node: `reprise archive hydrate {ledger} --archive DIR` brings \
                 them back; or give --range {first}.."
            ),
        ),
        _ => report.with("before that", format!("not on this node: `reprise archive hydrate {ledger} --archive DIR`")),
    }
}

/// The exit code of a verdict.
pub(crate) fn exit(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Match(_) => Exit::Done,
        Verdict::Divergent(_) => Exit::Refused,
        Verdict::Incomparable(_) => Exit::Incomparable,
    }
}

/// A verdict with everything it says.
pub(crate) fn report(ledger: &str, verdict: &Verdict, engine: EngineChoice) -> Record {
    let record = Record::new().with("ledger", ledger).with("engine", engine.name());
    match verdict {
        Verdict::Match(range) => record
            .with("verdict", "match")
            .with("from", range.from)
            .with("to", range.to)
            .with("state root", range.state_root.to_string())
            .with("attested up to", range.attested),
        Verdict::Divergent(divergence) => record
            .with("verdict", "divergent")
            .with("sequence number", divergence.seq)
            .with("what", divergence.what.name())
            .with("expected", divergence.expected.clone())
            .with("found", divergence.found.clone())
            .with("keys", divergence.keys.iter().map(key).collect::<Vec<_>>()),
        Verdict::Incomparable(missing) => record.with("verdict", "incomparable").with("missing", missing.to_string()),
    }
}

/// Verifies, with a progress bar on a terminal.
fn with_progress(
    node: &Node,
    entry: &LedgerEntry,
    options: &verify::VerifyOptions,
    steps: u64,
    print: &Printer,
) -> Result<Verdict, VerifyError> {
    let done = Arc::new(AtomicU64::new(0));
    if !print.is_watched() {
        return verify::verify(node.journal(), entry, node.dir(), options, &done);
    }
    let bar = ProgressBar::new(steps);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} steps, {per_sec}, {eta} left");
    bar.set_style(style.expect("the template is fixed"));
    bar.set_draw_target(ProgressDrawTarget::stderr());
    std::thread::scope(|scope| {
        let verifying = scope.spawn(|| verify::verify(node.journal(), entry, node.dir(), options, &done));
        while !verifying.is_finished() {
            bar.set_position(done.load(Ordering::Relaxed));
            std::thread::sleep(TICK);
        }
        bar.finish_and_clear();
        verifying.join().unwrap_or(Err(VerifyError::Thread))
    })
}

fn key(difference: &KeyDifference) -> Value {
    let value = |value: &Option<Vec<u8>>| value.as_deref().map(text::bytes);
    Record::new()
        .with("key", text::state_key(&difference.key))
        .with("expected", value(&difference.expected))
        .with("found", value(&difference.found))
        .into()
}

/// All of them; of a running node one, because its ledgers go on meanwhile.
fn processors(place: &Place<'_>) -> usize {
    if place.is_shared() {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}
