//! `reprise recover`: plans, printed before they are carried out.

use super::{
    args::RecoverCommand,
    error::{CliError, Exit},
    place::{Opened, Place},
    report::{Printer, Record},
    text,
};
use crate::{
    journal::LedgerEntry,
    node::{Access, EngineChoice, Node},
    orderer::clock_ms,
    recovery::{
        self, Moment, Plan, PlanStep, Stop, Watch, Way, checkpoint_restore,
        replay_reconstruction::{self, Survey},
        rollback::{self, CutEffect, Rollback},
        runtime::{self, Action},
    },
};
use reprise_abi::decode_canonical;
use serde_json::Value;
use std::path::Path;

pub(crate) fn run(command: &RecoverCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        RecoverCommand::Rollback { ledger, to, checkpoint, attested, reason, dry_run } => {
            let options = rollback::Options {
                size: to.map_or(checkpoint.unwrap_or(0), |to| to.saturating_add(1)),
                way: None,
                attested: *attested,
                reason: reason.clone().unwrap_or_default(),
                now_ms: clock_ms(),
            };
            roll_back(place, ledger, options, *checkpoint, *dry_run, print)
        }
        RecoverCommand::Restore { ledger, checkpoint, dry_run } => restore(place, ledger, *checkpoint, *dry_run, print),
        RecoverCommand::Take { ledger, from, checkpoint, dry_run } => {
            take(place, ledger, from, *checkpoint, *dry_run, print)
        }
        RecoverCommand::Rebuild { ledger, engine, dry_run } => {
            rebuild(place, ledger, (*engine).into(), *dry_run, print)
        }
        RecoverCommand::Runtime { ledger } => advise(place, ledger, print),
        RecoverCommand::Resume { ledger, dry_run } => resume(place, ledger, *dry_run, print),
        RecoverCommand::Abandon { ledger, dry_run } => abandon(place, ledger, *dry_run, print),
    }
}

fn open<'a>(place: &'a Place<'_>, ledger: &str, dry_run: bool) -> Result<(Opened<'a>, LedgerEntry), CliError> {
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
    let entry = node.find_ledger(ledger)?;
    Ok((node, entry))
}

fn roll_back(
    place: &Place<'_>,
    ledger: &str,
    options: rollback::Options,
    checkpoint: Option<u64>,
    dry_run: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let (node, entry) = open(place, ledger, dry_run)?;
    let site = node.site(&entry, EngineChoice::default());
    if let Some(size) = checkpoint {
        crate::checkpoints::find(node.journal(), entry.no, size)?;
    }
    let rollback = rollback::plan(&site, &options)?;
    let plan = match node.journal().final_mark(entry.no)? {
        Some(kept) if options.size < kept.mark.size() => describe_rollback(&rollback).with(
            "final receipts that it takes back",
            format!(
                "{}..{}: members have made them final, so `verify` will be divergent until the ledger has them again",
                options.size,
                kept.mark.size()
            ),
        ),
        _ => describe_rollback(&rollback),
    };
    in_turn(print, plan, dry_run, || {
        recovery::carry_out(&site, &rollback.plan, &mut Tell)?;
        Ok(())
    })
}

/// A plan before it is carried out, and that it was when it was: to people in turn, to programs as one object.
fn in_turn(
    print: &Printer,
    plan: Record,
    dry_run: bool,
    carry_out: impl FnOnce() -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    if dry_run {
        print.record(plan.with("carried out", false));
        return Ok(Exit::Done);
    }
    let plan = if print.is_json() {
        plan
    } else {
        print.record(plan);
        Record::new()
    };
    carry_out()?;
    print.record(plan.with("carried out", true));
    Ok(Exit::Done)
}

fn describe_rollback(rollback: &Rollback) -> Record {
    let way = |(way, cost): &(Way, recovery::Cost)| {
        let record = Record::new().with("name", way.to_string());
        Value::from(record.with("bytes to read", cost.bytes).with("diffs to apply", cost.steps))
    };
    let record = describe(&rollback.plan, 0)
        .with("ways to the state, cheapest first", rollback.ways.iter().map(way).collect::<Vec<_>>())
        .with("effects of what is cut off", rollback.effects.iter().map(describe_effect).collect::<Vec<_>>());
    match rollback.attested {
        Some(end) => record.with("another history was attested up to receipt", end - 1),
        None => record,
    }
}

fn describe_effect(effect: &CutEffect) -> Value {
    let what = match (effect.done, effect.emitted) {
        (Some(done), Some(_)) => format!("carried out, result in receipt {done}: undo it yourself"),
        (Some(done), None) => format!("carried out, result in receipt {done}: it will be asked for again, same key"),
        (None, _) => "not known to be carried out; a driver may have begun".to_owned(),
    };
    Record::new()
        .with("idempotency key", effect.idempotency_key.clone())
        .with("driver", effect.driver.clone())
        .with("emitted by", effect.emitted)
        .with("compensator", effect.compensator.clone())
        .with("what", what)
        .into()
}

fn restore(
    place: &Place<'_>,
    ledger: &str,
    checkpoint: Option<u64>,
    dry_run: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let (node, entry) = open(place, ledger, dry_run)?;
    let site = node.site(&entry, EngineChoice::default());
    let plan = checkpoint_restore::plan(&site, checkpoint, "restore from a checkpoint", clock_ms())?;
    in_turn(print, describe(&plan, 0), dry_run, || Ok(recovery::carry_out(&site, &plan, &mut Tell)?))
}

fn take(
    place: &Place<'_>,
    ledger: &str,
    from: &Path,
    checkpoint: Option<u64>,
    dry_run: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let other = Node::open(from, Access::Read)?;
    let theirs = other.find_ledger(ledger)?;
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
    let point = checkpoint_restore::RestorePoint::of_journal(other.journal(), &theirs, checkpoint)?;
    let claim = &point.checkpoint.record.claim;
    let record = Record::new()
        .with("ledger", theirs.genesis.name.clone())
        .with("id", theirs.id.to_string())
        .with("from receipt", claim.size)
        .with("state root", claim.snapshot.state_root.to_string())
        .with("packages", point.packages.len());
    in_turn(print, record, dry_run, || {
        let chunks = other.journal().chunks(theirs.no)?;
        checkpoint_restore::take_over(node.journal(), &point, |id| chunks.chunk(id))?;
        Ok(())
    })
}

fn rebuild(
    place: &Place<'_>,
    ledger: &str,
    engine: EngineChoice,
    dry_run: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let (node, entry) = open(place, ledger, dry_run)?;
    let site = node.site(&entry, engine);
    let survey = replay_reconstruction::survey(&site)?;
    let plan = replay_reconstruction::plan(&site, &survey, "rebuilt from inputs", clock_ms())?;
    let record = describe_survey(describe(&plan, 0), &survey);
    in_turn(print, record, dry_run, || Ok(recovery::carry_out(&site, &plan, &mut Tell)?))
}

fn describe_survey(record: Record, survey: &Survey) -> Record {
    let first = survey.first.as_ref();
    record
        .with("steps executed", survey.size - survey.from)
        .with("from receipt", survey.from)
        .with("steps that differ", survey.differing)
        .with("first of them", first.map(|divergence| divergence.seq))
        .with("what differs first", first.map(|divergence| divergence.what.name()))
        .with("state root", survey.state_root.to_string())
        .with("log root", survey.log_root.to_string())
        .with("proven by attestations", survey.proven)
}

fn advise(place: &Place<'_>, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let (node, entry) = open(place, ledger, true)?;
    let head = node.open_ledger(&entry)?.head;
    let advice = runtime::advise(&head, &node.journal().read(entry.no)?.incidents()?);
    let action = |action: &Action| Value::from(action.command_line(ledger));
    let halt = advice.halt.map(|halt| format!("after receipt {}: {}", halt.seq, halt.class.name()));
    print.record(
        Record::new()
            .with("ledger", entry.genesis.name.clone())
            .with("halted", halt)
            .with("guest faults in a row", format!("{} of {}", advice.faults, advice.faults_max))
            .with("host faults on the next input", advice.host_faults)
            .with("operators that must sign", entry.genesis.operator_threshold)
            .with("what to do", advice.actions.iter().map(action).collect::<Vec<_>>()),
    );
    Ok(Exit::Done)
}

fn resume(place: &Place<'_>, ledger: &str, dry_run: bool, print: &Printer) -> Result<Exit, CliError> {
    let (node, entry) = open(place, ledger, dry_run)?;
    let Some(running) = node.journal().running_plan(entry.no)? else {
        return Err(CliError::Refusal(format!("no plan was begun for ledger `{ledger}`")));
    };
    let plan: Plan = decode_canonical(&running.plan).map_err(recovery::RecoveryError::from)?;
    in_turn(print, describe(&plan, running.next), dry_run, || {
        recovery::resume(&node.site(&entry, EngineChoice::default()), &mut Tell)?;
        Ok(())
    })
}

fn abandon(place: &Place<'_>, ledger: &str, dry_run: bool, print: &Printer) -> Result<Exit, CliError> {
    let (node, entry) = open(place, ledger, dry_run)?;
    let site = node.site(&entry, EngineChoice::default());
    let Some(abandoned) = recovery::abandon(&site, !dry_run)? else {
        return Err(CliError::Refusal(format!("no plan was begun for ledger `{ledger}`")));
    };
    let what = if abandoned.undone { "the ledger is as it was before the plan" } else { "what was done stays done" };
    print.record(describe(&abandoned.plan, abandoned.done).with("after that", what).with("abandoned", !dry_run));
    Ok(Exit::Done)
}

/// A plan; the steps before `next` are done.
fn describe(plan: &Plan, next: u32) -> Record {
    let step = |(index, step): (u32, &PlanStep)| {
        let done = if index < next { " (done)" } else { "" };
        Value::from(Record::new().with("name", format!("{}. {step}{done}", index + 1)))
    };
    Record::new()
        .with("plan", plan.module.name())
        .with("ledger", plan.ledger.to_string())
        .with("made", text::time(plan.made_ms))
        .with("reason", plan.reason.clone())
        .with("steps", (0..).zip(&plan.steps).map(step).collect::<Vec<_>>())
}

/// Says on standard error which step is done.
struct Tell;

impl Watch for Tell {
    fn at(&mut self, moment: Moment, _: &PlanStep) -> Result<(), Stop> {
        if let Moment::After(index) = moment {
            eprintln!("step {} done", index + 1);
        }
        Ok(())
    }
}
