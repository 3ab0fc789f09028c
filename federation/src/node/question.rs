//! Questions and answers, and the regular comparison of heads.

use super::{
    Federation,
    action::Action,
    lead::state_root_at,
    peer::{Asked, Purpose},
    pursue::{May, Pursuit},
    seat::Seat,
};
use crate::{
    compare::{Divergence, classify_states, heads_digest, respond},
    ledgers::{LedgerHead, Ledgers, contains},
    limits::SERVED_ANSWER_MS,
    membership::Suspension,
    message::{Answer, Ask, Mark, Message, NodeKey, Question, Reply},
    quarantine::Reason,
};
use reprise_receipts::LedgerId;

impl Federation {
    /// Heads of the ledgers that are shared with a peer, in their order.
    pub(super) fn shared(&self, with: NodeKey, facts: &dyn Ledgers) -> Vec<LedgerHead> {
        let shared = self.seats.iter().filter(|(_, seat)| seat.roster.member(with).is_some());
        let head = |(ledger, seat): (&LedgerId, &Seat)| {
            let head = facts.head(*ledger)?;
            let Mark { size, log_root } = head.log;
            let epoch = seat.standing.promised;
            Some(LedgerHead { ledger: *ledger, epoch, size, log_root, state_root: head.state_root })
        };
        shared.filter_map(head).collect()
    }

    /// Asks a peer, if it may be asked now.
    pub(super) fn ask(&mut self, now_ms: u64, node: NodeKey, question: Question, purpose: Purpose) -> bool {
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.has_room(now_ms)) else { return false };
        self.numbers.request = self.numbers.request.wrapping_add(1);
        let request = self.numbers.request;
        let wait_ms = match purpose {
            Purpose::Made(_) => SERVED_ANSWER_MS,
            _ => peer.score.deadline_ms(),
        };
        let deadline_ms = now_ms.saturating_add(wait_ms);
        peer.asked.insert(request, Asked { sent_ms: now_ms, deadline_ms, purpose });
        self.send(node, Message::Ask(Ask { request, question }));
        true
    }

    pub(super) fn on_ask(&mut self, now_ms: u64, from: NodeKey, ask: &Ask, facts: &dyn Ledgers) {
        match &ask.question {
            Question::Bundle(query) => return self.on_bundle_query(now_ms, from, ask.request, query, facts),
            Question::Roots(query) => return self.on_roots_query(now_ms, from, ask.request, query, facts),
            _ => {}
        }
        let response = respond(&ask.question, &self.shared(from, facts), facts);
        self.send(from, Message::Answer(Answer { request: ask.request, reply: response.reply }));
        if let Some((transfer, content)) = response.stream {
            self.outbox.push_back(Action::Stream { to: from, transfer, content });
        }
    }

    pub(super) fn on_answer(&mut self, now_ms: u64, from: NodeKey, answer: Answer, facts: &dyn Ledgers) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        // An answer to nothing is late, or made up; neither is worth an answer.
        let Some(asked) = peer.asked.remove(&answer.request) else { return };
        if !matches!(asked.purpose, Purpose::Made(_)) {
            peer.score.answered(now_ms.saturating_sub(asked.sent_ms));
        }
        match asked.purpose {
            Purpose::Heads => self.on_heads(now_ms, from, &answer.reply, facts),
            Purpose::Search(ledger) => {
                self.with_seat(ledger, |this, seat| this.on_search_answer(now_ms, from, &answer.reply, seat, facts));
            }
            Purpose::Fork(ledger) => {
                self.with_seat(ledger, |this, seat| this.on_fork_answer(now_ms, from, &answer.reply, seat, facts));
            }
            Purpose::Steps(ledger, transfer) => {
                self.with_seat(ledger, |this, seat| {
                    this.on_steps_answer(now_ms, from, &answer.reply, transfer, seat, facts);
                });
            }
            Purpose::Driver(request) | Purpose::Made(request) => {
                self.outbox.push_back(Action::Answered { from, request, reply: Some(answer.reply) });
            }
        }
    }

    /// Asks a peer something for the driver: a checkpoint, chunks of a snapshot, a receipt. [`Action::Answered`] carries
    /// the number that is returned here; `None` if the peer cannot be asked now. A stream that a question asks for takes
    /// its number from [`Self::new_transfer`], and is announced to [`Self::expect_stream`].
    pub fn ask_peer(&mut self, now_ms: u64, node: NodeKey, question: Question) -> Option<u32> {
        let request = self.numbers.request.wrapping_add(1);
        self.ask(now_ms, node, question, Purpose::Driver(request)).then_some(request)
    }

    /// A number for a stream that nobody has used yet.
    pub fn new_transfer(&mut self) -> u64 {
        self.numbers.transfer += 1;
        self.numbers.transfer
    }

    /// The driver waits for a stream that was announced in answer to its question `request`.
    pub fn expect_stream(&mut self, now_ms: u64, from: NodeKey, request: u32, transfer: u64, bytes: u64) {
        self.expect(now_ms, from, transfer, bytes, Purpose::Driver(request));
    }

    /// Gives up on what was not answered in time.
    pub(super) fn expire(&mut self, now_ms: u64, facts: &dyn Ledgers) {
        let late: Vec<(NodeKey, Purpose)> = self
            .peers
            .iter_mut()
            .flat_map(|(node, peer)| {
                let late = peer.take_expired(now_ms);
                if !late.is_empty() {
                    peer.score.timed_out(now_ms);
                }
                late.into_iter().map(|purpose| (*node, purpose))
            })
            .collect();
        for (node, purpose) in late {
            let ledger = match purpose {
                Purpose::Search(ledger) | Purpose::Fork(ledger) | Purpose::Steps(ledger, _) => ledger,
                Purpose::Heads => continue,
                Purpose::Driver(request) | Purpose::Made(request) => {
                    self.outbox.push_back(Action::Answered { from: node, request, reply: None });
                    continue;
                }
            };
            self.with_seat(ledger, |this, seat| {
                let Some(pursuit) = &mut seat.pursuit else { return };
                if pursuit.is_waiting_for(&purpose) {
                    seat.pursuit = None;
                } else if let (Purpose::Steps(_, transfer), Some(fetch)) = (purpose, pursuit.fetch()) {
                    fetch.lost(node, transfer);
                }
                this.pursue(now_ms, seat, facts);
            });
        }
    }

    /// Asks every peer whether anything is different at the next tick, without waiting until it is time.
    pub fn compare_now(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.compare_at_ms = 0);
    }

    /// Asks every peer whether anything is different, now and then.
    pub(super) fn compare_with_peers(&mut self, now_ms: u64, facts: &dyn Ledgers) {
        let due = |peer: &super::Peer| peer.is_there() && now_ms >= peer.compare_at_ms;
        let nodes: Vec<NodeKey> = self.peers.iter().filter(|(_, peer)| due(peer)).map(|(node, _)| *node).collect();
        for node in nodes {
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.compare_at_ms = now_ms.saturating_add(self.config.compare_ms);
            }
            let digest = heads_digest(&self.shared(node, facts));
            self.ask(now_ms, node, Question::Digest(digest), Purpose::Heads);
            let ledgers: Vec<LedgerId> = self.seats.keys().copied().collect();
            for ledger in ledgers {
                self.with_seat(ledger, |this, seat| this.show_votes(node, seat));
            }
        }
    }

    fn on_heads(&mut self, now_ms: u64, from: NodeKey, reply: &Reply, facts: &dyn Ledgers) {
        match reply {
            Reply::Same => {
                let shared = self.shared(from, facts);
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.agreed_ms = Some(now_ms);
                    peer.findings.clear();
                    peer.heads = shared.into_iter().map(|head| (head.ledger, head)).collect();
                }
            }
            Reply::Heads(page) => {
                for head in page.heads.iter() {
                    let known = self.with_seat(head.ledger, |this, seat| {
                        let shared = seat.roster.member(from).is_some();
                        if shared {
                            this.on_head(now_ms, from, head, seat, facts);
                        }
                        shared
                    });
                    if let (Some(true), Some(peer)) = (known, self.peers.get_mut(&from)) {
                        peer.heads.insert(head.ledger, *head);
                    }
                }
                if let (true, Some(last)) = (page.more, page.heads.last()) {
                    self.ask(now_ms, from, Question::Heads { after: last.ledger }, Purpose::Heads);
                }
            }
            Reply::Refused(_) => {}
            other => {
                let frame = Message::Answer(Answer { request: 0, reply: other.clone() }).to_frame();
                self.reject(now_ms, from, None, Reason::Protocol, &frame);
            }
        }
    }

    /// A peer's head of one ledger, against the local one.
    fn on_head(&mut self, now_ms: u64, from: NodeKey, theirs: &LedgerHead, seat: &mut Seat, facts: &dyn Ledgers) {
        let ledger = theirs.ledger;
        let Some(ours) = facts.head(ledger) else { return };
        if theirs.epoch < seat.standing.promised {
            self.show_grant(from, seat);
        }
        let mark = Mark { size: theirs.size, log_root: theirs.log_root };
        let receipt = state_root_at(facts, ledger, ours.log.size);
        let states =
            receipt.and_then(|root| classify_states((&ours.log, ours.state_root), (&mark, theirs.state_root), root));
        match states {
            Some(Divergence::CorruptHere) => {
                self.found(ledger, from, Divergence::CorruptHere);
                return self.halt(seat, Suspension::CorruptHere);
            }
            Some(divergence) => return self.found(ledger, from, divergence),
            None if mark == ours.log => return,
            None => {}
        }
        if mark.size < ours.log.size && contains(facts, ledger, &mark) {
            return self.found(ledger, from, Divergence::StaleThere { missing: ours.log.size - mark.size });
        }
        let silence_ms = self.config.silence_ms;
        let heard = seat.follow.heard_ms.is_some_and(|heard_ms| now_ms.saturating_sub(heard_ms) < silence_ms);
        let idle = seat.pursuit.is_none() && seat.round.is_none() && seat.work.is_idle();
        // While the owner is heard, its steps lead; without it, whoever has more is followed as far as it can prove.
        if seat.standing.owner != self.me && seat.is_open() && idle && !heard && mark.size > ours.log.size {
            seat.pursuit = Some(Pursuit::new(mark, from, May::Extend));
            self.pursue(now_ms, seat, facts);
        }
    }
}
