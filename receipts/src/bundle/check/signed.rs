//! Who vouches for a bundle: the attester's key, a checkpoint with its cosignatures, or a later attestation.

use super::{Trust, decode};
use crate::{
    attestation::{Attestation, PublicKey},
    attesters::Attesters,
    bundle::{BundleError, BundleHeader, BundleKind, Place, Section},
    checkpoint::{Ancestry, AncestryError, Checkpoint, CheckpointError, CheckpointRecord, Link, SignedCheckpoint},
    digest::{ContinuityRoot, LeafHash, LogRoot},
    finality::FinalMark,
    log::InclusionProof,
    note::NoteKey,
    receipt::Receipt,
    trust_policy::{PolicyRefusal, TrustPolicy},
};

/// What is signed, as far as it has come.
#[derive(Debug)]
pub(super) struct Signed {
    /// By the genesis record and the bundle's grants.
    attesters: Attesters,
    /// The only key that counts for what covers the range, if somebody trusts a key.
    /// Those whose signatures count; none if all attesters of the ledger are.
    trusted: Option<Vec<PublicKey>>,
    /// The latest epoch whose attester signed the log that the proof is about.
    signed_epoch: Option<u64>,
    policy: Option<TrustPolicy>,
    /// The note has too few cosignatures for the policy: votes that made its log final have to make up for it.
    owed: Option<PolicyRefusal>,
    /// Size and root of the log that the proof is about.
    log: Option<(u64, LogRoot)>,
    proof: Option<InclusionProof>,
    record: Option<CheckpointRecord>,
}

impl Signed {
    pub(super) fn new(trust: &Trust, header: &BundleHeader) -> Result<Self, BundleError> {
        let attesters = header.attesters()?;
        let found = attesters.in_force().attester;
        let is_one = |expected: PublicKey| match attesters.last_epoch_of(&expected) {
            Some(_) => Ok(expected),
            None => Err(BundleError::Attester { expected, found }),
        };
        let mut trusted = None;
        let policy = match trust {
            Trust::GenesisRecord => None,
            Trust::Attester(expected) | Trust::Members { attester: expected, .. } => {
                trusted = Some(vec![is_one(*expected)?]);
                None
            }
            Trust::Policy(policy) => {
                let origin = Checkpoint::origin(header.ledger);
                let named = || policy.logs().iter().filter(|log| log.name() == origin).map(NoteKey::key);
                let first = named().next().ok_or(BundleError::UnknownLog(header.ledger))?;
                let keys: Vec<PublicKey> = named().filter(|key| is_one(*key).is_ok()).collect();
                if keys.is_empty() {
                    is_one(first)?;
                }
                trusted = Some(keys);
                if !header.has(Section::Note) {
                    return Err(BundleError::NoNote);
                }
                Some(policy.clone())
            }
        };
        Ok(Self { attesters, trusted, signed_epoch: None, policy, owed: None, log: None, proof: None, record: None })
    }

    pub(super) fn attesters(&self) -> &Attesters {
        &self.attesters
    }

    /// An attestation over the last receipt is by the attester of its epoch: if one key is trusted, it is that one.
    pub(super) fn attested_by_its_epoch(&self, epoch: u64) -> Result<(), BundleError> {
        match (&self.trusted, self.attesters.of_epoch(epoch)) {
            (Some(trusted), Some(found)) if !trusted.contains(found) => match trusted.last() {
                Some(expected) => Err(BundleError::Attester { expected: *expected, found: *found }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The latest epoch whose attester signed the note.
    fn signer_of(&self, note: &SignedCheckpoint) -> Result<u64, BundleError> {
        let may = |key: &PublicKey| self.trusted.as_ref().is_none_or(|trusted| trusted.contains(key));
        let terms = self.attesters.terms().iter().rev().filter(|term| may(&term.attester));
        let mut refused = CheckpointError::Unsigned(self.attesters.in_force().attester);
        for term in terms {
            match note.verify(&term.attester) {
                Ok(_) => return Ok(term.epoch),
                Err(error) => refused = error,
            }
        }
        Err(BundleError::Note(refused))
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
        if let Some(policy) = &self.policy {
            match policy.check(&note) {
                Ok(_) => {}
                Err(refusal @ PolicyRefusal::NoQuorum { .. }) if header.has(Section::Final) => {
                    self.owed = Some(refusal)
                }
                Err(refusal) => return Err(BundleError::Untrusted(refusal)),
            }
        }
        self.signed_epoch = Some(self.signer_of(&note)?);
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
        let epoch = body.epoch.unwrap_or(header.genesis.epoch);
        self.attesters.verify_in(epoch, &attestation).map_err(|error| BundleError::Attestation { place, error })?;
        // A note comes before, and the one proof is about its log.
        if self.log.is_none() {
            self.attested_by_its_epoch(epoch)?;
            (self.log, self.signed_epoch) = (Some((body.seq + 1, body.log_root)), Some(epoch));
        }
        Ok(())
    }

    pub(super) fn proof(&mut self, place: Place, bytes: &[u8]) -> Result<(), BundleError> {
        self.proof = Some(decode(place, bytes)?);
        Ok(())
    }

    /// Members may be witnesses of the policy. A quorum of them that has cosigned a log with everything in the bundle is as
    /// good as their cosignatures in the note.
    pub(super) fn witness(&mut self, header: &BundleHeader, mark: &FinalMark) {
        let Some(policy) = &self.policy else { return };
        if mark.size() >= header.to && policy.witnessed(|key| mark.names(key)).is_ok() {
            self.owed = None;
        }
    }

    /// Everything that was to vouch for the bundle has come.
    pub(super) fn end(&self) -> Result<(), BundleError> {
        self.owed.map_or(Ok(()), |refusal| Err(BundleError::Untrusted(refusal)))
    }

    /// The log is the one that is signed.
    pub(super) fn check_root(&self, place: Place, found: LogRoot) -> Result<(), BundleError> {
        let (_, expected) = self.log.expect("the note comes before the log");
        if found == expected { Ok(()) } else { Err(BundleError::LogRoot { place, expected, found }) }
    }

    /// Receipt `seq` is in the log that is signed, and of no later epoch than the signer.
    pub(super) fn prove(&self, seq: u64, last: u64, leaf: LeafHash) -> Result<(), BundleError> {
        let (Some(proof), Some((size, root))) = (&self.proof, self.log) else {
            return Err(BundleError::Unattested { seq });
        };
        proof.verify(&root, size, seq, &leaf).map_err(BundleError::Proof)?;
        match self.signed_epoch {
            Some(signed) if signed < last => Err(BundleError::SignedEpoch { last, signed }),
            _ => Ok(()),
        }
    }
}
