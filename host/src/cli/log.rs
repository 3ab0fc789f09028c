//! What other tools read of a log: `reprise log`, and the proof files of `reprise receipts prove` and `check-proof`.

use super::{
    archive::{self as archive_command, policy},
    args::{CheckProofOptions, LogCommand},
    bundle,
    error::{CliError, Exit},
    place::Place,
    receipts,
    report::{Printer, Record},
};
use crate::{
    archive::{self, Contents},
    journal::{JournalError, LedgerEntry, RecordKind},
    node::{Access, Node, read_bounded},
};
use reprise_abi::{decode_canonical, limits::RECEIPT_BYTES_MAX};
use reprise_receipts::{
    Receipt,
    checkpoint::{Checkpoint, SignedCheckpoint},
    log::{LogError, PROOF_FILE_BYTES_MAX, ProofFile, ProofFileError, prove_inclusion},
    trust_policy::TrustPolicy,
};
use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    path::Path,
};

pub(crate) fn run(command: &LogCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        LogCommand::ServeDir { ledger, out, to } => {
            archive_command::write(place, ledger, out, *to, Contents::Receipts, print)
        }
    }
}

/// `reprise receipts prove`: a proof file over the newest signed checkpoint.
pub(crate) fn prove(place: &Place<'_>, ledger: &str, seq: u64, out: &Path, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(ledger)?;
    let reader = node.journal().read(entry.no)?;
    let size = reader.size()?;
    if seq >= size {
        return Err(CliError::Usage(format!("there is no receipt {seq}: the ledger has receipts 0..{size}")));
    }
    receipts::is_here(&reader, seq)?;
    let missing = || JournalError::damaged(RecordKind::Receipt, seq, "it is missing");
    let receipt = reader.receipt(seq)?.ok_or_else(missing)?;
    let checkpoint = newest_checkpoint(&node, &entry, size)?;
    let covered = checkpoint.checkpoint().size;
    let inclusion = prove_inclusion(&reader, covered, seq).map_err(|error| CliError::Refusal(unproved(error)))?;
    let proof = ProofFile { extra: Some(receipt.clone()), seq, inclusion, checkpoint };
    let attester = *reader.attesters(&entry.genesis)?.of_log(covered);
    let verified = proof.verify(&receipt, &TrustPolicy::of_attester(entry.id, attester));
    verified.map_err(|error| CliError::Refusal(format!("{error}: run `reprise doctor`")))?;
    write_new(out, proof.to_text().as_bytes()).map_err(|error| file_error(out, error))?;
    print.record(
        describe(&proof)
            .with("file", out.display().to_string())
            .with("note key", Checkpoint::note_key(entry.id, attester).to_string()),
    );
    Ok(Exit::Done)
}

/// `reprise receipts check-proof`: needs no node.
pub(crate) fn check_proof(options: &CheckProofOptions, print: &Printer) -> Result<Exit, CliError> {
    options.trust.only_key()?;
    let trust = bundle::trust(&options.trust)?;
    let file = read_bounded(&options.file, PROOF_FILE_BYTES_MAX as u64)?;
    let refused = |error: ProofFileError| CliError::Refusal(format!("{}: {error}", options.file.display()));
    let proof = ProofFile::parse(&file).map_err(refused)?;
    let given = options.receipt.as_deref().map(|path| read_bounded(path, RECEIPT_BYTES_MAX as u64)).transpose()?;
    let receipt = given.or_else(|| proof.extra.clone()).ok_or_else(|| {
        CliError::Usage("the proof file has no receipt in it: give the encoded receipt with --receipt".to_owned())
    })?;
    let policy = policy(trust, proof.checkpoint.checkpoint().ledger);
    proof.verify(&receipt, &policy).map_err(refused)?;
    let decoded: Receipt = decode_canonical(&receipt).map_err(|error| CliError::Refusal(error.to_string()))?;
    if (decoded.ledger, decoded.seq) != (proof.checkpoint.checkpoint().ledger, proof.seq) {
        return Err(CliError::Refusal("the log holds the receipt, but it is of another place or ledger".to_owned()));
    }
    let record = describe(&proof).with("proof", "holds");
    print.record(record.with("next state root", decoded.next_state.to_string()));
    Ok(Exit::Done)
}

/// Over the whole log if it is there or can be signed here, or else the newest one that is kept.
fn newest_checkpoint(node: &Node, entry: &LedgerEntry, size: u64) -> Result<SignedCheckpoint, CliError> {
    let attester = node.attester().ok();
    let whole = archive::checkpoint_of(node.journal(), entry, size, attester.as_ref());
    match whole {
        Err(archive::ArchiveError::NoSigner { .. }) => {
            let newest = node.journal().checkpoints(entry.no)?.pop();
            newest.map(|newest| newest.note).ok_or_else(|| archive::ArchiveError::NoSigner { size }.into())
        }
        whole => Ok(whole?),
    }
}

fn unproved(error: LogError) -> String {
    match error {
        LogError::MissingTile { .. } => {
            format!("{error}: it may have left the journal; `reprise archive hydrate` brings it back")
        }
        LogError::BeyondEnd { .. } => format!("{error}: make a checkpoint with `reprise checkpoint create`"),
        error => error.to_string(),
    }
}

fn describe(proof: &ProofFile) -> Record {
    let checkpoint = proof.checkpoint.checkpoint();
    Record::new()
        .with("ledger id", checkpoint.ledger.to_string())
        .with("receipt", proof.seq)
        .with("checkpoint over", checkpoint.size)
        .with("log root", checkpoint.log_root.to_string())
        .with("hashes", proof.inclusion.hashes().len())
}

/// Writes a new file; one that is there is never overwritten.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all())
}

fn file_error(path: &Path, error: io::Error) -> CliError {
    if error.kind() == ErrorKind::AlreadyExists {
        return CliError::Refusal(format!("{} is there already: choose another name", path.display()));
    }
    CliError::File { path: path.to_owned(), error }
}
