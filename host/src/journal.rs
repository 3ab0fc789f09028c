//! The journal: one redb database that holds inputs, receipts, step records, attestations, state, log and packages.
//!
//! A group of steps is one transaction with immediate durability, so that a crash leaves all of a group or none of it.
//! The byte that atomicity rests on is redb's own: the god byte of its header, which names the valid commit slot.
//! Nothing here interprets records: what they mean, and whether they hold, is the business of `reprise-receipts`.
//!
//! | what a group writes | where |
//! | --- | --- |
//! | inputs, receipts, step records | one row of `steps` where they fit ([`rows`]) |
//! | the attestation over an earlier group | `attestations` |
//! | log tiles that became complete | `log`; incomplete ones follow from receipts |
//!
//! The stored state is brought forward now and then ([`state`]): the diffs after it are durable in the steps.

mod ancestry;
mod base;
mod begin;
mod checkpoints;
mod epochs;
mod error;
mod finals;
mod guarded;
mod mend;
mod plans;
mod quarantine;
mod read;
mod rows;
mod staging;
mod state;
mod steps;
mod tables;
pub mod tamper;

pub use base::Base;
pub use begin::ReturnedSteps;
pub use checkpoints::{CheckpointSettings, ChunkReader, RawCheckpoint, StoredCheckpoint};
pub use error::{JournalError, RecordKind};
pub use finals::{Electorate, KeptMark};
pub use guarded::{GuardError, GuardedKey};
pub use mend::{MendedStep, RawRow};
pub use plans::{Rewind, RunningPlan};
pub use quarantine::{Case, CaseKind, CaseNo, Quarantined, QuarantinedKind};
pub use read::LedgerReader;
pub use state::{STATE_LAG_BYTES_MAX, STATE_LAG_STEPS_MAX, StateLag};
pub use steps::{StepIterator, StoredStep};

use error::from_redb;
use redb::{Database, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{
    Attestation, Genesis, LedgerId, Package, PackageDigest, Sealed,
    log::{TILE_BYTES_MAX, TileWrite},
};
use std::{ops::Deref, path::Path, sync::Arc};
use tables::{ATTESTATIONS, INCIDENTS, LEDGERS, LOG, META, PACKAGES, STATE, STATE_AT, STEPS};

/// What the journal says of itself under [`FORMAT_KEY`].
const FORMAT: &[u8] = b"reprise journal v2";
const FORMAT_KEY: &str = "format";
/// Memory that redb may use for pages, in bytes.
pub const PAGE_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Number of a ledger within one journal; ledgers are named by digest everywhere else.
pub type LedgerNo = u32;

/// A ledger as the journal lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number in this journal.
    pub no: LedgerNo,
    /// Its name.
    pub id: LedgerId,
    /// Its genesis record.
    pub genesis: Genesis,
}

/// Steps that become durable together.
#[derive(Debug, Default)]
pub struct Group<'a> {
    /// The steps, in order.
    pub steps: &'a [Sealed],
    /// Log tiles that became complete: see [`LogTail::take_complete_tiles`](reprise_receipts::log::LogTail).
    pub tiles: &'a [TileWrite],
    /// Attestation over an earlier group: only what is durable is signed.
    pub attestation: Option<&'a Attestation>,
}

/// The database of a node.
pub struct Journal {
    database: Access,
}

enum Access {
    Write(Database),
    Read(ReadOnlyDatabase),
    /// Everything as it was at one moment.
    Moment(Arc<ReadTransaction>),
}

/// A read transaction: one of its own, or that of the moment that the journal shows.
enum Reading<'a> {
    Begun(ReadTransaction),
    Moment(&'a ReadTransaction),
}

impl Deref for Reading<'_> {
    type Target = ReadTransaction;

    fn deref(&self) -> &ReadTransaction {
        match self {
            Self::Begun(transaction) => transaction,
            Self::Moment(transaction) => transaction,
        }
    }
}

impl Journal {
    /// Creates the journal of a new node.
    ///
    /// # Errors
    /// [`JournalError`]: the file exists already, or the disk refuses.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        if path.exists() {
            return Err(JournalError::Exists);
        }
        Self::prepare(builder().create(path).map_err(from_redb)?)
    }

    /// Opens the journal for writing. Only one process can.
    ///
    /// # Errors
    /// [`JournalError`]: not there, locked by another process, damaged, or of another format.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let database = builder().open(path).map_err(from_redb)?;
        Self { database: Access::Write(database) }.check_format()
    }

    /// Opens the journal for reading. Any number of processes can, while none writes.
    ///
    /// # Errors
    /// [`JournalError`], as for [`Journal::open`]; [`JournalError::NeedsRepair`] after a crash.
    pub fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        let database = builder().open_read_only(path).map_err(from_redb)?;
        Self { database: Access::Read(database) }.check_format()
    }

    /// Opens or creates a journal on a storage of the caller's: a simulated disk.
    ///
    /// # Errors
    /// [`JournalError`], as for [`Journal::open`].
    pub fn on_backend(backend: impl StorageBackend) -> Result<Self, JournalError> {
        Self::prepare(builder().create_with_backend(backend).map_err(from_redb)?)
    }

    /// The packages, by digest.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the package whose record is not what its name says.
    pub fn packages(&self) -> Result<Vec<(PackageDigest, Package)>, JournalError> {
        let table = self.begin_read()?.open_table(PACKAGES).map_err(from_redb)?;
        let mut packages = Vec::new();
        for entry in table.iter().map_err(from_redb)? {
            let (key, value) = entry.map_err(from_redb)?;
            let digest = PackageDigest::from_bytes(*key.value());
            packages.push((digest, open_package(digest, value.value())?));
        }
        Ok(packages)
    }

    /// One package.
    ///
    /// # Errors
    /// [`JournalError`], as for [`Journal::packages`].
    pub fn package(&self, digest: PackageDigest) -> Result<Option<Package>, JournalError> {
        let table = self.begin_read()?.open_table(PACKAGES).map_err(from_redb)?;
        let stored = table.get(digest.as_bytes()).map_err(from_redb)?;
        stored.map(|value| open_package(digest, value.value())).transpose()
    }

    /// Keeps a package. Keeping it twice is the same as once.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_package(&self, package: &Package) -> Result<PackageDigest, JournalError> {
        let digest = package.manifest.digest();
        self.write(|transaction| {
            let mut table = transaction.open_table(PACKAGES)?;
            table.insert(digest.as_bytes(), encode(package).as_slice())?;
            Ok(digest)
        })
    }

    /// The ledgers, in the order they were created.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the genesis record that does not decode.
    pub fn ledgers(&self) -> Result<Vec<LedgerEntry>, JournalError> {
        let table = self.begin_read()?.open_table(LEDGERS).map_err(from_redb)?;
        let mut ledgers = Vec::new();
        for entry in table.iter().map_err(from_redb)? {
            let (key, value) = entry.map_err(from_redb)?;
            let (id, record) = value.value();
            ledgers.push(open_ledger(key.value(), LedgerId::from_bytes(id), record)?);
        }
        Ok(ledgers)
    }

    /// Creates a ledger.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_ledger(&self, genesis: &Genesis) -> Result<LedgerEntry, JournalError> {
        let id = genesis.ledger_id();
        let no = self.write(|transaction| {
            let no = staging::next_no(transaction)?;
            let mut table = transaction.open_table(LEDGERS)?;
            table.insert(no, (*id.as_bytes(), encode(genesis).as_slice()))?;
            Ok(no)
        })?;
        Ok(LedgerEntry { no, id, genesis: genesis.clone() })
    }

    /// Makes a group durable: all of it or nothing.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses. Then the journal must be opened anew before it is used again.
    ///
    /// # Panics
    /// When a tile of the group is not complete.
    pub fn commit(&self, ledger: LedgerNo, group: &Group<'_>) -> Result<(), JournalError> {
        self.write(|transaction| {
            if let Some(first) = group.steps.first() {
                let mut steps = transaction.open_table(STEPS)?;
                for (seq, row) in rows::rows(first.receipt.seq, group.steps.iter().map(rows::parts)) {
                    steps.insert((ledger, seq), row.as_slice())?;
                }
            }
            if !group.tiles.is_empty() {
                let mut log = transaction.open_table(LOG)?;
                for tile in group.tiles {
                    assert_eq!(tile.hashes.len(), TILE_BYTES_MAX, "only complete tiles are stored");
                    log.insert((ledger, tile.level, tile.index), tile.hashes.as_slice())?;
                }
            }
            if let Some(attestation) = group.attestation {
                let mut table = transaction.open_table(ATTESTATIONS)?;
                table.insert((ledger, attestation.body.seq), encode(attestation).as_slice())?;
            }
            Ok(())
        })
    }

    /// Keeps a record of a host fault: what happened, for people.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_incident(&self, ledger: LedgerNo, seq: u64, text: &str) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(INCIDENTS)?.insert((ledger, seq), text.as_bytes())?;
            Ok(())
        })
    }

    /// No process has the journal open for writing.
    ///
    /// # Errors
    /// [`JournalError`]: it is not there, or cannot be read.
    pub fn is_free(path: &Path) -> Result<bool, JournalError> {
        match Self::open_read_only(path) {
            Ok(_) | Err(JournalError::NeedsRepair) => Ok(true),
            Err(JournalError::Locked) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The journal as it is now, for reading only: whatever is committed meanwhile, everything that is read of it is of
    /// this moment. Pages of the moment stay in the file as long as it is held.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn moment(&self) -> Result<Self, JournalError> {
        let transaction = match &self.database {
            Access::Write(database) => Arc::new(database.begin_read().map_err(from_redb)?),
            Access::Read(database) => Arc::new(database.begin_read().map_err(from_redb)?),
            Access::Moment(transaction) => transaction.clone(),
        };
        Ok(Self { database: Access::Moment(transaction) })
    }

    /// It was opened for writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        matches!(self.database, Access::Write(_))
    }

    /// A consistent view of one ledger.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses, or a table is missing.
    pub fn read(&self, ledger: LedgerNo) -> Result<LedgerReader, JournalError> {
        let transaction = self.begin_read()?;
        LedgerReader::new(&transaction, ledger)
    }

    fn prepare(database: Database) -> Result<Self, JournalError> {
        let journal = Self { database: Access::Write(database) };
        journal.write(|transaction| {
            transaction.open_table(PACKAGES)?;
            transaction.open_table(LEDGERS)?;
            transaction.open_table(STEPS)?;
            transaction.open_table(ATTESTATIONS)?;
            transaction.open_table(STATE)?;
            transaction.open_table(STATE_AT)?;
            transaction.open_table(LOG)?;
            transaction.open_table(INCIDENTS)?;
            let mut meta = transaction.open_table(META)?;
            if meta.get(FORMAT_KEY)?.is_none() {
                meta.insert(FORMAT_KEY, FORMAT)?;
            }
            Ok(())
        })?;
        journal.check_format()
    }

    fn check_format(self) -> Result<Self, JournalError> {
        let meta = self.begin_read()?.open_table(META).map_err(from_redb)?;
        let found = meta.get(FORMAT_KEY).map_err(from_redb)?.map(|value| value.value().to_vec()).unwrap_or_default();
        if found == FORMAT {
            return Ok(self);
        }
        Err(JournalError::Format { found: String::from_utf8_lossy(&found).into_owned() })
    }

    fn begin_read(&self) -> Result<Reading<'_>, JournalError> {
        let begun = match &self.database {
            Access::Write(database) => database.begin_read(),
            Access::Read(database) => database.begin_read(),
            Access::Moment(transaction) => return Ok(Reading::Moment(transaction)),
        };
        begun.map(Reading::Begun).map_err(from_redb)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, JournalError> {
        self.write_with(Durability::Immediate, change)
    }

    fn write_with<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, JournalError> {
        let Access::Write(database) = &self.database else { return Err(JournalError::ReadOnly) };
        let mut transaction = database.begin_write().map_err(from_redb)?;
        transaction.set_durability(durability).map_err(from_redb)?;
        let value = change(&transaction).map_err(from_redb)?;
        transaction.commit().map_err(from_redb)?;
        Ok(value)
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(PAGE_CACHE_BYTES);
    builder
}

fn open_package(digest: PackageDigest, bytes: &[u8]) -> Result<Package, JournalError> {
    let damaged = |reason: String| JournalError::damaged(RecordKind::Package, digest, reason);
    let package: Package = decode_canonical(bytes).map_err(|e| damaged(e.to_string()))?;
    package.verify_component().map_err(|e| damaged(e.to_string()))?;
    if package.manifest.digest() == digest {
        return Ok(package);
    }
    Err(damaged("its manifest has another digest".to_owned()))
}

fn open_ledger(no: LedgerNo, id: LedgerId, bytes: &[u8]) -> Result<LedgerEntry, JournalError> {
    let damaged = |reason: String| JournalError::damaged(RecordKind::Genesis, id, reason);
    let genesis: Genesis = decode_canonical(bytes).map_err(|e| damaged(e.to_string()))?;
    if genesis.ledger_id() == id {
        genesis.supported().map_err(|e| damaged(e.to_string()))?;
        return Ok(LedgerEntry { no, id, genesis });
    }
    Err(damaged(format!("its digest is {}", genesis.ledger_id())))
}

#[cfg(test)]
mod tests;
