//! Following another log from wherever the local one is: find the place where they part, take back what may be taken back,
//! fetch what is missing.
//!
//! A pursuit has a target that was told by one peer. It ends when the local log is that, when the peer contradicts itself or
//! falls silent, or with a suspension: what is committed, signed or final here is never taken back.

use super::{
    Federation,
    action::{Action, Finding},
    lead::receipt_at,
    peer::Purpose,
    seat::Seat,
};
use crate::{
    compare::{Divergence, ForkSide, Relation, Search, SearchError, Uncomparable, classify},
    fetch::Fetch,
    ledgers::{Ledgers, contains},
    limits::TRANSFER_STEPS_MAX,
    message::{Mark, Message, NodeKey, PlacedReceipt, Question, Reply, Step, inclusion},
    quarantine::Reason,
};
use reprise_abi::decode_canonical;
use reprise_receipts::{Attestation, LeafHash, LedgerId, Receipt, attestation::AttestationBody};

/// A pursuit of one log.
#[derive(Debug)]
pub(super) struct Pursuit {
    target: Mark,
    /// Who told of it.
    peer: NodeKey,
    may: May,
    stage: Stage,
}

/// What a pursuit may do to the local log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Add to it: anybody's log can be proved to continue the local one.
    Extend,
    /// Take back what differs from the log of the owner of the promised epoch, which has everything that was committed.
    /// Nobody else's word is enough for that: the owner may have counted on what is here.
    FollowOwner,
    /// Take back what goes beyond the target as well: the log of a later epoch that a quorum has shown.
    Become,
}

#[derive(Debug)]
enum Stage {
    Start,
    Search { search: Search, asked: bool },
    Fork { at: u64, asked: bool },
    Decide,
    RollBack { to: u64 },
    Fetch(Fetch),
}

/// What a pursuit does next.
pub(super) enum Next {
    /// Something was decided: look again.
    Again,
    /// Something was asked for.
    Wait,
    /// It has come to its end.
    Over,
}

impl Pursuit {
    pub(super) fn new(target: Mark, peer: NodeKey, may: May) -> Self {
        Self { target, peer, may, stage: Stage::Start }
    }

    pub(super) fn target(&self) -> Mark {
        self.target
    }

    /// The peer is gone; whether the pursuit is over with it.
    pub(super) fn peer_gone(&mut self, peer: NodeKey) -> bool {
        if let Stage::Fetch(fetch) = &mut self.stage {
            fetch.gone(peer);
        }
        self.peer == peer
    }

    pub(super) fn fetch(&mut self) -> Option<&mut Fetch> {
        match &mut self.stage {
            Stage::Fetch(fetch) => Some(fetch),
            _ => None,
        }
    }

    pub(super) fn is_fetching(&self) -> bool {
        matches!(self.stage, Stage::Fetch(_))
    }

    /// The peer's word is enough to take steps back.
    pub(super) fn leads(&self) -> bool {
        self.may != May::Extend
    }

    pub(super) fn peer(&self) -> NodeKey {
        self.peer
    }

    pub(super) fn wait_for_decision(&mut self) {
        self.stage = Stage::Decide;
    }

    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Decide)
    }

    pub(super) fn go_back(&mut self, to: u64) {
        self.stage = Stage::RollBack { to };
    }

    pub(super) fn go_fetch(&mut self, ledger: LedgerId, first: u64) {
        self.stage = Stage::Fetch(Fetch::new(ledger, first, self.target, TRANSFER_STEPS_MAX));
    }

    /// The log is not what it was to become: it is looked at anew.
    pub(super) fn begin_anew(&mut self) {
        self.stage = Stage::Start;
    }

    /// The question of this stage was not answered.
    pub(super) fn is_waiting_for(&self, purpose: &Purpose) -> bool {
        matches!(
            (&self.stage, purpose),
            (Stage::Search { asked: true, .. }, Purpose::Search(_))
                | (Stage::Fork { asked: true, .. }, Purpose::Fork(_))
        )
    }
}

impl Federation {
    /// Goes on with the pursuit of a ledger, if there is one.
    pub(super) fn pursue(&mut self, now_ms: u64, seat: &mut Seat, facts: &dyn Ledgers) {
        while let Some(mut pursuit) = seat.pursuit.take() {
            if !seat.is_open() {
                return;
            }
            match self.pursue_step(now_ms, &mut pursuit, seat, facts) {
                Next::Over => {
                    let head = self.head(seat, facts);
                    if let Some(round) = seat.round.as_mut().filter(|_| head != pursuit.target) {
                        // What was promised is not there to be had; it can be promised again.
                        round.promises.remove(&pursuit.peer);
                    }
                }
                // A suspension has thrown everything away.
                Next::Again | Next::Wait if !seat.is_open() => return,
                Next::Again => seat.pursuit = Some(pursuit),
                Next::Wait => {
                    seat.pursuit = Some(pursuit);
                    return;
                }
            }
        }
    }

    fn pursue_step(&mut self, now_ms: u64, pursuit: &mut Pursuit, seat: &mut Seat, facts: &dyn Ledgers) -> Next {
        let head = self.head(seat, facts);
        match &mut pursuit.stage {
            Stage::Start if !seat.work.is_idle() => Next::Wait,
            Stage::Start => self.start_pursuit(&head, pursuit, seat, facts),
            Stage::Search { search, .. } if search.ours() != head => {
                pursuit.stage = Stage::Start;
                Next::Again
            }
            Stage::Search { search, asked } => match search.relation() {
                Some(relation) => self.related(relation, &head, pursuit, seat),
                None if *asked => Next::Wait,
                None => {
                    let question = search.question().expect("a search without a result has a question");
                    *asked = self.ask(now_ms, pursuit.peer, question, Purpose::Search(seat.roster.ledger));
                    Next::Wait
                }
            },
            Stage::Fork { asked: true, .. } => Next::Wait,
            Stage::Fork { at, asked } => {
                let question = Question::Receipt { ledger: seat.roster.ledger, seq: *at, size: pursuit.target.size };
                *asked = self.ask(now_ms, pursuit.peer, question, Purpose::Fork(seat.roster.ledger));
                Next::Wait
            }
            Stage::Decide => Next::Wait,
            Stage::RollBack { to } => {
                let to = *to;
                self.roll_back(to, pursuit, seat, facts)
            }
            Stage::Fetch(_) => self.fetch_step(now_ms, &head, pursuit, seat, facts),
        }
    }

    fn start_pursuit(&mut self, head: &Mark, pursuit: &mut Pursuit, seat: &mut Seat, facts: &dyn Ledgers) -> Next {
        let (ledger, target) = (seat.roster.ledger, pursuit.target);
        if *head == target {
            return Next::Over;
        }
        if head.size > target.size && contains(facts, ledger, &target) {
            if pursuit.may != May::Become {
                return Next::Over;
            }
            return self.roll_back(target.size, pursuit, seat, facts);
        }
        pursuit.stage = Stage::Search { search: Search::new(ledger, *head, target, facts), asked: false };
        Next::Again
    }

    /// Takes back what comes after `to`. When that is done, the log is looked at anew.
    fn roll_back(&mut self, to: u64, pursuit: &mut Pursuit, seat: &mut Seat, facts: &dyn Ledgers) -> Next {
        pursuit.stage = Stage::Start;
        self.take_back(seat, to, facts);
        Next::Wait
    }

    fn related(&mut self, relation: Relation, head: &Mark, pursuit: &mut Pursuit, seat: &mut Seat) -> Next {
        match relation {
            Relation::Same | Relation::Ahead => Next::Over,
            Relation::Behind => {
                let missing = pursuit.target.size - head.size;
                self.propose(Divergence::StaleHere { missing }, head, pursuit, seat)
            }
            Relation::Forked { at } => {
                pursuit.stage = Stage::Fork { at, asked: false };
                Next::Again
            }
        }
    }

    fn fetch_step(
        &mut self,
        now_ms: u64,
        head: &Mark,
        pursuit: &mut Pursuit,
        seat: &mut Seat,
        facts: &dyn Ledgers,
    ) -> Next {
        let sources = self.sources(now_ms, seat.roster.ledger, pursuit);
        let only_adds = pursuit.may == May::Extend && seat.round.is_none();
        let Stage::Fetch(fetch) = &mut pursuit.stage else { return Next::Over };
        if only_adds && fetch.ready().is_some_and(|held| is_of_earlier_epoch(&held.steps, seat.standing.log_epoch)) {
            // An earlier owner left them with somebody: the log of this epoch does not go on with them.
            return Next::Over;
        }
        if fetch.is_complete() && seat.follow.applying.is_empty() {
            pursuit.stage = Stage::Start;
            // Steps that were applied lead to the target, or a repair has changed the log: either is looked at anew.
            return if *head == pursuit.target { Next::Over } else { Next::Again };
        }
        self.take_fetched(now_ms, fetch, seat, facts);
        if fetch.is_stuck(&sources) {
            return Next::Over;
        }
        self.ask_for_steps(now_ms, fetch, &sources);
        Next::Wait
    }

    /// The peer that told of the target first, and those that have the same log.
    fn sources(&self, now_ms: u64, ledger: LedgerId, pursuit: &Pursuit) -> Vec<NodeKey> {
        let has = |head: &crate::ledgers::LedgerHead| {
            (head.size, head.log_root) == (pursuit.target.size, pursuit.target.log_root)
        };
        let others =
            self.peers.iter().filter(|(_, peer)| peer.has_room(now_ms) && peer.heads.get(&ledger).is_some_and(has));
        let others = others.map(|(node, _)| *node).filter(|node| *node != pursuit.peer);
        let first = self.is_there(pursuit.peer).then_some(pursuit.peer);
        first.into_iter().chain(others).collect()
    }

    /// An answer to the search.
    pub(super) fn on_search_answer(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        reply: &Reply,
        seat: &mut Seat,
        facts: &dyn Ledgers,
    ) {
        let Some(pursuit) = seat.pursuit.as_mut().filter(|pursuit| pursuit.peer == from) else { return };
        let Stage::Search { search, asked } = &mut pursuit.stage else { return };
        *asked = false;
        match search.answer(reply, facts) {
            Ok(()) => {}
            Err(SearchError::Refused(_)) => seat.pursuit = None,
            Err(SearchError::OtherAnswer | SearchError::Descent(_)) => {
                seat.pursuit = None;
                self.found(seat.roster.ledger, from, Divergence::CorruptThere);
                let frame = Message::Answer(crate::message::Answer { request: 0, reply: reply.clone() }).to_frame();
                self.reject(now_ms, from, Some(seat.roster.ledger), Reason::Contradiction, &frame);
            }
        }
        self.pursue(now_ms, seat, facts);
    }

    /// The receipt in which the fork begins has come.
    pub(super) fn on_fork_answer(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        reply: &Reply,
        seat: &mut Seat,
        facts: &dyn Ledgers,
    ) {
        let Some(pursuit) = seat.pursuit.as_ref().filter(|pursuit| pursuit.peer == from) else { return };
        let Stage::Fork { at, .. } = pursuit.stage else { return };
        let target = pursuit.target;
        let classified = match reply {
            Reply::Receipt(placed) => match fork_sides(seat, at, &target, placed, facts) {
                Some((ours, theirs)) => classify(&ours, &theirs),
                None => {
                    seat.pursuit = None;
                    self.found(seat.roster.ledger, from, Divergence::CorruptThere);
                    return self.reject(now_ms, from, Some(seat.roster.ledger), Reason::Contradiction, &placed.receipt);
                }
            },
            // Without the receipt there is no fork that anybody could check.
            _ => {
                seat.pursuit = None;
                return self.found(seat.roster.ledger, from, Divergence::Incomparable(Uncomparable::History));
            }
        };
        if let Some(evidence) = classified.evidence {
            self.convict(evidence, seat);
        }
        let Some(mut pursuit) = seat.pursuit.take().filter(|_| seat.is_open()) else {
            return self.found(seat.roster.ledger, from, classified.divergence);
        };
        let head = self.head(seat, facts);
        if !matches!(self.propose(classified.divergence, &head, &mut pursuit, seat), Next::Over) && seat.is_open() {
            seat.pursuit = Some(pursuit);
            self.pursue(now_ms, seat, facts);
        }
    }

    /// Tells of a difference, once.
    pub(super) fn found(&mut self, ledger: LedgerId, peer: NodeKey, divergence: Divergence) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.findings.insert(ledger, divergence) != Some(divergence) {
            self.outbox.push_back(Action::Found(Finding { ledger, peer, divergence }));
        }
    }
}

/// The first step was ordered in an epoch before this one.
fn is_of_earlier_epoch(steps: &[Step], epoch: u64) -> bool {
    let first = steps.first().and_then(|step| decode_canonical::<Receipt>(&step.receipt).ok());
    first.is_some_and(|receipt| receipt.epoch < epoch)
}

/// Both sides of a fork, if the peer's receipt is in its log at that place and is another one than ours.
fn fork_sides(
    seat: &Seat,
    at: u64,
    target: &Mark,
    placed: &PlacedReceipt,
    facts: &dyn Ledgers,
) -> Option<(ForkSide, ForkSide)> {
    let ledger = seat.roster.ledger;
    let (leaf, path) = (LeafHash::of(&placed.receipt), inclusion(&placed.path));
    path.verify(&target.log_root, target.size, at, &leaf).ok()?;
    let receipt: Receipt = decode_canonical(&placed.receipt).ok()?;
    let ours = receipt_at(facts, ledger, at)?;
    let our_leaf = LeafHash::of(&facts.receipt(ledger, at)?);
    if receipt.seq != at || receipt.ledger != ledger || leaf == our_leaf {
        return None;
    }
    // Only what is signed over this very receipt is compared: two of those are evidence by themselves.
    let usable = |attestation: Option<Attestation>, leaf: LeafHash| {
        let attestation = attestation?;
        let AttestationBody { ledger: of, seq, leaf: signed, .. } = attestation.body;
        let about_it = (of, seq, signed) == (ledger, at, leaf);
        let member = seat.roster.signer(&attestation.signer).is_some();
        (about_it && member && attestation.verify(&attestation.signer).is_ok()).then_some(attestation)
    };
    let our_side = ForkSide { receipt: ours, attestation: usable(facts.attestation(ledger, at), our_leaf) };
    Some((our_side, ForkSide { receipt, attestation: usable(placed.attestation.clone(), leaf) }))
}
