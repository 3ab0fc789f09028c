//! Who vouches for a bundle: the attester's key, a checkpoint with its cosignatures, or a later attestation.

use super::{Trust, decode};
use crate::{
    attestation::{Attestation, PublicKey},
    bundle::{BundleError, BundleHeader, BundleKind, Place, Section},
    checkpoint::{Ancestry, AncestryError, Checkpoint, CheckpointRecord, Link, SignedCheckpoint},
    digest::{ContinuityRoot, LeafHash, LogRoot},
    log::InclusionProof,
    receipt::Receipt,
    trust_policy::TrustPolicy,
};

/// What is signed, as far as it has come.
#[derive(Debug)]
pub(super) struct Signed {
    attester: PublicKey,
    policy: Option<TrustPolicy>,
    /// Size and root of the log that the proof is about.
    log: Option<(u64, LogRoot)>,
    proof: Option<InclusionProof>,
    record: Option<CheckpointRecord>,
}

impl Signed {
    pub(super) fn new(trust: &Trust, header: &BundleHeader) -> Result<Self, BundleError> {
        let found = header.genesis.attester;
        let trusted =
            |expected| if expected == found { Ok(()) } else { Err(BundleError::Attester { expected, found }) };
        let policy = match trust {
            Trust::GenesisRecord => None,
            Trust::Attester(expected) => {
                trusted(*expected)?;
                None
            }
            Trust::Policy(policy) => {
                let origin = Checkpoint::origin(header.ledger);
                let log = policy.logs().iter().find(|log| log.name() == origin);
                trusted(log.ok_or(BundleError::UnknownLog(header.ledger))?.key())?;
                if !header.has(Section::Note) {
                    return Err(BundleError::NoNote);
                }
                Some(policy.clone())
            }
        };
        Ok(Self { attester: found, policy, log: None, proof: None, record: None })
    }

    pub(super) fn attester(&self) -> &PublicKey {
        &self.attester
    }

    pub(super) fn note(
        &mut self,
        header: &BundleHeader,
        place: Place,
        bytes: &[u8],
    ) -> Result<SignedCheckpoint, BundleError> {
        let note = SignedCheckpoint::parse(bytes).map_err(BundleError::Note)?;
        let checkpoint = *note.checkpoint();
        let reaches = match header.kind {
            BundleKind::Checkpoint => checkpoint.size == header.to,
            BundleKind::Receipt | BundleKind::Replay => checkpoint.size >= header.to,
        };
        if checkpoint.ledger != header.ledger || !reaches {
            return Err(BundleError::OtherLog(place));
        }
        match &self.policy {
            Some(policy) => drop(policy.check(&note).map_err(BundleError::Untrusted)?),
            None => drop(note.verify(&self.attester).map_err(BundleError::Note)?),
        }
        self.log = Some((checkpoint.size, checkpoint.log_root));
        Ok(note)
    }

    pub(super) fn checkpoint_record(
        &mut self,
        header: &BundleHeader,
        place: Place,
        bytes: &[u8],
    ) -> Result<CheckpointRecord, BundleError> {
        let record: CheckpointRecord = decode(place, bytes)?;
        let claim = &record.claim;
        if claim.ledger != header.ledger || claim.size != header.to {
            return Err(BundleError::OtherLog(place));
        }
        if self.log != Some((claim.size, claim.log_root)) {
            return Err(BundleError::RecordMismatch);
        }
        let is_first = record.previous == ContinuityRoot::start(header.ledger);
        if !is_first && !header.has(Section::Ancestry) {
            return Err(BundleError::NoAncestry);
        }
        self.record = Some(record.clone());
        Ok(record)
    }

    pub(super) fn ancestry(&self, place: Place, bytes: &[u8]) -> Result<Ancestry, BundleError> {
        let ancestry: Ancestry = decode(place, bytes)?;
        let record = self.record.as_ref().expect("the record comes before its ancestry");
        let claim = &record.claim;
        for (index, link) in ancestry.links.iter().enumerate() {
            let Link::Record(earlier) = link else { continue };
            if earlier.claim.ledger != claim.ledger {
                return Err(BundleError::Ancestry(AncestryError::Ledger { index }));
            }
            if earlier.claim.size >= claim.size {
                return Err(BundleError::Ancestry(AncestryError::Order { index }));
            }
        }
        let start = ContinuityRoot::start(claim.ledger);
        ancestry.verify(start, record.previous).map_err(BundleError::Ancestry)?;
        Ok(ancestry)
    }

    pub(super) fn check_base(&self, last: &Receipt) -> Result<(), BundleError> {
        let fits = self.record.as_ref().is_none_or(|record| {
            let claim = &record.claim;
            claim.snapshot.state_root == last.next_state && claim.logical_time_ms == last.logical_time_ms
        });
        if fits { Ok(()) } else { Err(BundleError::RecordMismatch) }
    }

    pub(super) fn anchor(&mut self, header: &BundleHeader, place: Place, bytes: &[u8]) -> Result<(), BundleError> {
        let attestation: Attestation = decode(place, bytes)?;
        let body = &attestation.body;
        if body.ledger != header.ledger || body.seq < header.to {
            return Err(BundleError::OtherLog(place));
        }
        attestation.verify(&self.attester).map_err(|error| BundleError::Attestation { place, error })?;
        // A note comes before, and the one proof is about its log.
        self.log.get_or_insert((body.seq + 1, body.log_root));
        Ok(())
    }

    pub(super) fn proof(&mut self, place: Place, bytes: &[u8]) -> Result<(), BundleError> {
        self.proof = Some(decode(place, bytes)?);
        Ok(())
    }

    /// The log is the one that is signed.
    pub(super) fn check_root(&self, place: Place, found: LogRoot) -> Result<(), BundleError> {
        let (_, expected) = self.log.expect("the note comes before the log");
        if found == expected { Ok(()) } else { Err(BundleError::LogRoot { place, expected, found }) }
    }

    /// Receipt `seq` is in the log that is signed.
    pub(super) fn prove(&self, seq: u64, leaf: LeafHash) -> Result<(), BundleError> {
        let (Some(proof), Some((size, root))) = (&self.proof, self.log) else {
            return Err(BundleError::Unattested { seq });
        };
        proof.verify(&root, size, seq, &leaf).map_err(BundleError::Proof)
    }
}
