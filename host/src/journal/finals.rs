//! What members have made final: of each ledger the newest proof, and who could vote then.
//!
//! A mark only ever gives way to one of more receipts. A rollback leaves it where it is: what a quorum has signed stays
//! signed, and whoever verifies the ledger is told when it is not the one that was signed any more.

use super::{
    Journal, JournalError, LedgerNo, RecordKind,
    error::from_redb,
    guarded::{guard, open_guarded},
};
use redb::{ReadableTable, TableDefinition};
use reprise_abi::{Canonical, CodecError, encode};
use reprise_federation::{Quorum, Roster, limits::MEMBERS_MAX};
use reprise_receipts::{FinalMark, PublicKey};
use serde::{Deserialize, Serialize};

/// Ledger to its [`KeptMark`], guarded.
pub(super) const FINALS: TableDefinition<'static, u32, &[u8]> = TableDefinition::new("finals");

/// A final mark, as this node keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMark {
    /// Who signed what.
    pub mark: FinalMark,
    /// Who could. `None` for a mark that came with a bundle: who may vote is not in it.
    pub electorate: Option<Electorate>,
}

/// Who could vote on a ledger when something became final, and how many were needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Electorate {
    /// The receipt-signing keys of the voting members, ascending strictly.
    pub voters: Vec<PublicKey>,
    /// How many of them decide.
    pub rule: Quorum,
}

impl Electorate {
    /// The voting members of a roster, and its rule.
    #[must_use]
    pub fn of(roster: &Roster) -> Self {
        let mut voters: Vec<PublicKey> = roster.voting().map(|member| member.receipts).collect();
        voters.sort_unstable();
        Self { voters, rule: roster.quorum }
    }

    /// Votes that are needed.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.rule.needed(self.voters.len())
    }

    /// Those of them that signed a mark.
    #[must_use]
    pub fn votes(&self, mark: &FinalMark) -> usize {
        self.voters.iter().filter(|voter| mark.names(voter)).count()
    }
}

impl Canonical for KeptMark {
    const KIND: &'static str = "final mark of a ledger";
    const BYTES_MAX: usize = 16 + FinalMark::BYTES_MAX + MEMBERS_MAX * 32;

    fn validate(&self) -> Result<(), CodecError> {
        self.mark.validate()?;
        let Some(electorate) = &self.electorate else { return Ok(()) };
        let voters = &electorate.voters;
        if (1..=MEMBERS_MAX).contains(&voters.len()) && voters.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "there are 1 to 32 voters, ascending strictly" })
    }
}

impl Journal {
    /// What members have made final of a ledger, as far as this node knows.
    ///
    /// # Errors
    /// [`JournalError::Damaged`]: what is stored does not hold.
    pub fn final_mark(&self, ledger: LedgerNo) -> Result<Option<KeptMark>, JournalError> {
        let Some(table) = self.open_if_there(FINALS)? else { return Ok(None) };
        let Some(stored) = table.get(ledger).map_err(from_redb)? else { return Ok(None) };
        let kept = open_guarded(stored.value());
        kept.map(Some).map_err(|error| JournalError::damaged(RecordKind::Final, ledger, error))
    }

    /// Keeps a mark, unless there is one of as many receipts or more. Answers whether it is kept.
    ///
    /// # Errors
    /// [`JournalError`]: the disk refuses.
    pub fn put_final_mark(&self, ledger: LedgerNo, kept: &KeptMark) -> Result<bool, JournalError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(FINALS)?;
            // One that is damaged says nothing, and gives way.
            let size = table.get(ledger)?.and_then(|stored| open_guarded::<KeptMark>(stored.value()).ok());
            let is_newer = size.is_none_or(|there| there.mark.size() < kept.mark.size());
            if is_newer {
                table.insert(ledger, guard(&encode(kept)).as_slice())?;
            }
            Ok(is_newer)
        })
    }
}
