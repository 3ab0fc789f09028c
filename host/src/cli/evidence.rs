//! `reprise evidence`: proofs that somebody signed something wrong.
//!
//! `verify` ends with 0 when the evidence holds, 1 when it does not, 2 when it cannot be told on this machine.

use super::{
    args::{EvidenceCommand, MakeCommand, PairOptions},
    bundle::parse_key,
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
};
use crate::{
    bundles::BundleFileError,
    evidence::{self, Finding},
    node::{Access, EngineChoice},
};
use reprise_receipts::evidence::{Evidence, SignedHead};
use std::path::Path;

pub(crate) fn run(command: &EvidenceCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        EvidenceCommand::Make(command) => make(command, place, print),
        EvidenceCommand::Show { file } => show(file, print),
        EvidenceCommand::Verify { file, key, engine } => verify(file, key, (*engine).into(), print),
    }
}

fn make(command: &MakeCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let pair = |options: &PairOptions, made: fn(&Path, &Path) -> Result<Option<Evidence>, BundleFileError>| {
        Ok::<_, CliError>((made(&options.one, &options.other)?, options.out.clone()))
    };
    let (made, out) = match command {
        MakeCommand::Equivocation(options) => pair(options, evidence::equivocation)?,
        MakeCommand::Fork(options) => pair(options, evidence::fork)?,
        MakeCommand::Fault { ledger, seq, out } => {
            let node = place.open(Access::Read)?;
            let entry = node.find_ledger(ledger)?;
            (evidence::execution_fault(node.journal(), &entry, *seq, place.dir())?, out.clone())
        }
    };
    let Some(made) = made else {
        return Err(CliError::Refusal(
            "there is nothing to prove: no contradiction was found that is signed".to_owned(),
        ));
    };
    let bytes = evidence::write(&out, &made)?;
    print.record(describe(&made).with("file", out.display().to_string()).with("bytes", bytes));
    Ok(Exit::Done)
}

fn show(path: &Path, print: &Printer) -> Result<Exit, CliError> {
    let evidence = evidence::read(path)?.map_err(|error| CliError::Refusal(format!("{}: {error}", path.display())))?;
    print.record(describe(&evidence));
    Ok(Exit::Done)
}

pub(super) fn verify(path: &Path, key: &str, engine: EngineChoice, print: &Printer) -> Result<Exit, CliError> {
    let key = parse_key(key)?;
    let evidence = evidence::read(path)?.map_err(|error| CliError::Refusal(format!("{}: {error}", path.display())))?;
    let record = Record::new().with("evidence", evidence.kind()).with("key", key.to_string());
    let (record, exit) = match evidence::verify(&evidence, &key, engine)? {
        Finding::Holds(what) => (record.with("finding", "holds").with("what", what), Exit::Done),
        Finding::DoesNotHold(why) => {
            (record.with("finding", "does not hold").with("why", why.to_string()), Exit::Refused)
        }
        Finding::Incomparable(missing) => {
            (record.with("finding", "incomparable").with("missing", missing.to_string()), Exit::Incomparable)
        }
    };
    print.record(record);
    Ok(exit)
}

fn describe(evidence: &Evidence) -> Record {
    let ledger = evidence.ledger().map_or_else(|error| error.to_string(), |ledger| ledger.to_string());
    let record = Record::new().with("evidence", evidence.kind()).with("ledger id", ledger);
    let size = |head: &SignedHead| head.size().map_or_else(|error| error.to_string(), |size| size.to_string());
    match evidence {
        Evidence::Equivocation(both) => record
            .with("sequence number", both.first.body.seq)
            .with("signer", both.first.signer.to_string())
            .with("leaf hashes", vec![both.first.body.leaf.to_string(), both.second.body.leaf.to_string()])
            .with("log roots", vec![both.first.body.log_root.to_string(), both.second.body.log_root.to_string()]),
        Evidence::Fork(fork) => record
            .with("log sizes", vec![size(&fork.first), size(&fork.second)])
            .with("differ at", fork.at.as_ref().map(|at| at.seq)),
        Evidence::ExecutionFault(fault) => record
            .with("receipt bytes", fault.receipt.len())
            .with("packages", fault.packages.iter().map(|p| p.manifest.digest().to_string()).collect::<Vec<_>>()),
    }
}
