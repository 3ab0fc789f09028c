//! What members have made final, against the log that was verified.
//!
//! A mark that a node keeps is a promise of several members that these receipts do not change any more. So a log that is
//! not the one they signed is divergent, whoever changed it and for whatever reason: lost, damaged, or taken back by a
//! rollback. One that is shorter is as well: receipts are missing that were final.

use super::{Found, diverges};
use crate::journal::{
    Journal, JournalError, KeptMark, LedgerEntry, LedgerNo, LedgerReader, Quarantined, QuarantinedKind, Rewind,
};
use reprise_abi::decode_canonical;
use reprise_receipts::{FinalMark, LeafHash, Missing, Receipt, Verdict, log::LogTail, verdict::Claim};
use std::ops::Range;

/// The receipts that were verified, with their leaf hashes, and the log before them if it is known.
pub(super) struct Verified<'a> {
    pub(super) range: &'a Range<u64>,
    pub(super) leaves: &'a [LeafHash],
    pub(super) log: Option<LogTail>,
}

/// The mark of the ledger, if there is one, holds, and the log is the one that it speaks of.
pub(super) fn check(
    journal: &Journal,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    verified: Verified<'_>,
) -> Result<Found<()>, JournalError> {
    let size = reader.size()?;
    let kept = match journal.final_mark(entry.no) {
        Ok(Some(kept)) => kept,
        Ok(None) => return Ok(Ok(())),
        Err(JournalError::Damaged { reason, .. }) => {
            return Ok(Err(diverges(size.saturating_sub(1), Claim::FinalMark, "a record that holds", reason)));
        }
        Err(error) => return Err(error),
    };
    if let Err(verdict) = is_signed(&kept, entry) {
        return Ok(Err(verdict));
    }
    let (mark, place) = (&kept.mark, kept.mark.receipt.seq);
    if place >= size {
        let expected = format!("{} receipts, which are final", mark.size());
        return Ok(Err(taken_back(journal, entry, mark, size, expected, format!("{size} receipts"))));
    }
    let here = match leaf_at(reader, &verified, place)? {
        Ok(Some(leaf)) => leaf,
        // Before the place where the ledger begins on this node.
        Ok(None) => return Ok(Ok(())),
        Err(verdict) => return Ok(Err(verdict)),
    };
    if here != mark.leaf() {
        let (expected, found) = (format!("leaf hash {}, which is final", mark.leaf()), format!("leaf hash {here}"));
        return Ok(Err(taken_back(journal, entry, mark, place, expected, found)));
    }
    Ok(root_holds(mark, verified))
}

/// Signatures that hold, of as many voters as were needed.
fn is_signed(kept: &KeptMark, entry: &LedgerEntry) -> Found<()> {
    let (mark, place) = (&kept.mark, kept.mark.receipt.seq);
    if mark.ledger() != entry.id {
        return Err(diverges(place, Claim::FinalMark, entry.id, mark.ledger()));
    }
    mark.verify().map_err(|error| diverges(place, Claim::FinalMark, "signatures that hold", error))?;
    let Some(electorate) = &kept.electorate else { return Ok(()) };
    let (votes, needed) = (electorate.votes(mark), electorate.needed());
    if votes >= needed {
        return Ok(());
    }
    let expected = format!("{needed} votes of {} members", electorate.voters.len());
    Err(diverges(place, Claim::FinalMark, expected, votes))
}

/// The leaf hash of the receipt at `place`, which the ledger has: a verified one, or one that leads there from the end of
/// the range.
fn leaf_at(
    reader: &LedgerReader,
    verified: &Verified<'_>,
    place: u64,
) -> Result<Found<Option<LeafHash>>, JournalError> {
    let Verified { range, leaves, .. } = verified;
    let stored = |seq| -> Result<Option<Vec<u8>>, JournalError> { reader.receipt(seq) };
    if range.contains(&place) {
        return Ok(Ok(Some(leaves[usize::try_from(place - range.start).expect("the range is in memory")])));
    }
    let (Some(last), true) = (leaves.last(), place >= range.end) else {
        return Ok(Ok(stored(place)?.map(|bytes| LeafHash::of(&bytes))));
    };
    let mut leaf = *last;
    for at in range.end..=place {
        let Some(bytes) = stored(at)? else {
            return Ok(Err(Verdict::Incomparable(Missing::Record { kind: "receipt", seq: at })));
        };
        match decode_canonical::<Receipt>(&bytes) {
            Ok(receipt) if receipt.previous == leaf => leaf = LeafHash::of(&bytes),
            Ok(receipt) => return Ok(Err(diverges(at, Claim::Chain, leaf, receipt.previous))),
            Err(error) => return Ok(Err(diverges(at, Claim::ReceiptBytes, "a receipt", error))),
        }
    }
    Ok(Ok(Some(leaf)))
}

/// The root that was signed is the one that the verified leaves give, as far as the log before them is known.
fn root_holds(mark: &FinalMark, verified: Verified<'_>) -> Found<()> {
    let Verified { range, leaves, log: Some(mut log) } = verified else { return Ok(()) };
    if !range.contains(&mark.receipt.seq) {
        return Ok(());
    }
    let new = usize::try_from(mark.size() - log.size()).expect("the range is in memory");
    leaves[..new].iter().for_each(|leaf| log.append(*leaf));
    if log.root() == mark.log_root {
        return Ok(());
    }
    Err(diverges(mark.receipt.seq, Claim::FinalMark, log.root(), mark.log_root))
}

/// The ledger is not what was final, at the latest from `place` on; or earlier, where a rollback took it back.
fn taken_back(
    journal: &Journal,
    entry: &LedgerEntry,
    mark: &FinalMark,
    place: u64,
    expected: String,
    found: String,
) -> Verdict {
    match rollback_below(journal, entry.no, mark) {
        Some(rollback) => {
            let found = format!("{found}: a rollback to {} receipts is on record: {}", rollback.size, rollback.reason);
            diverges(rollback.size.min(place), Claim::FinalMark, expected, found)
        }
        None => diverges(place, Claim::FinalMark, expected, found),
    }
}

/// The rollback that cut off what was final, or a later one that went back further. What is damaged or was dropped from
/// quarantine explains nothing.
fn rollback_below(journal: &Journal, no: LedgerNo, mark: &FinalMark) -> Option<Rewind> {
    let rewinds = journal.rewinds(no).unwrap_or_default();
    let first = rewinds.iter().position(|rewind| cut_off(journal, no, rewind, mark))?;
    let below = rewinds.into_iter().skip(first).filter(|rewind| rewind.size < mark.size());
    below.min_by_key(|rewind| rewind.size)
}

/// The last receipt that was final is among those that a rollback cut off.
fn cut_off(journal: &Journal, no: LedgerNo, rewind: &Rewind, mark: &FinalMark) -> bool {
    let place = mark.receipt.seq;
    let is_last = |record: &Quarantined| {
        (record.kind, record.seq) == (QuarantinedKind::Receipt, place) && LeafHash::of(&record.bytes) == mark.leaf()
    };
    (rewind.size..rewind.old_size).contains(&place)
        && journal.quarantined(no, rewind.case).is_ok_and(|records| records.iter().any(is_last))
}
