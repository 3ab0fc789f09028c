//! `reprise archive`: write, verify, hydrate, prune.

use super::{
    args::{ArchiveCommand, ArchiveOptions},
    bundle,
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
    text,
};
use crate::{
    archive::{self, ArchiveError, ArchiveReader, Contents, Directory, StoreError, Verified, Written},
    journal::LedgerEntry,
    node::Access,
};
use reprise_receipts::{LedgerId, bundle::Trust, checkpoint::Checkpoint, trust_policy::TrustPolicy};
use std::path::Path;

pub(crate) fn run(command: &ArchiveCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        ArchiveCommand::Write(ArchiveOptions { ledger, archive, to }) => {
            write(place, ledger, archive, *to, Contents::Steps, print)
        }
        ArchiveCommand::Verify { archive, trust } => verify(archive, bundle::trust(trust)?, print),
        ArchiveCommand::Hydrate { ledger, archive, range, dry_run } => {
            hydrate(place, ledger, (archive, range), *dry_run, print)
        }
        ArchiveCommand::Prune { ledger, archive, keep, dry_run } => {
            prune(place, ledger, archive, *keep, *dry_run, print)
        }
    }
}

/// Brings the archive in `out` up to a ledger; also `reprise log serve-dir`.
pub(super) fn write(
    place: &Place<'_>,
    ledger: &str,
    out: &Path,
    to: Option<u64>,
    contents: Contents,
    print: &Printer,
) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let size = to.map_or_else(|| node.journal().read(entry.no)?.size(), Ok)?;
    let note = archive::checkpoint_of(node.journal(), &entry, size, node.attester().ok().as_ref())?;
    let written = archive::write(node.journal(), &entry, &Directory::new(out), &note, contents)?;
    let attester = *node.journal().attesters(&entry)?.of_log(size);
    print.record(describe(&entry, attester, &written).with("log root", note.checkpoint().log_root.to_string()));
    Ok(Exit::Done)
}

fn describe(entry: &LedgerEntry, attester: reprise_receipts::PublicKey, written: &Written) -> Record {
    Record::new()
        .with("ledger", entry.genesis.name.clone())
        .with("ledger id", entry.id.to_string())
        .with("receipts", written.size)
        .with("receipts before", written.before)
        .with("files written", written.files)
        .with("bytes written", written.bytes)
        .with("origin", Checkpoint::origin(entry.id))
        .with("note key", Checkpoint::note_key(entry.id, attester).to_string())
}

fn verify(path: &Path, trust: Trust, print: &Printer) -> Result<Exit, CliError> {
    let store = Directory::new(path);
    let ledger = ArchiveReader::open(&store)?.checkpoint().ledger;
    let Verified { checkpoint, approval, with_steps, attestations, packages } =
        archive::verify(&store, &policy(trust, ledger))?;
    print.record(
        Record::new()
            .with("archive", "holds")
            .with("ledger id", checkpoint.ledger.to_string())
            .with("receipts", checkpoint.size)
            .with("log root", checkpoint.log_root.to_string())
            .with("contents", if with_steps { "receipts and steps" } else { "receipts" })
            .with("attestations", attestations)
            .with("packages", packages)
            .with("signed by", approval.log.key().to_string())
            .with("cosigned by", approval.cosigners.iter().map(|by| by.key.to_string()).collect::<Vec<_>>()),
    );
    Ok(Exit::Done)
}

fn hydrate(
    place: &Place<'_>,
    ledger: &str,
    (path, range): (&Path, &str),
    dry_run: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
    let entry = node.find_ledger(ledger)?;
    // A plan that was begun comes to its end first.
    node.open_ledger(&entry)?;
    let range = text::parse_range(range, node.journal().read(entry.no)?.size()?)?;
    let store = Directory::new(path);
    let hydrated = match dry_run {
        true => archive::plan_hydrate(node.journal(), &entry, &store, range)?,
        false => archive::hydrate(node.journal(), &entry, &store, range)?,
    };
    let steps = if dry_run { "steps that would come back" } else { "steps brought back" };
    print.record(
        Record::new()
            .with("ledger", entry.genesis.name)
            .with("from", hydrated.range.start)
            .with("to", hydrated.range.end)
            .with(steps, hydrated.range.end - hydrated.range.start)
            .with("held against the checkpoint over", hydrated.checkpoint),
    );
    Ok(Exit::Done)
}

fn prune(
    place: &Place<'_>,
    ledger: &str,
    path: &Path,
    keep: u64,
    dry_run: bool,
    print: &Printer,
) -> Result<Exit, CliError> {
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
    let entry = node.find_ledger(ledger)?;
    // The state holds, and a plan that was begun comes to its end first.
    node.open_ledger(&entry)?;
    let plan = archive::plan_prune(node.journal(), &entry, &Directory::new(path), keep)?;
    let record = Record::new()
        .with("ledger", entry.genesis.name.clone())
        .with("archived receipts", plan.archive.checkpoint.size)
        .with("from", plan.first)
        .with("to", plan.base.size)
        .with("steps that stay", plan.size - plan.base.size);
    if dry_run {
        print.record(record.with("steps", "would go"));
        return Ok(Exit::Done);
    }
    archive::prune(node.journal(), &entry, &plan)?;
    print.record(record.with("steps", "gone; `reprise archive hydrate` brings them back"));
    Ok(Exit::Done)
}

/// The policy that `--key` or `--trust` stands for, about a checkpoint of this ledger.
pub(super) fn policy(trust: Trust, ledger: LedgerId) -> TrustPolicy {
    match trust {
        Trust::Attester(key) | Trust::Members { attester: key, .. } => TrustPolicy::of_attester(ledger, key),
        Trust::Policy(policy) => policy,
        Trust::GenesisRecord => unreachable!("arguments name a key or a policy"),
    }
}

impl From<ArchiveError> for CliError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Journal(error) => error.into(),
            ArchiveError::Store(StoreError::Io { .. }) => Self::Fault(error.to_string()),
            ArchiveError::Beyond { .. } | ArchiveError::WouldGap { .. } => Self::Usage(error.to_string()),
            error => Self::Refusal(error.to_string()),
        }
    }
}
