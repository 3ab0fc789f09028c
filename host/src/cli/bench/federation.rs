//! What a majority costs: the same events into the same three nodes, answered when they are durable at the owner, and when
//! a majority has them durable and agrees on the root. The replicas do every step again in both. Then: how long a replica
//! takes to come back.

use super::{
    WINDOW,
    figure::{Figure, Target},
};
use crate::{
    cli::{
        error::CliError,
        trio::{FAR, LEDGER, NAMES, OWNER, Trio},
    },
    daemon::client::Client,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;
use std::{
    fs,
    io::{BufReader, Read},
    path::Path,
    time::Instant,
};

/// Events of each run.
const EVENTS: usize = 20_000;
/// Events that a replica misses.
const MISSED: usize = 100_000;
const RANKS: usize = 8;
/// Logical time from one to the next, in milliseconds.
const SPACING_MS: usize = 10;
/// When the recorded incident begins: 02:10, in seconds of its day.
const INCIDENT_BEGINS_S: usize = 7_800;

/// Microseconds of an event at `local` and at `majority`, both with [`WINDOW`] in flight; seconds until a replica that fell
/// behind, lost its disk, or is damaged has all that the owner has.
pub(super) fn figures(dir: &Path) -> Result<Vec<Figure>, CliError> {
    let local = run(&dir.join("local"), "local")?;
    let majority = run(&dir.join("majority"), "majority")?;
    let us = |what, value, ratio, target| Figure::new(what, value, "us", "local, rate", ratio, target);
    let mut figures = vec![
        us("event on three nodes, local", local, 1.0, Target::None),
        us("event on three nodes, majority", majority, local / majority, Target::AtLeast(0.4)),
    ];
    figures.extend(come_back(&dir.join("back"))?);
    Ok(figures)
}

/// How long one replica takes to come back, without anybody's help, against the time in which the other two ordered what it
/// missed.
fn come_back(dir: &Path) -> Result<Vec<Figure>, CliError> {
    let mut trio = begun(dir, "majority")?;
    trio.stop(FAR)?;
    let ordered_s = submit(trio.dir(OWNER), MISSED)? * MISSED as f64 / 1e6;
    let mut figures = Vec::new();
    let mut back = |trio: &mut Trio, what: &str| {
        trio.start(FAR)?;
        let (_, took) = trio.until(FAR, what, |ledger| ledger["can go on"] == true)?;
        let (_, rest) = trio.until_equal(FAR)?;
        let seconds = (took + rest).as_secs_f64();
        figures.push(Figure::new(what, seconds, "s", "ordering them", seconds / ordered_s, Target::None));
        Ok::<_, CliError>(())
    };
    back(&mut trio, &format!("{MISSED} receipts behind: caught up"))?;
    trio.stop(FAR)?;
    trio.lose_disk(FAR)?;
    back(&mut trio, "disk lost: begun anew with bundles of a peer")?;
    trio.command(OWNER, &["checkpoint", "create", LEDGER])?;
    trio.stop(FAR)?;
    trio.damage_state(FAR)?;
    back(&mut trio, "a byte of the state flipped: found, repaired, resumed")?;
    (0..NAMES.len()).try_for_each(|node| trio.stop(node))?;
    Ok(figures)
}

/// Three nodes that run, with the event that sets the policy up.
fn begun(dir: &Path, durability: &str) -> Result<Trio, CliError> {
    fs::create_dir_all(dir).map_err(|error| CliError::File { path: dir.to_owned(), error })?;
    let first = dir.join("first.jsonl");
    fs::write(&first, event(0)).map_err(|error| CliError::File { path: first.clone(), error })?;
    let mut trio = Trio::new(dir, durability, &first.display().to_string())?;
    (0..NAMES.len()).try_for_each(|node| trio.start(node))?;
    trio.until(OWNER, "a majority", |ledger| ledger["can go on"] == true)?;
    for node in 1..NAMES.len() {
        trio.until_equal(node)?;
    }
    Ok(trio)
}

fn run(dir: &Path, durability: &str) -> Result<f64, CliError> {
    let mut trio = begun(dir, durability)?;
    let us = submit(trio.dir(OWNER), EVENTS)?;
    for node in 1..NAMES.len() {
        trio.until_equal(node)?;
    }
    (0..NAMES.len()).try_for_each(|node| trio.stop(node))?;
    Ok(us)
}

/// Microseconds of an event, from the first answer to the last.
fn submit(owner: &Path, events: usize) -> Result<f64, CliError> {
    let fault = |error: std::io::Error| CliError::Fault(format!("the owner: {error}"));
    let client = Client::connect(owner).map_err(fault)?.ok_or_else(|| CliError::Fault("no owner runs".to_owned()))?;
    let (more, may_send) = bounded(WINDOW);
    for _ in 0..WINDOW {
        let _ = more.send(());
    }
    let mut answers = Answers { more, first: None, good: 0 };
    let lines = BufReader::new(Paced { may_send, next: 1, last: events, line: Vec::new() });
    client.submit(LEDGER, lines, |answer| answers.take(answer)).map_err(fault)?;
    let Some(first) = answers.first.filter(|_| answers.good == events) else {
        return Err(CliError::Fault(format!("{} of {events} events of the bench were accepted", answers.good)));
    };
    Ok(first.elapsed().as_secs_f64() * 1e6 / (events - 1) as f64)
}

struct Answers {
    more: Sender<()>,
    first: Option<Instant>,
    good: usize,
}

impl Answers {
    fn take(&mut self, answer: &Value) {
        self.first.get_or_insert_with(Instant::now);
        self.good += usize::from(answer["outcome"] == "accepted" && answer["duplicate"] == false);
        // When all are sent, nobody waits to send.
        let _ = self.more.try_send(());
    }
}

/// Events as lines, each as soon as it may be sent.
struct Paced {
    may_send: Receiver<()>,
    next: usize,
    last: usize,
    line: Vec<u8>,
}

impl Read for Paced {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.line.is_empty() && self.next <= self.last {
            self.may_send.recv().map_err(std::io::Error::other)?;
            self.line = event(self.next).into_bytes();
            self.next += 1;
        }
        let bytes = self.line.len().min(into.len());
        into[..bytes].copy_from_slice(&self.line[..bytes]);
        self.line.drain(..bytes);
        Ok(bytes)
    }
}

/// The recorded incident's first event, which sets the policy up, and then heartbeats of its ranks.
fn event(number: usize) -> String {
    let first = crate::cli::demo::INCIDENT.lines().next().unwrap_or_default();
    let Some(rank) = number.checked_sub(1).map(|number| number % RANKS) else { return format!("{first}\n") };
    let at_ms = INCIDENT_BEGINS_S * 1_000 + number * SPACING_MS;
    let (seconds, ms) = (at_ms / 1_000, at_ms % 1_000);
    let time = format!("2026-03-14T{:02}:{:02}:{:02}.{ms:03}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let data = serde_json::json!({ "rank": rank, "incarnation": 1 });
    let event = serde_json::json!({
        "specversion": "1.0", "id": format!("heartbeat-{number}"), "source": format!("rank-{rank}"), "type": "heartbeat",
        "time": time, "data": data,
    });
    format!("{event}\n")
}
