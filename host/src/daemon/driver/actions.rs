//! Carrying out what the state machines ask for.

use super::{Driver, Part, Served};
use crate::{
    daemon::{follower::Work, roots::RootsFor, standing::Standings},
    link::SendError,
};
use reprise_federation::{Action, Message, Standing, compare::Content};
use reprise_receipts::{LedgerId, PublicKey, evidence::Evidence};

impl Driver {
    /// Carries out what is asked for, in its order.
    pub(in crate::daemon) fn carry_out(&mut self) {
        while let Some(action) = self.federation.poll() {
            if self.rests_on_what_is_not_kept(&action) {
                if let Action::Apply { ledger, work, .. } | Action::RollBack { ledger, work, .. } = action {
                    self.ended(ledger, work);
                }
                continue;
            }
            self.world.sees(&action);
            match action {
                Action::Send { to, message } => self.send(to.0, &message),
                Action::Stream { to, transfer, content } => self.stream(to.0, transfer, &content),
                Action::Bundle { to, number, transfer, order } => self.make_bundle(to, number, transfer, order),
                Action::Roots { number, query } => self.find_roots(RootsFor::Peer(number), query),
                Action::Disconnect { from, reason } => {
                    tracing::warn!(peer = %from.0, %reason, "a connection is ended");
                    // What is queued, the farewell above all, still goes out.
                    self.sessions.remove(&from.0);
                    self.gone(from);
                }
                Action::Persist(standing) => self.persist(&standing),
                Action::Apply { ledger, from, first, steps, work: number } => {
                    self.work(ledger, Work::Apply { from: from.0, first, steps, number }, number);
                }
                Action::RollBack { ledger, to, work: number } => {
                    self.work(ledger, Work::RollBack { size: to.size, number }, number);
                }
                Action::Withdraw { ledger, work } => self.withdraw(ledger, work),
                Action::Acknowledge { ledger, size } => self.with(ledger, |served| {
                    if let Part::Owner(owner) = &mut served.part {
                        owner.acknowledge(size);
                    }
                }),
                Action::Lead { ledger, epoch } => self.lead(ledger, epoch),
                Action::Follow { ledger, .. } => self.follow(ledger),
                Action::Final { ledger, window } => self.keep_final(ledger, &window),
                Action::Suspended { ledger, why } => self.was_suspended(ledger, why),
                Action::Found(found) => {
                    let (peer, ledger) = (self.name(found.peer), found.ledger);
                    tracing::warn!(%ledger, peer, difference = %found.divergence, "this node and a peer differ");
                    self.found(found);
                }
                Action::Answered { from, request, reply } => {
                    let is_taken = self.bundle_answered(from, request, reply.as_ref())
                        || self.roots_answered(from, request, reply.as_ref());
                    if !is_taken {
                        self.answered(from, request, reply);
                    }
                }
                Action::Decide { finding, protected, leads, proposed } => {
                    self.ask_for_decision(finding, (protected, leads), proposed);
                }
                Action::Evidence(evidence) => {
                    self.keep_evidence(&evidence);
                    self.tell_evidence(&evidence);
                }
                Action::Quarantined(rejected) => self.was_rejected(rejected),
            }
        }
    }

    /// Nothing that may rest on a promise is said or done until it is durable: not now, and not when it is asked for again.
    fn rests_on_what_is_not_kept(&self, action: &Action) -> bool {
        let served = action.ledger().and_then(|ledger| self.ledgers.get(&ledger));
        served.is_some_and(|served| served.unkept) && !matches!(action, Action::Persist(_))
    }

    fn persist(&mut self, standing: &Standing) {
        let kept = Standings(&*self.world).write(standing);
        self.with(standing.ledger, |served| served.unkept = kept.is_err());
        if let Err(error) = kept {
            self.broken(standing.ledger, format!("its standing cannot be kept: {error}"));
        }
    }

    fn send(&mut self, to: PublicKey, message: &Message) {
        let Some((_, session)) = self.sessions.get(&to) else { return };
        match session.try_send(message.to_frame()) {
            Ok(()) | Err(SendError::Ended(_)) => {}
            // It may be lost: it is sent again when no answer comes. Nobody waits for a slow peer.
            Err(error) => tracing::debug!(peer = %to, %error, "a message is not sent"),
        }
    }

    fn stream(&mut self, to: PublicKey, transfer: u64, content: &Content) {
        let bytes = match content {
            Content::Steps { ledger, first, end } => self.facts.steps_stream(*ledger, *first, *end),
            Content::Chunks { ledger, ids } => self.facts.chunks_stream(*ledger, ids),
        };
        if let Some(bytes) = bytes {
            self.send_transfer(to, transfer, bytes);
        }
    }

    pub(super) fn send_transfer(&self, to: PublicKey, transfer: u64, bytes: Vec<u8>) {
        let Some((_, session)) = self.sessions.get(&to) else { return };
        let session = session.clone();
        self.network.spawn(async move {
            let sent = async {
                let mut sending = session.begin_transfer(transfer, bytes.len() as u64).await?;
                sending.write(&bytes).await?;
                sending.finish().await
            };
            if let Err(error) = sent.await {
                tracing::warn!(peer = %to, transfer, %error, "a stream is not taken");
            }
        });
    }

    fn work(&mut self, ledger: LedgerId, work: Work, number: u64) {
        self.with(ledger, |served| served.given = number);
        let given = match self.ledgers.get_mut(&ledger) {
            Some(Served { part: Part::Follower(follower), .. }) => follower.give(work),
            // What the pipeline was given becomes durable first; then it is done.
            Some(Served { part: Part::Owner(owner), queued, .. }) if owner.is_closing() => {
                queued.push(work);
                true
            }
            _ => false,
        };
        if !given {
            self.broken(ledger, "there is nobody to do the steps again".to_owned());
            self.ended(ledger, number);
        }
    }

    /// What a follower has not begun it leaves out; what waits for one is not given to it.
    fn withdraw(&mut self, ledger: LedgerId, number: u64) {
        self.with(ledger, |served| match &served.part {
            Part::Follower(follower) => follower.withdraw(number),
            Part::Owner(_) | Part::None => {
                served.queued.clear();
                served.ended = served.ended.max(Some(number));
            }
        });
    }

    fn keep_evidence(&self, found: &Evidence) {
        let name = format!("evidence-{}.bin", self.now_ms());
        match self.world.replace(&name, &found.to_file()) {
            Ok(()) => {
                tracing::error!(file = %format!("federation/{name}"), "somebody signed something wrong: here is the proof")
            }
            Err(error) => tracing::error!(%error, "evidence cannot be kept"),
        }
    }
}
