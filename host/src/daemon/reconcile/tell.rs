//! What the policy is told, and what happens when nobody can decide.

use super::{Resuming, Undecided, events, suspension_words};
use crate::daemon::{
    driver::{Driver, Part},
    happening::Reply,
    own,
};
use crate::{orderer::Proposal, pipeline::Answer};
use reprise_federation::{
    LedgerHead, NodeKey, Remedy, Suspension,
    node::{Finding, Service, convicts},
    quarantine::{Reason, Rejected},
};
use reprise_receipts::{LedgerId, evidence::Evidence};
use serde_json::{Value, json};
use std::{collections::BTreeMap, mem};
use tokio::sync::oneshot;

/// The policy hears of a peer's rejected material at most this often.
const REJECTED_EVERY_MS: u64 = 1_000;

/// What the policy was told.
#[derive(Default)]
pub(super) struct Told {
    /// Events so far.
    number: u64,
    /// The class of the last difference, for each ledger and peer: a peer that is behind is not told of each time.
    classes: BTreeMap<(LedgerId, NodeKey), &'static str>,
    /// A difference that nobody is asked about so far.
    found: Option<Finding>,
    /// Events that a decision follows from, by id.
    asked: BTreeMap<String, LedgerId>,
    /// Suspensions.
    pub(super) suspended: BTreeMap<LedgerId, Suspension>,
    /// Who waits for a ledger to be resumed.
    pub(super) resuming: Resuming,
    /// Rejected material that was not told of yet.
    rejected: BTreeMap<NodeKey, Struck>,
}

/// Rejected material of a peer.
#[derive(Clone, Copy, Debug, Default)]
struct Struck {
    count: u32,
    reason: Option<Reason>,
    told_ms: u64,
}

impl Driver {
    /// The own ledger, if it orders events now; otherwise why not.
    pub(super) fn own_ledger(&self) -> Result<LedgerId, String> {
        let own = self.reconciler.own.as_ref().ok_or("there is none")?.id;
        let served = self.ledgers.get(&own).ok_or("it is not served")?;
        if let Some(fault) = &served.fault {
            return Err(fault.clone());
        }
        match (self.federation.service(self.now_ms(), own), &served.part) {
            (Some(Service::Orders), Part::Owner(_)) => Ok(own),
            (service, _) => Err(format!("it does not order events: {service:?}")),
        }
    }

    /// Submits an event to the own ledger; its id, or why it cannot be.
    pub(super) fn tell(&mut self, kind: &str, payload: &Value) -> Result<String, String> {
        self.reconciler.told.number += 1;
        let id = format!("{kind}-{}-{}", self.reconciler.time.first_seq, self.reconciler.told.number);
        self.submit_own(own::event(self.own_time_ms(), id.clone(), kind, payload))?;
        Ok(id)
    }

    /// The time of what is told to the own ledger.
    pub(super) fn own_time_ms(&self) -> u64 {
        self.now_ms().saturating_add(self.reconciler.time.ahead_ms)
    }

    pub(super) fn submit_own(&mut self, proposal: Proposal) -> Result<(), String> {
        let own = self.own_ledger()?;
        let answers = self.reconciler.answers.0.clone();
        self.with(own, |served| {
            if let Part::Owner(owner) = &mut served.part {
                owner.submit(proposal, answers);
            }
        });
        Ok(())
    }

    /// A difference was found. Whether a decision is asked for shows at the next action.
    pub(in crate::daemon) fn found(&mut self, finding: Finding) {
        if self.reconciler.decides() {
            self.tell_found();
            self.reconciler.told.found = Some(finding);
        }
    }

    /// A difference was found, and is to be decided about.
    pub(in crate::daemon) fn ask_for_decision(
        &mut self,
        finding: Finding,
        (protected, leads): (u64, bool),
        proposed: Remedy,
    ) {
        self.reconciler.told.found.take_if(|found| *found == finding);
        let ledger = finding.ledger;
        self.watch_orders();
        let target = self.federation.seat(ledger).and_then(|seat| seat.pursuing);
        self.reconciler.undecided.insert(ledger, Undecided { finding, proposed, target });
        if self.begin_unmatched(ledger) {
            return;
        }
        match self.tell_finding(&finding, protected, leads) {
            Ok(id) => drop(self.reconciler.told.asked.insert(id, ledger)),
            Err(why) => self.nobody_decides(ledger, &why),
        }
    }

    /// Tells of a difference that nobody is asked about, if it is another kind than the last one.
    pub(super) fn tell_found(&mut self) {
        let Some(finding) = self.reconciler.told.found.take() else { return };
        let (class, ..) = events::class(finding.divergence);
        if self.reconciler.told.classes.get(&(finding.ledger, finding.peer)) == Some(&class) {
            return;
        }
        let protected = self.federation.seat(finding.ledger).map_or(0, |seat| seat.standing.protected());
        if let Err(why) = self.tell_finding(&finding, protected, false) {
            tracing::error!(?finding, why, "the node's own ledger does not hear of a difference");
        }
    }

    fn tell_finding(&mut self, finding: &Finding, protected: u64, leads: bool) -> Result<String, String> {
        let event = self.finding_event(finding, protected, leads).ok_or("the ledger has no head here")?;
        let (class, ..) = events::class(finding.divergence);
        self.reconciler.told.classes.insert((finding.ledger, finding.peer), class);
        self.tell("finding", &event)
    }

    /// A difference in the policy's words.
    pub(super) fn finding_event(&self, finding: &Finding, protected: u64, leads: bool) -> Option<Value> {
        let here = self.facts.told_head(finding.ledger, 0)?;
        let peer = self.federation.peers().find(|peer| peer.node == finding.peer);
        let there: Option<LedgerHead> = peer.and_then(|peer| peer.heads.get(&finding.ledger).copied());
        Some(events::finding(finding, (protected, leads), &here, there.as_ref()))
    }

    /// What was asked for with an event was not decided: the own ledger does not run, or has refused it.
    pub(super) fn nobody_decides(&mut self, ledger: LedgerId, why: &str) {
        self.reconciler.undecided.remove(&ledger);
        self.broken(ledger, format!("the node's own ledger does not decide what is done about a difference: {why}"));
    }

    /// A ledger does not advance any more.
    pub(in crate::daemon) fn was_suspended(&mut self, ledger: LedgerId, why: Suspension) {
        tracing::error!(%ledger, %why, "the ledger is suspended");
        if self.reconciler.is_own(ledger) || !self.reconciler.decides() {
            return;
        }
        self.reconciler.undecided.remove(&ledger);
        self.reconciler.told.suspended.insert(ledger, why);
        self.tell_suspended(ledger, why);
    }

    pub(super) fn tell_suspended(&mut self, ledger: LedgerId, why: Suspension) {
        if let Err(error) = self.tell("suspended", &events::suspended(ledger, why)) {
            let (why, _) = suspension_words(why);
            tracing::error!(%ledger, why, error, "the node's own ledger does not hear of a suspension: it stays");
        }
    }

    /// Tells of suspensions that ended without an order of the policy's.
    pub(super) fn tell_lifted(&mut self) {
        let lifted =
            |ledger: &LedgerId| self.federation.seat(*ledger).is_none_or(|seat| seat.standing.suspended.is_none());
        let lifted: Vec<LedgerId> = self.reconciler.told.suspended.keys().copied().filter(lifted).collect();
        for ledger in lifted {
            self.reconciler.told.suspended.remove(&ledger);
            if let Err(why) = self.tell("lifted", &json!({ "ledger": ledger.to_string() })) {
                tracing::warn!(%ledger, why, "the node's own ledger does not hear that a suspension is over");
            }
        }
    }

    /// Somebody is proved to have signed something wrong.
    pub(in crate::daemon) fn tell_evidence(&mut self, evidence: &Evidence) {
        let Some(ledger) = evidence.ledger().ok().filter(|_| self.reconciler.decides()) else { return };
        let Some(seat) = self.federation.seat(ledger) else { return };
        let Some((signer, at)) = convicts(evidence, seat.roster) else { return };
        let Some(member) = seat.roster.signer(&signer) else { return };
        let event = json!({ "ledger": ledger.to_string(), "peer": member.node.0.to_string(), "at": at });
        if let Err(why) = self.tell("evidence", &event) {
            tracing::error!(why, "the node's own ledger does not hear of evidence");
        }
    }

    /// Something that a peer sent was rejected: it is kept, and counted.
    pub(in crate::daemon) fn was_rejected(&mut self, rejected: Rejected) {
        tracing::warn!(peer = %rejected.origin.0, reason = %rejected.reason, "material of a peer is rejected");
        self.strike(rejected.origin, rejected.reason);
        if let Some(store) = &self.rejected {
            store.keep(rejected);
        }
    }

    pub(super) fn strike(&mut self, peer: NodeKey, reason: Reason) {
        let struck = self.reconciler.told.rejected.entry(peer).or_default();
        struck.count = struck.count.saturating_add(1);
        // What counts against the peer is told before what may be this node's fault.
        struck.reason = struck.reason.filter(|known| *known != Reason::Execution).or(Some(reason));
    }

    /// Tells of rejected material, seldom enough that a peer cannot fill the own ledger with it.
    pub(super) fn tell_rejected(&mut self) {
        let now_ms = self.now_ms();
        let mut rejected = mem::take(&mut self.reconciler.told.rejected);
        for (peer, struck) in &mut rejected {
            let Some(reason) = struck.reason else { continue };
            if struck.told_ms > 0 && now_ms < struck.told_ms + REJECTED_EVERY_MS {
                continue;
            }
            let event = json!({
                "peer": peer.0.to_string(),
                "reason": reason.to_string(),
                "count": struck.count,
                "ours": reason == Reason::Execution,
            });
            if self.tell("rejected", &event).is_ok() {
                *struck = Struck { told_ms: now_ms.max(1), ..Struck::default() };
            }
        }
        self.reconciler.told.rejected = rejected;
    }

    /// An operator lifts a suspension: the decision has its receipt, and is carried out after it. Without an own ledger
    /// that runs it is done at once: an operator is who is asked when nothing else works.
    pub(in crate::daemon) fn order_resume(&mut self, selector: &str, reply: oneshot::Sender<Result<(), String>>) {
        let entry = match self.node.find_ledger(selector) {
            Ok(entry) if self.ledgers.contains_key(&entry.id) => entry,
            Ok(_) => return drop(reply.send(Err("this node does not serve the ledger".to_owned()))),
            Err(error) => return drop(reply.send(Err(error.to_string()))),
        };
        let known = self.reconciler.told.suspended.contains_key(&entry.id);
        if known && self.tell("resume", &json!({ "ledger": entry.id.to_string() })).is_ok() {
            self.reconciler.told.resuming.entry(entry.id).or_default().push(reply);
            return;
        }
        let now_ms = self.now_ms();
        let _ = reply.send(self.resume(now_ms, entry.id));
    }

    /// Which ledger a decision was asked about with this event.
    pub(super) fn asked_about(&mut self, id: &str) -> Option<LedgerId> {
        self.reconciler.told.asked.remove(id)
    }

    /// Hears what the own ledger refused, and whether it still runs: whatever waits for a decision is suspended then.
    pub(super) fn hear_refusals(&mut self) {
        let mut refused = None;
        while let Ok(reply) = self.reconciler.answers.1.try_recv() {
            match reply {
                Reply::NotHere { why, .. } => refused = Some(why),
                Reply::Answer(Answer::Refused { refusal, .. }) => refused = Some(refusal.to_string()),
                Reply::Answer(_) => {}
            }
        }
        let stands_still = self.own_ledger().err();
        if let Some(why) = &stands_still {
            // What it has put off, it will not come back to.
            let put_off: Vec<LedgerId> = self.reconciler.undecided.keys().copied().collect();
            put_off.into_iter().for_each(|ledger| self.nobody_decides(ledger, why));
        }
        let Some(why) = refused.or(stands_still) else { return };
        let waiting: Vec<LedgerId> = mem::take(&mut self.reconciler.told.asked).into_values().collect();
        for ledger in waiting {
            self.nobody_decides(ledger, &why);
        }
        for reply in mem::take(&mut self.reconciler.told.resuming).into_values().flatten() {
            let _ = reply.send(Err(format!("the node's own ledger does not take the order: {why}")));
        }
    }
}
