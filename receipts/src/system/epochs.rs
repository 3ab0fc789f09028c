//! Epochs under the root: who has owned the ledger since when, and who attests its receipts.
//!
//! The genesis record names the first epoch and its attester. Every later one was begun by an operators' command, which
//! is kept as it was signed: whoever has the state can show to somebody who knows only the genesis record who attests
//! which receipts, and needs nothing that came before.

use super::{SYSTEM_NAMESPACE, SystemChanges};
use crate::{
    attestation::PublicKey,
    command::{Command, SignedCommand},
    genesis::Genesis,
    trie::StateTrie,
};
use reprise_abi::{Canonical, CodecError, Input, decode_canonical, encode};
use serde::{Deserialize, Serialize};

/// First bytes of the keys of [`EpochRecord`]s.
pub const PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b'g'];

/// What the state keeps of an epoch that a command began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Its first receipt: the one of the command.
    pub first_seq: u64,
    /// The command, with its signatures.
    pub grant: SignedCommand,
}

/// An epoch: the time of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its number.
    pub epoch: u64,
    /// Its first receipt.
    pub first_seq: u64,
    /// Node key of the owner; the genesis record names none.
    pub owner: Option<PublicKey>,
    /// Key that attests its receipts.
    pub attester: PublicKey,
}

/// All that commands began, in their order.
pub fn records(state: &StateTrie) -> impl Iterator<Item = EpochRecord> + '_ {
    state.scan(PREFIX, None).filter_map(|(_, value)| decode_canonical(value).ok())
}

/// The epoch in force.
#[must_use]
pub fn in_force(genesis: &Genesis, state: &StateTrie) -> Term {
    let last = records(state).filter_map(|record| record.term()).last();
    last.unwrap_or_else(|| Term::first(genesis))
}

/// Where the state keeps an epoch.
#[must_use]
pub fn key(epoch: u64) -> Vec<u8> {
    [PREFIX, &epoch.to_be_bytes()].concat()
}

/// A change of this key begins an epoch, or takes it back.
#[must_use]
pub fn is_told_by(key: &[u8]) -> bool {
    key.starts_with(PREFIX)
}

impl Term {
    /// The one of the genesis record.
    #[must_use]
    pub fn first(genesis: &Genesis) -> Self {
        Self { epoch: genesis.epoch, first_seq: 0, owner: None, attester: genesis.attester }
    }
}

impl EpochRecord {
    /// The epoch; `None` if the command begins none.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        let Command::Epoch { to, owner, attester, .. } = self.grant.command else { return None };
        Some(Term { epoch: to, first_seq: self.first_seq, owner: Some(owner), attester })
    }
}

impl SystemChanges<'_> {
    /// The ledger enters the epoch of this input.
    pub(crate) fn begin_epoch(&mut self, input: &Input, grant: &SignedCommand) {
        let record = EpochRecord { first_seq: input.seq, grant: grant.clone() };
        self.write(key(input.epoch), Some(encode(&record)));
    }
}

impl Canonical for EpochRecord {
    const KIND: &'static str = "epoch record";
    const BYTES_MAX: usize = 16 + SignedCommand::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.grant.validate()?;
        let rule = "the command begins an epoch";
        self.term().map(|_| ()).ok_or(CodecError::Invalid { kind: Self::KIND, rule })
    }
}
