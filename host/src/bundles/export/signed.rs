//! Which signature covers the last receipt of a range: a checkpoint, or a later attestation.

use super::is_attester;
use crate::{
    bundles::{BundleFileError, FileWriter},
    journal::{Journal, LedgerEntry, LedgerReader},
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{
    Attestation, SigningKey,
    bundle::{BundleHeader, LogEdge, Section},
    checkpoint::{Checkpoint, SignedCheckpoint},
    log::{InclusionProof, prove_inclusion},
};

/// A signed log that the last receipt is in, beside the attestations of the range itself.
pub(super) struct Signatures {
    note: Option<SignedCheckpoint>,
    anchor: Option<Attestation>,
    proof: Option<InclusionProof>,
}

impl Signatures {
    /// The first checkpoint over the whole range, with its cosignatures; or one that is signed now; or an attestation
    /// over a later receipt, if the last one has none itself.
    pub(super) fn find(
        journal: &Journal,
        entry: &LedgerEntry,
        reader: &LedgerReader,
        to: u64,
        signer: Option<&SigningKey>,
    ) -> Result<Self, BundleFileError> {
        let stored = journal.checkpoints(entry.no)?.into_iter().map(|checkpoint| checkpoint.note);
        let mut note = stored.into_iter().find(|note| note.checkpoint().size >= to);
        if let (None, true, Some(signer)) =
            (&note, is_attester(&reader.attesters(&entry.genesis)?.in_force().attester, signer), signer)
        {
            let size = reader.size()?;
            let log_root = LogEdge::of(size, reader)?.root();
            note = Some(Checkpoint { ledger: entry.id, size, log_root }.sign(signer));
        }
        let mut anchor = None;
        if note.is_none()
            && let Some(filed) = reader.attestations(to - 1..u64::MAX)?.next()
        {
            let (_, bytes) = filed?;
            anchor = decode_canonical::<Attestation>(&bytes).ok().filter(|attestation| attestation.body.seq >= to);
        }
        let log_size = match (&note, &anchor) {
            (Some(note), _) => Some(note.checkpoint().size),
            (None, Some(anchor)) => Some(anchor.body.seq + 1),
            (None, None) => None,
        };
        let proof = log_size.map(|size| prove_inclusion(reader, size, to - 1)).transpose()?;
        Ok(Self { note, anchor, proof })
    }

    pub(super) fn count(&self, header: &mut BundleHeader) {
        header.set_count(Section::Note, u64::from(self.note.is_some()));
        header.set_count(Section::Anchor, u64::from(self.anchor.is_some()));
        header.set_count(Section::Proof, u64::from(self.proof.is_some()));
    }

    pub(super) fn write_note(&self, file: &mut FileWriter) -> Result<(), BundleFileError> {
        self.note.as_ref().map_or(Ok(()), |note| file.item(Section::Note, note.text().as_bytes()))
    }

    pub(super) fn write_proof(&self, file: &mut FileWriter) -> Result<(), BundleFileError> {
        if let Some(anchor) = &self.anchor {
            file.item(Section::Anchor, &encode(anchor))?;
        }
        self.proof.as_ref().map_or(Ok(()), |proof| file.item(Section::Proof, &encode(proof)))
    }
}
