//! Final marks on their way through bundles: what goes out holds of the log that is here, what is kept holds as well.

use super::BundleFileError;
use crate::journal::{Journal, JournalError, KeptMark, LedgerEntry, LedgerReader};
use reprise_abi::encode;
use reprise_receipts::{
    FinalMark,
    bundle::{BundleMark, LogEdge, Trust},
};

/// The mark of a ledger for a bundle that ends before receipt `end`. `None`: there is none, or the ledger is not the one
/// that was signed any more, or the log before it is not here to prove that the two are one.
pub(super) fn find(
    journal: &Journal,
    entry: &LedgerEntry,
    reader: &LedgerReader,
    end: u64,
) -> Result<Option<BundleMark>, BundleFileError> {
    let Some(KeptMark { mark, .. }) = journal.final_mark(entry.no)? else { return Ok(None) };
    if !stands(reader, &mark)? {
        tracing::warn!(size = mark.size(), "the final mark is not of this log: it is left out; run `reprise verify`");
        return Ok(None);
    }
    Ok(BundleMark::of(mark, end, reader).ok())
}

/// Keeps the mark that came with a bundle, if those who are trusted vouch for it and the log that it speaks of is here.
/// Answers with its receipts.
pub(super) fn keep(
    journal: &Journal,
    entry: &LedgerEntry,
    mark: Option<&FinalMark>,
    trust: &Trust,
) -> Result<Option<u64>, BundleFileError> {
    let Some(mark) = mark.filter(|mark| mark.vouched(trust).is_ok()) else { return Ok(None) };
    if !stands(&journal.read(entry.no)?, mark)? {
        return Ok(None);
    }
    journal.put_final_mark(entry.no, &KeptMark { mark: mark.clone(), electorate: None })?;
    Ok(Some(mark.size()))
}

/// The log that was signed is the beginning of the one that is here.
fn stands(reader: &LedgerReader, mark: &FinalMark) -> Result<bool, JournalError> {
    if mark.size() > reader.size()? {
        return Ok(false);
    }
    let last = reader.receipt(mark.receipt.seq)?;
    let same = last.is_some_and(|bytes| bytes == encode(&mark.receipt));
    let root = LogEdge::of(mark.size(), reader).map(|edge| edge.root());
    Ok(same && root == Ok(mark.log_root))
}
