//! Roots that peers ask for, and roots that the driver asks peers for.

use super::{Federation, action::Action, serving::CannotAsk};
use crate::{
    ledgers::Ledgers,
    message::{Answer, Ask, Message, NodeKey, PROTOCOL_ROOTS, Question, Refusal, Reply, Roots, RootsQuery},
};

impl Federation {
    /// Asks a peer for the roots at one size. [`Action::Answered`] carries the number that is returned here.
    ///
    /// # Errors
    /// [`CannotAsk`].
    pub fn ask_for_roots(&mut self, now_ms: u64, node: NodeKey, query: RootsQuery) -> Result<u32, CannotAsk> {
        self.ask_for(now_ms, node, PROTOCOL_ROOTS, Question::Roots(query))
    }

    pub(super) fn on_roots_query(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        request: u32,
        query: &RootsQuery,
        facts: &dyn Ledgers,
    ) {
        if !self.speaks(from, PROTOCOL_ROOTS) {
            let question = Question::Roots(query.clone());
            return self.offence(now_ms, from, &Message::Ask(Ask { request, question }));
        }
        let shared = self.shared(from, facts);
        let size =
            shared.iter().find(|head| head.ledger == query.ledger).map(|head| head.size).ok_or(Refusal::NotShared);
        let fits = size.and_then(|size| if query.size <= size { Ok(()) } else { Err(Refusal::BeyondEnd) });
        match fits.and_then(|()| self.begin_serving(from, request)) {
            Ok(number) => self.outbox.push_back(Action::Roots { number, query: query.clone() }),
            Err(refusal) => self.send(from, Message::Answer(Answer { request, reply: Reply::Refused(refusal) })),
        }
    }

    /// The roots of an [`Action::Roots`] are there, or cannot be told.
    pub fn roots_made(&mut self, number: u64, made: Result<Roots, Refusal>) {
        self.answer_served(number, made.map_or_else(Reply::Refused, |roots| Reply::Roots(Box::new(roots))));
        self.end_serving(number);
    }
}
