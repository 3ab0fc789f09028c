//! `reprise submit`: events in, durable receipts out.

use super::{
    args::SubmitOptions,
    deliver,
    error::{CliError, Exit},
    grant,
    report::{Printer, Record},
    session, text,
};
use crate::{
    events::EventLines,
    node::{Access, Node},
    orderer::{LocalOrderer, Proposal, Refusal, TimeSource, clock_ms},
    pipeline::{Answer, Request},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reprise_abi::OutcomeClass;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::Path,
};

/// Refused events and rejections that are listed one by one.
const LISTED_MAX: usize = 10;

pub(crate) fn run(options: &SubmitOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let node = Node::open(dir, Access::Write)?;
    let entry = node.find_ledger(&options.ledger)?;
    if !options.alone {
        grant::is_alone(dir, &entry)?;
    }
    let (reader, bytes) = open(&options.file)?;
    let bar = progress_bar(bytes);
    let mut tally = Tally { each: options.each, ..Tally::default() };
    let feed = feed(EventLines::new(reader), options.file.display().to_string(), bar.clone());
    let orderer = LocalOrderer::new(options.time.into());
    let orderer = if options.allow_future { orderer } else { orderer.bounding_future() };
    let committed = session::run(&node, &entry, orderer, feed, |answer| tally.take(answer))
        .inspect_err(|_| bar.finish_and_clear())?;
    bar.finish_and_clear();
    let at_ms = match options.time.into() {
        TimeSource::Event => 0,
        TimeSource::Clock => clock_ms(),
    };
    let mut delivery = deliver::Delivery::default();
    let delivered = deliver::run_into(&mut delivery, &node, &entry, at_ms, options.each);
    tally.results = delivery.results;
    let committed = delivery.committed.unwrap_or(committed);
    let size = committed.size;
    if !options.each {
        print.record(tally.report(&entry.genesis.name, size, committed.state_root.map(|root| root.to_string())));
    }
    // What became of the events is said first: they have their receipts, whatever became of the effects.
    delivered?;
    if tally.refused == 0 { Ok(Exit::Done) } else { Ok(Exit::Refused) }
}

/// What became of the events.
#[derive(Default)]
struct Tally {
    each: bool,
    receipts: u64,
    duplicates: u64,
    by_class: std::collections::BTreeMap<OutcomeClass, u64>,
    refused: u64,
    results: u64,
    listed: Vec<Record>,
}

impl Tally {
    fn take(&mut self, answer: Answer) {
        if self.each {
            let mut out = io::stdout().lock();
            // A reader that went away does not stop the events.
            let _ = writeln!(out, "{}", serde_json::Value::from(each(&answer))).and_then(|()| out.flush());
        }
        match answer {
            Answer::Receipt { duplicate: true, .. } => self.duplicates += 1,
            Answer::Receipt { tag, seq, class, code, .. } => {
                self.receipts += 1;
                *self.by_class.entry(class).or_default() += 1;
                if class != OutcomeClass::Accepted {
                    self.list(tag, format!("receipt {seq}: {} ({code})", class.name()));
                }
            }
            Answer::Refused { tag, refusal } => {
                self.refused += 1;
                self.list(tag, format!("refused: {refusal}"));
            }
            Answer::Advanced { .. } => {}
        }
    }

    fn list(&mut self, line: u64, what: String) {
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Record::new().with("line", line).with("outcome", what));
        }
    }

    fn report(&mut self, ledger: &str, size: u64, state_root: Option<String>) -> Record {
        let of = |class| self.by_class.get(&class).copied().unwrap_or(0);
        let faults: u64 = self.by_class.iter().filter(|(class, _)| class.is_guest_fault()).map(|(_, n)| n).sum();
        let listed = std::mem::take(&mut self.listed);
        Record::new()
            .with("ledger", ledger)
            .with("new receipts", self.receipts)
            .with("accepted", of(OutcomeClass::Accepted))
            .with("rejected", of(OutcomeClass::Rejected))
            .with("guest faults", faults)
            .with("duplicates", self.duplicates)
            .with("refused", self.refused)
            .with("results of effects", self.results)
            .with("receipts in the ledger", size)
            .with("state root", state_root)
            .with("not accepted", listed.into_iter().map(serde_json::Value::from).collect::<Vec<_>>())
    }
}

fn each(answer: &Answer) -> Record {
    match answer {
        Answer::Receipt { tag, seq, class, code, leaf, duplicate } => Record::new()
            .with("line", *tag)
            .with("seq", *seq)
            .with("outcome", class.name())
            .with("code", *code)
            .with("leaf", leaf.to_string())
            .with("duplicate", *duplicate),
        Answer::Refused { tag, refusal } => Record::new().with("line", *tag).with("refused", refusal.to_string()),
        Answer::Advanced { tag, steps } => Record::new().with("line", *tag).with("due steps", *steps),
    }
}

fn open(file: &Path) -> Result<(Box<dyn BufRead + Send>, Option<u64>), CliError> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let error = |error| CliError::File { path: file.to_owned(), error };
    let opened = File::open(file).map_err(error)?;
    let bytes = opened.metadata().map_err(error)?.len();
    Ok((Box::new(BufReader::with_capacity(256 * 1024, opened)), Some(bytes)))
}

fn feed<R: BufRead + Send>(
    mut lines: EventLines<R>,
    file: String,
    bar: ProgressBar,
) -> impl Iterator<Item = Result<Request, CliError>> + Send {
    std::iter::from_fn(move || {
        let next = lines.next()?;
        bar.set_position(lines.bytes());
        Some(next.map(Request::from).map_err(|error| {
            let advice = match error.line {
                1 => "Nothing was submitted: mend the line and submit again".to_owned(),
                line => format!(
                    "The lines before it have their receipts ({} of them read): mend line {line} and submit the file \
                     again, events that were answered get the same answer",
                    text::count(line - 1)
                ),
            };
            CliError::Line { file: file.clone(), error, advice }
        }))
    })
}

/// On a terminal only; of bytes when the length is known.
fn progress_bar(bytes: Option<u64>) -> ProgressBar {
    let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if bytes.is_some() { "{bar:40} {percent}% {eta}" } else { "{spinner} {bytes}" };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is fixed"));
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// One proposal of the node's own, and its answer.
pub(crate) fn submit_one(
    node: &Node,
    entry: &crate::journal::LedgerEntry,
    proposal: Proposal,
) -> Result<Answer, CliError> {
    let mut answer = None;
    session::run(node, entry, crate::orderer::TimeSource::Clock, std::iter::once(Ok(proposal.into())), |given| {
        answer = Some(given);
    })?;
    match answer {
        Some(Answer::Refused { tag, refusal }) => Err(refused(tag, refusal)),
        Some(answer) => Ok(answer),
        None => Err(CliError::Fault("the pipeline ended without an answer".to_owned())),
    }
}

fn refused(line: u64, refusal: Refusal) -> CliError {
    CliError::Refused { line, refusal }
}
