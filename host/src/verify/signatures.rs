//! Attestations over a range: every signature, every leaf and log root they name, and how far they reach.

use super::{Found, diverges};
use crate::journal::{JournalError, LedgerEntry, LedgerReader};
use reprise_abi::decode_canonical;
use reprise_receipts::{Attestation, LeafHash, Missing, Receipt, Verdict, log::LogTail, verdict::Claim};
use std::ops::Range;

/// Checks every attestation over receipts of the range, and finds the first that covers its end.
///
/// An attestation over a later receipt covers the range too, through the chain of leaf hashes between them.
pub(super) fn check(
    reader: &LedgerReader,
    entry: &LedgerEntry,
    range: &Range<u64>,
    leaves: &[LeafHash],
) -> Result<Found<Option<u64>>, JournalError> {
    let mut log = (range.start == 0).then(LogTail::default);
    let mut logged = leaves.iter();
    let mut attested = None;
    for filed in reader.attestations(range.clone())? {
        let (seq, bytes) = filed?;
        let attestation = match open(entry, seq, &bytes) {
            Ok(attestation) => attestation,
            Err(verdict) => return Ok(Err(verdict)),
        };
        let leaf = leaves[usize::try_from(seq - range.start).expect("the range is in memory")];
        if attestation.body.leaf != leaf {
            return Ok(Err(diverges(seq, Claim::Attestation, leaf, attestation.body.leaf)));
        }
        if let Some(log) = &mut log {
            while log.size() <= seq {
                log.append(*logged.next().expect("the attestation is in the range"));
            }
            if log.root() != attestation.body.log_root {
                return Ok(Err(diverges(seq, Claim::Attestation, log.root(), attestation.body.log_root)));
            }
        }
        attested = Some(seq);
    }
    let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else { return Ok(Ok(attested)) };
    if attested == Some(last) {
        return Ok(Ok(attested));
    }
    let covered = covered_by_a_later_one(reader, entry, last, leaves[leaves.len() - 1])?;
    Ok(covered.map(|covered| if covered { Some(last) } else { attested }))
}

fn open(entry: &LedgerEntry, seq: u64, bytes: &[u8]) -> Found<Attestation> {
    let attestation: Attestation =
        decode_canonical(bytes).map_err(|error| diverges(seq, Claim::Attestation, "an attestation", error))?;
    attestation
        .verify(&entry.genesis.attester)
        .map_err(|error| diverges(seq, Claim::Attestation, "a signature of the ledger's attester", error))?;
    let body = &attestation.body;
    if body.ledger != entry.id || body.seq != seq {
        let found = format!("over receipt {} of ledger {}", body.seq, body.ledger);
        return Err(diverges(seq, Claim::Attestation, format!("over receipt {seq} of ledger {}", entry.id), found));
    }
    Ok(attestation)
}

fn covered_by_a_later_one(
    reader: &LedgerReader,
    entry: &LedgerEntry,
    last: u64,
    mut leaf: LeafHash,
) -> Result<Found<bool>, JournalError> {
    let Some(filed) = reader.attestations(last + 1..u64::MAX)?.next() else { return Ok(Ok(false)) };
    let (seq, bytes) = filed?;
    let attestation = match open(entry, seq, &bytes) {
        Ok(attestation) => attestation,
        Err(verdict) => return Ok(Err(verdict)),
    };
    for at in last + 1..=seq {
        let Some(bytes) = reader.receipt(at)? else {
            return Ok(Err(Verdict::Incomparable(Missing::Record { kind: "receipt", seq: at })));
        };
        match decode_canonical::<Receipt>(&bytes) {
            Ok(receipt) if receipt.previous == leaf => leaf = LeafHash::of(&bytes),
            Ok(receipt) => return Ok(Err(diverges(at, Claim::Chain, leaf, receipt.previous))),
            Err(error) => return Ok(Err(diverges(at, Claim::ReceiptBytes, "a receipt", error))),
        }
    }
    if attestation.body.leaf == leaf {
        return Ok(Ok(true));
    }
    Ok(Err(diverges(seq, Claim::Attestation, leaf, attestation.body.leaf)))
}
