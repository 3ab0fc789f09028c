//! Plans that are being carried out, and the rewinds that were.
//!
//! The journal knows nothing of what a plan says: it keeps its bytes and which step comes next. A ledger has at most
//! one plan at a time. A rewind is written once and stays: it says that receipts which were in force are no more.

use super::{
    CaseNo, Journal, JournalError, LedgerNo, RecordKind,
    error::from_redb,
    guarded::{guard, open_guarded},
    quarantine::remove_case,
};
use redb::TableDefinition;
use reprise_abi::{Canonical, CodecError, encode, limits::DETAIL_BYTES_MAX};
use reprise_receipts::{LeafHash, LogRoot};
use serde::{Deserialize, Serialize};

/// Ledger to its [`RunningPlan`], guarded.
pub(super) const PLANS: TableDefinition<'static, u32, &[u8]> = TableDefinition::new("plans");
/// (ledger, case of quarantine) to [`Rewind`], guarded.
pub(super) const REWINDS: TableDefinition<'static, (u32, u32), &[u8]> = TableDefinition::new("rewinds");

/// Longest encoded plan, in bytes.
pub const PLAN_BYTES_MAX: usize = 64 * 1024;

/// A plan in the middle of being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningPlan {
    /// The encoded plan.
    pub plan: Vec<u8>,
    /// The step that comes next; those before it are done.
    pub next: u32,
    /// When it was begun: the node's clock, in milliseconds since 1970.
    pub begun_ms: u64,
}

impl Canonical for RunningPlan {
    const KIND: &'static str = "running plan";
    const BYTES_MAX: usize = PLAN_BYTES_MAX + 64;
}

/// A ledger went back: receipts that were in force are not any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewind {
    /// Receipts that stay in force.
    pub size: u64,
    /// Receipts that there were.
    pub old_size: u64,
    /// Leaf hash of the last of those.
    pub old_leaf: LeafHash,
    /// Root of the log of them.
    pub old_log_root: LogRoot,
    /// Attestations or checkpoints over receipts that are cut off exist: the end of what they cover.
    pub attested: Option<u64>,
    /// Why, in the operator's words; at most 1 KiB.
    pub reason: String,
    /// The node's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// The case of quarantine that holds what was cut off.
    pub case: u32,
    /// The epoch of the last receipt that was cut off: what takes its place is of a later one.
    pub epoch: u64,
}

/// A rewind as it was written when ledgers had one epoch.
#[derive(Serialize, Deserialize)]
struct FirstRewind {
    size: u64,
    old_size: u64,
    old_leaf: LeafHash,
    old_log_root: LogRoot,
    attested: Option<u64>,
    reason: String,
    at_ms: u64,
    case: u32,
}

impl From<FirstRewind> for Rewind {
    fn from(first: FirstRewind) -> Self {
        let FirstRewind { size, old_size, old_leaf, old_log_root, attested, reason, at_ms, case } = first;
        Self { size, old_size, old_leaf, old_log_root, attested, reason, at_ms, case, epoch: 0 }
    }
}

impl Canonical for FirstRewind {
    const KIND: &'static str = Rewind::KIND;
    const BYTES_MAX: usize = Rewind::BYTES_MAX;
}

impl Canonical for Rewind {
    const KIND: &'static str = "rewind";
    const BYTES_MAX: usize = DETAIL_BYTES_MAX + 256;

    fn validate(&self) -> Result<(), CodecError> {
        if self.size < self.old_size && self.reason.len() <= DETAIL_BYTES_MAX {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "it goes back, with a reason of at most 1 KiB" })
    }
}

impl Journal {
    /// The plan of a ledger that is not done.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: what is stored does not hold.
    pub fn running_plan(&self, ledger: LedgerNo) -> Result<Option<RunningPlan>, JournalError> {
        let Some(table) = self.open_if_there(PLANS)? else { return Ok(None) };
        let Some(stored) = table.get(ledger).map_err(from_redb)? else { return Ok(None) };
        let plan = open_guarded(stored.value());
        plan.map(Some).map_err(|error| JournalError::damaged(RecordKind::Plan, ledger, error))
    }

    /// Writes down how far a plan is.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_running_plan(&self, ledger: LedgerNo, plan: &RunningPlan) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(PLANS)?.insert(ledger, guard(&encode(plan)).as_slice())?;
            Ok(())
        })
    }

    /// The plan of a ledger is done.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn end_plan(&self, ledger: LedgerNo) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(PLANS)?.remove(ledger)?;
            Ok(())
        })
    }

    /// Gives a plan up of which nothing was done yet that shows: its rewind and its case of quarantine go as well, in
    /// the same transaction.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn abandon_plan(&self, ledger: LedgerNo, case: Option<CaseNo>) -> Result<(), JournalError> {
        self.write(|transaction| {
            if let Some(case) = case {
                transaction.open_table(REWINDS)?.remove((ledger, case))?;
                remove_case(transaction, ledger, case)?;
            }
            transaction.open_table(PLANS)?.remove(ledger)?;
            Ok(())
        })
    }

    /// Writes a rewind down, unless its case of quarantine has one already.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_rewind(&self, ledger: LedgerNo, rewind: &Rewind) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction.open_table(REWINDS)?.insert((ledger, rewind.case), guard(&encode(rewind)).as_slice())?;
            Ok(())
        })
    }

    /// The rewinds of a ledger, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the rewind.
    pub fn rewinds(&self, ledger: LedgerNo) -> Result<Vec<Rewind>, JournalError> {
        let Some(table) = self.open_if_there(REWINDS)? else { return Ok(Vec::new()) };
        let mut rewinds = Vec::new();
        for entry in table.range((ledger, 0)..=(ledger, u32::MAX)).map_err(from_redb)? {
            let (key, stored) = entry.map_err(from_redb)?;
            let earlier = |_| open_guarded::<FirstRewind>(stored.value()).map(Rewind::from);
            let rewind = open_guarded(stored.value()).or_else(earlier);
            let no = key.value().1;
            rewinds.push(rewind.map_err(|error| JournalError::damaged(RecordKind::Rewind, no, error))?);
        }
        Ok(rewinds)
    }
}
