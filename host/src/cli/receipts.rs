//! `reprise receipts`: the timeline, one receipt in full, and its proof.

use super::{
    args::ReceiptsCommand,
    error::{CliError, Exit},
    log,
    place::Place,
    report::{Printer, Record},
    text,
};
use crate::{
    journal::{JournalError, LedgerEntry, LedgerReader, RecordKind},
    node::{Access, Node},
};
use reprise_abi::{Canonical, Change, Input, Outcome, decode_canonical};
use reprise_receipts::{Attestation, LeafHash, Receipt, StepRecord, log::prove_inclusion};
use serde_json::Value;

/// Receipts that `list` shows when no range is given.
const LAST_SHOWN: u64 = 20;

pub(crate) fn run(command: &ReceiptsCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let open = || place.open(Access::Read);
    match command {
        ReceiptsCommand::List { ledger, range } => {
            let node = open()?;
            list(&node, &node.find_ledger(ledger)?, range.as_deref(), print)
        }
        ReceiptsCommand::Show { ledger, seq } => {
            let node = open()?;
            show(&node, &node.find_ledger(ledger)?, *seq, print)
        }
        ReceiptsCommand::Prove { ledger, seq, out } => log::prove(place, ledger, *seq, out, print),
        ReceiptsCommand::CheckProof(options) => log::check_proof(options, print),
    }
}

fn list(node: &Node, entry: &LedgerEntry, range: Option<&str>, print: &Printer) -> Result<Exit, CliError> {
    let reader = node.journal().read(entry.no)?;
    let size = reader.size()?;
    let range = match range {
        Some(text) => text::parse_range(text, size)?,
        None => size.saturating_sub(LAST_SHOWN).max(first_step(&reader))..size,
    };
    if !range.is_empty() {
        is_here(&reader, range.start)?;
    }
    let mut rows = Vec::new();
    for seq in range {
        let step = Step::read(&reader, seq)?;
        rows.push(step.row());
    }
    print.rows(rows);
    Ok(Exit::Done)
}

pub(crate) fn show(node: &Node, entry: &LedgerEntry, seq: u64, print: &Printer) -> Result<Exit, CliError> {
    let reader = node.journal().read(entry.no)?;
    let size = reader.size()?;
    if seq >= size {
        return Err(CliError::Usage(format!("there is no receipt {seq}: the ledger has receipts 0..{size}")));
    }
    is_here(&reader, seq)?;
    let step = Step::read(&reader, seq)?;
    print.record(attested(step.record(), &reader, entry, &step)?);
    Ok(Exit::Done)
}

/// The step has not left the journal, and was never elsewhere only.
///
/// # Errors
/// [`CliError::Refusal`] says how it comes here.
pub(super) fn is_here(reader: &LedgerReader, seq: u64) -> Result<(), CliError> {
    let first = first_step(reader);
    if seq >= first {
        return Ok(());
    }
    Err(CliError::Refusal(format!(
        "receipt {seq} is not on this node, where the ledger begins with {first}: `reprise archive hydrate` brings steps \
         back from an archive"
    )))
}

fn first_step(reader: &LedgerReader) -> u64 {
    reader.base().map_or(0, |base| base.size)
}

/// A step as it is stored, decoded.
pub(crate) struct Step {
    receipt: Receipt,
    leaf: LeafHash,
    input: Input,
    record: StepRecord,
}

impl Step {
    pub(crate) fn read(reader: &LedgerReader, seq: u64) -> Result<Self, JournalError> {
        let receipt = present(reader.receipt(seq)?, "receipt", seq)?;
        Ok(Self {
            leaf: LeafHash::of(&receipt),
            receipt: decode(&receipt, seq)?,
            input: decode(&present(reader.input(seq)?, "input", seq)?, seq)?,
            record: decode(&present(reader.record(seq)?, "step record", seq)?, seq)?,
        })
    }

    /// One line of the timeline.
    pub(crate) fn row(&self) -> Record {
        Record::new()
            .with("seq", self.receipt.seq)
            .with("logical time", text::time(self.receipt.logical_time_ms))
            .with("source", self.input.event.source.clone())
            .with("kind", self.input.event.kind.clone())
            .with("outcome", outcome(&self.record.output.outcome))
            .with("changes", self.record.diff.changes().len())
            .with("effects", self.record.output.effects.len())
            .with("state root", text::digest(self.receipt.next_state))
    }

    /// The policy told the outside world to do something.
    pub(crate) fn has_effects(&self) -> bool {
        !self.record.output.effects.is_empty()
    }

    /// One line of a timeline in prose.
    pub(crate) fn line(&self) -> String {
        let effects: Vec<_> = self.record.output.effects.iter().map(|effect| effect.idempotency_key.as_str()).collect();
        format!(
            "{}  receipt {:<5} {} from {}: {}",
            text::time(self.receipt.logical_time_ms),
            self.receipt.seq,
            self.input.event.kind,
            self.input.event.source,
            effects.join(", ")
        )
    }

    fn record(&self) -> Record {
        let receipt = &self.receipt;
        let changes = self.record.diff.changes().iter().map(change).collect::<Vec<_>>();
        let effect = |effect: &reprise_abi::Effect| {
            Value::from(
                Record::new()
                    .with("driver", effect.driver.clone())
                    .with("idempotency key", effect.idempotency_key.clone())
                    .with("deadline", text::time(effect.deadline_ms))
                    .with("payload", text::bytes(&effect.payload)),
            )
        };
        Record::new()
            .with("seq", receipt.seq)
            .with("ledger", receipt.ledger.to_string())
            .with("epoch", receipt.epoch)
            .with("protocol epoch", receipt.protocol_epoch)
            .with("logical time", text::time(receipt.logical_time_ms))
            .with("source", self.input.event.source.clone())
            .with("id", self.input.event.id.clone())
            .with("kind", self.input.event.kind.clone())
            .with("payload", text::bytes(&self.input.event.payload))
            .with("outcome", outcome(&self.record.output.outcome))
            .with("answer", answer(&self.record.output.outcome))
            .with("fuel", receipt.fuel)
            .with("package", receipt.package.to_string())
            .with("engine profile", receipt.engine_profile.to_string())
            .with("input digest", receipt.input.to_string())
            .with("prior state root", receipt.prior_state.to_string())
            .with("next state root", receipt.next_state.to_string())
            .with("diff digest", receipt.diff.to_string())
            .with("execution root", receipt.execution.to_string())
            .with("output digest", receipt.output.to_string())
            .with("previous leaf hash", receipt.previous.to_string())
            .with("leaf hash", self.leaf.to_string())
            .with("changes", changes)
            .with("effects", self.record.output.effects.iter().map(effect).collect::<Vec<_>>())
    }
}

/// Adds the attestation that covers a receipt, checked, and the receipt's place in the log that it signs.
fn attested(record: Record, reader: &LedgerReader, entry: &LedgerEntry, step: &Step) -> Result<Record, CliError> {
    let seq = step.receipt.seq;
    let Some(filed) = reader.attestations(seq..u64::MAX)?.next() else {
        return Ok(record.with("attestation", Value::Null));
    };
    let (at, bytes) = filed?;
    let attestation: Attestation =
        decode_canonical(&bytes).map_err(|error| JournalError::damaged(RecordKind::Attestation, at, error))?;
    let body = &attestation.body;
    let signature = match reader.attesters(&entry.genesis)?.verify(&attestation) {
        Ok(()) => "holds".to_owned(),
        Err(error) => error.to_string(),
    };
    let (included, hashes) = match prove_inclusion(reader, body.seq + 1, seq) {
        Ok(proof) => {
            let verified = proof.verify(&body.log_root, body.seq + 1, seq, &step.leaf);
            let included = verified.map_or_else(|error| error.to_string(), |()| "holds".to_owned());
            (included, proof.hashes().iter().map(|hash| text::hex(hash)).collect::<Vec<_>>())
        }
        Err(error) => (error.to_string(), Vec::new()),
    };
    Ok(record
        .with("attested by", attestation.signer.to_string())
        .with("attestation over receipts up to", body.seq)
        .with("signature", signature)
        .with("log root", body.log_root.to_string())
        .with("inclusion in the log", included)
        .with("inclusion proof", hashes))
}

/// An outcome in a few words.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let class = outcome.class().name();
    match outcome {
        Outcome::Accepted { .. } | Outcome::OutOfFuel => class.to_owned(),
        Outcome::Rejected(rejection) => format!("{class} {}: {}", rejection.code, rejection.detail),
        Outcome::Trapped(kind) => format!("{class}: {kind:?}"),
        Outcome::LimitExceeded(kind) => format!("{class}: {kind:?}"),
        Outcome::InvariantViolated(violation) => format!("{class} {}: {}", violation.invariant, violation.detail),
    }
}

/// What the policy answered.
pub(crate) fn answer(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted { answer } if !answer.is_empty() => Some(text::bytes(answer)),
        _ => None,
    }
}

/// One changed key.
pub(crate) fn change(change: &Change) -> Value {
    let value = |value: &Option<Vec<u8>>| value.as_deref().map(text::bytes);
    let record = Record::new().with("key", text::state_key(&change.key));
    record.with("before", value(&change.before)).with("after", value(&change.after)).into()
}

fn present(bytes: Option<Vec<u8>>, kind: &'static str, seq: u64) -> Result<Vec<u8>, JournalError> {
    bytes.ok_or_else(|| JournalError::damaged(RecordKind::Receipt, seq, format!("its {kind} record is missing")))
}

fn decode<T: Canonical>(bytes: &[u8], seq: u64) -> Result<T, JournalError> {
    decode_canonical(bytes).map_err(|error| JournalError::damaged(RecordKind::Receipt, seq, error))
}
