//! Bundles that peers ask for, and bundles that the driver asks peers for.

use super::{Federation, action::Action, serving::CannotAsk};
use crate::{
    bundle::plan,
    ledgers::Ledgers,
    message::{Answer, Ask, BundleOffer, BundleQuery, Message, NodeKey, PROTOCOL_BUNDLES, Question, Refusal, Reply},
    quarantine::{LongObject, Reason},
};
use reprise_receipts::LedgerId;

impl Federation {
    /// Asks a peer for a bundle. [`Action::Answered`] carries the number that is returned here. The number of the stream
    /// is one of [`Self::new_transfer`]; what comes over it is the driver's to bound, to keep and to verify.
    ///
    /// # Errors
    /// [`CannotAsk`].
    pub fn ask_for_bundle(&mut self, now_ms: u64, node: NodeKey, query: BundleQuery) -> Result<u32, CannotAsk> {
        self.ask_for(now_ms, node, PROTOCOL_BUNDLES, Question::Bundle(query))
    }

    pub(super) fn on_bundle_query(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        request: u32,
        query: &BundleQuery,
        facts: &dyn Ledgers,
    ) {
        if !self.speaks(from, PROTOCOL_BUNDLES) {
            let question = Question::Bundle(*query);
            return self.offence(now_ms, from, &Message::Ask(Ask { request, question }));
        }
        let committed = self.seats.get(&query.ledger).map_or(0, |seat| seat.standing.committed);
        let planned = plan(query, &self.shared(from, facts), committed, facts);
        match planned.and_then(|order| Ok((self.begin_serving(from, request)?, order))) {
            Ok((number, order)) => {
                self.outbox.push_back(Action::Bundle { to: from, number, transfer: query.transfer, order });
            }
            Err(refusal) => self.send(from, Message::Answer(Answer { request, reply: Reply::Refused(refusal) })),
        }
    }

    /// The bundle of an [`Action::Bundle`] is there, or cannot be made. Answers whether it is to be sent.
    pub fn bundle_made(&mut self, number: u64, made: Result<BundleOffer, Refusal>) -> bool {
        self.answer_served(number, made.map_or_else(Reply::Refused, Reply::Bundle)) && made.is_ok()
    }

    /// Nothing more is done for an [`Action::Bundle`]: it was sent, or could not be.
    pub fn bundle_ended(&mut self, number: u64) {
        self.end_serving(number);
    }

    /// A bundle that came from a peer is not what it should be: it is kept in quarantine, and counts against the peer.
    pub fn reject_bundle(&mut self, now_ms: u64, from: NodeKey, ledger: LedgerId, reason: Reason, object: LongObject) {
        let record = self.quarantine.add_long(now_ms, from, Some(ledger), reason, object).clone();
        self.outbox.push_back(Action::Quarantined(record));
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.score.answered_wrong(now_ms);
        }
    }
}
