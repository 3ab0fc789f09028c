//! Evidence: made from bundles or from a journal, kept in a file, and verified with the public key alone.

mod make;

pub use self::make::{equivocation, execution_fault, fork};

use crate::{
    bundles::{BundleExecutors, BundleFileError, hangs_on_the_size_of_the_state},
    engine::{EngineProfile, on_engine_thread, record_reads},
    node::EngineChoice,
    runner::{RunError, Runner},
};
use reprise_receipts::{
    Missing, PublicKey, StateTrie,
    evidence::{EVIDENCE_BYTES_MAX, Evidence, EvidenceError, ExecutionFault, OpenFault},
    system::reads::{before_step, of_step},
    witness::{Read, covers},
};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
};

/// What verification says of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The holder of the key signed something wrong: what, in a sentence.
    Holds(String),
    /// Nothing is proved.
    DoesNotHold(Refutation),
    /// It cannot be told on this machine.
    Incomparable(Missing),
}

/// Why evidence proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refutation {
    /// A signature or proof in it does not hold, or its parts do not belong together.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The step gives the very receipt that is signed.
    #[error("the step gives the receipt that is signed")]
    SameReceipt,
}

/// Reads a file of evidence. Nothing is verified.
///
/// # Errors
/// [`BundleFileError::File`]; inside, what is wrong with its contents.
pub fn read(path: &Path) -> Result<Result<Evidence, EvidenceError>, BundleFileError> {
    let io = |error| BundleFileError::File { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(EVIDENCE_BYTES_MAX as u64 + 64).read_to_end(&mut bytes).map_err(io)?;
    Ok(Evidence::from_file(&bytes))
}

/// Writes evidence to a new file.
///
/// # Errors
/// [`BundleFileError`]: it is there already, or the disk refuses.
pub fn write(path: &Path, evidence: &Evidence) -> Result<u64, BundleFileError> {
    let io = |error| BundleFileError::File { path: path.to_owned(), error };
    let bytes = evidence.to_file();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(io)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
    Ok(bytes.len() as u64)
}

/// Whether the holder of `key` signed something wrong.
///
/// # Errors
/// [`BundleFileError`]: the step could not be executed here.
pub fn verify(evidence: &Evidence, key: &PublicKey, engine: EngineChoice) -> Result<Finding, BundleFileError> {
    let checked = match evidence {
        Evidence::Equivocation(equivocation) => equivocation.verify(key).map(|()| {
            let body = &equivocation.first.body;
            format!("{key} signed two receipts or logs at sequence number {} of ledger {}", body.seq, body.ledger)
        }),
        Evidence::Fork(fork) => fork.verify(key).map(|()| {
            let at = fork.at.as_ref().map_or_else(String::new, |at| format!(", which differ at receipt {}", at.seq));
            format!("{key} signed two logs of one ledger{at}: neither is the beginning of the other")
        }),
        Evidence::ExecutionFault(fault) => return verify_fault(fault, key, engine),
    };
    Ok(match checked {
        Ok(what) => Finding::Holds(what),
        Err(error) => Finding::DoesNotHold(error.into()),
    })
}

fn verify_fault(fault: &ExecutionFault, key: &PublicKey, engine: EngineChoice) -> Result<Finding, BundleFileError> {
    let open = match fault.open(key) {
        Ok(open) => open,
        Err(error) => return Ok(Finding::DoesNotHold(error.into())),
    };
    let seq = open.receipt.seq;
    if open.begins_elsewhere {
        let what =
            format!("{key} signed receipt {seq}, which does not begin with the state that the one before ends with");
        return Ok(Finding::Holds(what));
    }
    let (needed, at_hand) = (open.receipt.engine_profile, EngineProfile::current().digest());
    if needed != at_hand {
        return Ok(Finding::Incomparable(Missing::EngineProfile { seq, needed, at_hand }));
    }
    let key = *key;
    let thread = on_engine_thread("reprise-evidence", move || redo(open, &key, engine));
    let done = thread.map_err(|_| BundleFileError::Thread)?.join().map_err(|_| BundleFileError::Thread)?;
    done.map_err(|error| BundleFileError::Run { seq, error })
}

fn shows(state: &StateTrie, reads: &[Read]) -> bool {
    covers(state, reads).is_ok()
}

/// Does the step again. Nothing is concluded from what the witness does not show.
fn redo(open: OpenFault, key: &PublicKey, engine: EngineChoice) -> Result<Finding, RunError> {
    let OpenFault { mut head, receipt, input, packages, .. } = open;
    let seq = receipt.seq;
    let missing = |kind| Ok(Finding::Incomparable(Missing::Record { kind, seq }));
    if !shows(head.state(), &before_step(&head, &input.event)) {
        return missing("part of the state");
    }
    let work = match head.prepare(&input) {
        Ok(work) => work,
        Err(error) => {
            return Ok(Finding::Holds(format!("{key} signed receipt {seq}, whose input cannot be the next: {error}")));
        }
    };
    let mut runner = Runner::new(Box::new(BundleExecutors::new(engine, packages.into_iter().collect(), 1)));
    let (executed, reads) = record_reads(|| runner.run(&mut head, &input, &work));
    let mut executed = match executed {
        Ok(executed) => executed,
        Err(RunError::Missing(missing)) => return Ok(Finding::Incomparable(missing)),
        Err(error) => return Err(error),
    };
    let own = of_step(head.state(), &input, &work, &executed);
    if !shows(head.state(), &reads) || !shows(head.state(), &own) {
        return missing("part of the state");
    }
    if hangs_on_the_size_of_the_state(&receipt, &executed) {
        return missing("size of the state");
    }
    if !engine.charges_fuel() {
        executed.fuel = receipt.fuel;
    }
    let sealed = head.seal(&input, &work, executed).receipt;
    if sealed == receipt {
        return Ok(Finding::DoesNotHold(Refutation::SameReceipt));
    }
    Ok(Finding::Holds(format!(
        "{key} signed receipt {seq} with state {} after it; the step gives state {}",
        receipt.next_state, sealed.next_state
    )))
}
