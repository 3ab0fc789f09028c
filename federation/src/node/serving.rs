//! What peers ask for that has to be made first, bundles and roots: one piece of work for each, and few in all.

use super::{Federation, peer::Purpose};
use crate::{
    limits::SERVED_MAX,
    message::{Answer, Message, NodeKey, Question, Refusal, Reply},
};
use std::collections::BTreeMap;

/// What is being made or sent, by the number of the work.
#[derive(Debug, Default)]
pub(super) struct Serving(BTreeMap<u64, Served>);

#[derive(Debug)]
struct Served {
    to: NodeKey,
    /// Number of its question; none once it is answered, or nobody waits for the answer any more.
    request: Option<u32>,
}

/// Why a peer cannot be asked for something that it would have to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotAsk {
    /// There is no connection.
    #[error("it is not connected")]
    NotConnected,
    /// It does not know the question.
    #[error("it speaks version {0} of the protocol, which cannot ask for this: bring the program there up to date")]
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
        self.0.len() < SERVED_MAX && self.0.values().all(|served| served.to != peer)
    }
}

impl Federation {
    /// Asks for something that the peer makes first. [`super::Action::Answered`] carries the number that is returned here.
    pub(super) fn ask_for(
        &mut self,
        now_ms: u64,
        node: NodeKey,
        since: u16,
        question: Question,
    ) -> Result<u32, CannotAsk> {
        let peer = self.peers.get(&node).filter(|peer| peer.is_there()).ok_or(CannotAsk::NotConnected)?;
        if peer.version() < since {
            return Err(CannotAsk::Version(peer.version()));
        }
        let request = self.numbers.request.wrapping_add(1);
        let asked = self.ask(now_ms, node, question, Purpose::Made(request));
        if asked { Ok(request) } else { Err(CannotAsk::NotNow) }
    }

    /// The peer may ask what only this version of the protocol knows.
    pub(super) fn speaks(&self, peer: NodeKey, since: u16) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.version() >= since)
    }

    /// Gives out a number for what is to be made.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub(super) fn begin_serving(&mut self, to: NodeKey, request: u32) -> Result<u64, Refusal> {
        if !self.serving.has_room_for(to) {
            return Err(Refusal::Busy);
        }
        let number = self.new_transfer();
        self.serving.0.insert(number, Served { to, request: Some(request) });
        Ok(number)
    }

    /// Answers the question of a piece of work, once. Answers whether anybody still waited.
    pub(super) fn answer_served(&mut self, number: u64, reply: Reply) -> bool {
        let Some(served) = self.serving.0.get_mut(&number) else { return false };
        let (to, Some(request)) = (served.to, served.request.take()) else { return false };
        self.send(to, Message::Answer(Answer { request, reply }));
        true
    }

    /// The piece of work has come to its end.
    pub(super) fn end_serving(&mut self, number: u64) {
        self.serving.0.remove(&number);
    }
}
