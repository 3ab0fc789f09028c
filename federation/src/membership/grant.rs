//! Grants of ownership: what operators sign is the command that begins an epoch of the ledger, and members are shown the
//! same signatures that the ledger orders.

use super::Roster;
use crate::{list::List, message::NodeKey};
use reprise_abi::{Canonical, CodecError};
use reprise_receipts::{
    LedgerId, PublicKey, SigningKey,
    attestation::Signature,
    command::{Command, SignedCommand},
    genesis::OPERATORS_MAX,
};
use serde::{Deserialize, Serialize};

/// Who owns a ledger from this epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Higher than every epoch before.
    pub epoch: u64,
    /// The new owner, a voting member.
    pub owner: NodeKey,
    /// The receipt-signing key of the new owner: it attests the ledger in this epoch.
    pub attester: PublicKey,
    /// Number of the roster that the operators had before them.
    pub roster: u64,
}

/// A grant with the signatures of operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedGrant {
    /// What is granted.
    pub grant: Grant,
    /// By whom; signers ascend strictly.
    pub signatures: List<(PublicKey, Signature), OPERATORS_MAX>,
}

/// Why a grant is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Of another ledger or another roster.
    #[error("the grant is for another ledger or another roster")]
    OtherRoster,
    /// The owner is no voting member.
    #[error("the grant names {0:?}, which is no voting member")]
    NotAVoter(NodeKey),
    /// The attester is not the owner's receipt-signing key of the roster.
    #[error("the grant names the attester {0}, which is not the owner's key")]
    OtherAttester(PublicKey),
    /// A higher epoch is known.
    #[error("the grant is of epoch {found}; epoch {promised} is promised")]
    LowerEpoch {
        /// The epoch that is known.
        promised: u64,
        /// The epoch of the grant.
        found: u64,
    },
    /// The epoch is promised to another member. Operators have signed two grants of one epoch: raise it once more.
    #[error("epoch {epoch} is promised to {owner:?} already")]
    EpochTaken {
        /// Which epoch.
        epoch: u64,
        /// To whom it is promised.
        owner: NodeKey,
    },
    /// Fewer valid signatures of operators than the roster asks for.
    #[error("{found} valid signatures of operators, {needed} are needed")]
    TooFewSignatures {
        /// Valid ones.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
}

impl Grant {
    /// What operators sign: the command of the ledger.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.command().message(self.ledger)
    }

    /// The command that begins the epoch.
    #[must_use]
    pub fn command(&self) -> Command {
        Command::Epoch { to: self.epoch, owner: self.owner.0, attester: self.attester, roster: self.roster }
    }

    /// Signs it as these operators.
    #[must_use]
    pub fn sign(self, operators: &[&SigningKey]) -> SignedGrant {
        let message = self.message();
        let mut signatures: Vec<_> =
            operators.iter().map(|key| (key.public(), Signature::from_bytes(key.sign(&message)))).collect();
        signatures.sort_by_key(|(signer, _)| *signer);
        signatures.dedup_by_key(|(signer, _)| *signer);
        SignedGrant { grant: self, signatures: List::first(signatures) }
    }
}

impl SignedGrant {
    /// Of a command that begins an epoch; `None` of any other.
    #[must_use]
    pub fn of_command(ledger: LedgerId, signed: &SignedCommand) -> Option<Self> {
        let Command::Epoch { to, owner, attester, roster } = signed.command else { return None };
        let grant = Grant { ledger, epoch: to, owner: NodeKey(owner), attester, roster };
        Some(Self { grant, signatures: List::new(signed.signatures.clone())? })
    }

    /// As the ledger orders it.
    #[must_use]
    pub fn to_command(&self) -> SignedCommand {
        SignedCommand { command: self.grant.command(), signatures: self.signatures.to_vec() }
    }

    /// Enough operators of the roster signed it, and it names a voting member.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn verify(&self, roster: &Roster) -> Result<&Grant, GrantError> {
        let grant = &self.grant;
        if grant.ledger != roster.ledger || grant.roster != roster.number {
            return Err(GrantError::OtherRoster);
        }
        let owner = roster.member(grant.owner).filter(|member| !member.observer);
        let owner = owner.ok_or(GrantError::NotAVoter(grant.owner))?;
        if owner.receipts != grant.attester {
            return Err(GrantError::OtherAttester(grant.attester));
        }
        let message = grant.message();
        let valid = |(signer, signature): &&(PublicKey, Signature)| {
            roster.operators.binary_search(signer).is_ok() && signer.verify(&message, signature.as_bytes()).is_ok()
        };
        let (found, needed) = (self.signatures.iter().filter(valid).count(), roster.operator_threshold as usize);
        if found < needed { Err(GrantError::TooFewSignatures { found, needed }) } else { Ok(grant) }
    }
}

impl Canonical for Grant {
    const KIND: &'static str = "grant";
    const BYTES_MAX: usize = 160;
}

impl Canonical for SignedGrant {
    const KIND: &'static str = "signed grant";
    const BYTES_MAX: usize = Grant::BYTES_MAX + OPERATORS_MAX * 96 + 1;

    fn validate(&self) -> Result<(), CodecError> {
        if self.signatures.is_sorted_by(|a, b| a.0 < b.0) {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "signers ascend strictly" })
    }
}
