//! `reprise checkpoint`: create, list, show, drop; and `reprise ledger set`.

use super::{
    args::{CheckpointCommand, SetOptions},
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
    text,
};
use crate::{
    checkpoints::{self, CheckpointError, retention},
    journal::{CheckpointSettings, StoredCheckpoint},
    node::Access,
};

const MS_PER_SECOND: u64 = 1_000;

pub(crate) fn run(command: &CheckpointCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        CheckpointCommand::Create { ledger } => create(place, ledger, print),
        CheckpointCommand::List { ledger } => list(place, ledger, print),
        CheckpointCommand::Show { ledger, size } => show(place, ledger, *size, print),
        CheckpointCommand::Drop { ledger, size, dry_run } => drop_snapshot(place, ledger, *size, *dry_run, print),
    }
}

/// `reprise ledger set`.
pub(crate) fn set(options: &SetOptions, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let changes = options.changes();
    let node = place.open(if changes { Access::Write } else { Access::Read })?;
    let entry = node.find_ledger(&options.ledger)?;
    let mut settings = node.journal().checkpoint_settings(entry.no)?;
    settings.receipts = options.checkpoint_receipts.unwrap_or(settings.receipts);
    let seconds = options.checkpoint_seconds.map(|seconds| seconds.saturating_mul(MS_PER_SECOND));
    settings.logical_ms = seconds.unwrap_or(settings.logical_ms);
    settings.keep = options.keep.unwrap_or(settings.keep);
    if changes {
        node.journal().set_checkpoint_settings(entry.no, &settings)?;
    }
    print.record(describe_settings(&settings).with("ledger", entry.genesis.name));
    Ok(Exit::Done)
}

fn describe_settings(settings: &CheckpointSettings) -> Record {
    Record::new()
        .with("checkpoint after receipts", settings.receipts)
        .with("checkpoint after seconds", settings.logical_ms / MS_PER_SECOND)
        .with("snapshots kept", settings.keep)
}

fn create(place: &Place<'_>, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Write)?;
    let entry = node.find_ledger(ledger)?;
    let head = node.open_ledger(&entry)?.head;
    let checkpoint = checkpoints::create(node.journal(), &entry, &head, &node.attester()?)?;
    let keep = node.journal().checkpoint_settings(entry.no)?.keep;
    let excess = retention::excess(&node.journal().checkpoints(entry.no)?, keep);
    if !excess.is_empty() {
        retention::drop_snapshots(node.journal(), entry.no, &excess)?;
    }
    print.record(describe(&checkpoint));
    Ok(Exit::Done)
}

fn list(place: &Place<'_>, ledger: &str, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let row = |checkpoint: StoredCheckpoint| {
        let claim = &checkpoint.record.claim;
        Record::new()
            .with("receipts", claim.size)
            .with("logical time", text::time(claim.logical_time_ms))
            .with("keys", claim.snapshot.keys)
            .with("state root", text::digest(claim.snapshot.state_root))
            .with("continuity root", text::digest(checkpoint.record.continuity))
            .with("restorable", checkpoint.restorable)
    };
    print.rows(node.journal().checkpoints(entry.no)?.into_iter().map(row).collect());
    Ok(Exit::Done)
}

fn show(place: &Place<'_>, ledger: &str, size: Option<u64>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let checkpoint = match size {
        Some(size) => checkpoints::find(node.journal(), entry.no, size)?,
        None => {
            let last = node.journal().checkpoints(entry.no)?.pop();
            last.ok_or_else(|| CliError::Refusal(format!("ledger `{ledger}` has no checkpoint yet")))?
        }
    };
    let attesters = node.journal().attesters(&entry)?;
    let signed = checkpoint.note.verify(attesters.of_log(checkpoint.record.claim.size));
    let record = describe(&checkpoint)
        .with("signature", signed.as_ref().map_or_else(ToString::to_string, |_| "holds".to_owned()));
    if print.is_json() {
        print.record(record.with("note", checkpoint.note.text()));
    } else {
        print.record(record);
        print.say("");
        print.say(checkpoint.note.text().trim_end());
    }
    if signed.is_ok() { Ok(Exit::Done) } else { Ok(Exit::Refused) }
}

fn drop_snapshot(place: &Place<'_>, ledger: &str, size: u64, dry_run: bool, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
    let entry = node.find_ledger(ledger)?;
    let checkpoint = checkpoints::find(node.journal(), entry.no, size)?;
    if !checkpoint.restorable {
        return Err(CheckpointError::NotKept { size }.into());
    }
    let record = Record::new().with("receipts", size).with("record and note", "stay");
    if dry_run {
        print.record(record.with("snapshot", "would go"));
        return Ok(Exit::Done);
    }
    let swept = retention::drop_snapshots(node.journal(), entry.no, &[size])?;
    print.record(record.with("snapshot", "gone").with("chunks removed", swept));
    Ok(Exit::Done)
}

fn describe(checkpoint: &StoredCheckpoint) -> Record {
    let claim = &checkpoint.record.claim;
    Record::new()
        .with("receipts", claim.size)
        .with("log root", claim.log_root.to_string())
        .with("logical time", text::time(claim.logical_time_ms))
        .with("state root", claim.snapshot.state_root.to_string())
        .with("keys", claim.snapshot.keys)
        .with("bytes", claim.snapshot.bytes)
        .with("continuity root", checkpoint.record.continuity.to_string())
        .with("restorable", checkpoint.restorable)
}
