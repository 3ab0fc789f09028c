//! One part of a ledger after the other: the follower ends before the pipeline begins, and the other way round, because
//! both write to the same journal.

use super::{Driver, Part};
use crate::{
    daemon::{
        follower::Follower,
        owner::{NotOwned, Owner},
    },
    succession,
};
use reprise_abi::decode_canonical;
use reprise_federation::SignedGrant;
use reprise_receipts::{LedgerId, command::SignedCommand};

impl Driver {
    /// This node owns the ledger from this epoch on.
    pub(super) fn lead(&mut self, ledger: LedgerId, epoch: u64) {
        let Some(served) = self.ledgers.get_mut(&ledger) else { return };
        match &mut served.part {
            Part::Owner(owner) if owner.epoch() == epoch && !owner.is_closing() => {}
            Part::Owner(owner) => owner.close("the ledger enters another epoch: submit it again, it is not done twice"),
            // When it has let go of the journal, it says so.
            Part::Follower(follower) => follower.end(),
            Part::None => self.start_owning(ledger, epoch),
        }
    }

    /// Another node owns the ledger.
    pub(super) fn follow(&mut self, ledger: LedgerId) {
        let Some(served) = self.ledgers.get(&ledger) else { return };
        let owner = self.federation.seat(ledger).map(|seat| self.name(seat.standing.owner)).unwrap_or_default();
        match &served.part {
            Part::None => self.start_following(ledger),
            Part::Follower(_) => {}
            Part::Owner(_) => self.with(ledger, |served| {
                if let Part::Owner(part) = &mut served.part {
                    // When everything that it was given is durable, it says so.
                    part.close(&format!("not here: inputs are ordered by {owner} now: submit there"));
                }
            }),
        }
    }

    /// The part before has ended: what comes now is what the state machines say by now.
    pub(super) fn next_part(&mut self, ledger: LedgerId) {
        self.refresh(ledger);
        let leads = self.federation.seat(ledger).and_then(|seat| seat.lead.map(|_| seat.standing.promised));
        let own = self.link.key();
        self.with(ledger, |served| {
            let followed = matches!(served.part, Part::Follower(_));
            if followed {
                // What it was given and has not done, nobody does.
                served.ended = served.ended.max(Some(served.given));
            }
            served.part = Part::None;
            // What it has of its owner's attestations it still has.
            served.attested.retain(|key, _| followed && *key == own);
            served.grown = true;
        });
        match leads {
            Some(epoch) => self.start_owning(ledger, epoch),
            None => self.start_following(ledger),
        }
    }

    fn start_owning(&mut self, ledger: LedgerId, epoch: u64) {
        let Some(seat) = self.federation.seat(ledger) else { return };
        let acknowledged = seat.acknowledged;
        let grant = seat.standing.grant.clone().map(|grant| grant.to_command());
        let Some(served) = self.ledgers.get_mut(&ledger) else { return };
        served.queued.clear();
        served.ended = served.ended.max(Some(served.given));
        match Owner::start(&self.node, &served.entry, (epoch, grant.as_ref()), &self.world, self.happenings.clone()) {
            Ok(mut owner) => {
                // The word of it may have come while the part before ended.
                owner.acknowledge(acknowledged);
                served.part = Part::Owner(Box::new(owner));
                self.begin_outward(ledger);
            }
            Err(NotOwned::Unfenced) => self.fence(ledger, epoch),
            Err(error) => self.broken(ledger, error.to_string()),
        }
    }

    /// A ledger that nobody else votes on moves to the next epoch by itself, if this node has the operators' key.
    fn fence(&mut self, ledger: LedgerId, epoch: u64) {
        let now_ms = self.now_ms();
        let Some(seat) = self.federation.seat(ledger) else { return };
        let (alone, roster) = (seat.roster.voting().count() == 1, seat.roster.number);
        let entry = &self.ledgers[&ledger].entry;
        let grant = succession::own_grant(&self.node, entry, epoch, roster);
        match grant.ok().flatten().filter(|_| alone).and_then(|grant| SignedGrant::of_command(ledger, &grant)) {
            Some(grant) => self.federation.grant(now_ms, &grant, &self.facts),
            None => self.broken(ledger, NotOwned::Unfenced.to_string()),
        }
    }

    pub(in crate::daemon) fn start_following(&mut self, ledger: LedgerId) {
        let Some(served) = self.ledgers.get_mut(&ledger) else { return };
        match Follower::start(self.node.clone(), served.entry.clone(), &self.world, self.happenings.clone()) {
            Ok(follower) => {
                for work in served.queued.drain(..) {
                    follower.give(work);
                }
                served.part = Part::Follower(follower);
            }
            Err(error) => self.broken(ledger, error.to_string()),
        }
    }

    /// A grant that an operator hands in: checked here, so that whoever hands it in hears what is wrong with it.
    pub(super) fn take_grant(&mut self, now_ms: u64, selector: &str, grant: &[u8]) -> Result<u64, String> {
        let entry = self.node.find_ledger(selector).map_err(|error| error.to_string())?;
        let seat = self.federation.seat(entry.id).ok_or("this node does not serve the ledger")?;
        let command: SignedCommand = decode_canonical(grant).map_err(|error| error.to_string())?;
        command.may_begin_epoch(entry.id, &entry.genesis).map_err(|error| error.to_string())?;
        let signed = SignedGrant::of_command(entry.id, &command).ok_or("the command begins no epoch")?;
        seat.standing.clone().promise(&signed, seat.roster).map_err(|error| error.to_string())?;
        self.with(entry.id, |served| served.fault = None);
        self.federation.grant(now_ms, &signed, &self.facts);
        Ok(signed.grant.epoch)
    }
}
