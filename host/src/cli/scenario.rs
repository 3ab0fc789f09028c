//! `reprise scenario`: play scenario files, show what happens, or say what differs.

use super::{
    args::{ScenarioCommand, ScenarioOptions},
    error::{CliError, Exit},
    report::{Printer, Record, say},
    text,
};
use crate::{
    engine::on_engine_thread,
    node::{EngineChoice, read_package},
    scenario::{Cause, Difference, Ended, Moment, Played, Scenario, Stage, difference, package_for, trace},
};
use reprise_abi::{Effect, TimerChange};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) fn run(command: &ScenarioCommand, print: &Printer) -> Result<Exit, CliError> {
    let (options, show) = match command {
        ScenarioCommand::Run(options) => (options.clone(), true),
        ScenarioCommand::Check(options) => (options.clone(), false),
    };
    let print = print.clone();
    let thread = on_engine_thread("reprise-scenario", move || all(&options, show, &print));
    let thread = thread.map_err(|error| CliError::Fault(error.to_string()))?;
    thread.join().map_err(|_| CliError::Fault("the engine thread panicked".to_owned()))?
}

/// One file after the other; a file that cannot be played does not stop the others.
fn all(options: &ScenarioOptions, show: bool, print: &Printer) -> Result<Exit, CliError> {
    let mut stages = Stages { options, ready: BTreeMap::new() };
    let mut exit = Exit::Done;
    for file in &options.files {
        let (verdict, steps) = match one(&mut stages, file, show, print) {
            Ok((None, steps)) => (None, Some(steps)),
            Ok((Some(difference), steps)) => (Some(difference.to_string()), Some(steps)),
            Err(error) => (Some(error.to_string()), None),
        };
        print_verdict(file, verdict.as_deref(), steps, print);
        if verdict.is_some() {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}

fn one(stages: &mut Stages, file: &Path, show: bool, print: &Printer) -> Result<(Option<Difference>, u64), CliError> {
    let refusal = |error: &dyn std::error::Error| CliError::Refusal(error.to_string());
    let scenario = Scenario::read(file).map_err(|error| refusal(&error))?;
    let played = stages.of(&scenario.policy, file)?.play(&scenario).map_err(|error| refusal(&error))?;
    if let Some(dir) = &stages.options.trace_dir {
        write_trace(&dir.join(&scenario.policy), file, &trace(&played))?;
    }
    if show {
        print_run(file, &scenario, &played, print);
    }
    Ok((difference(&scenario, &played), played.steps().count() as u64))
}

/// Policies that are ready, so that each is compiled once.
struct Stages<'o> {
    options: &'o ScenarioOptions,
    ready: BTreeMap<(String, Option<PathBuf>), Stage>,
}

impl Stages<'_> {
    fn of(&mut self, policy: &str, file: &Path) -> Result<&mut Stage, CliError> {
        let path = self.options.package.clone().or_else(|| package_for(policy, file));
        let engine: EngineChoice = self.options.engine.into();
        let key = (policy.to_owned(), path);
        if !self.ready.contains_key(&key) {
            let package = key.1.as_deref().map(read_package).transpose()?;
            let stage = Stage::new(policy, package.as_ref(), engine);
            self.ready.insert(key.clone(), stage.map_err(|error| CliError::Refusal(error.to_string()))?);
        }
        Ok(self.ready.get_mut(&key).expect("it was just made ready"))
    }
}

fn write_trace(dir: &Path, file: &Path, trace: &str) -> Result<(), CliError> {
    let name = file.file_stem().map_or_else(|| "scenario".into(), |stem| stem.to_string_lossy());
    let path = dir.join(format!("{name}.txt"));
    let error = |error: io::Error| CliError::File { path: path.clone(), error };
    fs::create_dir_all(dir).map_err(error)?;
    fs::write(&path, trace).map_err(error)
}

fn print_verdict(file: &Path, differs: Option<&str>, steps: Option<u64>, print: &Printer) {
    let name = file.display().to_string();
    let record = Record::new()
        .with("file", name.clone())
        .with("ok", differs.is_none())
        .with("steps", steps)
        .with("difference", differs.map(str::to_owned));
    print.line(record, || match (differs, steps) {
        (None, steps) => format!("ok      {name} ({} steps)", text::count(steps.unwrap_or(0))),
        (Some(what), Some(_)) => format!("DIFFERS {name}: {what}"),
        (Some(what), None) if what.contains(&name) => format!("FAILED  {what}"),
        (Some(what), None) => format!("FAILED  {name}: {what}"),
    });
}

fn print_run(file: &Path, scenario: &Scenario, played: &Played, print: &Printer) {
    if !print.is_json() {
        say(format_args!("{}: {} ({})", file.display(), scenario.about, scenario.rows.join(", ")));
    }
    for moment in &played.moments {
        print_moment(moment, print);
    }
    for effect in &played.effects {
        let shown = effect.shown();
        print.line(Record::new().with("effect", shown), || {
            let ended = effect.ended_ms.map_or(String::new(), |at_ms| format!(" at {at_ms}"));
            let (key, driver) = (&effect.effect.idempotency_key, &effect.effect.driver);
            let (status, asked) = (effect.status.name(), effect.deliveries);
            format!("effect {key} for {driver}: {status}{ended}, asked {asked} times")
        });
    }
    for ((view, args), shown) in &played.views {
        let record = Record::new().with("view", view.clone()).with("args", args.clone()).with("shown", shown.clone());
        print.line(record, || {
            let args = args.as_ref().map_or(String::new(), |args| format!(" with {args}"));
            format!("view {view}{args}: {shown}")
        });
    }
    for place in scenario.expect.figures.keys() {
        let shown = played.figure(place).cloned();
        let record = Record::new().with("figure", place.clone()).with("value", shown.clone());
        print.line(record, || format!("figure {place}: {}", shown.unwrap_or(Value::Null)));
    }
    if let Some(halt) = played.halt {
        let record = Record::new().with("halted at", halt.seq).with("class", halt.class.name());
        print.line(record, || format!("halted at sequence number {} ({})", halt.seq, halt.class.name()));
    }
}

fn print_moment(moment: &Moment, print: &Printer) {
    let (at_ms, cause, event, ended) = match moment {
        Moment::Input { at_ms, cause, event, ended } => (*at_ms, *cause, event, ended),
        Moment::Crash { at_ms } => {
            let record = Record::new().with("at_ms", *at_ms).with("cause", "crash");
            print.line(record, || format!("{at_ms:>10}        the node crashes, and is opened again from its journal"));
            return;
        }
    };
    let (mut seq, mut effects, mut timers): (Option<u64>, Vec<Value>, Vec<Value>) = (None, Vec::new(), Vec::new());
    if let Ended::Step(step) = ended {
        seq = Some(step.sealed.receipt.seq);
        effects = step.sealed.record.output.effects.iter().map(effect_line).collect();
        timers = step.sealed.record.output.timers.iter().map(timer_line).collect();
    }
    let record = Record::new()
        .with("at_ms", at_ms)
        .with("seq", seq)
        .with("cause", cause_name(cause))
        .with("kind", event.kind.clone())
        .with("id", event.id.clone())
        .with("ended", ended.shown())
        .with("effects", effects.clone())
        .with("timers", timers.clone());
    print.line(record, || {
        let seq = seq.map_or("-".to_owned(), |seq| seq.to_string());
        // Timers and effects are known by their ids, events by their kinds.
        let what = match cause {
            Cause::Due | Cause::Answer => format!("{} {}", event.kind, event.id),
            _ => event.kind.clone(),
        };
        let mut lines = format!("{at_ms:>10} {seq:>6} {:<10} {what}: {}", cause_name(cause), ended_line(ended));
        for line in effects.iter().chain(&timers).filter_map(Value::as_str) {
            lines.push_str(&format!("\n{:28} {line}", ""));
        }
        lines
    });
}

fn ended_line(ended: &Ended) -> String {
    let Ended::Step(step) = ended else { return ended.shown().to_string() };
    let receipt = &step.sealed.receipt;
    let code = if receipt.code == 0 { String::new() } else { format!(" {}", receipt.code) };
    let answer = ended.shown().get("answer").map_or(String::new(), |answer| format!(" {answer}"));
    format!("{}{code}{}", receipt.class.name(), text::short(&answer))
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Parameters => "parameters",
        Cause::Event(_) => "event",
        Cause::Repeat => "repeat",
        Cause::World => "world",
        Cause::Answer => "answer",
        Cause::Due => "due",
    }
}

fn effect_line(effect: &Effect) -> Value {
    let payload = text::short(&text::bytes(&effect.payload));
    format!("-> {} to {} by {}: {payload}", effect.idempotency_key, effect.driver, effect.deadline_ms).into()
}

fn timer_line(change: &TimerChange) -> Value {
    match change {
        TimerChange::Set(timer) => format!("timer {} at {}", timer.id, timer.due_ms).into(),
        TimerChange::Cancel { id } => format!("timer {id} cancelled").into(),
    }
}
