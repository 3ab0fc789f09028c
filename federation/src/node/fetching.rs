//! Steps over streams: asked for, announced, received, verified, applied.

use super::{Federation, action::Action, peer::Purpose, seat::Seat, work::Source};
use crate::{
    fetch::{Fetch, verify_segment},
    ledgers::{Ledgers, tail},
    limits::TRANSFER_BYTES_MAX,
    message::{NodeKey, Reply, Steps},
    quarantine::Reason,
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::LedgerId;

/// Slowest stream that is waited for, in bytes per millisecond.
const STREAM_BYTES_PER_MS: u64 = 64;

impl Federation {
    pub(super) fn ask_for_steps(&mut self, now_ms: u64, fetch: &mut Fetch, sources: &[NodeKey]) {
        let ledger = fetch.ledger();
        let usable: Vec<NodeKey> =
            sources.iter().copied().filter(|node| self.peers.get(node).is_some_and(|p| p.has_room(now_ms))).collect();
        let numbers = &mut self.numbers;
        let questions = fetch.ask(&usable, || {
            numbers.transfer += 1;
            numbers.transfer
        });
        for (node, question) in questions {
            let crate::message::Question::Range { transfer, .. } = question else { continue };
            if !self.ask(now_ms, node, question, Purpose::Steps(ledger, transfer)) {
                fetch.unasked(node, transfer);
            }
        }
    }

    /// The answer to a question for steps.
    pub(super) fn on_steps_answer(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        reply: &Reply,
        transfer: u64,
        seat: &mut Seat,
        facts: &dyn Ledgers,
    ) {
        let ledger = seat.roster.ledger;
        let Some(fetch) = seat.pursuit.as_mut().and_then(super::pursue::Pursuit::fetch) else { return };
        match reply {
            Reply::Sending(sending) if fetch.sending(from, transfer, sending) => {
                self.expect(now_ms, from, transfer, sending.bytes, Purpose::Steps(ledger, transfer));
            }
            _ => fetch.lost(from, transfer),
        }
        self.pursue(now_ms, seat, facts);
    }

    /// A stream with this number is to come.
    pub(super) fn expect(&mut self, now_ms: u64, from: NodeKey, transfer: u64, bytes: u64, purpose: Purpose) {
        let time_ms = self.config.stream_ms + bytes / STREAM_BYTES_PER_MS;
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.streams.insert(transfer, (purpose, now_ms.saturating_add(time_ms)));
        }
    }

    /// A stream has come to its end. The driver has read at most [`TRANSFER_BYTES_MAX`] bytes of it.
    ///
    /// Answers whether the stream was for this node's own fetching; if not, and it was expected, it is the answer to a
    /// question of the driver's ([`Self::ask_peer`]), and the bytes are the driver's to verify.
    pub fn received(&mut self, now_ms: u64, from: NodeKey, transfer: u64, bytes: &[u8], facts: &dyn Ledgers) -> bool {
        let stream = self.peers.get_mut(&from).and_then(|peer| peer.streams.remove(&transfer));
        let Some((Purpose::Steps(ledger, _), _)) = stream else { return false };
        self.with_seat(ledger, |this, seat| {
            let Some(fetch) = seat.pursuit.as_mut().and_then(super::pursue::Pursuit::fetch) else { return };
            let fits = bytes.len() as u64 <= TRANSFER_BYTES_MAX;
            let steps = decode_canonical::<Steps>(bytes).ok().filter(|_| fits);
            let taken =
                steps.is_some_and(|steps| fetch.received(from, transfer, steps.steps.into_inner(), bytes.len() as u64));
            if !taken {
                fetch.lost(from, transfer);
                this.reject(now_ms, from, Some(ledger), Reason::Malformed, bytes);
            }
            this.pursue(now_ms, seat, facts);
        });
        true
    }

    /// Whether a stream with this number is expected from a peer: the driver refuses others before it reads them.
    #[must_use]
    pub fn expects(&self, from: NodeKey, transfer: u64) -> bool {
        self.peers.get(&from).is_some_and(|peer| peer.streams.contains_key(&transfer))
    }

    /// Takes the segment that comes next, if it is there and nothing is being applied.
    pub(super) fn take_fetched(&mut self, now_ms: u64, fetch: &mut Fetch, seat: &mut Seat, facts: &dyn Ledgers) {
        let ledger: LedgerId = seat.roster.ledger;
        if !seat.follow.applying.is_empty() {
            return;
        }
        let target = fetch.target();
        let Some(held) = fetch.ready() else { return };
        let Some(before) = tail(facts, ledger) else { return };
        match verify_segment(ledger, &before, held, &target) {
            Ok(end) => {
                let (from, first, steps) = (held.peer, held.first, held.steps.clone());
                fetch.took();
                let work = seat.work.give();
                seat.follow.applying.add(work, end, Source::Member);
                self.outbox.push_back(Action::Apply { ledger, from, first, steps, work });
            }
            Err(_) => {
                if let Some(bad) = fetch.refuse() {
                    let steps = Steps { steps: crate::list::List::first(bad.steps) };
                    self.reject(now_ms, bad.peer, Some(ledger), Reason::Continuity, &encode(&steps));
                }
            }
        }
    }
}
