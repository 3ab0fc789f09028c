//! A large ledger: 1,000,000 receipts, about 100,000 keys. What it weighs in memory, and how long it takes to open.
//!
//! The steps go through the whole pipeline. A little over a second of logical time lies between two of them, so that the
//! run takes thirteen days and idempotency records are forgotten as in real life: those of 24 hours are kept, and the
//! expired ones that wait to be found.

use super::{
    WINDOW,
    figure::{Figure, Target},
    steps::{Load, durable_us},
};
use crate::{
    cli::{demo, error::CliError},
    journal::LedgerEntry,
    node::{Access, Node},
    pipeline::OpenLedger,
};
use std::{fs, path::Path, time::Instant};

const RECEIPTS: u64 = 1_000_000;
const SPACING_MS: u64 = 1_150;
const MEMORY_MB_MAX: f64 = 300.0;
const OPEN_MS_MAX: f64 = 2_000.0;
const JOURNAL: &str = "journal.redb";

/// Builds the ledger, and gives its figures.
pub(super) fn figures(dir: &Path) -> Result<Vec<Figure>, CliError> {
    let (node, entry) = demo::set_up(dir)?;
    let load = Load { range: 0..RECEIPTS, spacing_ms: SPACING_MS };
    let step_us = durable_us(&node, &entry, load, WINDOW)?;
    let running_mb = resident_mb();
    // What a crash would leave now: a journal that nobody closed.
    let crashed = dir.join("crashed");
    fs::create_dir(&crashed).map_err(|error| CliError::File { path: crashed.clone(), error })?;
    let copied = fs::copy(dir.join(JOURNAL), crashed.join(JOURNAL));
    let disk = copied.map_err(|error| CliError::File { path: crashed.clone(), error })?;
    drop(node);

    let crashed_ms = open(&crashed, &entry)?.1;
    let (ledger, open_ms) = open(dir, &entry)?;
    let lag = ledger.state_lag.steps();
    let keys = ledger.head.state().len();
    let as_is = |what: String, value: f64, unit| Figure::new(what, value, unit, "-", value, Target::None);
    let resident = |when: &str, mb: Option<f64>| {
        let mb = mb.unwrap_or(f64::NAN);
        let of_max = mb / MEMORY_MB_MAX;
        Figure::new(format!("resident memory, {when}"), mb, "MB", "300 MB", of_max, Target::AtMost(1.0))
    };
    let opening = |how: &str, ms: f64| {
        let what = format!("opening it {how}, {lag} diffs after the stored state");
        Figure::new(what, ms, "ms", "2 s", ms / OPEN_MS_MAX, Target::AtMost(1.0))
    };
    Ok(vec![
        as_is("step of the large ledger".to_owned(), step_us, "us"),
        as_is("receipts".to_owned(), RECEIPTS as f64, ""),
        as_is("keys".to_owned(), keys as f64, ""),
        as_is("journal".to_owned(), disk as f64 / 1e6, "MB"),
        resident("after the last step", running_mb),
        resident("opened again", resident_mb()),
        opening("when it was closed", open_ms),
        opening("after a crash", crashed_ms),
    ])
}

/// Opens node and ledger, and says how many milliseconds that took.
fn open(dir: &Path, entry: &LedgerEntry) -> Result<(OpenLedger, f64), CliError> {
    let started = Instant::now();
    let node = Node::open(dir, Access::Write)?;
    let ledger = node.open_ledger(entry)?;
    Ok((ledger, started.elapsed().as_secs_f64() * 1e3))
}

/// Resident memory of this process in megabytes, where the system tells it.
fn resident_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
