//! What a running node says of itself, for people and programs.

use super::{Driver, Part};
use crate::daemon::{
    commands::{Currency, Stale},
    happening::Query,
};
use reprise_federation::{
    LedgerHead, Role,
    node::{PeerView, Service},
    replicate::Lead,
};
use reprise_receipts::LedgerId;
use serde_json::{Value, json};

/// What a member waits for that has lost its memory, or begins.
const REJOINING: &str = "all that the owner has, and the word of the other members: it neither votes nor counts before";

impl Driver {
    pub(super) fn report(&self, query: Query) -> Value {
        match query {
            Query::Status => self.status(),
            Query::Peers => self.peers(),
            Query::Federation => self.agreement(),
            Query::Decisions => self.decisions(),
        }
    }

    /// What this node knows of how current its ledgers are.
    pub(super) fn currency(&self) -> Currency {
        let mut currency = Currency::default();
        for ledger in self.ledgers.keys() {
            currency.insert(*ledger, self.stale(*ledger));
        }
        currency
    }

    fn stale(&self, ledger: LedgerId) -> Option<Stale> {
        let seat = self.federation.seat(ledger);
        let stale = |since_ms, why| Some(Stale { since_ms, suspended: false, why });
        let service = self.federation.service(self.now_ms(), ledger);
        if let Some(Service::Suspended(why)) = service {
            return Some(Stale { since_ms: None, suspended: true, why: why.to_string() });
        }
        if let Some(fault) = &self.ledgers[&ledger].fault {
            return stale(None, format!("it does not advance here: {fault}"));
        }
        match (service, &seat) {
            (Some(Service::Stale { heard_ms }), Some(seat)) if seat.lead.is_some() => {
                stale(heard_ms, "no quorum of its members is heard, so another owner may have taken it over".to_owned())
            }
            (Some(Service::Stale { heard_ms }), Some(seat)) => {
                stale(heard_ms, format!("nothing is heard of its owner, {}", self.name(seat.standing.owner)))
            }
            (Some(Service::Follows), Some(seat)) => {
                seat.pursuing.and_then(|target| stale(None, format!("it is catching up to {} receipts", target.size)))
            }
            (Some(Service::Orders), _) => None,
            _ => stale(None, "this node has no part in it".to_owned()),
        }
    }

    fn status(&self) -> Value {
        let shared = self.ledgers.keys().filter(|ledger| !self.reconciler.is_own(**ledger));
        let ledgers: Vec<Value> = shared.map(|ledger| self.ledger(*ledger)).chain(self.awaited_ledgers()).collect();
        let own = self.ledgers.keys().find(|ledger| self.reconciler.is_own(**ledger));
        json!({
            "node": self.node.dir().display().to_string(),
            "node key": self.link.key().to_string(),
            "listens at": self.link.address().ok().map(|address| address.to_string()),
            "running for ms": self.now_ms().saturating_sub(self.start_ms),
            "connected peers": self.sessions.len(),
            "ledgers": ledgers,
            "own ledger": own.map(|own| self.ledger(*own)),
        })
    }

    fn ledger(&self, ledger: LedgerId) -> Value {
        let served = &self.ledgers[&ledger];
        let head = self.facts.told_head(ledger, 0);
        let seat = self.federation.seat(ledger);
        let service = self.federation.service(self.now_ms(), ledger);
        let is_ready = match &served.part {
            Part::Owner(owner) => !owner.is_closing(),
            Part::Follower(_) | Part::None => service != Some(Service::Orders),
        };
        let delivering = served.outward.report();
        let goes_on = served.fault.is_none() && is_ready && matches!(service, Some(Service::Orders | Service::Follows));
        json!({
            "name": served.entry.genesis.name,
            "id": ledger.to_string(),
            "role": seat.as_ref().and_then(|seat| seat.role).map(role),
            "owner": seat.as_ref().map(|seat| self.name(seat.standing.owner)),
            "epoch": seat.as_ref().map(|seat| seat.standing.promised),
            "receipts": head.map(|head| head.size),
            "log root": head.map(|head| head.log_root.to_string()),
            "state root": head.map(|head| head.state_root.to_string()),
            "attested up to": match &served.part {
                Part::Owner(_) => head.map(|head| head.size),
                _ => served.attested.get(&self.link.key()).copied(),
            },
            "durable on a quorum": seat.as_ref().map(|seat| seat.standing.committed),
            "final": seat.as_ref().map(|seat| seat.standing.last_final.size),
            "final mark": self.final_mark(ledger),
            "catching up to": seat.as_ref().and_then(|seat| seat.pursuing).map(|mark| mark.size),
            "answers that wait": match &served.part { Part::Owner(owner) => owner.waiting(), _ => 0 },
            "results of effects": delivering.as_ref().map(|(results, _)| results),
            "effects are not delivered": delivering.as_ref().and_then(|(_, fault)| fault.clone()),
            "service": service.map(describe),
            "waits for": seat.as_ref().filter(|seat| seat.standing.rejoining).map(|_| REJOINING),
            "can go on": goes_on,
            "why not": served.fault,
        })
    }

    fn peers(&self) -> Value {
        let reports = self.link.peers();
        let rows = reports.iter().map(|report| {
            let open = report.connections.last();
            json!({
                "name": self.names.get(&report.key),
                "key": report.key.to_string(),
                "address": open.map(|(address, _)| address.to_string()),
                "round trip ms": open.map(|(_, round_trip)| round_trip.as_secs_f64() * 1_000.0),
                "connections": report.counts.connections,
                "frames sent": report.counts.sent.frames,
                "frames received": report.counts.received.frames,
                "bytes sent": report.counts.sent.frame_bytes + report.counts.sent.transfer_bytes,
                "bytes received": report.counts.received.frame_bytes + report.counts.received.transfer_bytes,
                "wire bytes sent": report.counts.sent.wire_bytes,
                "wire bytes received": report.counts.received.wire_bytes,
                "round trips": report.counts.round_trips,
                "refused": report.counts.refused,
            })
        });
        let shut_out = self
            .revoked
            .keys()
            .map(|key| json!({ "name": self.names.get(key), "key": key.to_string(), "revoked": true }));
        Value::Array(rows.chain(shut_out).collect())
    }

    /// For each ledger and each member that is a peer: who agrees with whom, up to where, and why not.
    fn agreement(&self) -> Value {
        let mut rows = Vec::new();
        for (ledger, served) in &self.ledgers {
            for peer in self.federation.peers() {
                let shares = self.federation.seat(*ledger).is_some_and(|seat| seat.roster.member(peer.node).is_some());
                if shares {
                    rows.push(self.agreement_with(*ledger, &served.entry.genesis.name, &peer));
                }
            }
        }
        Value::Array(rows)
    }

    fn agreement_with(&self, ledger: LedgerId, name: &str, peer: &PeerView<'_>) -> Value {
        let (ours, theirs) = (self.facts.told_head(ledger, 0), peer.heads.get(&ledger));
        let matched = |lead: &Lead| lead.progress(peer.node).map(|progress| progress.matched);
        let seat = self.federation.seat(ledger);
        let progress = seat.as_ref().and_then(|seat| seat.lead.and_then(matched));
        json!({
            "ledger": name,
            "epoch": seat.as_ref().map(|seat| seat.standing.promised),
            "owner": seat.as_ref().map(|seat| self.name(seat.standing.owner)),
            "peer": self.name(peer.node),
            "connected": peer.connected,
            "receipts here": self.size(ledger),
            "receipts there": theirs.map(|head| head.size).max(progress),
            "agrees up to": progress,
            "same": same(ours.as_ref(), theirs, peer.agreed_ms.is_some()),
            "difference": peer.findings.get(&ledger).map(|divergence| divergence.to_string()),
            "wrong answers": peer.score.wrong(),
        })
    }
}

fn same(ours: Option<&LedgerHead>, theirs: Option<&LedgerHead>, agreed: bool) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours.log_root == theirs.log_root && ours.state_root == theirs.state_root,
        _ => agreed,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Replica => "replica",
        Role::Observer => "observer",
    }
}

fn describe(service: Service) -> String {
    match service {
        Service::Orders => "orders inputs".to_owned(),
        Service::Follows => "follows its owner".to_owned(),
        Service::Stale { .. } => "reads are stale, writes are refused".to_owned(),
        Service::Suspended(why) => format!("suspended: {why}"),
    }
}
