//! Reading one ledger: a consistent view, whatever is committed meanwhile.

use super::{
    Base, JournalError, LedgerNo, RecordKind, StateLag,
    base::base_of,
    error::from_redb,
    rows::{Part, Row},
    steps::{self, StepIterator, StoredStep},
    tables::{ATTESTATIONS, INCIDENTS, LOG, STATE, STATE_AT, STEPS},
};
use redb::{ReadOnlyTable, ReadTransaction};
use reprise_abi::decode_canonical;
use reprise_receipts::{
    Attestation, LeafHash, Receipt, StateTrie, StepRecord,
    log::{TILE_BYTES_MAX, TILE_HEIGHT, TileSource, tile_root},
};
use std::ops::{Range, RangeInclusive};

pub(super) type BySeq = ReadOnlyTable<(u32, u64), &'static [u8]>;
pub(super) type SeqRange = redb::Range<'static, (u32, u64), &'static [u8]>;

/// A view of one ledger as it was when the view was made.
pub struct LedgerReader {
    ledger: LedgerNo,
    steps: BySeq,
    attestations: BySeq,
    incidents: BySeq,
    state: ReadOnlyTable<(u32, &'static [u8]), &'static [u8]>,
    state_at: ReadOnlyTable<u32, &'static [u8]>,
    log: ReadOnlyTable<(u32, u8, u64), &'static [u8]>,
    base: Option<Base>,
}

/// Rows of the stored state: ledger and key, value.
type StateRows = redb::Range<'static, (u32, &'static [u8]), &'static [u8]>;

impl LedgerReader {
    pub(super) fn new(transaction: &ReadTransaction, ledger: LedgerNo) -> Result<Self, JournalError> {
        Ok(Self {
            ledger,
            steps: transaction.open_table(STEPS).map_err(from_redb)?,
            attestations: transaction.open_table(ATTESTATIONS).map_err(from_redb)?,
            incidents: transaction.open_table(INCIDENTS).map_err(from_redb)?,
            state: transaction.open_table(STATE).map_err(from_redb)?,
            state_at: transaction.open_table(STATE_AT).map_err(from_redb)?,
            log: transaction.open_table(LOG).map_err(from_redb)?,
            base: base_of(transaction, ledger)?,
        })
    }

    /// Where the ledger begins on this node; `None` for its first receipt.
    #[must_use]
    pub fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// The last receipt with its leaf hash; none in a new ledger.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: the record does not decode, or carries another sequence number.
    pub fn last_receipt(&self) -> Result<Option<(Receipt, LeafHash)>, JournalError> {
        let row = self.last_row()?;
        let (seq, bytes) = match (&row, &self.base) {
            (Some(row), _) => {
                let seq = row.range().end - 1;
                (seq, row.part(seq, Part::Receipt).expect("the last step of the row is in it"))
            }
            (None, Some(base)) => (base.size - 1, base.last_receipt.as_slice()),
            (None, None) => return Ok(None),
        };
        let damaged = |reason: String| JournalError::damaged(RecordKind::Receipt, seq, reason);
        let receipt: Receipt = decode_canonical(bytes).map_err(|e| damaged(e.to_string()))?;
        if receipt.seq != seq {
            return Err(damaged(format!("it carries sequence number {}", receipt.seq)));
        }
        Ok(Some((receipt, LeafHash::of(bytes))))
    }

    /// Receipts in the ledger, judged by its last row.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row is damaged.
    pub fn size(&self) -> Result<u64, JournalError> {
        let base = self.base.as_ref().map_or(0, |base| base.size);
        Ok(self.last_row()?.map_or(base, |row| row.range().end))
    }

    /// Encoded receipt of one step.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row is damaged.
    pub fn receipt(&self, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        if let Some(base) = self.base.as_ref().filter(|base| base.size == seq.saturating_add(1)) {
            return Ok(Some(base.last_receipt.clone()));
        }
        self.part(seq, Part::Receipt)
    }

    /// Encoded input of one step.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row is damaged.
    pub fn input(&self, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.part(seq, Part::Input)
    }

    /// Encoded step record of one step.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row is damaged.
    pub fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.part(seq, Part::Record)
    }

    /// The steps of a range, in order, one row in memory at a time. A step that is missing is an item of its own, and
    /// the last one.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn steps(&self, range: Range<u64>) -> Result<StepIterator, JournalError> {
        // The row that a range begins in may begin before it.
        let at_start = self.range(&self.steps, 0..range.start.saturating_add(1))?.next_back();
        let first = at_start.transpose().map_err(from_redb)?.map_or(range.start, |(key, _)| key.value().1);
        Ok(StepIterator::new(self.range(&self.steps, first..range.end)?, range))
    }

    /// Encoded attestations over receipts of a range, with the sequence number that each is filed under.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn attestations(
        &self,
        range: Range<u64>,
    ) -> Result<impl Iterator<Item = Result<(u64, Vec<u8>), JournalError>>, JournalError> {
        Ok(self.range(&self.attestations, range)?.map(|entry| {
            let (key, value) = entry.map_err(from_redb)?;
            Ok((key.value().1, value.value().to_vec()))
        }))
    }

    /// The last attestation.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: it does not decode.
    pub fn last_attestation(&self) -> Result<Option<(u64, Attestation)>, JournalError> {
        let Some(entry) = self.range(&self.attestations, 0..u64::MAX)?.next_back() else { return Ok(None) };
        let (key, value) = entry.map_err(from_redb)?;
        let seq = key.value().1;
        let decoded = decode_canonical(value.value());
        Ok(Some((seq, decoded.map_err(|e| JournalError::damaged(RecordKind::Attestation, seq, e))?)))
    }

    /// The state after the last receipt: the stored one, brought forward by the diffs after it.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or a diff does not fit.
    pub fn state(&self) -> Result<StateTrie, JournalError> {
        Ok(self.state_and_lag()?.0)
    }

    /// [`Self::state`], and how far the stored state was behind.
    ///
    /// # Errors
    /// [`JournalError`], as for [`Self::state`].
    pub fn state_and_lag(&self) -> Result<(StateTrie, StateLag), JournalError> {
        let mut state = self.stored_state()?;
        let mut lag = StateLag::default();
        for step in self.steps(self.state_at()?..self.size()?)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
            let record = decode_record(&step)?;
            let misfit = |error| format!("the diff of step {} does not fit it: {error}", step.seq());
            let applied = state.apply(&record.diff).map_err(misfit);
            applied.map_err(|reason| JournalError::damaged(RecordKind::State, "of the ledger", reason))?;
            lag.add(step.record().len());
        }
        Ok((state, lag))
    }

    /// The state as it is stored: that after [`Self::state_at`] receipts.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn stored_state(&self) -> Result<StateTrie, JournalError> {
        let of = |ledger| -> (u32, &[u8]) { (ledger, &[]) };
        let mut failed = None;
        let rows = self.state.range(of(self.ledger)..of(self.ledger + 1)).map_err(from_redb)?;
        let entries = rows.map_while(|entry| match entry {
            Ok((key, value)) => Some((key.value().1.to_vec(), value.value().to_vec())),
            Err(error) => {
                failed = Some(from_redb(error));
                None
            }
        });
        let state = StateTrie::from_sorted(entries);
        match failed {
            Some(error) => Err(error),
            None => state.map_err(|error| JournalError::damaged(RecordKind::State, "of the ledger", error)),
        }
    }

    /// Entries of the stored state with these keys.
    pub(super) fn state_rows(&self, keys: RangeInclusive<&[u8]>) -> Result<StateRows, JournalError> {
        self.state.range((self.ledger, *keys.start())..=(self.ledger, *keys.end())).map_err(from_redb)
    }

    /// Receipts whose diffs are in the stored state.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: it is no number, or more than there are receipts.
    pub fn state_at(&self) -> Result<u64, JournalError> {
        let Some(stored) = self.state_at.get(self.ledger).map_err(from_redb)? else { return Ok(0) };
        let damaged = |reason: String| JournalError::damaged(RecordKind::State, "of the ledger", reason);
        let at = stored.value().try_into().map(u64::from_le_bytes);
        let at = at.map_err(|_| damaged("the number of receipts that it is after is not 8 bytes long".to_owned()))?;
        let size = self.size()?;
        if at <= size { Ok(at) } else { Err(damaged(format!("it is after {at} receipts, but there are {size}"))) }
    }

    /// Host faults: sequence number that could not be executed, and what happened.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn incidents(&self) -> Result<Vec<(u64, String)>, JournalError> {
        self.range(&self.incidents, 0..u64::MAX)?
            .map(|entry| {
                let (key, value) = entry.map_err(from_redb)?;
                Ok((key.value().1, String::from_utf8_lossy(value.value()).into_owned()))
            })
            .collect()
    }

    /// The hashes of a tile of the log, if it is complete.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn stored_tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let stored = self.log.get((self.ledger, level, index)).map_err(from_redb)?;
        Ok(stored.map(|value| value.value().to_vec()))
    }

    /// The first attestation or log tile over receipts at or after `size`, where there should be none: its kind and
    /// the first of those receipts.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn beyond(&self, size: u64) -> Result<Option<(&'static str, u64)>, JournalError> {
        if let Some(entry) = self.range(&self.attestations, size..u64::MAX)?.next() {
            return Ok(Some(("attestation", entry.map_err(from_redb)?.0.value().1)));
        }
        for level in 0..=u8::MAX {
            let first = (self.ledger, level, complete_tiles(level, size));
            let mut tiles = self.log.range(first..=(self.ledger, level, u64::MAX)).map_err(from_redb)?;
            if tiles.next().transpose().map_err(from_redb)?.is_some() {
                return Ok(Some(("log tile", size)));
            }
        }
        Ok(None)
    }

    fn part(&self, seq: u64, part: Part) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.row_of(seq)?.and_then(|row| row.part(seq, part).map(<[u8]>::to_vec)))
    }

    /// The row that a step is in, or the last one before it.
    pub(super) fn row_of(&self, seq: u64) -> Result<Option<Row>, JournalError> {
        self.open_last(self.range(&self.steps, 0..seq.saturating_add(1))?)
    }

    fn last_row(&self) -> Result<Option<Row>, JournalError> {
        self.open_last(self.range(&self.steps, 0..u64::MAX)?)
    }

    fn open_last(&self, mut rows: SeqRange) -> Result<Option<Row>, JournalError> {
        let Some(entry) = rows.next_back() else { return Ok(None) };
        steps::open_row(entry).map(Some)
    }

    fn range(&self, table: &BySeq, range: Range<u64>) -> Result<SeqRange, JournalError> {
        table.range((self.ledger, range.start)..(self.ledger, range.end)).map_err(from_redb)
    }

    /// The hashes of an incomplete tile, which are not stored: they follow from receipts or from the tiles below.
    fn incomplete_tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let size = self.size()?;
        let known = self.base.as_ref().and_then(|base| base.tile(level, index));
        if complete_tiles(level, size) != index {
            return Ok(known.filter(|tile| tile.len() == TILE_BYTES_MAX).map(<[u8]>::to_vec));
        }
        let mut hashes = known.unwrap_or_default().to_vec();
        let first = (index << TILE_HEIGHT) + (hashes.len() / 32) as u64;
        if let Some(below) = level.checked_sub(1) {
            for child in first..complete_tiles(below, size) {
                let Some(tile) = self.tile(below, child) else { return Ok(None) };
                let Ok(tile) = <&[u8; TILE_BYTES_MAX]>::try_from(tile.as_slice()) else { return Ok(None) };
                hashes.extend_from_slice(&tile_root(tile));
            }
        } else {
            for step in self.steps(first..size)? {
                let Ok(step) = step? else { return Ok(None) };
                hashes.extend_from_slice(LeafHash::of(step.receipt()).as_bytes());
            }
        }
        Ok(Some(hashes).filter(|hashes| !hashes.is_empty()))
    }
}

/// Tiles of a level that a log of `size` receipts has filled.
pub(super) fn complete_tiles(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(TILE_HEIGHT) * (u32::from(level) + 1)).unwrap_or(0)
}

/// The step record of a stored step.
///
/// # Errors
/// [`JournalError::Damaged`] names the step.
pub(super) fn decode_record(step: &StoredStep) -> Result<StepRecord, JournalError> {
    let damaged = |error| JournalError::damaged(RecordKind::StepRecord, step.seq(), error);
    decode_canonical(step.record()).map_err(damaged)
}

/// Complete tiles as they are stored, the incomplete one of each level as it follows from what is stored.
impl TileSource for LedgerReader {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<u8>> {
        match self.stored_tile(level, index).ok()? {
            Some(tile) => Some(tile),
            None => self.incomplete_tile(level, index).ok()?,
        }
    }
}
