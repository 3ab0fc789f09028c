//! Names of the files, and the framing of entry bundles: C2SP tlog-tiles.

use super::{ArchiveError, Store};
use reprise_abi::limits::RECEIPT_BYTES_MAX;
use reprise_receipts::{
    PackageDigest,
    digest::derive,
    log::{LOG_SIZE_MAX, TILE_HEIGHT},
};

/// The signed checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The encoded genesis record.
pub(super) const GENESIS: &str = "reprise/genesis";
/// The epochs that commands began, when there are any: who attests which steps.
pub(super) const EPOCHS: &str = "reprise/epochs";
/// Hashes of a complete tile, and receipts of a complete entry bundle.
pub(super) const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// Levels that a log can have.
pub(super) const LEVELS: u8 = (LOG_SIZE_MAX.ilog2() / TILE_HEIGHT as u32) as u8 + 1;
/// Longest entry bundle, in bytes.
pub(super) const ENTRIES_BYTES_MAX: u64 = TILE_WIDTH * (LENGTH_BYTES + RECEIPT_BYTES_MAX) as u64;

/// What the digest of a package's file is made for: the package's own name does not cover its publisher's signature.
pub(super) const PACKAGE_CONTEXT: &str = "reprise 2026 archive package v1";
/// Bytes before a sealed file's own.
pub(super) const SEAL_BYTES: usize = 32;

const LENGTH_BYTES: usize = 2;

/// One tile of a log of some size: 1 to 256 hashes, or the receipts below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) width: u64,
}

impl Place {
    /// The place of a tile in a log of `size` receipts; `None` if the log does not reach to it.
    pub(super) fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = hashes_at(level, size).checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
        (width > 0).then_some(Self { index, width })
    }

    pub(super) fn is_complete(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Name of the tile.
    pub(super) fn tile(self, level: u8) -> String {
        format!("tile/{level}/{}", self.path())
    }

    /// Name of the entry bundle.
    pub(super) fn entries(self) -> String {
        format!("tile/entries/{}", self.path())
    }

    /// What the names of the parts of the steps begin with.
    pub(super) fn steps(self) -> String {
        format!("reprise/steps/{}", self.path())
    }

    /// Name of a part of the steps.
    pub(super) fn part(self, part: u64) -> String {
        format!("{}/{part}", self.steps())
    }

    /// What the names of everything begin with that stood for this tile before it was complete.
    pub(super) fn incomplete(self, name: impl Fn(Self) -> String) -> String {
        let name = name(Self { width: TILE_WIDTH, ..self });
        format!("{name}.p")
    }

    fn path(self) -> String {
        let mut path = format!("{:03}", self.index % 1_000);
        let mut rest = self.index / 1_000;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % 1_000);
            rest /= 1_000;
        }
        if self.is_complete() { path } else { format!("{path}.p/{}", self.width) }
    }
}

/// Name of a package.
pub(super) fn package(digest: PackageDigest) -> String {
    format!("reprise/packages/{digest}")
}

/// Complete subtrees of a tile's level in a log of `size` receipts.
pub(super) fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(TILE_HEIGHT) * u32::from(level)).unwrap_or(0)
}

/// Adds a receipt to an entry bundle.
pub(super) fn push_entry(bundle: &mut Vec<u8>, receipt: &[u8]) {
    let length = u16::try_from(receipt.len()).expect("a receipt has at most 1 KiB");
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(receipt);
}

/// The receipts of an entry bundle.
///
/// # Errors
/// [`ArchiveError`]: it is not there, or not exactly `place.width` receipts.
pub(super) fn read_entries(store: &dyn Store, place: Place) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let name = place.entries();
    let bundle = read(store, &name, ENTRIES_BYTES_MAX)?;
    let mut rest = bundle.as_slice();
    let mut entries = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let entry = behind.get(..length).ok_or_else(|| ArchiveError::damaged(&name, "it ends within a receipt"))?;
        entries.push(entry.to_vec());
        rest = &behind[length..];
    }
    if rest.is_empty() && entries.len() as u64 == place.width {
        return Ok(entries);
    }
    Err(ArchiveError::damaged(name, format_args!("it has not exactly {} receipts", place.width)))
}

/// Bytes behind their own digest: a file of ours that nothing names to the byte.
pub(super) fn seal(context: &'static str, bytes: &[u8]) -> Vec<u8> {
    let mut file = derive(context, bytes).to_vec();
    file.extend_from_slice(bytes);
    file
}

/// The bytes behind the digest of a file, if it holds.
///
/// # Errors
/// [`ArchiveError::Damaged`].
pub(super) fn unseal<'a>(context: &'static str, name: &str, file: &'a [u8]) -> Result<&'a [u8], ArchiveError> {
    let split = file.split_first_chunk::<SEAL_BYTES>();
    let holds = split.filter(|(digest, bytes)| derive(context, bytes) == **digest);
    let damaged = || ArchiveError::damaged(name, "it does not have the digest that it begins with");
    Ok(holds.ok_or_else(damaged)?.1)
}

/// The bytes of a file that must be there.
///
/// # Errors
/// [`ArchiveError::Absent`], or the store's.
pub(super) fn read(store: &dyn Store, name: &str, bytes_max: u64) -> Result<Vec<u8>, ArchiveError> {
    store.read(name, bytes_max)?.ok_or_else(|| ArchiveError::Absent(name.to_owned()))
}
