//! Carrying out what the state machines ask for.

use super::{Driver, Part};
use crate::{
    daemon::{
        follower::{Follower, Work},
        owner::Owner,
    },
    evidence,
    link::SendError,
    orderer::clock_ms,
};
use reprise_federation::{Action, Message, compare::Content};
use reprise_receipts::{LedgerId, PublicKey, evidence::Evidence};

impl Driver {
    /// Carries out what is asked for, in its order.
    pub(in crate::daemon) fn carry_out(&mut self) {
        while let Some(action) = self.federation.poll() {
            match action {
                Action::Send { to, message } => self.send(to.0, &message),
                Action::Stream { to, transfer, content } => self.stream(to.0, transfer, &content),
                Action::Disconnect { from, reason } => {
                    tracing::warn!(peer = %from.0, %reason, "a connection is ended");
                    // What is queued, the farewell above all, still goes out.
                    self.sessions.remove(&from.0);
                }
                Action::Persist(standing) => {
                    if let Err(error) = self.standings.write(&standing) {
                        // Nothing that rests on this promise may be said.
                        return self.broken(standing.ledger, format!("its standing cannot be kept: {error}"));
                    }
                }
                Action::Apply { ledger, from, first, steps } => {
                    self.work(ledger, Work::Apply { from: from.0, first, steps });
                }
                Action::RollBack { ledger, to } => self.work(ledger, Work::RollBack { size: to.size }),
                Action::Acknowledge { ledger, size } => self.with(ledger, |served| {
                    if let Part::Owner(owner) = &mut served.part {
                        owner.acknowledge(size);
                    }
                }),
                Action::Lead { ledger, epoch } => self.lead(ledger, epoch),
                Action::Follow { ledger, .. } => self.follow(ledger),
                Action::Final { ledger, window } => {
                    tracing::info!(%ledger, size = window.mark.size, votes = window.votes.len(), "final");
                }
                Action::Suspended { ledger, why } => self.was_suspended(ledger, why),
                Action::Found(found) => {
                    tracing::warn!(?found, "this node and a peer differ");
                    self.found(found);
                }
                Action::Answered { from, request, reply } => self.answered(from, request, reply),
                Action::Decide { finding, protected, leads, proposed } => {
                    self.to_decide(finding, (protected, leads), proposed);
                }
                Action::Evidence(evidence) => {
                    self.keep_evidence(&evidence);
                    self.tell_evidence(&evidence);
                }
                Action::Quarantined(rejected) => self.was_rejected(rejected),
            }
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

    fn lead(&mut self, ledger: LedgerId, epoch: u64) {
        let Some(served) = self.ledgers.get_mut(&ledger) else { return };
        if epoch != served.entry.genesis.epoch {
            let why = format!("taking over a ledger under epoch {epoch} is not built yet");
            return self.broken(ledger, why);
        }
        if matches!(served.part, Part::Owner(_)) {
            return;
        }
        match Owner::start(&self.node, &served.entry, self.happenings.clone()) {
            Ok(owner) => served.part = Part::Owner(Box::new(owner)),
            Err(error) => self.broken(ledger, error.to_string()),
        }
    }

    pub(super) fn follow(&mut self, ledger: LedgerId) {
        match self.ledgers.get_mut(&ledger).map(|served| &mut served.part) {
            // When everything that it was given is durable, it says so.
            Some(Part::Owner(owner)) => owner.close(),
            _ => self.start_following(ledger),
        }
    }

    pub(in crate::daemon) fn start_following(&mut self, ledger: LedgerId) {
        let Some(served) = self.ledgers.get_mut(&ledger) else { return };
        match Follower::start(self.node.clone(), served.entry.clone(), self.happenings.clone()) {
            Ok(follower) => served.part = Part::Follower(follower),
            Err(error) => self.broken(ledger, error.to_string()),
        }
    }

    fn work(&mut self, ledger: LedgerId, work: Work) {
        let given = match self.ledgers.get(&ledger).map(|served| &served.part) {
            Some(Part::Follower(follower)) => follower.give(work),
            _ => false,
        };
        if !given {
            self.broken(ledger, "there is nobody to do the steps again".to_owned());
        }
    }

    fn keep_evidence(&self, found: &Evidence) {
        let dir = self.node.dir().join("federation");
        let path = dir.join(format!("evidence-{}.bin", clock_ms()));
        match evidence::write(&path, found) {
            Ok(_) => tracing::error!(path = %path.display(), "somebody signed something wrong: here is the proof"),
            Err(error) => tracing::error!(%error, "evidence cannot be kept"),
        }
    }
}
