//! The owner's attestations on their way to the members.
//!
//! A member that has the owner's log can be asked to prove it to anybody, so it keeps what the owner signed. When a member
//! has all of the owner's log, the owner signs the last receipt, as its pipeline does, and sends the attestation as a
//! transfer with the number 0, which no question has. The same key and receipts give the same bytes whoever makes them.

use super::{Driver, Part};
use crate::journal::{Group, JournalError};
use reprise_abi::{Canonical, decode_canonical, encode};
use reprise_federation::{Ledgers, NodeKey, replicate::Progress};
use reprise_receipts::{Attestation, AttestationBody, LeafHash, LedgerId, PublicKey, Receipt};

/// Number of transfers that carry an attestation.
pub(super) const TRANSFER: u64 = 0;
/// Longest of them, in bytes.
pub(super) const BYTES_MAX: u64 = Attestation::BYTES_MAX as u64;

impl Driver {
    /// Sends every member that has all of a ledger's log what it has not got yet.
    pub(super) fn send_attestations(&mut self) {
        let mut due: Vec<(LedgerId, PublicKey, u64)> = Vec::new();
        for (ledger, served) in &self.ledgers {
            let Part::Owner(_) = served.part else { continue };
            let (Some(seat), size) = (self.federation.seat(*ledger), self.size(*ledger)) else { continue };
            let Some(lead) = seat.lead else { continue };
            for key in self.sessions.keys() {
                // It may have lost its disk since it said so: then it has nowhere to keep this before it is heard again.
                let is_there = |progress: &Progress| progress.matched == size && progress.heard_ms.is_some();
                let has_all = lead.progress(NodeKey(*key)).is_some_and(is_there);
                let sent = served.attested.get(key).copied().unwrap_or(0);
                if has_all && sent < size {
                    due.push((*ledger, *key, size));
                }
            }
        }
        for (ledger, key, size) in due {
            let Some(attestation) = self.attest(ledger, size) else { continue };
            self.send_transfer(key, TRANSFER, encode(&attestation));
            self.with(ledger, |served| {
                served.attested.insert(key, size);
            });
        }
    }

    fn attest(&self, ledger: LedgerId, size: u64) -> Option<Attestation> {
        let bytes = self.facts.receipt(ledger, size.checked_sub(1)?)?;
        let receipt: Receipt = decode_canonical(&bytes).ok()?;
        // Before its first receipt a new owner has nothing to sign: what is there, an earlier one attested.
        let attesters = self.node.journal().attesters(&self.ledgers.get(&ledger)?.entry).ok()?;
        attesters.of_epoch(receipt.epoch).filter(|attester| **attester == self.attester.public())?;
        let log_root = self.facts.head(ledger).filter(|head| head.log.size == size)?.log.log_root;
        Some(AttestationBody::of(&receipt, LeafHash::of(&bytes), log_root).sign(&self.attester))
    }

    /// Keeps an attestation of the ledger's attester over what is here. Anything else is not worth a word: it proves
    /// nothing that is not here.
    pub(super) fn keep_attestation(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Ok(attestation) = decode_canonical::<Attestation>(bytes) else { return Ok(()) };
        let body = &attestation.body;
        let Some(served) = self.ledgers.get(&body.ledger) else { return Ok(()) };
        let here = self.facts.receipt(body.ledger, body.seq).map(|receipt| LeafHash::of(&receipt));
        let root = reprise_federation::ledgers::mark_at(&self.facts, body.ledger, body.seq.saturating_add(1));
        let attesters = self.node.journal().attesters(&served.entry)?;
        if here.is_none() && attesters.verify(&attestation).is_ok() {
            // The owner knows more of this node's log than is here: it was lost. It is looked at again when there is more.
            let ledger = body.ledger;
            self.with(ledger, |served| served.early = Some(bytes.to_vec()));
            return Ok(());
        }
        let fits = here == Some(body.leaf) && root.is_some_and(|mark| mark.log_root == body.log_root);
        if !fits || attesters.verify(&attestation).is_err() {
            return Ok(());
        }
        let (ledger, size, no, own) = (body.ledger, body.seq + 1, served.entry.no, self.link.key());
        if served.attested.get(&own).is_some_and(|kept| *kept >= size) {
            return Ok(());
        }
        self.node.journal().commit(no, &Group { attestation: Some(&attestation), ..Group::default() })?;
        self.with(ledger, |served| {
            served.attested.insert(own, size);
        });
        Ok(())
    }
}
