//! The tables of the journal. Keys of what belongs to a ledger begin with the ledger's number, so that one
//! ledger is one run of keys.

use redb::TableDefinition;

/// What the journal says of itself.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Package digest to package.
pub(super) const PACKAGES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("packages");
/// Ledger number to ledger id and genesis record.
pub(super) const LEDGERS: TableDefinition<'_, u32, ([u8; 32], &[u8])> = TableDefinition::new("ledgers");
/// (ledger, seq) to input.
pub(super) const INPUTS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("inputs");
/// (ledger, seq) to receipt.
pub(super) const RECEIPTS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("receipts");
/// (ledger, seq) to step record: diff and output.
pub(super) const RECORDS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("records");
/// (ledger, seq of the attested receipt) to attestation.
pub(super) const ATTESTATIONS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("attestations");
/// (ledger, state key) to value.
pub(super) const STATE: TableDefinition<'_, (u32, &[u8]), &[u8]> = TableDefinition::new("state");
/// (ledger, tile level, tile index) to up to 256 hashes of the log.
pub(super) const LOG: TableDefinition<'_, (u32, u8, u64), &[u8]> = TableDefinition::new("log");
/// (ledger, seq that could not be executed) to what happened: host faults, for people.
pub(super) const INCIDENTS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("incidents");
