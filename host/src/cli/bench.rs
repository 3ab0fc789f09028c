//! `reprise bench`: what determinism, roots, receipts and durability cost, against the floor, in one run.
//!
//! The floor is the same guest work with a fresh pooled instance for every step over an in-memory map: no diff, no
//! root, no receipt. Every other figure is a ratio to figures of the same run, so that a noisy machine disturbs both
//! sides. Medians over rounds, means for signature and root; the rounds of floor and execution alternate. A step that
//! is not accepted, or a ledger that does not verify, ends the run without figures.

mod federation;
mod figure;
mod history;
mod large;
mod parts;
mod steps;

use super::{
    args::BenchOptions,
    demo,
    error::{CliError, Exit},
    report::Printer,
};
use crate::{journal::LedgerEntry, node::Node};
use figure::{Figure, Target};
use std::{path::Path, time::Instant};
use steps::{Load, durable_us, in_memory, verify_us};

/// Steps of one round.
const STEPS: u64 = 4_000;
/// Rounds of each figure.
const ROUNDS: usize = 5;
/// Steps that are in flight at once in the durable run.
const WINDOW: usize = 64;
/// Single durable steps, syncs and signatures of one round.
const SINGLES: u64 = 400;

/// What is measured: the steps of a small ledger by default, one of the large ones on demand.
pub(crate) fn run(options: &BenchOptions, print: &Printer) -> Result<Exit, CliError> {
    let dir = tempfile::tempdir().map_err(|error| CliError::File { path: std::env::temp_dir(), error })?;
    let node_dir = dir.path().join("node");
    let figures = match options {
        BenchOptions { large: true, .. } => large::figures(&node_dir)?,
        BenchOptions { history: true, .. } => history::figures(&node_dir)?,
        BenchOptions { federation: true, .. } => federation::figures(dir.path())?,
        _ => figures(&node_dir, dir.path())?,
    };
    print.rows(figures.iter().map(Figure::record).collect());
    Ok(Exit::Done)
}

fn figures(node_dir: &Path, dir: &Path) -> Result<Vec<Figure>, CliError> {
    let (node, entry) = demo::set_up(node_dir)?;
    let (_, package) = node.find_package("lease")?;
    // As many steps as the ledger has that is verified: what a step costs grows with the state.
    let (floor, execution) = in_memory(package, &entry, STEPS * ROUNDS as u64)?;
    let durable = durable_rounds(&node, &entry, STEPS, WINDOW)?;
    let single = node.create_ledger("single", entry.genesis.package)?;
    let sequential = durable_rounds(&node, &single, SINGLES, 1)?;
    let (sync, sign) = (parts::sync_us(dir)?, parts::sign_us());
    let verify_1 = median((0..ROUNDS).map(|_| verify_us(&node, &entry, 1)))?;
    let verify_2 = median((0..ROUNDS).map(|_| verify_us(&node, &entry, 2)))?;
    let (hash_1, hash_2) = (parts::hash_us(1), parts::hash_us(2));
    let root = parts::root_us();
    let least = sync + 2.0 * floor + sign;
    use Target::{AtLeast, AtMost, None};
    let us = |what, value, against, ratio, target| Figure::new(what, value, "us", against, ratio, target);
    Ok(vec![
        us("floor", floor, "itself", 1.0, None),
        us("step with diff, root, receipt", execution, "floor, time", execution / floor, AtMost(1.5)),
        us("durable step, 64 in flight", durable, "floor, rate", floor / durable, AtLeast(0.6)),
        us("synced write", sync, "-", 1.0, None),
        us("signature", sign, "-", 1.0, None),
        us("durable step, one at a time", sequential, "sync + 2 floors + signature", sequential / least, AtMost(1.3)),
        us("verification, 1 job", verify_1, "step, rate", execution / verify_1, AtLeast(1.0)),
        us("verification, 2 jobs", verify_2, "1 job, rate", verify_1 / verify_2, AtLeast(1.8)),
        us("hashing only, 2 threads", hash_2, "1 thread, rate", hash_1 / hash_2, None),
        us("root after 2 of 1,000,000 keys", root, "25 us", root / 25.0, AtMost(1.0)),
    ])
}

fn durable_rounds(node: &Node, entry: &LedgerEntry, steps: u64, window: usize) -> Result<f64, CliError> {
    let loads = (0..ROUNDS as u64).map(|round| Load::of(round * steps..(round + 1) * steps));
    median(loads.map(|load| durable_us(node, entry, load, window)))
}

fn per_step(started: Instant, steps: usize) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / steps as f64
}

fn median(samples: impl Iterator<Item = Result<f64, CliError>>) -> Result<f64, CliError> {
    let mut samples = samples.collect::<Result<Vec<_>, _>>()?;
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}
