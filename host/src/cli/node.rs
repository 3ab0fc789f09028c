//! `reprise node`, `reprise peers`, `reprise federation`: a node that runs, and commands that reach it.

use super::{
    args::{CompareOptions, FederationCommand, FetchOptions, NodeCommand, ReconcileOptions, SubmitOptions},
    error::{CliError, Exit},
    grant,
    inside::{self, Inside},
    report::{Printer, say},
    text,
};
use crate::{
    bundles::BundleFileError,
    daemon::{
        self, RunNodeError,
        client::Client,
        config::{ConfigError, NodeConfig},
        control::Wanted,
    },
    journal::Journal,
    succession,
};
use reprise_receipts::bundle::BundleKind;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{self, Path, PathBuf},
    sync::Arc,
    thread::sleep,
    time::Duration,
};

/// How often it is asked whether a node has stopped, and the time between.
const STOP_QUESTIONS_MAX: u32 = 600;
const STOP_PAUSE: Duration = Duration::from_millis(100);
/// Events that were not accepted and are listed one by one.
const LISTED_MAX: usize = 10;

pub(crate) fn run(command: &NodeCommand, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    match command {
        NodeCommand::Run { config, rejoin } => {
            serve(dir, &NodeConfig { rejoin: *rejoin, ..read(dir, config.as_ref())? }, print)
        }
        NodeCommand::Check { config } => {
            let config = read(dir, config.as_ref())?;
            say(format_args!("ok: {} peers, {} shared ledgers", config.peers.len(), config.ledgers.len()));
            Ok(Exit::Done)
        }
        NodeCommand::Stop => {
            running(dir)?.ask(&Wanted::Stop).map_err(gone)?;
            stopped(dir)
        }
    }
}

/// Waits until a node that was told to stop has let go of its socket and its journal.
fn stopped(dir: &Path) -> Result<Exit, CliError> {
    let journal = dir.join("journal.redb");
    for _ in 0..STOP_QUESTIONS_MAX {
        if client(dir)?.is_none() && Journal::is_free(&journal)? {
            return Ok(Exit::Done);
        }
        sleep(STOP_PAUSE);
    }
    let seconds = (STOP_PAUSE * STOP_QUESTIONS_MAX).as_secs();
    Err(CliError::Fault(format!(
        "the node was told to stop, and after {seconds} s it still has its journal: wait, or look at what its process does"
    )))
}

/// `reprise peers`.
pub(crate) fn peers(dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    rows(running(dir)?.ask(&Wanted::Peers).map_err(gone)?, print);
    Ok(Exit::Done)
}

/// `reprise federation`.
pub(crate) fn federation(command: &FederationCommand, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    match command {
        FederationCommand::Status => rows(running(dir)?.ask(&Wanted::Federation).map_err(gone)?, print),
        FederationCommand::Compare(options) => return compare(options, dir, print),
        FederationCommand::Take { ledger, grant } => return grant::take(dir, ledger, grant, print),
        FederationCommand::Resume { ledger } => {
            let answer = running(dir)?.ask(&Wanted::Resume { ledger: ledger.clone() }).map_err(gone)?;
            if let Some(error) = answer["error"].as_str() {
                return Err(CliError::Refusal(error.to_owned()));
            }
        }
    }
    Ok(Exit::Done)
}

fn compare(options: &CompareOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let CompareOptions { ledger, peers, receipts, view, args } = options;
    let wanted = Wanted::Compare {
        ledger: ledger.clone(),
        peers: peers.clone(),
        receipts: *receipts,
        view: view.clone(),
        args: succession::hex(&text::parse_bytes(args)?),
    };
    let answer = running(dir)?.ask(&wanted).map_err(gone)?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Refusal(error.to_owned()));
    }
    let has = |verdict| answer.as_array().is_some_and(|rows| rows.iter().any(|row| row["verdict"] == verdict));
    let exit = match (has("divergent"), has("incomparable")) {
        (true, _) => Exit::Refused,
        (false, true) => Exit::Incomparable,
        (false, false) => Exit::Done,
    };
    rows(answer, print);
    Ok(exit)
}

/// `reprise bundle fetch`.
pub(crate) fn fetch_bundle(options: &FetchOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let file_error = |error| CliError::File { path: options.out.clone(), error };
    // The node has a working directory of its own.
    let out = path::absolute(&options.out).map_err(file_error)?;
    if out.try_exists().map_err(file_error)? {
        return Err(BundleFileError::Exists(out).into());
    }
    let wanted = Wanted::FetchBundle {
        ledger: options.ledger.clone(),
        peer: options.from_peer.clone(),
        kind: BundleKind::from(options.kind).into(),
        from: options.from,
        to: options.to,
        out,
    };
    let answer = running(dir)?.ask(&wanted).map_err(gone)?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Refusal(error.to_owned()));
    }
    record(&answer, print);
    Ok(match answer["verdict"].as_str() {
        Some("match") => Exit::Done,
        Some("incomparable") => Exit::Incomparable,
        _ => Exit::Refused,
    })
}

/// `reprise reconcile`.
pub(crate) fn reconcile(options: &ReconcileOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let wanted = match options.history {
        true => Wanted::Decisions,
        false => Wanted::Reconcile { ledger: options.ledger.clone(), act: !options.dry_run },
    };
    let mut answer = running(dir)?.ask(&wanted).map_err(gone)?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Refusal(error.to_owned()));
    }
    if let (true, Some(ledger), Some(all)) = (options.history, &options.ledger, answer.as_array_mut()) {
        all.retain(|row| row["ledger"] == ledger.as_str());
    }
    rows(answer, print);
    Ok(Exit::Done)
}

/// The node that runs in this directory, if one does: then it has the journal, and commands go to it.
pub(crate) fn client(dir: &Path) -> Result<Option<Client>, CliError> {
    Client::connect(dir).map_err(|error| CliError::File { path: daemon::control::path(dir), error })
}

/// `reprise status` of a running node.
pub(crate) fn status(client: Client, print: &Printer) -> Result<Exit, CliError> {
    let status = client.ask(&Wanted::Status).map_err(gone)?;
    let healthy = status["ledgers"].as_array().is_some_and(|rows| rows.iter().all(|row| row["can go on"] == true));
    record(&status, print);
    if healthy { Ok(Exit::Done) } else { Ok(Exit::Refused) }
}

/// `reprise checkpoint create` on a running node: its owner makes one out of its turn. It is shown as `show` does.
pub(super) fn checkpoint(client: Client, ledger: &str, dir: &Path, json: bool) -> Result<Exit, CliError> {
    let answer = client.ask(&Wanted::Checkpoint { ledger: ledger.to_owned() }).map_err(gone)?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Refusal(error.to_owned()));
    }
    let size = answer["receipts"].to_string();
    let show = ["checkpoint", "show", ledger, &size].into_iter().chain(json.then_some("--json"));
    inside::run_there(running(dir)?, show.map(str::to_owned).collect())
}

/// `reprise submit` to a running node. The time of an event is its own, as in its line.
pub(crate) fn submit(client: Client, options: &SubmitOptions, print: &Printer) -> Result<Exit, CliError> {
    let events: Box<dyn BufRead + Send> = if options.file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let error = |error| CliError::File { path: options.file.clone(), error };
        Box::new(BufReader::new(File::open(&options.file).map_err(error)?))
    };
    let mut tally = Tally::default();
    client
        .submit(&options.ledger, events, |answer| {
            if options.each {
                say(answer);
            }
            tally.take(answer);
        })
        .map_err(gone)?;
    if !options.each {
        record(&tally.report(&options.ledger), print);
    }
    if tally.refused == 0 { Ok(Exit::Done) } else { Ok(Exit::Refused) }
}

#[derive(Default)]
struct Tally {
    receipts: u64,
    duplicates: u64,
    refused: u64,
    by_outcome: BTreeMap<String, u64>,
    listed: Vec<String>,
}

impl Tally {
    fn take(&mut self, answer: &Value) {
        let line = &answer["line"];
        if let Some(why) = answer["refused"].as_str() {
            self.refused += 1;
            return self.list(format!("line {line}: refused: {why}"));
        }
        if answer["duplicate"] == true {
            self.duplicates += 1;
            return;
        }
        self.receipts += 1;
        let outcome = answer["outcome"].as_str().unwrap_or_default().to_owned();
        if outcome != "accepted" {
            self.list(format!("line {line}: receipt {}: {outcome} ({})", answer["seq"], answer["code"]));
        }
        *self.by_outcome.entry(outcome).or_default() += 1;
    }

    fn list(&mut self, what: String) {
        if self.listed.len() < LISTED_MAX {
            self.listed.push(what);
        }
    }

    fn report(&self, ledger: &str) -> Value {
        serde_json::json!({
            "ledger": ledger,
            "new receipts": self.receipts,
            "outcomes": self.by_outcome,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "not accepted": self.listed,
        })
    }
}

fn serve(dir: &Path, config: &NodeConfig, print: &Printer) -> Result<Exit, CliError> {
    let name = &config.name;
    daemon::run(dir, config, Arc::new(Inside), |address| {
        if print.is_json() {
            say(serde_json::json!({ "name": name, "listens at": address.to_string() }));
        } else {
            say(format_args!("{name} listens at {address}"));
        }
    })
    .map_err(|error| match error {
        RunNodeError::Node(error) => error.into(),
        RunNodeError::Key(error) => error.into(),
        RunNodeError::Ledger { .. } => CliError::Refusal(error.to_string()),
        RunNodeError::Bind(_) | RunNodeError::System { .. } => CliError::Fault(error.to_string()),
    })?;
    Ok(Exit::Done)
}

fn read(dir: &Path, config: Option<&PathBuf>) -> Result<NodeConfig, CliError> {
    let path = config.cloned().unwrap_or_else(|| dir.join("node.toml"));
    NodeConfig::read(&path).map_err(|error| match error {
        ConfigError::File { path, error } if error.kind() == io::ErrorKind::NotFound => CliError::Usage(format!(
            "there is no configuration {}: write one, the least is `name = \"a\"`, or give another with --config",
            path.display()
        )),
        ConfigError::File { path, error } => CliError::File { path, error },
        error @ ConfigError::Content { .. } => CliError::Usage(error.to_string()),
    })
}

pub(super) fn running(dir: &Path) -> Result<Client, CliError> {
    client(dir)?.ok_or_else(|| {
        CliError::Refusal(format!("no node runs in {}: start it with `reprise node run`", dir.display()))
    })
}

pub(super) fn gone(error: io::Error) -> CliError {
    CliError::Fault(format!("the running node: {error}"))
}

fn record(value: &Value, print: &Printer) {
    let Value::Object(fields) = value else { return say(value) };
    if print.is_json() {
        return say(value);
    }
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in fields {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                say(format_args!("{name}:"));
                items.iter().for_each(|item| say(format_args!("  - {}", inline(item))));
            }
            value => say(format_args!("{name:width$}  {}", plain(value))),
        }
    }
}

fn rows(value: Value, print: &Printer) {
    let Value::Array(items) = &value else { return record(&value, print) };
    if print.is_json() {
        return say(&value);
    }
    if items.is_empty() {
        say("(none)");
    }
    items.iter().for_each(|item| say(inline(item)));
}

/// The name first, then the rest of what there is.
fn inline(value: &Value) -> String {
    let Value::Object(fields) = value else { return plain(value) };
    let is_name = |name: &str| matches!(name, "name" | "ledger");
    let (first, rest): (Map<_, _>, Map<_, _>) = fields.clone().into_iter().partition(|(name, _)| is_name(name));
    let there = first.into_iter().chain(rest).filter(|(_, value)| !value.is_null());
    there.map(|(name, value)| format!("{name} {}", plain(&value))).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(_) => inline(value),
        Value::Number(number) if number.is_f64() => text::fixed(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}
