//! Bundles that peers ask for, and bundles that the driver asks peers for.

use super::{Federation, action::Action, peer::Purpose};
use crate::{
    bundle::plan,
    ledgers::Ledgers,
    limits::BUNDLES_SERVED_MAX,
    message::{Answer, Ask, BundleOffer, BundleQuery, Message, NodeKey, PROTOCOL_BUNDLES, Question, Refusal, Reply},
    quarantine::{LongObject, Reason},
};
use reprise_receipts::LedgerId;
use std::collections::BTreeMap;

/// Bundles that are being made or sent, by the number of the work.
#[derive(Debug, Default)]
pub(super) struct Serving(BTreeMap<u64, Served>);

#[derive(Debug)]
struct Served {
    to: NodeKey,
    /// Number of its question; none once it is answered, or nobody waits for the answer any more.
    request: Option<u32>,
}

/// Why a peer cannot be asked for a bundle now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotAsk {
    /// There is no connection.
    #[error("it is not connected")]
    NotConnected,
    /// It does not know the question.
    #[error("it speaks version {0} of the protocol, which has no bundles: bring the program there up to date")]
    Version(u16),
    /// Too much was asked of it, or it has to rest after a wrong answer.
    #[error("it is not asked anything for the moment")]
    NotNow,
}

impl Serving {
    /// Nobody waits for the answers any more.
    pub(super) fn gone(&mut self, peer: NodeKey) {
        self.0.values_mut().filter(|served| served.to == peer).for_each(|served| served.request = None);
    }

    fn has_room_for(&self, peer: NodeKey) -> bool {
        self.0.len() < BUNDLES_SERVED_MAX && self.0.values().all(|served| served.to != peer)
    }
}

impl Federation {
    /// Asks a peer for a bundle. [`Action::Answered`] carries the number that is returned here. The number of the stream
    /// is one of [`Self::new_transfer`]; what comes over it is the driver's to bound, to keep and to verify.
    ///
    /// # Errors
    /// [`CannotAsk`].
    pub fn ask_for_bundle(&mut self, now_ms: u64, node: NodeKey, query: BundleQuery) -> Result<u32, CannotAsk> {
        let peer = self.peers.get(&node).filter(|peer| peer.is_there()).ok_or(CannotAsk::NotConnected)?;
        if peer.version() < PROTOCOL_BUNDLES {
            return Err(CannotAsk::Version(peer.version()));
        }
        let request = self.numbers.request.wrapping_add(1);
        let asked = self.ask(now_ms, node, Question::Bundle(query), Purpose::Bundle(request));
        if asked { Ok(request) } else { Err(CannotAsk::NotNow) }
    }

    pub(super) fn on_bundle_query(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        request: u32,
        query: &BundleQuery,
        facts: &dyn Ledgers,
    ) {
        if self.peers.get(&from).is_none_or(|peer| peer.version() < PROTOCOL_BUNDLES) {
            let question = Question::Bundle(*query);
            return self.offence(now_ms, from, &Message::Ask(Ask { request, question }));
        }
        let committed = self.seats.get(&query.ledger).map_or(0, |seat| seat.standing.committed);
        let planned = plan(query, &self.shared(from, facts), committed, facts);
        match planned.and_then(|order| if self.serving.has_room_for(from) { Ok(order) } else { Err(Refusal::Busy) }) {
            Ok(order) => {
                let number = self.new_transfer();
                self.serving.0.insert(number, Served { to: from, request: Some(request) });
                self.outbox.push_back(Action::Bundle { to: from, number, transfer: query.transfer, order });
            }
            Err(refusal) => self.answer_bundle(from, request, Reply::Refused(refusal)),
        }
    }

    /// The bundle of an [`Action::Bundle`] is there, or cannot be made. Answers whether it is to be sent.
    pub fn bundle_made(&mut self, number: u64, made: Result<BundleOffer, Refusal>) -> bool {
        let Some(served) = self.serving.0.get_mut(&number) else { return false };
        let (to, Some(request)) = (served.to, served.request.take()) else { return false };
        self.answer_bundle(to, request, made.map_or_else(Reply::Refused, Reply::Bundle));
        made.is_ok()
    }

    /// Nothing more is done for an [`Action::Bundle`]: it was sent, or could not be.
    pub fn bundle_ended(&mut self, number: u64) {
        self.serving.0.remove(&number);
    }

    /// A bundle that came from a peer is not what it should be: it is kept in quarantine, and counts against the peer.
    pub fn reject_bundle(&mut self, now_ms: u64, from: NodeKey, ledger: LedgerId, reason: Reason, object: LongObject) {
        let record = self.quarantine.add_long(now_ms, from, Some(ledger), reason, object).clone();
        self.outbox.push_back(Action::Quarantined(record));
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.score.answered_wrong(now_ms);
        }
    }

    fn answer_bundle(&mut self, to: NodeKey, request: u32, reply: Reply) {
        self.send(to, Message::Answer(Answer { request, reply }));
    }
}
