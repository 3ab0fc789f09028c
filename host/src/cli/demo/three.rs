//! The second act: the incident on three nodes. One is cut off, one is killed, one is damaged; each comes back.

use super::{INCIDENT, chapter, seconds};
use crate::cli::{
    child::{number_of, text_of},
    error::CliError,
    text,
    trio::{FAR, LEDGER, NAMES, OWNER, Trio},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// The node that is killed.
const KILLED: usize = 1;
/// Digits of a root that are printed.
const ROOT_DIGITS: usize = 16;
/// The incident is told in so many parts.
const PARTS: usize = 4;

pub(super) fn run(dir: &Path) -> Result<(), CliError> {
    let dir = dir.join("three");
    fs::create_dir(&dir).map_err(|error| CliError::File { path: dir.clone(), error })?;
    let parts = parts(&dir)?;
    let mut trio = Trio::new(&dir, "majority", &parts[0])?;
    together(&mut trio)?;
    cut_off(&trio, &parts[1])?;
    killed(&mut trio, &parts[2])?;
    damaged(&mut trio, &parts[3])?;
    verified_by_each(&mut trio)
}

/// The events, in files of about the same length.
fn parts(dir: &Path) -> Result<Vec<String>, CliError> {
    let lines: Vec<&str> = INCIDENT.lines().collect();
    let mut paths = Vec::new();
    for (number, lines) in lines.chunks(lines.len().div_ceil(PARTS)).enumerate() {
        let path: PathBuf = dir.join(format!("events-{number}.jsonl"));
        fs::write(&path, lines.join("\n") + "\n").map_err(|error| CliError::File { path: path.clone(), error })?;
        paths.push(path.display().to_string());
    }
    Ok(paths)
}

fn together(trio: &mut Trio) -> Result<(), CliError> {
    chapter("Three nodes share a ledger: a owns it, b and c do every step again and cosign");
    (0..NAMES.len()).try_for_each(|node| trio.start(node))?;
    trio.until(OWNER, "a majority", |ledger| ledger["can go on"] == true)?;
    for (node, name) in NAMES.iter().enumerate().skip(1) {
        trio.until_equal(node)?;
        let (ledger, _) = trio.until(node, "hearing the owner", |ledger| ledger["can go on"] == true)?;
        println!("{name}         {}", standing(&ledger));
    }
    Ok(())
}

fn cut_off(trio: &Trio, events: &str) -> Result<(), CliError> {
    chapter("A partition: c hears nobody and nobody hears c");
    trio.wires.set_cut(true);
    trio.until(FAR, "noticing", |ledger| ledger["can go on"] == false)?;
    println!("c         {}", standing(&trio.ledger(FAR)?));
    submit(trio, events)?;
    trio.wires.set_cut(false);
    let (ledger, took) = trio.until_equal(FAR)?;
    println!("c         {}, {} after the wires are mended", standing(&ledger), seconds(took));
    Ok(())
}

fn killed(trio: &mut Trio, events: &str) -> Result<(), CliError> {
    chapter("A node is killed, misses something, and comes back stale");
    trio.kill(KILLED);
    submit(trio, events)?;
    trio.start(KILLED)?;
    let (ledger, took) = trio.until_equal(KILLED)?;
    println!("b         {}, {} after its start", standing(&ledger), seconds(took));
    Ok(())
}

fn damaged(trio: &mut Trio, events: &str) -> Result<(), CliError> {
    chapter("A node is tampered with: one byte of the state that c has stored. Nobody helps it");
    trio.command(OWNER, &["checkpoint", "create", LEDGER])?;
    trio.stop(FAR)?;
    println!("flipped   {}", trio.damage_state(FAR)?);
    submit(trio, events)?;
    trio.start(FAR)?;
    let (_, repaired) = trio.until(FAR, "its repair", |ledger| ledger["can go on"] == true)?;
    let (ledger, took) = trio.until_equal(FAR)?;
    let history = trio.command(FAR, &["reconcile", "--history"])?;
    let decided = decided(&history);
    println!("decided   {}", decided.join(", "));
    if decided.last().is_none_or(|last| last != "resume") {
        return Err(CliError::Fault(format!("the damage was not repaired: {history}")));
    }
    println!("c         {}, {} after its start", standing(&ledger), seconds(repaired + took));
    Ok(())
}

/// What a node has ordered on its own ledger, in its order: the kind of each step, once in a row.
fn decided(history: &Value) -> Vec<String> {
    let rows = history.as_array().into_iter().flatten();
    let keys = rows.flat_map(|row| row["orders"].as_array().into_iter().flatten());
    let mut kinds: Vec<String> =
        keys.filter_map(Value::as_str).filter_map(|key| key.split('.').next().map(str::to_owned)).collect();
    kinds.dedup();
    kinds
}

fn verified_by_each(trio: &mut Trio) -> Result<(), CliError> {
    chapter("Each of them verifies for itself");
    (0..NAMES.len()).try_for_each(|node| trio.stop(node))?;
    let mut roots = Vec::new();
    for (node, name) in NAMES.iter().enumerate() {
        let report = trio.command(node, &["verify", LEDGER])?;
        let root = text_of(&report, "state root");
        let (verdict, end) = (text_of(&report, "verdict"), text::count(number_of(&report, "to")));
        println!("{name}         {verdict}: {end} receipts, state root {root}");
        roots.push(root);
    }
    if roots.iter().any(|root| *root != roots[OWNER]) {
        return Err(CliError::Fault("the nodes do not agree".to_owned()));
    }
    Ok(())
}

/// Submits events to the owner. Answers come when a majority has the step durable and agrees on its root.
fn submit(trio: &Trio, events: &str) -> Result<(), CliError> {
    let began = Instant::now();
    let report = trio.command(OWNER, &["submit", LEDGER, events])?;
    println!(
        "submit    {} receipts, each acknowledged by a majority, in {}",
        text::count(number_of(&report, "new receipts")),
        seconds(began.elapsed())
    );
    Ok(())
}

fn standing(ledger: &Value) -> String {
    let stale = if ledger["can go on"] == true { "" } else { ", reads are stale" };
    let (receipts, root) = (text::count(number_of(ledger, "receipts")), text_of(ledger, "state root"));
    format!("{receipts} receipts, state root {}{stale}", root.get(..ROOT_DIGITS).unwrap_or(&root))
}
