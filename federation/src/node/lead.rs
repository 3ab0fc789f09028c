//! The owner's side: steps go out, acknowledgements come in.

use super::{
    Federation,
    action::{Action, Config},
    seat::Seat,
};
use crate::{
    compare::Divergence,
    ledgers::{Ledgers, contains, mark_at},
    limits::{APPEND_BYTES_MAX, APPEND_STEPS_MAX},
    list::List,
    membership::Durability,
    message::{Ack, Append, Message, NodeKey, Standpoint},
};
use reprise_abi::decode_canonical;
use reprise_receipts::{LedgerId, Receipt, StateRoot};

/// The state root that the last of `size` receipts names; `None` for the empty log.
pub(super) fn state_root_at(facts: &dyn Ledgers, ledger: LedgerId, size: u64) -> Option<StateRoot> {
    receipt_at(facts, ledger, size.checked_sub(1)?).map(|receipt| receipt.next_state)
}

pub(super) fn receipt_at(facts: &dyn Ledgers, ledger: LedgerId, seq: u64) -> Option<Receipt> {
    decode_canonical(&facts.receipt(ledger, seq)?).ok()
}

impl Federation {
    /// Sends each member what it lacks.
    pub(super) fn push(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        if seat.lead.is_none() || !seat.is_open() {
            return;
        }
        let nodes: Vec<NodeKey> = seat.roster.members.iter().map(|member| member.node).collect();
        for node in nodes {
            if node != self.me && self.is_there(node) {
                while self.push_to(now_ms, node, seat, facts) {}
            }
        }
    }

    /// Sends one message of steps; whether there may be more.
    fn push_to(&mut self, now_ms: u64, node: NodeKey, seat: &mut Seat, facts: &dyn Ledgers) -> bool {
        let (ledger, head) = (seat.roster.ledger, self.head(seat, facts));
        let Some(lead) = &mut seat.lead else { return false };
        let Config { retry_ms, heartbeat_ms, .. } = self.config;
        let Some(first) = lead.next_for(now_ms, node, head.size, retry_ms, heartbeat_ms) else { return false };
        let Some(before) = mark_at(facts, ledger, first) else { return false };
        let steps = match first < head.size {
            true => facts.steps(ledger, first, head.size.min(first + APPEND_STEPS_MAX as u64), APPEND_BYTES_MAX),
            false => Vec::new(),
        };
        if steps.is_empty() && first < head.size && !lead.is_quiet(now_ms, node, heartbeat_ms) {
            return false;
        }
        let (more, end) = (!steps.is_empty(), first + steps.len() as u64);
        lead.pushed(now_ms, node, end);
        let (epoch, base, committed) = (lead.epoch(), lead.base().size, lead.committed().min(head.size));
        let steps = List::first(steps);
        self.send(node, Message::Append(Append { ledger, epoch, base, before, steps, head, committed }));
        more
    }

    pub(super) fn on_ack(&mut self, now_ms: u64, from: NodeKey, ack: &Ack, facts: &dyn Ledgers) {
        self.with_seat(ack.ledger, |this, seat| {
            let Some(lead) = &mut seat.lead else { return };
            if ack.epoch != lead.epoch() {
                // One that is behind learns the grant; one that is ahead has shown, or will show, its own.
                return if ack.epoch < lead.epoch() {
                    this.show_grant(from, seat)
                };
            }
            let size = this.peers.get(&from).map(|_| facts.head(ack.ledger).map_or(0, |head| head.log.size));
            let ours = contains(facts, ack.ledger, &ack.have);
            match (ack.standpoint, ours) {
                (Standpoint::Agrees, true) => {
                    let expected = state_root_at(facts, ack.ledger, ack.have.size);
                    if expected.is_some_and(|expected| expected != ack.state_root) {
                        lead.heard(now_ms, from);
                        return this.found(ack.ledger, from, Divergence::CorruptThere);
                    }
                    lead.agreed(now_ms, from, ack.have.size);
                }
                (Standpoint::Behind, _) => {
                    let retry_ms = this.config.retry_ms;
                    lead.needs(now_ms, from, ack.have.size.min(size.unwrap_or(0)), retry_ms);
                }
                (Standpoint::Agrees | Standpoint::Differs | Standpoint::Suspended, _) => lead.heard(now_ms, from),
            }
            this.count(now_ms, seat, facts);
            this.push(now_ms, seat, facts);
            this.cosign(now_ms, seat, facts);
        });
    }

    /// Counts what is committed, and says what may be acknowledged.
    pub(super) fn count(&mut self, _now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        let size = self.head(seat, facts).size;
        let Some(lead) = &mut seat.lead else { return };
        if let Some(committed) = lead.count(size, &seat.roster, self.me) {
            seat.standing.committed = seat.standing.committed.max(committed);
        }
        let durable = match seat.roster.durability {
            Durability::Local => size,
            Durability::Majority => seat.standing.committed.min(lead.committed()),
        };
        if durable > seat.acknowledged {
            seat.acknowledged = durable;
            self.outbox.push_back(Action::Acknowledge { ledger: seat.roster.ledger, size: durable });
        }
    }
}
