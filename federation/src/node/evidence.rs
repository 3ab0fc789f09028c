//! Proofs that somebody signed something wrong: verified, kept, passed on once.

use super::{Federation, action::Action, seat::Seat};
use crate::{
    limits::EVIDENCE_FRAME_BYTES_MAX,
    membership::Roster,
    message::{EvidenceNote, Message, NodeKey},
    quarantine::Reason,
};
use reprise_receipts::{PublicKey, digest::derive, evidence::Evidence};

/// Most digests of evidence that are remembered as passed on.
const SHOWN_MAX: usize = 1_024;

impl Federation {
    pub(super) fn on_evidence(&mut self, now_ms: u64, from: NodeKey, note: &EvidenceNote) {
        let evidence = Evidence::from_file(&note.file).ok();
        let ledger = evidence.as_ref().and_then(|evidence| evidence.ledger().ok());
        let (Some(evidence), Some(ledger)) = (evidence, ledger) else {
            return self.reject(now_ms, from, None, Reason::Evidence, &note.file);
        };
        self.with_seat(ledger, |this, seat| match convicts(&evidence, &seat.roster) {
            Some(_) => this.convict(evidence, seat),
            None => this.reject(now_ms, from, Some(ledger), Reason::Evidence, &note.file),
        });
    }

    /// Hands verified evidence to the driver and to the members, the first time that it is seen.
    pub(super) fn show_evidence(&mut self, evidence: &Evidence, seat: &Seat) {
        let file = evidence.to_file();
        let digest = derive("reprise 2026 evidence shown v1", &file);
        if self.shown.len() >= SHOWN_MAX || !self.shown.insert(digest) {
            return;
        }
        self.outbox.push_back(Action::Evidence(Box::new(evidence.clone())));
        if file.len() <= EVIDENCE_FRAME_BYTES_MAX {
            self.send_to_members(seat, &Message::Evidence(EvidenceNote { file }));
        }
    }
}

/// The member's key that the evidence convicts, and the first place that it is about. Execution faults are not taken here:
/// they take replay.
#[must_use]
pub fn convicts(evidence: &Evidence, roster: &Roster) -> Option<(PublicKey, u64)> {
    let holds = |key: &PublicKey| match evidence {
        Evidence::Equivocation(equivocation) => equivocation.verify(key).is_ok(),
        Evidence::Fork(fork) => fork.verify(key).is_ok(),
        Evidence::ExecutionFault(_) => false,
    };
    let key = roster.members.iter().map(|member| member.receipts).find(holds)?;
    let at = match evidence {
        Evidence::Equivocation(equivocation) => equivocation.first.body.seq,
        Evidence::Fork(fork) => fork.at.as_ref().map_or(0, |at| at.seq),
        Evidence::ExecutionFault(fault) => fault.head.size().unwrap_or(0),
    };
    Some((key, at))
}
