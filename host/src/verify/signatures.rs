//! Attestations over a range: every signature, every leaf and log root they name, and how far they reach.
//!
//! A signature needs nothing but itself, so a batch of them is shared among threads. What they say is then held against
//! the leaves in order: the first that does not hold is the answer.

use super::{Found, diverges};
use crate::journal::{JournalError, LedgerEntry, LedgerReader};
use reprise_abi::decode_canonical;
use reprise_receipts::{Attestation, Attesters, LeafHash, Missing, Receipt, Verdict, log::LogTail, verdict::Claim};
use std::ops::Range;

/// Attestations that are in memory at once.
const BATCH: usize = 4_096;

/// A ledger, and who attests which of its receipts.
type Whose<'a> = (&'a LedgerEntry, &'a Attesters);

/// Checks every attestation over receipts of the range, and finds the first that covers its end.
///
/// An attestation over a later receipt covers the range too, through the chain of leaf hashes between them.
pub(super) fn check(
    reader: &LedgerReader,
    entry: &LedgerEntry,
    (range, log): (&Range<u64>, Option<LogTail>),
    leaves: &[LeafHash],
    jobs: usize,
) -> Result<Found<Option<u64>>, JournalError> {
    let attesters = reader.attesters(&entry.genesis)?;
    let mut held = Held::new(range, log, leaves);
    let mut filed = reader.attestations(range.clone())?;
    loop {
        let batch = filed.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
        if batch.is_empty() {
            break;
        }
        let opened = open_all((entry, &attesters), &batch, jobs);
        if let Err(verdict) = opened.into_iter().try_for_each(|attestation| held.hold(&attestation?)) {
            return Ok(Err(verdict));
        }
    }
    let attested = held.attested;
    let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else { return Ok(Ok(attested)) };
    if attested == Some(last) {
        return Ok(Ok(attested));
    }
    let covered = covered_by_a_later_one(reader, (entry, &attesters), last, leaves[leaves.len() - 1])?;
    Ok(covered.map(|covered| if covered { Some(last) } else { attested }))
}

/// Attestations held against the leaves of a range, in order.
struct Held<'a> {
    start: u64,
    leaves: &'a [LeafHash],
    /// The log up to the last attestation, if the log before the range is known.
    log: Option<LogTail>,
    attested: Option<u64>,
}

impl<'a> Held<'a> {
    fn new(range: &Range<u64>, log: Option<LogTail>, leaves: &'a [LeafHash]) -> Self {
        Self { start: range.start, leaves, log, attested: None }
    }

    fn hold(&mut self, attestation: &Attestation) -> Found<()> {
        let body = &attestation.body;
        let leaf = self.leaf(body.seq);
        if body.leaf != leaf {
            return Err(diverges(body.seq, Claim::Attestation, leaf, body.leaf));
        }
        if let Some(mut log) = self.log.take() {
            while log.size() <= body.seq {
                log.append(self.leaf(log.size()));
            }
            let root = log.root();
            self.log = Some(log);
            if root != body.log_root {
                return Err(diverges(body.seq, Claim::Attestation, root, body.log_root));
            }
        }
        self.attested = Some(body.seq);
        Ok(())
    }

    fn leaf(&self, seq: u64) -> LeafHash {
        self.leaves[usize::try_from(seq - self.start).expect("the range is in memory")]
    }
}

/// Opens a batch, a part of it on each thread; in the order of the batch.
fn open_all(whose: Whose<'_>, batch: &[(u64, Vec<u8>)], jobs: usize) -> Vec<Found<Attestation>> {
    let open_part =
        |part: &[(u64, Vec<u8>)]| -> Vec<_> { part.iter().map(|(seq, bytes)| open(whose, *seq, bytes)).collect() };
    if jobs <= 1 {
        return open_part(batch);
    }
    let parts = batch.chunks(batch.len().div_ceil(jobs));
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || open_part(part))).collect();
        let parts = threads.into_iter().map(|thread| thread.join().expect("opening an attestation does not panic"));
        parts.flatten().collect()
    })
}

fn open((entry, attesters): Whose<'_>, seq: u64, bytes: &[u8]) -> Found<Attestation> {
    let attestation: Attestation =
        decode_canonical(bytes).map_err(|error| diverges(seq, Claim::Attestation, "an attestation", error))?;
    attesters
        .verify_in(attesters.term_at(seq).epoch, &attestation)
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
    whose: Whose<'_>,
    last: u64,
    mut leaf: LeafHash,
) -> Result<Found<bool>, JournalError> {
    let Some(filed) = reader.attestations(last + 1..u64::MAX)?.next() else { return Ok(Ok(false)) };
    let (seq, bytes) = filed?;
    let attestation = match open(whose, seq, &bytes) {
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
