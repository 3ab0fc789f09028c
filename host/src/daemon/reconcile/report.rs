//! What would be decided about the differences there are, and what was decided.

use crate::{
    daemon::driver::Driver,
    journal::{JournalError, StoredStep},
};
use reprise_abi::{Input, Outcome, decode_canonical};
use reprise_federation::{NodeKey, node::Finding};
use reprise_receipts::{LedgerId, StepRecord};
use serde_json::{Value, json};

/// Decisions that are shown, the last ones.
const DECISIONS_MAX: u64 = 256;

impl Driver {
    /// For each ledger and peer: the difference, what the policy would decide about it, and why; and the plan under way.
    /// With `act`, peers are compared with at once, so that what is different is decided about now.
    pub(in crate::daemon) fn would_decide(&mut self, selector: Option<&str>, act: bool) -> Result<Value, String> {
        let only = match selector {
            Some(selector) => Some(self.node.find_ledger(selector).map_err(|error| error.to_string())?.id),
            None => None,
        };
        if only.is_some_and(|ledger| !self.ledgers.contains_key(&ledger)) {
            return Err("this node does not serve the ledger".to_owned());
        }
        if act {
            self.federation.compare_now();
        }
        let own = self.reconciler.own.clone().ok_or("this node has no ledger of its own")?;
        let state = self.node.open_ledger(&own).map_err(|error| error.to_string())?.head.state().clone();
        let plans = self.view_own(state.clone(), "plans", b"").unwrap_or_default();
        let mut rows = Vec::new();
        let ledgers: Vec<LedgerId> = self.ledgers.keys().copied().collect();
        for ledger in ledgers.into_iter().filter(|ledger| only.is_none_or(|only| only == *ledger)) {
            let plan = plans["plans"].as_array().into_iter().flatten();
            let plan = plan.clone().find(|row| row["ledger"] == ledger.to_string());
            for peer in self.peers_on(ledger) {
                rows.push(self.row(ledger, peer, &|finding| self.view_own(state.clone(), "decide", finding), plan));
            }
        }
        Ok(Value::Array(rows))
    }

    fn peers_on(&self, ledger: LedgerId) -> Vec<NodeKey> {
        let own = NodeKey(self.link.key());
        let Some(seat) = self.federation.seat(ledger) else { return Vec::new() };
        seat.roster.members.iter().map(|member| member.node).filter(|node| *node != own).collect()
    }

    fn row(
        &self,
        ledger: LedgerId,
        peer: NodeKey,
        decide: &dyn Fn(&[u8]) -> Option<Value>,
        plan: Option<&Value>,
    ) -> Value {
        let view = self.federation.peers().find(|view| view.node == peer);
        let seat = self.federation.seat(ledger);
        let waiting = self.reconciler.undecided.get(&ledger).map(|undecided| undecided.finding);
        let found = view.as_ref().and_then(|view| view.findings.get(&ledger).copied());
        let finding = waiting.filter(|finding| finding.peer == peer);
        let finding = finding.or(found.map(|divergence| Finding { ledger, peer, divergence }));
        let leads = seat.as_ref().is_some_and(|seat| seat.standing.owner == peer);
        let protected = seat.as_ref().map_or(0, |seat| seat.standing.protected());
        let event = finding.and_then(|finding| self.finding_event(&finding, protected, leads));
        let decided = event.as_ref().and_then(|event| decide(event.to_string().as_bytes())).unwrap_or_default();
        let there = view.as_ref().and_then(|view| view.heads.get(&ledger));
        json!({
            "ledger": self.ledgers[&ledger].entry.genesis.name,
            "peer": self.name(peer),
            "connected": view.as_ref().is_some_and(|view| view.connected),
            "in quarantine": self.reconciler.in_quarantine(peer),
            "receipts here": self.size(ledger),
            "receipts there": there.map(|head| head.size),
            "class": event.as_ref().map_or_else(|| json!("none"), |event| event["class"].clone()),
            "at": event.as_ref().and_then(|event| event.get("at").cloned()),
            "would": decided.get("decision"),
            "why": decided.get("why"),
            "suspended": seat.and_then(|seat| seat.standing.suspended).map(|why| why.to_string()),
            "plan": plan.map(|row| row["plan"].clone()),
        })
    }

    /// The last decisions, with the sequence numbers of their receipts on the own ledger.
    pub(in crate::daemon) fn decisions(&self) -> Value {
        let read = || -> Result<Vec<Value>, JournalError> {
            let Some(own) = &self.reconciler.own else { return Ok(Vec::new()) };
            let reader = self.node.journal().read(own.no)?;
            let size = reader.size()?;
            let steps = reader.steps(size.saturating_sub(DECISIONS_MAX)..size)?;
            steps.map_while(|step| step.map(Result::ok).transpose()).map(|step| Ok(self.decision(&step?))).collect()
        };
        match read() {
            Ok(rows) => Value::Array(rows),
            Err(error) => json!({ "error": error.to_string() }),
        }
    }

    fn decision(&self, step: &StoredStep) -> Value {
        let input = decode_canonical::<Input>(step.input()).ok();
        let output = decode_canonical::<StepRecord>(step.record()).ok().map(|record| record.output);
        let event = input.as_ref().map(|input| &input.event);
        let told: Value = event.and_then(|event| serde_json::from_slice(&event.payload).ok()).unwrap_or_default();
        let (answer, outcome) = match output.as_ref().map(|output| &output.outcome) {
            Some(Outcome::Accepted { answer }) => (serde_json::from_slice(answer).unwrap_or_default(), "accepted"),
            Some(other) => (Value::Null, other.class().name()),
            None => (Value::Null, "damaged"),
        };
        let ordered = output.iter().flat_map(|output| &output.effects).map(|effect| effect.idempotency_key.clone());
        let ledger = told["ledger"].as_str().and_then(|ledger| ledger.parse::<LedgerId>().ok());
        let name = ledger.and_then(|ledger| Some(self.ledgers.get(&ledger)?.entry.genesis.name.clone()));
        let peer = told["peer"].as_str().and_then(crate::keys::parse_public).map(|peer| self.name(NodeKey(peer)));
        json!({
            "seq": step.seq(),
            "at ms": input.as_ref().map(|input| input.logical_time_ms),
            "event": event.map(|event| event.kind.clone()),
            "about": event.filter(|_| told.is_null()).map(|event| event.id.clone()),
            "ledger": name,
            "peer": peer,
            "class": told.get("class").or(told.get("why")),
            "outcome": outcome,
            "decision": answer.get("decision"),
            "why": answer.get("why"),
            "first wrong": answer.get("first_wrong"),
            "orders": ordered.collect::<Vec<_>>(),
        })
    }
}
