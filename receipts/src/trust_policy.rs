//! Trust policies: which logs and which witnesses a verifier relies on, as C2SP tlog-policy.
//!
//! ```text
//! log <note key> [<url>]
//! witness <name> <cosigner key> [<url>]
//! group <name> <all | any | number> <name>...
//! quorum <name | none>
//! ```
//!
//! One line for each, in any order, but a name is defined before it is used, and exactly one line is the quorum. Items
//! stand apart by spaces and tabs; empty lines and lines that begin with `#` say nothing. Names are bytes, compared as
//! such, and are known in the file only. URLs are for others and are not kept.
//!
//! A checkpoint is trustworthy if one of the logs signed it under its origin, and the quorum cosigned it.

mod parse;

pub use self::parse::{LineError, POLICY_BYTES_MAX, POLICY_ITEMS_MAX, PolicyError};

use crate::{
    attestation::PublicKey,
    checkpoint::{Checkpoint, CosignerKey, SignedCheckpoint, split_cosignature},
    digest::LedgerId,
    note::NoteKey,
};
use signed_note::{NoteError, Signature, Verifier, VerifierList};

/// Which checkpoints to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<NoteKey>,
    /// Witnesses and groups, in the order of their definition: members come before their group.
    rules: Vec<Rule>,
    quorum: Option<usize>,
}

/// A name that can be part of a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    name: Vec<u8>,
    kind: RuleKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RuleKind {
    Witness(CosignerKey),
    /// So many of these rules.
    Group {
        threshold: usize,
        members: Vec<usize>,
    },
}

/// Who vouches for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The log that signed it.
    pub log: NoteKey,
    /// The witnesses that cosigned it, in the order of the policy.
    pub cosigners: Vec<Cosigner>,
}

/// A witness that cosigned a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    /// Its key.
    pub key: CosignerKey,
    /// When it saw the checkpoint, in seconds since 1970: what it says itself.
    pub time_s: u64,
}

/// Why a checkpoint is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// No log of the policy has the origin of the checkpoint as its name.
    #[error("no log of the policy is of ledger {0}")]
    UnknownLog(LedgerId),
    /// The log is known, but has not signed.
    #[error("the log of ledger {0} has not signed the checkpoint")]
    Unsigned(LedgerId),
    /// A signature of a known key does not hold.
    #[error("a signature of a log or witness of the policy does not verify")]
    BadSignature,
    /// Its quorum is `none`, and something is asked that only witnesses can say.
    #[error("the policy asks for no quorum of witnesses, so that nobody in it says what is final")]
    NoWitnesses,
    /// Too few witnesses.
    #[error("the witnesses that cosigned the checkpoint are not a quorum: {found} of {known} have")]
    NoQuorum {
        /// Witnesses of the policy that cosigned.
        found: usize,
        /// Witnesses of the policy.
        known: usize,
    },
}

impl TrustPolicy {
    /// Trusts the attester of one ledger, without witnesses.
    #[must_use]
    pub fn of_attester(ledger: LedgerId, attester: PublicKey) -> Self {
        Self { logs: vec![Checkpoint::note_key(ledger, attester)], rules: Vec::new(), quorum: None }
    }

    /// The logs that are trusted.
    #[must_use]
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// The checkpoint is signed and cosigned as the policy demands.
    ///
    /// # Errors
    /// [`PolicyRefusal`]. One bad signature of a key that the policy knows is enough for it.
    pub fn check(&self, checkpoint: &SignedCheckpoint) -> Result<Approval, PolicyRefusal> {
        let ledger = checkpoint.checkpoint().ledger;
        let origin = Checkpoint::origin(ledger);
        let logs: Vec<&NoteKey> = self.logs.iter().filter(|log| log.name() == origin).collect();
        if logs.is_empty() {
            return Err(PolicyRefusal::UnknownLog(ledger));
        }
        let verified = self.verified(checkpoint, &logs)?;
        let made = |name: &str, id| verified.iter().find(|signature| signature.name() == name && signature.id() == id);
        let log = logs.into_iter().find(|log| made(log.name(), log.key_id()).is_some());
        let log = log.ok_or(PolicyRefusal::Unsigned(ledger))?.clone();
        let mut cosigners = Vec::new();
        let holds = self.rules_that_hold(|key| {
            let time_s = made(key.name(), key.key_id()).and_then(|made| split_cosignature(made.signature()));
            cosigners.extend(time_s.map(|(time_s, _)| Cosigner { key: key.clone(), time_s }));
            time_s.is_some()
        });
        if self.quorum.is_none_or(|quorum| holds[quorum]) {
            return Ok(Approval { log, cosigners });
        }
        Err(PolicyRefusal::NoQuorum { found: cosigners.len(), known: self.witnesses().count() })
    }

    /// The witnesses of the policy that have signed something else than a note, if they are its quorum; ascending by key.
    /// Where no quorum is asked for, nobody's word is enough.
    ///
    /// # Errors
    /// [`PolicyRefusal::NoWitnesses`] or [`PolicyRefusal::NoQuorum`].
    pub fn witnessed(&self, has_signed: impl Fn(&PublicKey) -> bool) -> Result<Vec<PublicKey>, PolicyRefusal> {
        let quorum = self.quorum.ok_or(PolicyRefusal::NoWitnesses)?;
        let mut signers: Vec<PublicKey> = self.witnesses().map(CosignerKey::key).filter(&has_signed).collect();
        signers.sort_unstable();
        if self.rules_that_hold(|key| has_signed(&key.key()))[quorum] {
            return Ok(signers);
        }
        Err(PolicyRefusal::NoQuorum { found: signers.len(), known: self.witnesses().count() })
    }

    /// Whether each rule holds, when these witnesses have signed.
    fn rules_that_hold(&self, mut has_signed: impl FnMut(&CosignerKey) -> bool) -> Vec<bool> {
        let mut holds: Vec<bool> = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let rule_holds = match &rule.kind {
                RuleKind::Witness(key) => has_signed(key),
                RuleKind::Group { threshold, members } => {
                    members.iter().filter(|member| holds[**member]).count() >= *threshold
                }
            };
            holds.push(rule_holds);
        }
        holds
    }

    /// The signatures of the checkpoint that known keys made, all of which hold.
    fn verified(&self, checkpoint: &SignedCheckpoint, logs: &[&NoteKey]) -> Result<Vec<Signature>, PolicyRefusal> {
        let logs = logs.iter().map(|log| Box::new((*log).clone()) as Box<dyn Verifier>);
        let witnesses = self.witnesses().map(|key| Box::new(key.clone()) as Box<dyn Verifier>);
        match checkpoint.note().verify(&VerifierList::new(logs.chain(witnesses).collect())) {
            Ok((verified, _)) => Ok(verified),
            Err(NoteError::UnverifiedNote) => Err(PolicyRefusal::Unsigned(checkpoint.checkpoint().ledger)),
            Err(_) => Err(PolicyRefusal::BadSignature),
        }
    }

    /// The witnesses that it names, in their order.
    pub fn witnesses(&self) -> impl Iterator<Item = &CosignerKey> {
        self.rules.iter().filter_map(|rule| match &rule.kind {
            RuleKind::Witness(key) => Some(key),
            RuleKind::Group { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests;
