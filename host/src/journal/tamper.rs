//! Damage on purpose: what the demonstration and the tests of verification use.
//!
//! Nothing else calls this. It goes around every check, and changes one bit pattern of one record.

use super::{
    Journal, JournalError, LedgerNo,
    rows::{Part, Row, header_bytes},
    tables::{ATTESTATIONS, LEDGERS, LOG, META, PACKAGES, STATE, STATE_AT, STEPS},
};
use redb::{ReadableTable, Table, WriteTransaction};
use reprise_receipts::PackageDigest;

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The format record.
    Format,
    /// A package.
    Package(PackageDigest),
    /// The genesis record of the ledger.
    Genesis,
    /// The lengths at the beginning of the row of steps that begins with this one.
    Row(u64),
    /// An input.
    Input(u64),
    /// A receipt.
    Receipt(u64),
    /// A step record: diff and output.
    StepRecord(u64),
    /// An attestation.
    Attestation(u64),
    /// The value under a state key.
    State(Vec<u8>),
    /// How many receipts the stored state is after.
    StateAt,
    /// A tile of the log.
    LogTile(u8, u64),
}

impl Journal {
    /// Every record of a ledger, and those that all ledgers share, with its length in bytes.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn records(&self, ledger: LedgerNo) -> Result<Vec<(Record, usize)>, JournalError> {
        let mut found = Vec::new();
        self.write(|transaction| {
            let meta = transaction.open_table(META)?;
            for entry in meta.iter()? {
                found.push((Record::Format, entry?.1.value().len()));
            }
            for entry in transaction.open_table(PACKAGES)?.iter()? {
                let (key, value) = entry?;
                found.push((Record::Package(PackageDigest::from_bytes(*key.value())), value.value().len()));
            }
            if let Some(genesis) = transaction.open_table(LEDGERS)?.get(ledger)? {
                found.push((Record::Genesis, genesis.value().1.len()));
            }
            for entry in transaction.open_table(STEPS)?.range((ledger, 0)..(ledger, u64::MAX))? {
                let (key, value) = entry?;
                found.extend(records_of_row(key.value().1, value.value()));
            }
            for entry in transaction.open_table(ATTESTATIONS)?.range((ledger, 0)..(ledger, u64::MAX))? {
                let (key, value) = entry?;
                found.push((Record::Attestation(key.value().1), value.value().len()));
            }
            if let Some(at) = transaction.open_table(STATE_AT)?.get(ledger)? {
                found.push((Record::StateAt, at.value().len()));
            }
            let of = |ledger| -> (u32, &[u8]) { (ledger, &[]) };
            for entry in transaction.open_table(STATE)?.range(of(ledger)..of(ledger + 1))? {
                let (key, value) = entry?;
                found.push((Record::State(key.value().1.to_vec()), value.value().len()));
            }
            for entry in transaction.open_table(LOG)?.range((ledger, 0, 0)..(ledger + 1, 0, 0))? {
                let (key, value) = entry?;
                found.push((Record::LogTile(key.value().1, key.value().2), value.value().len()));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Changes the bits of `mask` in one byte of one record. False: there is no such record or byte.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn tamper(&self, ledger: LedgerNo, record: &Record, byte: usize, mask: u8) -> Result<bool, JournalError> {
        self.write(|transaction| match record {
            Record::Format => flip(transaction.open_table(META)?, super::FORMAT_KEY, byte, mask),
            Record::Package(digest) => flip(transaction.open_table(PACKAGES)?, digest.as_bytes(), byte, mask),
            Record::Genesis => flip_genesis(transaction, ledger, byte, mask),
            Record::Row(first) => flip(transaction.open_table(STEPS)?, (ledger, *first), byte, mask),
            Record::Input(seq) => flip_part(transaction, ledger, (*seq, Part::Input), byte, mask),
            Record::Receipt(seq) => flip_part(transaction, ledger, (*seq, Part::Receipt), byte, mask),
            Record::StepRecord(seq) => flip_part(transaction, ledger, (*seq, Part::Record), byte, mask),
            Record::Attestation(seq) => flip(transaction.open_table(ATTESTATIONS)?, (ledger, *seq), byte, mask),
            Record::State(key) => flip(transaction.open_table(STATE)?, (ledger, key.as_slice()), byte, mask),
            Record::StateAt => flip(transaction.open_table(STATE_AT)?, ledger, byte, mask),
            Record::LogTile(level, index) => flip(transaction.open_table(LOG)?, (ledger, *level, *index), byte, mask),
        })
    }
}

/// The lengths of a row and the parts of its steps; nothing of a row that is damaged already.
fn records_of_row(first: u64, bytes: &[u8]) -> Vec<(Record, usize)> {
    let Ok(row) = Row::open(first, bytes) else { return Vec::new() };
    let mut found = vec![(Record::Row(first), header_bytes(row.range().count()))];
    for seq in row.range() {
        let parts = [(Part::Input, Record::Input(seq)), (Part::Receipt, Record::Receipt(seq))];
        for (part, record) in parts.into_iter().chain([(Part::Record, Record::StepRecord(seq))]) {
            found.push((record, row.part(seq, part).map_or(0, <[u8]>::len)));
        }
    }
    found
}

fn flip_part(
    transaction: &WriteTransaction,
    ledger: LedgerNo,
    (seq, part): (u64, Part),
    byte: usize,
    mask: u8,
) -> Result<bool, redb::Error> {
    let mut steps = transaction.open_table(STEPS)?;
    let Some(entry) = steps.range((ledger, 0)..=(ledger, seq))?.next_back() else { return Ok(false) };
    let (first, mut bytes) = entry.map(|(key, value)| (key.value().1, value.value().to_vec()))?;
    let within = Row::open(first, &bytes).ok().and_then(|row| row.part_range(seq, part));
    let Some(target) = within.and_then(|part| bytes[part].get_mut(byte)) else { return Ok(false) };
    *target ^= mask;
    steps.insert((ledger, first), bytes.as_slice())?;
    Ok(true)
}

fn flip<'k, K: redb::Key + 'static>(
    mut table: Table<'_, K, &'static [u8]>,
    key: K::SelfType<'k>,
    byte: usize,
    mask: u8,
) -> Result<bool, redb::Error> {
    let Some(mut bytes) = table.get(&key)?.map(|value| value.value().to_vec()) else { return Ok(false) };
    let Some(target) = bytes.get_mut(byte) else { return Ok(false) };
    *target ^= mask;
    table.insert(&key, bytes.as_slice())?;
    Ok(true)
}

fn flip_genesis(transaction: &WriteTransaction, ledger: LedgerNo, byte: usize, mask: u8) -> Result<bool, redb::Error> {
    let mut table = transaction.open_table(LEDGERS)?;
    let Some((id, mut bytes)) = table.get(ledger)?.map(|entry| (entry.value().0, entry.value().1.to_vec())) else {
        return Ok(false);
    };
    let Some(target) = bytes.get_mut(byte) else { return Ok(false) };
    *target ^= mask;
    table.insert(ledger, (id, bytes.as_slice()))?;
    Ok(true)
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format => f.write_str("format record"),
            Self::Package(digest) => write!(f, "package {digest}"),
            Self::Genesis => f.write_str("genesis record"),
            Self::Row(first) => write!(f, "lengths of the row of steps from {first} on"),
            Self::Input(seq) => write!(f, "input {seq}"),
            Self::Receipt(seq) => write!(f, "receipt {seq}"),
            Self::StepRecord(seq) => write!(f, "step record {seq}"),
            Self::Attestation(seq) => write!(f, "attestation {seq}"),
            Self::State(key) => write!(f, "state key {key:02x?}"),
            Self::StateAt => f.write_str("number of receipts that the stored state is after"),
            Self::LogTile(level, index) => write!(f, "log tile {level}/{index}"),
        }
    }
}
