//! Orders: read from the own ledger's steps when they are durable, carried out, watched to their ends, and closed with a
//! result that is an event like any other.
//!
//! What a crash leaves is in the outbox of the own ledger: it is taken up again at the start, under the same keys.

use super::{Open, Stage, look::Look, orders, orders::Order};
use crate::{
    daemon::driver::{Driver, Part},
    effects::result_event,
    engine::{Executor, NativeExecutor},
    journal::{JournalError, StoredStep},
    orderer::{Origin, Proposal},
};
use reprise_abi::{
    EFFECT_KIND, Effect, EffectPhase, EffectResult, EffectStatus, Input, Outcome, decode_canonical,
    limits::DETAIL_BYTES_MAX,
};
use reprise_federation::{
    Divergence, Ledgers, NodeKey, Remedy, Suspension,
    ledgers::{contains, mark_at},
};
use reprise_receipts::{LedgerId, StateTrie, StepRecord, system::outbox};
use serde_json::{Value, json};
use std::io;

/// How long a difference has to be found again before the order about it has failed.
const UNMATCHED_MS: u64 = 30_000;
/// The own ledger's time is brought forward this often: waits of plans end then.
const ADVANCE_MS: u64 = 500;

impl Driver {
    /// Takes up what was under way when the node ended, and tells what stands still.
    ///
    /// # Errors
    /// The own ledger cannot be opened.
    pub(in crate::daemon) fn begin_reconciling(&mut self) -> io::Result<()> {
        let Some(own) = self.reconciler.own.clone() else { return Ok(()) };
        let open = self.node.open_ledger(&own).map_err(io::Error::other)?;
        let pending: Vec<Effect> = outbox::pending(open.head.state()).map(|entry| entry.effect).collect();
        self.reconciler.next_seq = open.head.next_seq();
        if open.head.next_seq() == 0 {
            self.tell("init", &json!({})).map_err(io::Error::other)?;
        } else {
            self.recall_quarantine(open.head.state().clone());
        }
        for effect in pending {
            self.take_order(&effect);
        }
        let standing = |ledger: &LedgerId| Some((*ledger, self.federation.seat(*ledger)?.standing.suspended?));
        let suspended: Vec<(LedgerId, Suspension)> = self.ledgers.keys().filter_map(standing).collect();
        for (ledger, why) in suspended {
            if self.reconciler.told.suspended.insert(ledger, why).is_none() && !self.reconciler.is_own(ledger) {
                self.tell_suspended(ledger, why);
            }
        }
        self.carry_out();
        Ok(())
    }

    fn recall_quarantine(&mut self, state: StateTrie) {
        let shown = self.view_own(state, "quarantine", b"").unwrap_or_default();
        let until = |row: &&Value| row["until_ms"].as_u64().is_some();
        let peers = shown["peers"].as_array().into_iter().flatten().filter(until);
        let peers = peers.filter_map(|row| crate::keys::parse_public(row["peer"].as_str()?)).map(NodeKey);
        self.reconciler.quarantined = peers.collect();
    }

    /// A view of the own ledger's policy over a state. The policy is part of this program.
    pub(super) fn view_own(&self, mut state: StateTrie, name: &str, args: &[u8]) -> Option<Value> {
        let policy = reprise_guest::NativePolicy::of::<reprise_reconcile::Reconcile>();
        let answer = NativeExecutor::new(policy).view(&mut state, name, args).ok()?.ok()?;
        serde_json::from_slice(&answer).ok()
    }

    /// Does what became due since the last time.
    pub(in crate::daemon) fn reconcile(&mut self) {
        if self.reconciler.own.is_none() {
            return;
        }
        if let Err(error) = self.read_own_steps() {
            tracing::error!(%error, "the node's own ledger cannot be read");
        }
        self.watch_orders();
        self.go_on_with_repairs();
        self.start_looks();
        self.tell_found();
        self.tell_rejected();
        self.tell_lifted();
        self.hear_refusals();
        let now_ms = self.now_ms();
        if now_ms >= self.reconciler.advance_at_ms
            && let Ok(own) = self.own_ledger()
        {
            self.reconciler.advance_at_ms = now_ms + ADVANCE_MS;
            let to_ms = self.own_time_ms();
            self.with(own, |served| {
                if let Part::Owner(owner) = &mut served.part {
                    owner.advance(to_ms);
                }
            });
        }
        self.carry_out();
    }

    fn read_own_steps(&mut self) -> Result<(), JournalError> {
        let Some((own, no)) = self.reconciler.own.as_ref().map(|own| (own.id, own.no)) else { return Ok(()) };
        let size = self.facts.head(own).map_or(0, |head| head.log.size);
        if size <= self.reconciler.next_seq {
            return Ok(());
        }
        let reader = self.node.journal().read(no)?;
        for step in reader.steps(self.reconciler.next_seq..size)? {
            let Ok(step) = step? else { break };
            self.reconciler.next_seq = step.seq() + 1;
            self.read_own_step(&step);
        }
        Ok(())
    }

    fn read_own_step(&mut self, step: &StoredStep) {
        let (Ok(input), Ok(record)) =
            (decode_canonical::<Input>(step.input()), decode_canonical::<StepRecord>(step.record()))
        else {
            return;
        };
        let event = input.event;
        if event.kind == EFFECT_KIND {
            // An order that expired is not watched any more.
            self.reconciler.orders.remove(&event.id);
        }
        let asked = self.asked_about(&event.id);
        for effect in &record.output.effects {
            self.take_order(effect);
        }
        if event.kind == "resume" && !record.output.outcome.is_accepted() {
            self.refuse_resumption(&event.payload, &record.output.outcome);
        }
        let Some(ledger) = asked else { return };
        match &record.output.outcome {
            Outcome::Accepted { answer } => {
                let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
                if answer["decision"] == "nothing" || answer["decision"] == "quarantine" {
                    self.reconciler.undecided.remove(&ledger);
                    let now_ms = self.now_ms();
                    self.federation.decide(now_ms, ledger, Remedy::Nothing, &self.facts);
                }
            }
            other => {
                let why = format!("sequence number {}: {}", step.seq(), other.class().name());
                self.nobody_decides(ledger, &why);
            }
        }
    }

    fn refuse_resumption(&mut self, payload: &[u8], outcome: &Outcome) {
        let event: Value = serde_json::from_slice(payload).unwrap_or_default();
        let Some(ledger) = event["ledger"].as_str().and_then(|ledger| ledger.parse().ok()) else { return };
        let why = match outcome {
            Outcome::Rejected(rejection) => rejection.detail.clone(),
            other => other.class().name().to_owned(),
        };
        for reply in self.reconciler.told.resuming.remove(&ledger).into_iter().flatten() {
            let _ = reply.send(Err(why.clone()));
        }
    }

    /// Begins what an effect of the own ledger orders.
    fn take_order(&mut self, effect: &Effect) {
        let key = &effect.idempotency_key;
        if effect.driver != orders::DRIVER || self.reconciler.orders.contains_key(key) {
            return;
        }
        let Some(order) = Order::read(&effect.payload) else {
            return self.close(key, failed("this program does not know such an order"));
        };
        tracing::info!(key, ?order, "ordered by the node's own ledger");
        let since_ms = self.now_ms();
        self.reconciler.orders.insert(key.clone(), Open { order, stage: Stage::Unmatched, since_ms });
        if order.ledger().is_some_and(|ledger| !self.ledgers.contains_key(&ledger)) {
            return self.close(key, failed("this node does not serve the ledger any more"));
        }
        match order {
            Order::Fetch { ledger, .. } | Order::RollBack { ledger, .. } => drop(self.begin_unmatched(ledger)),
            Order::Suspend { ledger, why } => self.order_suspend(key, ledger, why),
            Order::Verify { ledger } => self.order_look(key, ledger),
            Order::Restore { ledger, attempt } => self.begin_repair(key, ledger, attempt),
            Order::Rebuild { ledger } => self.begin_rebuild(key, ledger),
            Order::Resume { ledger } => self.order_resumption(key, ledger),
            Order::Quarantine { peer } => {
                self.reconciler.quarantined.insert(peer);
                self.close(key, done(&json!({})));
            }
            Order::Release { peer } => {
                self.reconciler.quarantined.remove(&peer);
                self.close(key, done(&json!({})));
            }
        }
    }

    pub(super) fn beside(&mut self, key: &str) {
        if let Some(open) = self.reconciler.orders.get_mut(key) {
            open.stage = Stage::Beside;
        }
    }

    /// Carries out an order about the difference that waits for a decision on this ledger, if there are both.
    pub(super) fn begin_unmatched(&mut self, ledger: LedgerId) -> bool {
        let Some(undecided) = self.reconciler.undecided.get(&ledger).copied() else { return false };
        let fits = |order: &Order| match (*order, undecided.finding.divergence) {
            (Order::Fetch { ledger: of, peer }, Divergence::StaleHere { .. }) => {
                (of, peer) == (ledger, undecided.finding.peer)
            }
            (Order::RollBack { ledger: of, peer, to }, Divergence::Forked { at }) => {
                (of, peer, to) == (ledger, undecided.finding.peer, at)
            }
            _ => false,
        };
        let Some(before) = self.facts.head(ledger).map(|head| head.log) else { return false };
        let mut orders = self.reconciler.orders.values_mut();
        let Some(open) = orders.find(|open| matches!(open.stage, Stage::Unmatched) && fits(&open.order)) else {
            return false;
        };
        let remedy = match open.order {
            Order::RollBack { to, .. } => Remedy::RollBack { to },
            _ => Remedy::Fetch,
        };
        if remedy != undecided.proposed {
            tracing::warn!(?remedy, proposed = ?undecided.proposed, "the policy decides otherwise");
        }
        open.stage = Stage::Pursued { before, target: undecided.target };
        self.reconciler.undecided.remove(&ledger);
        let now_ms = self.now_ms();
        self.federation.decide(now_ms, ledger, remedy, &self.facts);
        true
    }

    fn order_suspend(&mut self, key: &str, ledger: LedgerId, why: Suspension) {
        if self.reconciler.undecided.remove(&ledger).is_some() {
            let now_ms = self.now_ms();
            self.federation.decide(now_ms, ledger, Remedy::Suspend(why), &self.facts);
        }
        self.federation.suspend(ledger, why);
        self.close(key, done(&json!({})));
    }

    /// Lets a ledger advance again. What follows it begins from the journal, not from what it had in memory.
    fn order_resumption(&mut self, key: &str, ledger: LedgerId) {
        if let Some(Part::Follower(follower)) = self.ledgers.get(&ledger).map(|served| &served.part) {
            // When it has let go of the journal, the next one begins.
            follower.end();
        }
        let now_ms = self.now_ms();
        self.reconciler.told.suspended.remove(&ledger);
        let resumed = self.resume(now_ms, ledger);
        let still = self.federation.seat(ledger).and_then(|seat| seat.standing.suspended);
        let resumed = match (resumed, still) {
            (Ok(()), Some(why)) => Err(format!("it was suspended again: {why}")),
            (resumed, _) => resumed,
        };
        for reply in self.reconciler.told.resuming.remove(&ledger).into_iter().flatten() {
            let _ = reply.send(resumed.clone());
        }
        match resumed {
            Ok(()) => self.close(key, done(&json!({}))),
            Err(why) => self.close(key, failed(&why)),
        }
    }

    /// Closes orders whose end can be seen.
    pub(super) fn watch_orders(&mut self) {
        let now_ms = self.now_ms();
        let ended =
            self.reconciler.orders.iter().filter_map(|(key, open)| Some((key.clone(), self.end_of(open, now_ms)?)));
        let ended: Vec<(String, EffectStatus)> = ended.collect();
        for (key, status) in ended {
            self.close(&key, status);
        }
    }

    fn end_of(&self, open: &Open, now_ms: u64) -> Option<EffectStatus> {
        let (before, target) = match open.stage {
            Stage::Beside => return None,
            Stage::Unmatched if now_ms < open.since_ms + UNMATCHED_MS => return None,
            Stage::Unmatched => return Some(failed("the difference was not found again")),
            Stage::Pursued { before, target } => (before, target),
        };
        let ledger = open.order.ledger()?;
        let seat = self.federation.seat(ledger)?;
        let reached = match open.order {
            Order::RollBack { .. } => !contains(&self.facts, ledger, &before),
            _ => target.is_some_and(|target| mark_at(&self.facts, ledger, target.size) == Some(target)),
        };
        if reached {
            return Some(done(&json!({ "receipts": self.facts.head(ledger)?.log.size })));
        }
        match seat.standing.suspended {
            Some(why) => Some(failed(&format!("it was suspended: {why}"))),
            None if seat.pursuing.is_some() && seat.pursuing == target => None,
            None => Some(failed("the peer fell silent, contradicted itself, or another log is followed now")),
        }
    }

    /// An order has come to its end: the policy hears of it. If it cannot, the order is in the outbox and is taken up again.
    pub(super) fn close(&mut self, key: &str, status: EffectStatus) {
        self.reconciler.orders.remove(key);
        tracing::info!(key, ?status, "an order is closed");
        let result = EffectResult { idempotency_key: key.to_owned(), phase: EffectPhase::Act, status };
        let event = result_event(&result);
        let proposal = Proposal { tag: 0, event, time_ms: Some(self.own_time_ms()), origin: Origin::Driver };
        if let Err(why) = self.submit_own(proposal) {
            tracing::error!(key, why, "the node's own ledger does not hear what became of its order");
        }
    }

    /// A look at a ledger that was ordered has ended.
    pub(super) fn close_look(&mut self, key: &str, look: Result<&Look, &String>) {
        match look {
            Ok(look) => self.close(key, done(&look.answer())),
            Err(why) => self.close(key, failed(why)),
        }
    }
}

/// It is done, with this answer.
pub(super) fn done(answer: &Value) -> EffectStatus {
    EffectStatus::Done { answer: answer.to_string().into_bytes() }
}

/// It cannot be done.
pub(super) fn failed(why: &str) -> EffectStatus {
    let end = why.floor_char_boundary(DETAIL_BYTES_MAX.min(why.len()));
    EffectStatus::Failed { detail: why[..end].to_owned() }
}
