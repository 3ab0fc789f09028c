//! The follower's side: steps come in, are checked, done again and acknowledged.

use super::{
    Federation,
    action::Action,
    pursue::{May, Pursuit},
    seat::Seat,
    work::{Applying, Otherwise, Source},
};
use crate::{
    fetch::verify_chain,
    ledgers::{Ledgers, contains, mark_at, subtree_roots, tail},
    membership::{Role, Suspension},
    message::{Ack, Append, Mark, Message, NodeKey, Standpoint, Step},
    quarantine::Reason,
};
use reprise_receipts::LedgerId;

/// What the owner's steps are to the local log.
enum Fit {
    /// They begin after its end.
    Gap,
    /// They are of another log.
    Differs,
    /// They overlap with steps that are being applied.
    Wait,
    /// They are known up to this index of theirs.
    Known(usize),
}

/// A step that gave another receipt here than its owner's.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Of which ledger.
    pub ledger: LedgerId,
    /// Who sent it.
    pub from: NodeKey,
    /// The piece of work that it is part of.
    pub work: u64,
    /// Its sequence number.
    pub at: u64,
    /// The step.
    pub step: &'a Step,
}

impl Federation {
    pub(super) fn on_append(&mut self, now_ms: u64, from: NodeKey, append: Append, facts: &dyn Ledgers) {
        self.with_seat(append.ledger, |this, seat| {
            let promised = seat.standing.promised;
            if append.epoch < promised {
                return this.show_grant(from, seat);
            }
            if append.epoch > promised {
                // The answer makes the owner show the grant.
                return this.ack(from, Standpoint::Behind, seat, facts);
            }
            if from != seat.standing.owner {
                return this.offence(now_ms, from, &Message::Append(append));
            }
            this.follow(now_ms, from, append, seat, facts);
        });
    }

    fn follow(&mut self, now_ms: u64, from: NodeKey, append: Append, seat: &mut Seat, facts: &dyn Ledgers) {
        seat.follow.heard_ms = Some(now_ms);
        seat.follow.base = Some(append.base);
        seat.follow.told = Some(append.head);
        seat.follow.committed = seat.follow.committed.max(append.committed);
        if seat.standing.rejoining && seat.follow.goal.is_none() {
            seat.follow.goal = Some(append.head.size);
        }
        if !seat.is_open() {
            return self.ack(from, Standpoint::Suspended, seat, facts);
        }
        // An epoch begins with what is durable: nothing is added before that is known. What an earlier owner sent may still
        // be under way.
        let enters = seat.standing.log_epoch < seat.standing.promised && !seat.work.is_idle();
        if seat.pursuit.is_some() || seat.work.takes_back() || enters {
            return self.ack(from, Standpoint::Differs, seat, facts);
        }
        let head = self.head(seat, facts);
        match fit(&append, &head, seat, facts) {
            Fit::Wait => {}
            Fit::Gap if append.head.size.saturating_sub(head.size) <= self.config.catch_up_steps => {
                self.ack(from, Standpoint::Behind, seat, facts);
            }
            Fit::Gap | Fit::Differs => self.chase(now_ms, from, append.head, seat, facts),
            Fit::Known(known) => {
                let end = append.before.size + known as u64;
                if seat.follow.applying.is_empty() {
                    seat.follow.sure = seat.follow.sure.max(end);
                }
                self.settle(seat, facts);
                if seat.is_open() && !seat.work.takes_back() {
                    self.take(now_ms, from, append, known, seat, facts);
                }
                self.cosign(now_ms, seat, facts);
            }
        }
    }

    /// Takes what is new in a message whose steps are known up to an index.
    fn take(&mut self, now_ms: u64, from: NodeKey, append: Append, known: usize, seat: &mut Seat, facts: &dyn Ledgers) {
        let end = append.before.size + known as u64;
        if append.steps.len() > known {
            self.take_steps(now_ms, from, append, known, seat, facts);
        } else if append.steps.is_empty() && append.head.size > end && seat.follow.applying.is_empty() {
            // The next step is too long for a frame.
            self.chase(now_ms, from, append.head, seat, facts);
        }
    }

    /// Looks for the place where the logs part, or fetches over streams.
    fn chase(&mut self, now_ms: u64, from: NodeKey, target: Mark, seat: &mut Seat, facts: &dyn Ledgers) {
        if seat.follow.applying.is_empty() {
            seat.pursuit = Some(Pursuit::new(target, from, May::FollowOwner));
        }
        self.ack(from, Standpoint::Differs, seat, facts);
        self.pursue(now_ms, seat, facts);
    }

    fn take_steps(
        &mut self,
        now_ms: u64,
        from: NodeKey,
        append: Append,
        known: usize,
        seat: &mut Seat,
        facts: &dyn Ledgers,
    ) {
        let ledger = seat.roster.ledger;
        let Some(before) = seat.follow.applying.end().cloned().or_else(|| tail(facts, ledger)) else { return };
        let (first, steps) = (append.before.size + known as u64, append.steps[known..].to_vec());
        let chained = verify_chain(ledger, &before, first, &steps).ok();
        let leads =
            |end: &reprise_receipts::log::LogTail| end.size() < append.head.size || end.root() == append.head.log_root;
        match chained.filter(leads) {
            Some(end) => {
                let work = seat.work.give();
                seat.follow.applying.add(work, end, Source::Owner);
                self.outbox.push_back(Action::Apply { ledger, from, first, steps, work });
            }
            None => {
                let frame = Message::Append(append).to_frame();
                self.reject(now_ms, from, Some(ledger), Reason::Continuity, &frame);
            }
        }
    }

    /// A step of an [`Action::Apply`] gave another receipt here, or could not be executed: nothing from it on was stored. The
    /// ledger is suspended; whoever is wrong, this node cannot follow. Unless the step is not wanted any more: then another
    /// owner has something else in its place.
    pub fn refused(&mut self, now_ms: u64, refused: &Refused<'_>, facts: &dyn Ledgers) {
        let Refused { ledger, from, work, at, step } = *refused;
        if !self.seats.get(&ledger).is_some_and(|seat| seat.follow.applying.has(work)) {
            return;
        }
        self.reject(now_ms, from, Some(ledger), Reason::Execution, &[step.input.as_slice(), &step.receipt].concat());
        self.found(ledger, from, crate::compare::Divergence::ExecutionFault { at });
        self.with_seat(ledger, |this, seat| {
            seat.follow.applying = Applying::default();
            seat.pursuit = None;
            this.halt(seat, Suspension::ExecutionFault { at });
        });
        self.advanced(now_ms, ledger, facts);
    }

    /// The pieces of work up to this number, of [`Action::Apply`] and [`Action::RollBack`], have come to their end. The
    /// journal says with what result; it is another than before in any case.
    pub fn carried_out(&mut self, now_ms: u64, ledger: LedgerId, work: u64, facts: &dyn Ledgers) {
        self.with_seat(ledger, |_, seat| {
            seat.work.end(work);
            match seat.follow.applying.take_ended(&seat.work, ledger, facts) {
                Ok(reached) => seat.follow.sure = seat.follow.sure.max(reached.unwrap_or(0)),
                Err(Otherwise) => {
                    if let Some(pursuit) = seat.pursuit.as_mut().filter(|pursuit| pursuit.is_fetching()) {
                        pursuit.begin_anew();
                    }
                }
            }
        });
        self.advanced(now_ms, ledger, facts);
    }

    /// What is durable now is acknowledged, and what it means for the epoch is made durable.
    pub(super) fn settle(&mut self, seat: &mut Seat, facts: &dyn Ledgers) {
        let (ledger, head) = (seat.roster.ledger, self.head(seat, facts));
        let follows = seat.standing.owner != self.me && seat.is_open() && seat.follow.heard_ms.is_some();
        if !follows || seat.pursuit.is_some() || seat.work.takes_back() {
            return;
        }
        if let Some(told) =
            seat.follow.told.filter(|told| told.size > seat.follow.sure && contains(facts, ledger, told))
        {
            seat.follow.sure = told.size;
        }
        let sure = seat.follow.sure.min(head.size);
        let whole = seat.follow.base.is_some_and(|base| sure >= base);
        if seat.standing.log_epoch < seat.standing.promised && whole {
            if !seat.work.is_idle() {
                return;
            }
            if head.size > sure {
                // What an earlier owner left and the present one does not have.
                return self.take_back(seat, sure, facts);
            }
            seat.standing.log_epoch = seat.standing.promised;
            self.persist(seat);
        }
        if whole {
            seat.standing.committed = seat.standing.committed.max(seat.follow.committed.min(sure));
        }
        let has_all = whole && seat.follow.goal.is_some_and(|goal| sure >= goal);
        if seat.standing.rejoining && has_all && self.knows_the_epoch(seat) {
            // Whatever was signed before the loss was committed then, and what is committed is in every later owner's log:
            // this log contains it. What is not known to be committed may still be taken back.
            seat.standing.rejoining = false;
            seat.standing.signed = self.signed_before(seat, facts);
            self.persist(seat);
        }
        let standpoint = if seat.standing.rejoining { Standpoint::Differs } else { Standpoint::Agrees };
        let Some(have) = mark_at(facts, ledger, sure) else { return };
        self.acknowledge(seat.standing.owner, standpoint, have, seat, facts);
    }

    /// The largest log that a member which lost its memory can have signed and that is known to be committed. An observer
    /// signs nothing.
    fn signed_before(&self, seat: &Seat, facts: &dyn Ledgers) -> Mark {
        match seat.roster.role(self.me, seat.standing.owner) {
            Some(Role::Observer) | None => Mark::EMPTY,
            Some(_) => mark_at(facts, seat.roster.ledger, seat.standing.committed).unwrap_or(Mark::EMPTY),
        }
    }

    /// Enough other members have said in this life in which epoch they are, and none of a later one counts: whatever this
    /// node promised before it lost its memory, one of them knows of it. See [`crate::Quorum::witnesses`].
    fn knows_the_epoch(&self, seat: &Seat) -> bool {
        let (ledger, promised) = (seat.roster.ledger, seat.standing.promised);
        let others: Vec<_> = seat.roster.voting().filter(|member| member.node != self.me).collect();
        let told = |node: &NodeKey| self.peers.get(node)?.heads.get(&ledger).map(|head| head.epoch);
        let heard = others.iter().filter_map(|member| told(&member.node)).filter(|epoch| *epoch <= promised);
        heard.count() >= seat.roster.witnesses()
    }

    /// Takes back what comes after `to`, if nobody was told that it stays.
    pub(super) fn take_back(&mut self, seat: &mut Seat, to: u64, facts: &dyn Ledgers) {
        if to < seat.standing.protected() {
            return self.halt(seat, Suspension::Contradiction { at: to });
        }
        if let Some(to) = mark_at(facts, seat.roster.ledger, to) {
            seat.follow.applying = Applying::default();
            seat.follow.sure = seat.follow.sure.min(to.size);
            let work = seat.work.give_back();
            self.outbox.push_back(Action::RollBack { ledger: seat.roster.ledger, to, work });
        }
    }

    fn ack(&mut self, to: NodeKey, standpoint: Standpoint, seat: &Seat, facts: &dyn Ledgers) {
        let have = self.head(seat, facts);
        self.acknowledge(to, standpoint, have, seat, facts);
    }

    fn acknowledge(&mut self, to: NodeKey, standpoint: Standpoint, have: Mark, seat: &Seat, facts: &dyn Ledgers) {
        let ledger = seat.roster.ledger;
        let Some(head) = facts.head(ledger) else { return };
        // The state is computed for the end of the log only; before it, the receipt says it.
        let state_root = match have.size == head.log.size {
            true => head.state_root,
            false => super::lead::state_root_at(facts, ledger, have.size).unwrap_or(head.state_root),
        };
        let epoch = seat.standing.promised;
        self.send(to, Message::Ack(Ack { ledger, epoch, standpoint, have, state_root }));
    }
}

fn fit(append: &Append, head: &Mark, seat: &Seat, facts: &dyn Ledgers) -> Fit {
    let (ledger, first) = (append.ledger, append.before.size);
    if let Some(expected) = seat.follow.applying.end() {
        let end = Mark { size: expected.size(), log_root: expected.root() };
        return match first.cmp(&end.size) {
            std::cmp::Ordering::Equal if append.before == end => Fit::Known(0),
            std::cmp::Ordering::Greater => Fit::Gap,
            // Once it is durable, the owner's next message tells more.
            _ => Fit::Wait,
        };
    }
    if first > head.size {
        return Fit::Gap;
    }
    if !contains(facts, ledger, &append.before) {
        return Fit::Differs;
    }
    let overlap = (head.size - first).min(append.steps.len() as u64);
    let Some(ours) = subtree_roots(facts, ledger, 0, first, overlap) else { return Fit::Differs };
    let same = ours.iter().zip(append.steps.iter()).all(|(leaf, step)| leaf == step.leaf().as_bytes());
    if same { Fit::Known(overlap as usize) } else { Fit::Differs }
}
