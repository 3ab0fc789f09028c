//! Grants of ownership.

use super::Roster;
use crate::{list::List, message::NodeKey};
use reprise_abi::{Canonical, CodecError, encode};
use reprise_receipts::{LedgerId, PublicKey, SigningKey, attestation::Signature, genesis::OPERATORS_MAX};
use serde::{Deserialize, Serialize};

/// First bytes of everything that is signed as a grant.
pub const GRANT_DOMAIN: &[u8] = b"reprise grant v1\n";

/// Who owns a ledger from this epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Higher than every epoch before.
    pub epoch: u64,
    /// The new owner, a voting member.
    pub owner: NodeKey,
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
    /// What operators sign.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        [GRANT_DOMAIN, &encode(self)].concat()
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
    /// Enough operators of the roster signed it, and it names a voting member.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn verify(&self, roster: &Roster) -> Result<&Grant, GrantError> {
        let grant = &self.grant;
        if grant.ledger != roster.ledger || grant.roster != roster.number {
            return Err(GrantError::OtherRoster);
        }
        if roster.member(grant.owner).is_none_or(|member| member.observer) {
            return Err(GrantError::NotAVoter(grant.owner));
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
    const BYTES_MAX: usize = 128;
}

impl Canonical for SignedGrant {
    const KIND: &'static str = "signed grant";
    const BYTES_MAX: usize = 128 + OPERATORS_MAX * 96 + 1;

    fn validate(&self) -> Result<(), CodecError> {
        if self.signatures.is_sorted_by(|a, b| a.0 < b.0) {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "signers ascend strictly" })
    }
}
