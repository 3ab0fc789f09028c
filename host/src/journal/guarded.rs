//! Records that nothing else vouches for carry their own digest in front.
//!
//! What a receipt or a signature names can be held against it. Settings, plans and what lies in quarantine are named
//! by nobody, so a damaged byte in them would go unseen.

use super::{
    Base, Case, CheckpointSettings, Journal, JournalError, KeptMark, LedgerNo, Rewind, RunningPlan,
    ancestry::ANCESTRIES,
    base::BASES,
    checkpoints::CHECKPOINT_SETTINGS,
    error::from_redb,
    finals::FINALS,
    plans::{PLANS, REWINDS},
    quarantine::{QUARANTINE, QUARANTINED},
};
use redb::{Key, Table};
use reprise_abi::{Canonical, CodecError, decode_canonical};
use reprise_receipts::{checkpoint::Ancestry, digest::derive};

const GUARD_BYTES: usize = 32;

/// Why a guarded record does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The bytes are not those that the digest was made of.
    #[error("it does not have the digest that is stored with it")]
    Digest,
    /// The digest holds, but the bytes are of no such record.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Names a guarded record of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardedKey {
    /// When the ledger makes checkpoints.
    Settings,
    /// A case of quarantine.
    Case(u32),
    /// A record in quarantine: case, kind, number.
    Quarantined(u32, u8, u64),
    /// The plan that is being carried out.
    Plan,
    /// A rewind, by its case of quarantine.
    Rewind(u32),
    /// Where the ledger begins on this node.
    Base,
    /// What the checkpoint over so many receipts came after.
    Ancestry(u64),
    /// What members have made final.
    Final,
}

impl GuardedKey {
    /// Holds the stored bytes of this record against their digest.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn check(self, stored: &[u8]) -> Result<(), GuardError> {
        match self {
            Self::Settings => open_guarded::<CheckpointSettings>(stored).map(drop),
            Self::Case(_) => open_guarded::<Case>(stored).map(drop),
            Self::Quarantined(..) => unguard(stored).map(drop),
            Self::Plan => open_guarded::<RunningPlan>(stored).map(drop),
            Self::Rewind(_) => open_guarded::<Rewind>(stored).map(drop),
            Self::Base => open_guarded::<Base>(stored).map(drop),
            Self::Ancestry(_) => open_guarded::<Ancestry>(stored).map(drop),
            Self::Final => open_guarded::<KeptMark>(stored).map(drop),
        }
    }
}

impl Journal {
    /// Every guarded record of a ledger as it is stored, unchecked.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn raw_guarded(&self, ledger: LedgerNo) -> Result<Vec<(GuardedKey, Vec<u8>)>, JournalError> {
        let mut found = Vec::new();
        let singles = [
            (CHECKPOINT_SETTINGS, GuardedKey::Settings),
            (PLANS, GuardedKey::Plan),
            (BASES, GuardedKey::Base),
            (FINALS, GuardedKey::Final),
        ];
        for (table, key) in singles {
            let Some(table) = self.open_if_there(table)? else { continue };
            let stored = table.get(ledger).map_err(from_redb)?;
            found.extend(stored.map(|stored| (key, stored.value().to_vec())));
        }
        for (table, is_case) in [(QUARANTINE, true), (REWINDS, false)] {
            let Some(table) = self.open_if_there(table)? else { continue };
            for entry in table.range((ledger, 0)..=(ledger, u32::MAX)).map_err(from_redb)? {
                let (no, stored) = entry.map_err(from_redb)?;
                let no = no.value().1;
                let key = if is_case { GuardedKey::Case(no) } else { GuardedKey::Rewind(no) };
                found.push((key, stored.value().to_vec()));
            }
        }
        if let Some(table) = self.open_if_there(ANCESTRIES)? {
            for entry in table.range((ledger, 0)..=(ledger, u64::MAX)).map_err(from_redb)? {
                let (key, stored) = entry.map_err(from_redb)?;
                found.push((GuardedKey::Ancestry(key.value().1), stored.value().to_vec()));
            }
        }
        if let Some(table) = self.open_if_there(QUARANTINED)? {
            let of_ledger = (ledger, 0, 0, 0)..=(ledger, u32::MAX, u8::MAX, u64::MAX);
            for entry in table.range(of_ledger).map_err(from_redb)? {
                let (key, stored) = entry.map_err(from_redb)?;
                let (_, case, kind, seq) = key.value();
                found.push((GuardedKey::Quarantined(case, kind, seq), stored.value().to_vec()));
            }
        }
        Ok(found)
    }

    /// Writes the bytes of a guarded record as they are.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn mend_guarded(&self, ledger: LedgerNo, key: GuardedKey, stored: &[u8]) -> Result<(), JournalError> {
        self.write(|transaction| match key {
            GuardedKey::Settings => put(transaction.open_table(CHECKPOINT_SETTINGS)?, ledger, stored),
            GuardedKey::Case(no) => put(transaction.open_table(QUARANTINE)?, (ledger, no), stored),
            GuardedKey::Quarantined(case, kind, seq) => {
                put(transaction.open_table(QUARANTINED)?, (ledger, case, kind, seq), stored)
            }
            GuardedKey::Plan => put(transaction.open_table(PLANS)?, ledger, stored),
            GuardedKey::Rewind(no) => put(transaction.open_table(REWINDS)?, (ledger, no), stored),
            GuardedKey::Base => put(transaction.open_table(BASES)?, ledger, stored),
            GuardedKey::Ancestry(size) => put(transaction.open_table(ANCESTRIES)?, (ledger, size), stored),
            GuardedKey::Final => put(transaction.open_table(FINALS)?, ledger, stored),
        })
    }
}

fn put<'k, K: Key + 'static>(
    mut table: Table<'_, K, &'static [u8]>,
    key: K::SelfType<'k>,
    stored: &[u8],
) -> Result<(), redb::Error> {
    table.insert(key, stored)?;
    Ok(())
}

/// The bytes with their digest in front.
pub(super) fn guard(bytes: &[u8]) -> Vec<u8> {
    let mut guarded = digest(bytes).to_vec();
    guarded.extend_from_slice(bytes);
    guarded
}

/// The bytes behind a digest that holds.
pub(super) fn unguard(stored: &[u8]) -> Result<&[u8], GuardError> {
    let (expected, bytes) = stored.split_first_chunk::<GUARD_BYTES>().ok_or(GuardError::Digest)?;
    if digest(bytes) == *expected { Ok(bytes) } else { Err(GuardError::Digest) }
}

/// A record behind a digest that holds.
pub(super) fn open_guarded<T: Canonical>(stored: &[u8]) -> Result<T, GuardError> {
    Ok(decode_canonical(unguard(stored)?)?)
}

fn digest(bytes: &[u8]) -> [u8; GUARD_BYTES] {
    derive("reprise 2026 journal guard v1", bytes)
}
