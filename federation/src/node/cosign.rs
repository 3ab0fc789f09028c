//! Votes on windows: cast, counted, shown again, made final.

use super::{
    Federation,
    action::Action,
    lead::{receipt_at, state_root_at},
    seat::Seat,
};
use crate::{
    ledgers::{Ledgers, contains, mark_at},
    membership::{Role, Suspension},
    message::{Message, NodeKey, Vote},
    quarantine::Reason,
    window::Noted,
};
use reprise_receipts::{AttestationBody, LeafHash, attestation::Signature, evidence::Evidence};

impl Federation {
    /// Casts the vote that is due, if one is, and sees what is final.
    pub(super) fn cosign(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        if seat.work.takes_back() {
            return;
        }
        self.finalise(seat, facts);
        if !seat.is_open() || seat.standing.rejoining || seat.pursuit.is_some() {
            return;
        }
        self.cast_what_is_owed(now_ms, seat, facts);
        let (committed, signed) = (seat.standing.committed, seat.standing.signed);
        let due = match (self.role(seat), &seat.lead) {
            (Some(Role::Owner), Some(_)) => seat.windows.due(now_ms, &seat.roster.window, committed, signed.size),
            (Some(Role::Replica), _) => {
                let owner = seat.roster.member(seat.standing.owner).map(|owner| owner.receipts);
                owner.and_then(|owner| seat.windows.wanted(&owner, committed, signed.size))
            }
            _ => None,
        };
        let Some(size) = due.filter(|_| self.check_self(seat, facts)) else { return };
        if signed.size > 0 && !contains(facts, seat.roster.ledger, &signed) {
            // The log is not a continuation of what was signed: whatever the reason, no second signature.
            return self.halt(seat, Suspension::CorruptHere);
        }
        if let Some(vote) = self.make_vote(now_ms, size, seat, facts) {
            seat.standing.signed = crate::message::Mark { size, log_root: vote.log_root };
            self.persist(seat);
            seat.windows.note(vote);
            self.send_to_members(seat, &Message::Vote(vote));
            self.finalise(seat, facts);
        }
    }

    /// The last vote of an earlier life again: whoever has not seen it needs it, and another one on that size is never
    /// cast. It attests the same; only the time of its cosignature is another.
    pub(super) fn recall_vote(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        let (signed, committed) = (seat.standing.signed, seat.standing.committed);
        let is_voter = matches!(self.role(seat), Some(Role::Owner | Role::Replica));
        let stands = seat.is_open() && !seat.standing.rejoining && committed >= signed.size;
        if is_voter
            && stands
            && signed.size >= seat.standing.last_final.size.max(1)
            && contains(facts, seat.roster.ledger, &signed)
            && let Some(vote) = self.make_vote(now_ms, signed.size, seat, facts)
        {
            seat.windows.note(vote);
        }
    }

    /// A vote on the largest log that is signed, if it is not among the votes here: that log was taken over in place of a
    /// lost memory, or was not known to be committed when this node started. Without it the window could stay open.
    fn cast_what_is_owed(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        let (own, signed) = (self.key.public(), seat.standing.signed.size);
        let cast = |seat: &Seat| seat.windows.of(&own).find(|vote| vote.size == signed).copied();
        if signed <= seat.standing.last_final.size || seat.windows.is_excluded(&own) || cast(seat).is_some() {
            return;
        }
        self.recall_vote(now_ms, seat, facts);
        if let Some(vote) = cast(seat) {
            self.send_to_members(seat, &Message::Vote(vote));
            self.finalise(seat, facts);
        }
    }

    fn make_vote(&self, now_ms: u64, size: u64, seat: &Seat, facts: &dyn Ledgers) -> Option<Vote> {
        let ledger = seat.roster.ledger;
        let mark = mark_at(facts, ledger, size)?;
        let receipt = receipt_at(facts, ledger, size.checked_sub(1)?)?;
        let leaf = LeafHash::of(&facts.receipt(ledger, size - 1)?);
        let body = AttestationBody::of(&receipt, leaf, mark.log_root);
        let unsigned = Vote {
            ledger,
            epoch: seat.standing.promised,
            size,
            log_root: mark.log_root,
            leaf,
            ordered_in: body.epoch,
            state_root: receipt.next_state,
            execution: receipt.execution,
            signer: self.key.public(),
            attested: Signature::from_bytes([0; 64]),
            time_s: now_ms / 1_000,
            cosigned: Signature::from_bytes([0; 64]),
        };
        Some(unsigned.sign(&self.key))
    }

    /// The state here is what the last receipt says; suspends otherwise.
    pub(super) fn check_self(&mut self, seat: &mut Seat, facts: &dyn Ledgers) -> bool {
        let ledger = seat.roster.ledger;
        let Some(head) = facts.head(ledger) else { return false };
        let expected = state_root_at(facts, ledger, head.log.size);
        let sound = head.log.size == 0 || expected == Some(head.state_root);
        if !sound {
            self.halt(seat, Suspension::CorruptHere);
        }
        sound
    }

    pub(super) fn on_vote(&mut self, now_ms: u64, from: NodeKey, vote: Vote, facts: &dyn Ledgers) {
        self.with_seat(vote.ledger, |this, seat| {
            let voter = seat.roster.signer(&vote.signer).filter(|member| !member.observer);
            let Some(voter) = voter.filter(|_| vote.size >= seat.standing.last_final.size) else { return };
            // Nobody speaks for another one: the roots of state and execution are covered by no signature of their own.
            if voter.node != from || vote.verify().is_err() {
                let frame = Message::Vote(vote).to_frame();
                return this.reject(now_ms, from, Some(vote.ledger), Reason::BadSignature, &frame);
            }
            match seat.windows.note(vote) {
                Noted::New => this.cosign(now_ms, seat, facts),
                Noted::Nothing => {}
                Noted::Contradicts(evidence) => this.convict(*evidence, seat),
            }
        });
    }

    /// Keeps and passes on a proof, and stops listening to whoever it convicts.
    pub(super) fn convict(&mut self, evidence: Evidence, seat: &mut Seat) {
        let Some((signer, at)) = super::evidence::convicts(&evidence, &seat.roster) else { return };
        seat.windows.exclude(signer);
        self.show_evidence(&evidence, seat);
        let owner = seat.roster.member(seat.standing.owner).is_some_and(|owner| owner.receipts == signer);
        if owner {
            self.halt(seat, Suspension::Equivocation { at });
        }
    }

    fn finalise(&mut self, seat: &mut Seat, facts: &dyn Ledgers) {
        let ledger = seat.roster.ledger;
        let Some(window) = seat.windows.final_beyond(seat.standing.last_final.size, &seat.roster) else { return };
        // What is not here yet becomes final when it is.
        if !contains(facts, ledger, &window.mark) {
            return;
        }
        seat.standing.last_final = window.mark;
        seat.standing.committed = seat.standing.committed.max(window.mark.size);
        seat.windows.forget(window.mark.size);
        self.persist(seat);
        self.outbox.push_back(Action::Final { ledger, window });
    }

    /// Shows a member this node's votes on open windows, and on the last final one.
    pub(super) fn show_votes(&mut self, to: NodeKey, seat: &Seat) {
        if seat.roster.member(to).is_some() && self.is_there(to) {
            let own = self.key.public();
            let votes: Vec<Vote> = seat.windows.of(&own).copied().collect();
            for vote in votes {
                self.send(to, Message::Vote(vote));
            }
        }
    }
}
