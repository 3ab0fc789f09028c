//! Who attests which receipts of a ledger: the genesis record's key, and those of the epochs that operators began since.
//!
//! An epoch's key is authentic by itself: operators of the genesis record signed the command that names it. Where the
//! epoch begins is what the ledger's state says, and a receipt says which epoch it is of.

use crate::{
    attestation::{Attestation, AttestationError, PublicKey},
    command::CommandError,
    genesis::Genesis,
    system::epochs::{self, EpochRecord, Term},
    trie::StateTrie,
};

/// The epochs of a ledger, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attesters {
    terms: Vec<Term>,
    has_succession: bool,
}

impl Attesters {
    /// Of a ledger that is still in its first epoch.
    #[must_use]
    pub fn of_genesis(genesis: &Genesis) -> Self {
        Self { terms: vec![Term::first(genesis)], has_succession: genesis.has_succession() }
    }

    /// Of a ledger with this state.
    #[must_use]
    pub fn of_state(genesis: &Genesis, state: &StateTrie) -> Self {
        let mut attesters = Self::of_genesis(genesis);
        epochs::records(state).for_each(|record| {
            // What does not hold was not begun by the rules: no receipt leads there.
            let _ = attesters.add(genesis, &record);
        });
        attesters
    }

    /// Adds the next epoch. Its command is checked, where it begins is not.
    ///
    /// # Errors
    /// [`CommandError`]: the command does not begin an epoch after those that are known, or too few operators signed it.
    pub fn add(&mut self, genesis: &Genesis, record: &EpochRecord) -> Result<(), CommandError> {
        let term = record.term().ok_or(CommandError::Malformed)?;
        record.grant.may_begin_epoch(genesis.ledger_id(), genesis)?;
        let last = self.in_force();
        if term.epoch <= last.epoch || term.first_seq < last.first_seq {
            return Err(CommandError::OtherEpoch);
        }
        self.terms.push(term);
        Ok(())
    }

    /// The epoch in force.
    #[must_use]
    pub fn in_force(&self) -> &Term {
        self.terms.last().expect("there is always the first epoch")
    }

    /// All of them, ascending.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whose signature over receipt `seq` counts.
    #[must_use]
    pub fn at(&self, seq: u64) -> &PublicKey {
        &self.term_at(seq).attester
    }

    /// The epoch that receipt `seq` is of.
    #[must_use]
    pub fn term_at(&self, seq: u64) -> &Term {
        let later = self.terms.partition_point(|term| term.first_seq <= seq);
        &self.terms[later.saturating_sub(1)]
    }

    /// Whose signature over a log of `size` receipts counts: that of its last receipt.
    #[must_use]
    pub fn of_log(&self, size: u64) -> &PublicKey {
        self.at(size.saturating_sub(1))
    }

    /// The latest epoch that this key attests.
    #[must_use]
    pub fn last_epoch_of(&self, attester: &PublicKey) -> Option<u64> {
        self.terms.iter().rev().find(|term| term.attester == *attester).map(|term| term.epoch)
    }

    /// The attestation is over a receipt of this ledger and of the epoch that the ledger was in there, and its attester
    /// signed it.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn verify(&self, attestation: &Attestation) -> Result<(), AttestationError> {
        self.verify_in(self.term_at(attestation.body.seq).epoch, attestation)
    }

    /// [`Self::verify`], for a receipt that is known to be of this epoch.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn verify_in(&self, epoch: u64, attestation: &Attestation) -> Result<(), AttestationError> {
        let (expected, found) = (self.has_succession.then_some(epoch), attestation.body.epoch);
        let attester = self.of_epoch(epoch).ok_or(AttestationError::ForeignKey(attestation.signer))?;
        attestation.verify(attester)?;
        if found == expected { Ok(()) } else { Err(AttestationError::OtherEpoch { expected, found }) }
    }

    /// Whose signature over receipts of this epoch counts.
    #[must_use]
    pub fn of_epoch(&self, epoch: u64) -> Option<&PublicKey> {
        self.terms.iter().find(|term| term.epoch == epoch).map(|term| &term.attester)
    }
}
