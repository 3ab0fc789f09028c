//! The tables of the journal. Keys of what belongs to a ledger begin with the ledger's number, so that one
//! ledger is one run of keys.

use redb::TableDefinition;

/// What the journal says of itself.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Package digest to package.
pub(super) const PACKAGES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("packages");
/// Ledger number to ledger id and genesis record.
pub(super) const LEDGERS: TableDefinition<'_, u32, ([u8; 32], &[u8])> = TableDefinition::new("ledgers");
/// (ledger, seq of the first step) to a row of steps: inputs, receipts, step records. See [`super::rows`].
pub(super) const STEPS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("steps");
/// (ledger, seq of the attested receipt) to attestation.
pub(super) const ATTESTATIONS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("attestations");
/// (ledger, state key) to value: the state after the receipts that [`STATE_AT`] counts.
pub(super) const STATE: TableDefinition<'_, (u32, &[u8]), &[u8]> = TableDefinition::new("state");
/// Ledger to the number of receipts whose diffs are in [`STATE`], 8 bytes little-endian; none when there are none.
pub(super) const STATE_AT: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("state_at");
/// (ledger, tile level, tile index) to the 256 hashes of a complete tile of the log.
pub(super) const LOG: TableDefinition<'_, (u32, u8, u64), &[u8]> = TableDefinition::new("log");
/// (ledger, seq that could not be executed) to what happened: host faults, for people.
pub(super) const INCIDENTS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("incidents");
