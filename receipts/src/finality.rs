//! Final marks: what several members have signed of a shared ledger, as a proof that anybody can check.
//!
//! Members of a shared ledger sign its log window by window. When a quorum has signed the same, the window is final. A
//! mark is what remains of that: the last receipt of the window, the root of the log up to it, and the members'
//! signatures. Each member signs twice: an *attestation* over receipt and log, as the owner makes them, and a C2SP
//! *cosignature* over the checkpoint of that log. State root and execution root are those of the receipt: its leaf hash is
//! attested, so nothing in a mark is left unsigned.
//!
//! A mark says who signed, not who may. Whose signatures count, and how many are enough, is for whoever knows the
//! members: a node by its list of them, a stranger by keys or a trust policy ([`FinalMark::vouched`]).

use crate::{
    attestation::{Attestation, AttestationBody, PublicKey, Signature, SigningKey},
    bundle::Trust,
    checkpoint::{COSIGNATURE_TIME_END_S, Checkpoint, cosigned_message},
    digest::{LeafHash, LedgerId, LogRoot},
    few::few,
    log::LOG_SIZE_MAX,
    receipt::Receipt,
    trust_policy::PolicyRefusal,
};
use reprise_abi::{Canonical, CodecError, encode};
use serde::{Deserialize, Serialize};

/// Version of the final mark that this code writes.
pub const FINAL_MARK_FORMAT: u16 = 1;
/// Most votes of a mark: a ledger has no more members.
pub const FINAL_VOTES_MAX: usize = 32;

/// A log that members have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalMark {
    /// [`FINAL_MARK_FORMAT`].
    pub format: u16,
    /// The last receipt of the log.
    pub receipt: Receipt,
    /// RFC 6962 root of the log.
    pub log_root: LogRoot,
    /// At least one, ascending strictly by signer.
    #[serde(deserialize_with = "few::<_, FinalVote, FINAL_VOTES_MAX>")]
    pub votes: Vec<FinalVote>,
}

/// What one member signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalVote {
    /// Its receipt-signing key.
    pub signer: PublicKey,
    /// Over the attestation body of receipt and log root.
    pub attested: Signature,
    /// Time of the cosignature, in seconds since 1970: what the signer says itself.
    pub time_s: u64,
    /// Over the checkpoint and that time.
    pub cosigned: Signature,
}

/// Why a mark is none, or not one of the log that it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// It is about another ledger.
    #[error("it is about ledger {0}")]
    OtherLedger(LedgerId),
    /// A signature does not hold.
    #[error("a signature of {0} does not verify")]
    BadSignature(PublicKey),
    /// Another receipt is the last one of its log.
    #[error("receipt {seq} is another one there")]
    OtherReceipt {
        /// Which receipt.
        seq: u64,
    },
    /// What was signed is not the beginning of the log that it came with.
    #[error("the log of {size} receipts that was signed is not the beginning of the one of {here}")]
    OtherLog {
        /// Receipts that were signed.
        size: u64,
        /// Receipts of the log that it came with.
        here: u64,
    },
    /// It reaches beyond the log that it came with, and nothing proves that the one leads to the other.
    #[error("it is about {size} receipts, and nothing proves that the {here} here are their beginning")]
    Beyond {
        /// Receipts that were signed.
        size: u64,
        /// Receipts of the log that it came with.
        here: u64,
    },
}

/// The signers that somebody believes, when they are enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouchers {
    /// Those that signed, ascending.
    pub signers: Vec<PublicKey>,
    /// How many are believed.
    pub known: usize,
}

/// Why somebody does not take a mark as final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVouched {
    /// Nobody was named whose signature counts.
    #[error("nobody vouches for the signers: give the members' keys, or a trust policy with a quorum")]
    Nobody,
    /// One key alone.
    #[error("one member's key says nothing of what the others have: give the keys of the other members too")]
    One,
    /// Half of the keys that were named, or fewer.
    #[error("{found} of the {known} keys that were given have signed, which is not more than half")]
    TooFew {
        /// Those that have signed.
        found: usize,
        /// Those that were given.
        known: usize,
    },
    /// By the trust policy.
    #[error(transparent)]
    Policy(PolicyRefusal),
}

impl FinalMark {
    /// Of a log of which this is the last receipt, without votes yet.
    #[must_use]
    pub fn unsigned(receipt: Receipt, log_root: LogRoot) -> Self {
        Self { format: FINAL_MARK_FORMAT, receipt, log_root, votes: Vec::new() }
    }

    /// With the vote of this key. Only for a log that is durable in the signer's own journal, and that extends all that it
    /// signed before.
    #[must_use]
    pub fn signed(self, key: &SigningKey, time_s: u64) -> Self {
        let attested = self.body().sign(key).signature;
        let cosigned = Signature::from_bytes(key.sign(&cosigned_message(time_s, &self.checkpoint())));
        self.with(FinalVote { signer: key.public(), attested, time_s, cosigned })
    }

    /// With a vote that was made elsewhere, in its place. One of the same signer goes.
    #[must_use]
    pub fn with(mut self, vote: FinalVote) -> Self {
        match self.votes.binary_search_by_key(&vote.signer, |there| there.signer) {
            Ok(at) => self.votes[at] = vote,
            Err(at) => self.votes.insert(at, vote),
        }
        self
    }

    /// Which ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.receipt.ledger
    }

    /// Number of receipts, at least 1.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.receipt.seq + 1
    }

    /// Leaf hash of the last receipt.
    #[must_use]
    pub fn leaf(&self) -> LeafHash {
        LeafHash::of(&encode(&self.receipt))
    }

    /// What is attested.
    #[must_use]
    pub fn body(&self) -> AttestationBody {
        AttestationBody::of(&self.receipt, self.leaf(), self.log_root)
    }

    /// What is cosigned.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { ledger: self.ledger(), size: self.size(), log_root: self.log_root }
    }

    /// This key has signed it. Says nothing about the signature.
    #[must_use]
    pub fn names(&self, signer: &PublicKey) -> bool {
        self.votes.binary_search_by_key(signer, |vote| vote.signer).is_ok()
    }

    /// Every signature holds.
    ///
    /// # Errors
    /// [`FinalityError::BadSignature`] names the first that does not.
    pub fn verify(&self) -> Result<(), FinalityError> {
        let (body, checkpoint) = (self.body(), self.checkpoint());
        self.votes.iter().try_for_each(|vote| {
            let FinalVote { signer, attested, time_s, cosigned } = *vote;
            let attested = Attestation { body: body.clone(), signer, signature: attested }.verify(&signer);
            let cosigned = signer.verify(&cosigned_message(time_s, &checkpoint), cosigned.as_bytes());
            attested.and(cosigned).map_err(|_| FinalityError::BadSignature(signer))
        })
    }

    /// Enough of those whom somebody believes have signed: more than half of the keys, or the quorum of the policy. The
    /// signatures must have been found to hold.
    ///
    /// # Errors
    /// [`NotVouched`].
    pub fn vouched(&self, trust: &Trust) -> Result<Vouchers, NotVouched> {
        let (signers, known, enough) = match trust {
            Trust::GenesisRecord => return Err(NotVouched::Nobody),
            Trust::Policy(policy) => {
                let signers = policy.witnessed(|key| self.names(key)).map_err(NotVouched::Policy)?;
                (signers, policy.witnesses().count(), true)
            }
            Trust::Attester(key) => self.among(std::slice::from_ref(key)),
            Trust::Members { attester, others } => {
                let mut keys = [std::slice::from_ref(attester), others].concat();
                keys.sort_unstable();
                keys.dedup();
                self.among(&keys)
            }
        };
        match (enough, known) {
            (true, _) => Ok(Vouchers { signers, known }),
            (false, 1) => Err(NotVouched::One),
            (false, _) => Err(NotVouched::TooFew { found: signers.len(), known }),
        }
    }

    /// Which of these keys have signed, how many they are, and whether that is more than half. One key alone says nothing of
    /// what others have.
    fn among(&self, keys: &[PublicKey]) -> (Vec<PublicKey>, usize, bool) {
        let signers: Vec<PublicKey> = keys.iter().filter(|key| self.names(key)).copied().collect();
        let enough = keys.len() > 1 && 2 * signers.len() > keys.len();
        (signers, keys.len(), enough)
    }
}

impl Canonical for FinalMark {
    const KIND: &'static str = "final mark";
    const BYTES_MAX: usize = 40 + Receipt::BYTES_MAX + FINAL_VOTES_MAX * (32 + 64 + 10 + 64);

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.format == FINAL_MARK_FORMAT, "the format version is 1")?;
        self.receipt.validate()?;
        rule(self.receipt.seq < LOG_SIZE_MAX, "a log has at most 2^48 receipts")?;
        rule((1..=FINAL_VOTES_MAX).contains(&self.votes.len()), "there are 1 to 32 votes")?;
        rule(self.votes.is_sorted_by(|a, b| a.signer < b.signer), "votes ascend strictly by signer")?;
        let in_time = self.votes.iter().all(|vote| vote.time_s < COSIGNATURE_TIME_END_S);
        rule(in_time, "the time of a cosignature is below 2^63")
    }
}

#[cfg(test)]
mod tests;
