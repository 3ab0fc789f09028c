//! Quarantine: what was taken out of a ledger or replaced in it, kept for forensics and never used.
//!
//! Each case has a number within its ledger, a reason and a time. Its records lie beside it, byte for byte as they
//! were, under the kind and the number that they had.

use super::{
    Journal, JournalError, LedgerNo, RecordKind,
    error::from_redb,
    guarded::{guard, open_guarded, unguard},
};
use redb::{TableDefinition, WriteTransaction};
use reprise_abi::{Canonical, CodecError, encode, limits::DETAIL_BYTES_MAX};
use serde::{Deserialize, Serialize};

/// (ledger, case) to [`Case`], guarded.
pub(super) const QUARANTINE: TableDefinition<'static, (u32, u32), &[u8]> = TableDefinition::new("quarantine");
/// (ledger, case, kind, number) to a record, guarded.
pub(super) const QUARANTINED: TableDefinition<'static, (u32, u32, u8, u64), &[u8]> =
    TableDefinition::new("quarantined");

/// Number of a case within its ledger.
pub type CaseNo = u32;

/// Kind of a record in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum QuarantinedKind {
    /// An encoded input.
    Input,
    /// An encoded receipt.
    Receipt,
    /// An encoded step record.
    StepRecord,
    /// An encoded attestation.
    Attestation,
    /// An encoded checkpoint record.
    Checkpoint,
    /// A checkpoint's signed note.
    Note,
    /// A whole row of steps whose lengths do not add up.
    Row,
    /// Any other record; the case says which.
    Other,
}

/// Why records were put into quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseKind {
    /// A rollback cut them off.
    CutOff,
    /// They were damaged, and were replaced by what other material proves.
    Damaged,
}

/// A case of quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Why.
    pub kind: CaseKind,
    /// For people; at most 1 KiB.
    pub reason: String,
    /// The node's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// First sequence number of what was cut off or damaged.
    pub from: u64,
    /// End of it, not included.
    pub to: u64,
}

impl Canonical for Case {
    const KIND: &'static str = "quarantine case";
    const BYTES_MAX: usize = DETAIL_BYTES_MAX + 64;

    fn validate(&self) -> Result<(), CodecError> {
        if self.from <= self.to && self.reason.len() <= DETAIL_BYTES_MAX {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "a range, and a reason of at most 1 KiB" })
    }
}

/// A record in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// What it is.
    pub kind: QuarantinedKind,
    /// Which one: a sequence number, or the size of a checkpoint.
    pub seq: u64,
    /// Its bytes, as they were.
    pub bytes: Vec<u8>,
}

impl Case {
    /// A case with a reason that is cut to its bound.
    #[must_use]
    pub fn new(kind: CaseKind, reason: &str, at_ms: u64, range: std::ops::Range<u64>) -> Self {
        let reason = reason[..reason.floor_char_boundary(DETAIL_BYTES_MAX)].to_owned();
        Self { kind, reason, at_ms, from: range.start, to: range.end }
    }
}

impl Journal {
    /// The number of the case that is opened next.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn next_case(&self, ledger: LedgerNo) -> Result<CaseNo, JournalError> {
        // The number of a case that was dropped stays taken while a rewind goes by it.
        let rewind = self.rewinds(ledger)?.iter().map(|rewind| rewind.case + 1).max().unwrap_or(0);
        let Some(table) = self.open_if_there(QUARANTINE)? else { return Ok(rewind) };
        let last = table.range((ledger, 0)..=(ledger, u32::MAX)).map_err(from_redb)?.next_back();
        let last = last.transpose().map_err(from_redb)?;
        Ok(last.map_or(0, |(key, _)| key.value().1 + 1).max(rewind))
    }

    /// Opens a case, or writes the same one again.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_case(&self, ledger: LedgerNo, no: CaseNo, case: &Case) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(QUARANTINE)?.insert((ledger, no), guard(&encode(case)).as_slice())?;
            Ok(())
        })
    }

    /// Puts records into an open case. Putting one in twice is the same as once.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn quarantine(
        &self,
        ledger: LedgerNo,
        no: CaseNo,
        records: impl IntoIterator<Item = Quarantined>,
    ) -> Result<(), JournalError> {
        self.write(|transaction| records.into_iter().try_for_each(|record| put(transaction, ledger, no, &record)))
    }

    /// The cases of a ledger, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the case.
    pub fn cases(&self, ledger: LedgerNo) -> Result<Vec<(CaseNo, Case)>, JournalError> {
        let Some(table) = self.open_if_there(QUARANTINE)? else { return Ok(Vec::new()) };
        let mut cases = Vec::new();
        for entry in table.range((ledger, 0)..=(ledger, u32::MAX)).map_err(from_redb)? {
            let (key, stored) = entry.map_err(from_redb)?;
            let no = key.value().1;
            let case = open_guarded(stored.value());
            cases.push((no, case.map_err(|error| JournalError::damaged(RecordKind::Quarantine, no, error))?));
        }
        Ok(cases)
    }

    /// The records of a case, by kind and number.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the case.
    pub fn quarantined(&self, ledger: LedgerNo, no: CaseNo) -> Result<Vec<Quarantined>, JournalError> {
        let Some(table) = self.open_if_there(QUARANTINED)? else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for entry in table.range((ledger, no, 0, 0)..=(ledger, no, u8::MAX, u64::MAX)).map_err(from_redb)? {
            let (key, stored) = entry.map_err(from_redb)?;
            let (_, _, kind, seq) = key.value();
            let damaged = |reason: String| JournalError::damaged(RecordKind::Quarantine, no, reason);
            let bytes = unguard(stored.value()).map_err(|error| damaged(error.to_string()))?.to_vec();
            let kind = QuarantinedKind::from_tag(kind).ok_or_else(|| damaged(format!("no kind {kind} is known")))?;
            records.push(Quarantined { kind, seq, bytes });
        }
        Ok(records)
    }

    /// Removes a case with its records, for good.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn drop_case(&self, ledger: LedgerNo, no: CaseNo) -> Result<bool, JournalError> {
        self.write(|transaction| remove_case(transaction, ledger, no))
    }
}

/// Removes a case with its records. False: there was none.
pub(super) fn remove_case(transaction: &WriteTransaction, ledger: LedgerNo, no: CaseNo) -> Result<bool, redb::Error> {
    let mut records = transaction.open_table(QUARANTINED)?;
    records.retain_in((ledger, no, 0, 0)..=(ledger, no, u8::MAX, u64::MAX), |_, _| false)?;
    Ok(transaction.open_table(QUARANTINE)?.remove((ledger, no))?.is_some())
}

fn put(transaction: &WriteTransaction, ledger: LedgerNo, no: CaseNo, record: &Quarantined) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(QUARANTINED)?;
    table.insert((ledger, no, record.kind.tag(), record.seq), guard(&record.bytes).as_slice())?;
    Ok(())
}

const KINDS: [QuarantinedKind; 8] = [
    QuarantinedKind::Input,
    QuarantinedKind::Receipt,
    QuarantinedKind::StepRecord,
    QuarantinedKind::Attestation,
    QuarantinedKind::Checkpoint,
    QuarantinedKind::Note,
    QuarantinedKind::Row,
    QuarantinedKind::Other,
];

impl QuarantinedKind {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Receipt => "receipt",
            Self::StepRecord => "step record",
            Self::Attestation => "attestation",
            Self::Checkpoint => "checkpoint record",
            Self::Note => "checkpoint note",
            Self::Row => "row of steps",
            Self::Other => "record",
        }
    }

    fn tag(self) -> u8 {
        self as u8
    }

    fn from_tag(tag: u8) -> Option<Self> {
        KINDS.get(usize::from(tag)).copied()
    }
}
