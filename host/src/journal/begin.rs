//! Moving the place where a ledger begins on this node: later, when the steps before it are kept elsewhere; earlier,
//! when they come back. Both are one transaction, and afterwards the ledger looks as if it had always begun there.

use super::{
    Base, Journal, JournalError, LedgerNo,
    base::BASES,
    guarded::guard,
    read::complete_tiles,
    rows::{self, Part, Parts},
    tables::{ATTESTATIONS, LOG, STEPS},
};
use reprise_abi::encode;
use reprise_receipts::log::{LogError, TILE_HEIGHT, TileSource, TileWrite};

const HASH_BYTES: usize = 32;

/// Steps that come back, up to the place where the ledger begins now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedSteps {
    /// Where the ledger begins afterwards; `None` for its first receipt.
    pub base: Option<Base>,
    /// Sequence number of the first step.
    pub first: u64,
    /// Encoded input, receipt and step record of each.
    pub steps: Vec<[Vec<u8>; 3]>,
    /// Encoded attestations, each with the sequence number of its receipt.
    pub attestations: Vec<(u64, Vec<u8>)>,
    /// Log tiles that the steps complete.
    pub tiles: Vec<TileWrite>,
}

impl Base {
    /// The beginning behind the first `size` receipts, at least 1, of which `last_receipt` is the last, from tiles of
    /// their log or of a longer one.
    ///
    /// # Errors
    /// [`LogError`]: a tile is missing or too short.
    pub fn of_log(source: &(impl TileSource + ?Sized), size: u64, last_receipt: Vec<u8>) -> Result<Self, LogError> {
        let mut edge = Vec::new();
        for level in 0.. {
            let hashes = size.checked_shr(u32::from(TILE_HEIGHT) * u32::from(level)).unwrap_or(0);
            if hashes == 0 {
                break;
            }
            // The tile of level 0 has the last leaf, and so may be complete.
            let index = if level == 0 { (hashes - 1) >> TILE_HEIGHT } else { hashes >> TILE_HEIGHT };
            let count = hashes - (index << TILE_HEIGHT);
            let expected = usize::try_from(count).expect("at most 256") * HASH_BYTES;
            let mut tile = Vec::new();
            if expected > 0 {
                tile = source.tile(level, index).ok_or(LogError::MissingTile { level, index })?;
            }
            if tile.len() < expected {
                return Err(LogError::TileLength { level, index, expected, found: tile.len() });
            }
            tile.truncate(expected);
            edge.push(tile);
        }
        Ok(Self { size, last_receipt, edge })
    }
}

impl Journal {
    /// Lets everything before `base` go: steps, attestations and log tiles. The state stays, and must not be behind it.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or the row that is cut is damaged.
    pub fn begin_later(&self, ledger: LedgerNo, base: &Base) -> Result<(), JournalError> {
        let cut = self.read(ledger)?.row_of(base.size)?.filter(|row| row.range().contains(&base.size));
        self.write(|transaction| {
            let mut steps = transaction.open_table(STEPS)?;
            steps.retain_in((ledger, 0)..(ledger, base.size), |_, _| false)?;
            if let Some(row) = &cut {
                let part = |seq, part| row.part(seq, part).expect("the step is in the row");
                let kept = (base.size..row.range().end)
                    .map(|seq| [Part::Input, Part::Receipt, Part::Record].map(|which| part(seq, which)));
                for (first, bytes) in rows::rows(base.size, kept) {
                    steps.insert((ledger, first), bytes.as_slice())?;
                }
            }
            transaction.open_table(ATTESTATIONS)?.retain_in((ledger, 0)..(ledger, base.size), |_, _| false)?;
            let stays = |level: u8, index: u64| index >= complete_tiles(level, base.size);
            let mut log = transaction.open_table(LOG)?;
            log.retain_in((ledger, 0, 0)..=(ledger, u8::MAX, u64::MAX), |(_, level, index), _| stays(level, index))?;
            transaction.open_table(BASES)?.insert(ledger, guard(&encode(base)).as_slice())?;
            Ok(())
        })
    }

    /// Takes steps back. Whoever calls has held them against the log at the place where the ledger begins now.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn begin_earlier(&self, ledger: LedgerNo, returned: &ReturnedSteps) -> Result<(), JournalError> {
        self.write(|transaction| {
            let mut steps = transaction.open_table(STEPS)?;
            let parts = returned.steps.iter().map(|step| -> Parts<'_> { [&step[0], &step[1], &step[2]] });
            for (first, bytes) in rows::rows(returned.first, parts) {
                steps.insert((ledger, first), bytes.as_slice())?;
            }
            let mut attestations = transaction.open_table(ATTESTATIONS)?;
            for (seq, attestation) in &returned.attestations {
                attestations.insert((ledger, *seq), attestation.as_slice())?;
            }
            let mut log = transaction.open_table(LOG)?;
            for tile in &returned.tiles {
                log.insert((ledger, tile.level, tile.index), tile.hashes.as_slice())?;
            }
            let mut bases = transaction.open_table(BASES)?;
            match &returned.base {
                Some(base) => drop(bases.insert(ledger, guard(&encode(base)).as_slice())?),
                None => drop(bases.remove(ledger)?),
            }
            Ok(())
        })
    }
}
