//! `reprise verify`: match, divergent or incomparable.

use super::{
    args::VerifyOptions,
    bundle,
    error::{CliError, Exit},
    report::{Printer, Record},
    text,
};
use crate::{
    journal::LedgerEntry,
    node::{Access, EngineChoice, Node},
    verify::{self, VerifyError},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reprise_receipts::{Verdict, verdict::KeyDifference};
use serde_json::Value;
use std::{
    io::{self, IsTerminal},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(options: &VerifyOptions, dir: &Path, print: Printer) -> Result<Exit, CliError> {
    if options.trust.key.is_some() || options.trust.trust.is_some() {
        let trust = bundle::trust(&options.trust)?;
        return bundle::verify_file(Path::new(&options.ledger), &trust, options.engine.into(), print);
    }
    let node = Node::open(dir, Access::Read)?;
    let entry = node.find_ledger(&options.ledger)?;
    let size = node.journal().read(entry.no)?.size()?;
    let range = options.range.as_deref().map(|range| text::parse_range(range, size)).transpose()?;
    let jobs = options.jobs.map_or_else(processors, usize::from);
    let steps = range.as_ref().map_or(size, |range| range.end - range.start);
    let options = verify::VerifyOptions { range, engine: options.engine.into(), jobs };
    let verdict = with_progress(&node, &entry, &options, steps)?;
    print.record(report(&entry.genesis.name, &verdict, options.engine));
    Ok(exit(&verdict))
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
) -> Result<Verdict, VerifyError> {
    let done = Arc::new(AtomicU64::new(0));
    if !io::stderr().is_terminal() {
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

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
