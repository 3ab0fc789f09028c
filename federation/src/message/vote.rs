//! Votes on windows: a member's signatures over a ledger at one size.
//!
//! A vote carries two signatures of the same key. The *attestation* is over the receipt and the log root: two that differ
//! at one place are evidence that anybody can check (`reprise_receipts::evidence`). The *cosignature* is over the
//! checkpoint of the same log, as any C2SP tool reads it. State root and execution root stand in the receipt whose leaf
//! is attested; the vote repeats them as the member computed them, so that a damaged state is noticed here.

use super::rule;
use reprise_abi::CodecError;
use reprise_receipts::{
    Attestation, AttestationBody, ExecutionRoot, LeafHash, LedgerId, LogRoot, PublicKey, SigningKey, StateRoot,
    attestation::Signature,
    checkpoint::{Checkpoint, CosignerKey},
    log::LOG_SIZE_MAX,
    note::NoteError,
};
use serde::{Deserialize, Serialize};
use signed_note::Verifier;

/// Times at or beyond this are refused, as tlog-cosignature demands.
const TIME_END_S: u64 = 1 << 63;

/// A member's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Which ledger.
    pub ledger: LedgerId,
    /// The epoch that the member knows of.
    pub epoch: u64,
    /// Number of receipts, at least 1.
    pub size: u64,
    /// RFC 6962 root of them.
    pub log_root: LogRoot,
    /// Leaf hash of the last one.
    pub leaf: LeafHash,
    /// The epoch of the last one, as attestations name it.
    pub ordered_in: Option<u64>,
    /// Root of the state, computed from the state.
    pub state_root: StateRoot,
    /// Execution root of the last step.
    pub execution: ExecutionRoot,
    /// The receipt-signing key of the member.
    pub signer: PublicKey,
    /// Over the attestation body.
    pub attested: Signature,
    /// Time of the cosignature, in seconds since 1970.
    pub time_s: u64,
    /// Over the checkpoint and that time.
    pub cosigned: Signature,
}

/// Why a vote does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoteError {
    /// Signed by a key that may not vote on this ledger.
    #[error("{0} may not vote on this ledger")]
    NotAMember(PublicKey),
    /// A signature does not hold.
    #[error("a signature of the vote of {0} does not verify")]
    BadSignature(PublicKey),
}

impl Vote {
    /// Signs. Only for a log that is durable in the signer's own journal, and that extends all that it signed before.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Self {
        let mut vote = Self { signer: key.public(), ..self };
        vote.attested = vote.body().sign(key).signature;
        vote.cosigned = Signature::from_bytes(key.sign(&vote.cosigned_bytes()));
        vote
    }

    /// Both signatures hold.
    ///
    /// # Errors
    /// [`VoteError::BadSignature`].
    pub fn verify(&self) -> Result<(), VoteError> {
        let attested = self.attestation().verify(&self.signer);
        let cosigned = self.signer.verify(&self.cosigned_bytes(), self.cosigned.as_bytes());
        attested.and(cosigned).map_err(|_| VoteError::BadSignature(self.signer))
    }

    /// What two of, if they differ, are evidence of equivocation.
    #[must_use]
    pub fn attestation(&self) -> Attestation {
        Attestation { body: self.body(), signer: self.signer, signature: self.attested }
    }

    /// The checkpoint that is cosigned.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { ledger: self.ledger, size: self.size, log_root: self.log_root }
    }

    /// The cosignature as a line of a signed checkpoint, under the name that the signer is known by as a witness.
    ///
    /// # Errors
    /// [`NoteError::Name`]: the name cannot be a key name.
    pub fn cosignature(&self, name: &str) -> Result<String, NoteError> {
        let id = CosignerKey::new(name, self.signer)?.key_id();
        let stamped = [self.time_s.to_be_bytes().as_slice(), self.cosigned.as_bytes()].concat();
        let line = signed_note::Signature::new(name.to_owned(), id, stamped).map_err(|_| NoteError::Name)?;
        let line = String::from_utf8(line.to_bytes()).map_err(|_| NoteError::Name)?;
        Ok(line.trim_end_matches('\n').to_owned())
    }

    /// Both votes say the same of the ledger.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let facts = |vote: &Self| (vote.ledger, vote.size, vote.log_root, vote.leaf, vote.state_root, vote.execution);
        facts(self) == facts(other)
    }

    fn body(&self) -> AttestationBody {
        let (ledger, seq, epoch) = (self.ledger, self.size - 1, self.ordered_in);
        AttestationBody { ledger, seq, leaf: self.leaf, log_root: self.log_root, epoch }
    }

    /// `c2sp.org/tlog-cosignature`, version 1.
    fn cosigned_bytes(&self) -> Vec<u8> {
        format!("cosignature/v1\ntime {}\n{}", self.time_s, self.checkpoint().body()).into_bytes()
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        rule((1..=LOG_SIZE_MAX).contains(&self.size), "a vote is on 1 to 2^48 receipts")?;
        rule(self.time_s < TIME_END_S, "the time of a cosignature is below 2^63")
    }
}
