//! Who owns a ledger: grants, the round of promises of a new owner, and stepping down.
//!
//! A new owner asks a quorum before it orders anything. Whoever promises refuses the owners before from then on, so what
//! they can still commit is in some log of the quorum; the new owner takes over the log that is furthest: the one of the
//! latest epoch, and of these the longest.

use super::{
    Federation,
    action::Action,
    pursue::{May, Pursuit},
    seat::{Round, Seat},
};
use crate::{
    ledgers::{Ledgers, contains},
    membership::{GrantError, Role, SignedGrant, Suspension},
    message::{Claim, Message, NodeKey, Promise},
    quarantine::Reason,
    replicate::Lead,
};

impl Federation {
    /// Takes the place in a ledger that its standing says: after a start, after a grant.
    pub(super) fn take_office(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        let standing = &seat.standing;
        let (ledger, epoch, owner) = (standing.ledger, standing.promised, standing.owner);
        if owner != self.me {
            return self.outbox.push_back(Action::Follow { ledger, epoch, owner });
        }
        if !seat.is_open() || standing.rejoining {
            return;
        }
        if standing.log_epoch == epoch {
            return self.lead(now_ms, seat, facts);
        }
        seat.round = Some(Round::default());
        self.renew_round(now_ms, seat);
        self.close_round(now_ms, seat, facts);
    }

    pub(super) fn on_grant(&mut self, now_ms: u64, from: Option<NodeKey>, signed: &SignedGrant, facts: &dyn Ledgers) {
        self.with_seat(signed.grant.ledger, |this, seat| match seat.standing.promise(signed, &seat.roster) {
            Ok(true) => {
                this.forget_plans(seat);
                seat.follow.goal = None;
                // The grant is the operators' answer to what an owner did.
                if !matches!(seat.standing.suspended, Some(Suspension::CorruptHere | Suspension::Ordered)) {
                    seat.standing.suspended = None;
                }
                this.persist(seat);
                this.take_office(now_ms, seat, facts);
                this.promise(seat, facts);
                // Whoever does not know it yet will hear it from somebody.
                this.send_to_members(seat, &Message::Claim(Claim { grant: signed.clone() }));
            }
            Ok(false) => this.promise(seat, facts),
            Err(GrantError::LowerEpoch { .. }) => {
                if let Some(from) = from {
                    this.show_grant(from, seat);
                }
            }
            Err(GrantError::OtherRoster | GrantError::EpochTaken { .. }) => {}
            Err(GrantError::NotAVoter(_) | GrantError::OtherAttester(_) | GrantError::TooFewSignatures { .. }) => {
                if let Some(from) = from {
                    let frame = Message::Claim(Claim { grant: signed.clone() }).to_frame();
                    this.reject(now_ms, from, Some(signed.grant.ledger), Reason::BadSignature, &frame);
                }
            }
        });
    }

    /// Tells the owner of the promised epoch what is here. Not from a node that has lost its memory: it may have promised
    /// and stored more than it knows. Not while something is taken back either: the owner asks again.
    fn promise(&mut self, seat: &Seat, facts: &dyn Ledgers) {
        let standing = &seat.standing;
        let is_replica = self.role(seat) == Some(Role::Replica);
        if standing.rejoining || seat.work.takes_back() || !is_replica || !self.is_there(standing.owner) {
            return;
        }
        let promise = self.own_promise(seat, facts);
        self.send(standing.owner, Message::Promise(promise));
    }

    fn own_promise(&self, seat: &Seat, facts: &dyn Ledgers) -> Promise {
        let standing = &seat.standing;
        let log = self.head(seat, facts);
        Promise { ledger: standing.ledger, epoch: standing.promised, log_epoch: standing.log_epoch, log }
    }

    pub(super) fn on_promise(&mut self, now_ms: u64, from: NodeKey, promise: Promise, facts: &dyn Ledgers) {
        self.with_seat(promise.ledger, |this, seat| {
            let votes = seat.roster.member(from).is_some_and(|member| !member.observer);
            let Some(round) = &mut seat.round else { return };
            if votes && promise.epoch == seat.standing.promised && promise.log_epoch <= promise.epoch {
                round.promises.insert(from, promise);
                this.close_round(now_ms, seat, facts);
            }
        });
    }

    /// Asks those that have not promised yet, again and again.
    pub(super) fn renew_round(&mut self, now_ms: u64, seat: &mut Seat) {
        let (Some(round), Some(grant)) = (&mut seat.round, &seat.standing.grant) else { return };
        if round.asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) < self.config.retry_ms) {
            return;
        }
        round.asked_ms = Some(now_ms);
        let grant = grant.clone();
        let missing: Vec<NodeKey> = seat.roster.members.iter().map(|member| member.node).collect();
        for node in missing {
            let promised = seat.round.as_ref().is_some_and(|round| round.promises.contains_key(&node));
            if !promised && self.is_there(node) {
                self.send(node, Message::Claim(Claim { grant: grant.clone() }));
            }
        }
    }

    /// With a quorum of promises: takes the furthest log over, and leads.
    pub(super) fn close_round(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        let Some(round) = &seat.round else { return };
        if seat.pursuit.is_some() || !seat.is_open() || !seat.work.is_idle() {
            return;
        }
        let own = self.own_promise(seat, facts);
        let furthest = |promise: &&Promise| (promise.log_epoch, promise.log.size);
        // One that promised and has more, and does not give it, is done without if the others are enough: any quorum will
        // do, so nobody can block this one.
        let gives = |node: &NodeKey| self.peers.get(node).is_some_and(|p| p.is_there() && p.score.is_usable(now_ms));
        let counts = |(node, promise): &(&NodeKey, &Promise)| furthest(promise) <= furthest(&&own) || gives(node);
        let counted: Vec<(&NodeKey, &Promise)> = round.promises.iter().filter(counts).collect();
        if counted.len() + 1 < seat.roster.needed() {
            return;
        }
        let best = counted.into_iter().max_by_key(|(_, promise)| furthest(promise));
        let Some((node, best)) = best.filter(|(_, best)| furthest(best) > furthest(&&own)) else {
            return self.lead(now_ms, seat, facts);
        };
        if own.log == best.log {
            return self.lead(now_ms, seat, facts);
        }
        // A log of an earlier epoch may have more than the one to be taken over: that was never committed. Logs of one
        // epoch are the beginnings of one log.
        let may = if best.log_epoch > own.log_epoch { May::Become } else { May::Extend };
        seat.pursuit = Some(Pursuit::new(best.log, *node, may));
        self.pursue(now_ms, seat, facts);
    }

    fn lead(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        let base = self.head(seat, facts);
        let epoch = seat.standing.promised;
        if !contains(facts, seat.roster.ledger, &seat.standing.signed) && seat.standing.signed.size > 0 {
            let at = seat.standing.signed.size - 1;
            return self.halt(seat, Suspension::Contradiction { at });
        }
        seat.round = None;
        seat.lead = Some(Lead::new(epoch, base, &seat.roster, self.me));
        seat.acknowledged = 0;
        if seat.standing.log_epoch != epoch {
            seat.standing.log_epoch = epoch;
            self.persist(seat);
        }
        self.outbox.push_back(Action::Lead { ledger: seat.roster.ledger, epoch });
        self.count(now_ms, seat, facts);
        self.push(now_ms, seat, facts);
    }

    /// Shows the grant of the promised epoch to somebody who does not know it.
    pub(super) fn show_grant(&mut self, to: NodeKey, seat: &Seat) {
        if let Some(grant) = &seat.standing.grant {
            self.send(to, Message::Claim(Claim { grant: grant.clone() }));
        }
    }

    pub(super) fn is_there(&self, node: NodeKey) -> bool {
        self.peers.get(&node).is_some_and(super::Peer::is_there)
    }

    /// A member has said who it is: it hears what it may have missed.
    pub(super) fn welcome(&mut self, _now_ms: u64, node: NodeKey, seat: &mut Seat) {
        if let Some(lead) = &mut seat.lead {
            lead.restart(node);
        }
        self.show_grant(node, seat);
        self.show_votes(node, seat);
    }
}
