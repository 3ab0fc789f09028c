//! `reprise drill`: injects a fault into a live node, waits until it is well again, and holds the time that took against
//! the documents' objective (E14, X17).
//!
//! A drill never touches the ledgers of the node it is started for: it works on a node of its own, below `drills/` in
//! the node's directory, and leaves it there with its result, so that anybody can verify what is claimed.
//!
//! ```text
//! catalogue.rs  which drills there are, what each injects, and its objective
//! scripted.rs   the outside world fails as a scenario says; time is logical
//! process.rs    the node's own process is killed, or finds its disk full; time is the clock's
//! storage.rs    the node's journal is damaged, or lost; time is the clock's
//! ```

mod catalogue;
mod process;
mod scripted;
mod storage;

use super::{
    args::DrillOptions,
    child::{Reprise, packaged_node},
    demo,
    error::{CliError, Exit},
    report::{Printer, Record, say},
    text,
};
use crate::{
    node::{Access, Node},
    orderer::clock_ms,
};
use catalogue::{DRILLS, Drill, Kind};
use serde_json::Value;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Name of a drill's ledger.
const LEDGER: &str = "drill";
/// Everything at once, in the order of the catalogue.
const ALL: &str = "all";

/// What a drill found.
struct Drilled {
    /// State root when the fault was injected.
    start_root: String,
    /// State root at the end.
    end_root: String,
    /// Receipts at the end.
    receipts: u64,
    /// From the fault to the first sign that the node is well again, in milliseconds; `None`: it never was.
    recovery_ms: Option<u64>,
    /// Why the end is not what it has to be; `None`: it is.
    inconsistent: Option<String>,
}

pub(crate) fn run(options: &DrillOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    if options.list {
        print.rows(DRILLS.iter().map(Drill::record).collect());
        return Ok(Exit::Done);
    }
    let chosen = choose(&options.names)?;
    // That there is a node at all, and room for what the drills leave behind.
    Node::open(dir, Access::Read)?;
    let mut exit = Exit::Done;
    let mut results = Vec::new();
    for drill in chosen {
        if !print.is_json() {
            say(format_args!("{}: {}", drill.name, drill.about));
        }
        let work = work_dir(dir, drill.name)?;
        let drilled = drill.run(&work);
        let objective_ms = options.objective.unwrap_or(drill.objective_ms);
        let result = result(drill, objective_ms, drilled, &work);
        store(&work, result.clone())?;
        if result.missed {
            exit = Exit::Refused;
        }
        results.push(if print.is_json() { result.record } else { result.line });
    }
    print.rows(results);
    Ok(exit)
}

fn choose(names: &[String]) -> Result<Vec<&'static Drill>, CliError> {
    if names.iter().any(|name| name == ALL) {
        return Ok(DRILLS.iter().collect());
    }
    let find = |name: &String| {
        DRILLS.iter().find(|drill| drill.name == name).ok_or_else(|| {
            let known: Vec<&str> = DRILLS.iter().map(|drill| drill.name).collect();
            CliError::Usage(format!("there is no drill `{name}`: write {ALL}, or some of {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

impl Drill {
    fn run(&self, work: &Path) -> Result<Drilled, CliError> {
        match &self.kind {
            Kind::Scripted(script) => scripted::run(script, work),
            Kind::Killed => process::killed(work),
            Kind::DiskFull => process::disk_full(work),
            Kind::CorruptPage => storage::corrupt_page(work),
            Kind::FullRestore => storage::full_restore(work),
        }
    }

    fn record(&self) -> Record {
        Record::new()
            .with("drill", self.name)
            .with("injects", self.about)
            .with("objective", text::duration_ms(self.objective_ms))
            .with("from", self.source)
    }
}

/// A result, as it is printed and kept.
#[derive(Clone)]
struct DrillResult {
    record: Record,
    /// What of it fits a line.
    line: Record,
    missed: bool,
}

fn result(drill: &Drill, objective_ms: u64, drilled: Result<Drilled, CliError>, work: &Path) -> DrillResult {
    let (ended, why) = match &drilled {
        Err(error) => ("failed", Some(error.to_string())),
        Ok(Drilled { inconsistent: Some(why), .. }) => ("inconsistent", Some(why.clone())),
        Ok(Drilled { recovery_ms: None, .. }) => ("not recovered", None),
        Ok(Drilled { recovery_ms: Some(took_ms), .. }) if *took_ms > objective_ms => ("too slow", None),
        Ok(_) => ("met", None),
    };
    let drilled = drilled.ok();
    let of = |field: fn(&Drilled) -> Value| drilled.as_ref().map_or(Value::Null, field);
    let took = of(|drilled| drilled.recovery_ms.map(text::duration_ms).into());
    let (start, end) = (of(|drilled| drilled.start_root.clone().into()), of(|drilled| drilled.end_root.clone().into()));
    let consistent = of(|drilled| drilled.inconsistent.is_none().into());
    let line = Record::new()
        .with("drill", drill.name)
        .with("result", ended)
        .with("recovery", took)
        .with("objective", text::duration_ms(objective_ms))
        .with("time", drill.kind.clock())
        .with("consistent", consistent)
        .with("receipts", of(|drilled| drilled.receipts.into()));
    let record = line.clone().with("start root", start.clone()).with("end root", end.clone());
    let record = record.with("why", why.clone()).with("at", text::time(clock_ms()));
    let short = |root: &Value| root.as_str().map(text::digest);
    DrillResult {
        record: record.with("kept in", work.display().to_string()),
        line: line.with("start root", short(&start)).with("end root", short(&end)).with("why", why),
        missed: ended != "met",
    }
}

/// A directory for one run: `drills/<name>-<milliseconds since 1970>`.
fn work_dir(dir: &Path, name: &str) -> Result<PathBuf, CliError> {
    let work = dir.join("drills").join(format!("{name}-{}", clock_ms()));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&work);
    made.map_err(|error| CliError::File { path: work.clone(), error })?;
    // Drills run this program elsewhere: a relative path would lead to another place there.
    fs::canonicalize(&work).map_err(|error| CliError::File { path: work, error })
}

fn store(work: &Path, result: DrillResult) -> Result<(), CliError> {
    let path = work.join("result.json");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
        writeln!(file, "{}", Value::from(result.record))?;
        file.sync_all()
    };
    write().map_err(|error| CliError::File { path: path.clone(), error })
}

/// A new node with a ledger under the built-in `lease` policy, closed again.
fn lease_node(dir: &Path) -> Result<Reprise, CliError> {
    let node = packaged_node(dir, demo::PACKAGE)?;
    let (digest, _) = node.find_package("lease")?;
    node.create_ledger(LEDGER, digest)?;
    Reprise::at(dir)
}
