//! One turn of a step: what it reads, changes and orders, with the counters kept in one place.

use crate::{
    error::No,
    events::named,
    params::{LEDGERS_MAX, PEERS_MAX, Params},
    state::{
        CONDUCT, COUNTS, Conduct, Counts, LEDGERS, Ledger, PARAMS, Plan, SEEN, Seen, Stage, TOUCHED, Touched, Why,
    },
};
use reprise_guest::{
    Host, StepInput,
    abi::{Effect, Rejection, Timer},
    json::Json,
    rejection::Code,
    text::{decimal, join},
};

/// The driver of every effect: the node itself.
pub const DRIVER: &str = "node";
/// First part of the id of the timer at whose end a ledger's plan goes on.
pub const WAIT: &str = "wait.";
/// First part of the id of the timer at whose end a peer leaves quarantine.
pub const RELEASE: &str = "release.";

/// A step in the middle.
pub struct Turn<'h> {
    /// The host.
    pub host: &'h mut dyn Host,
    /// Parameters.
    pub params: Params,
    /// Logical time, in milliseconds.
    pub now_ms: u64,
    /// What the step answers.
    pub answer: Json,
    seq: u64,
    counts: Counts,
    touched: Touched,
}

/// A ledger that is being worked on.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Its record, to be changed.
    pub ledger: Ledger,
    stage_was: Option<Stage>,
}

impl<'h> Turn<'h> {
    /// Begins.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    pub fn open(host: &'h mut dyn Host, input: &StepInput) -> Result<Self, Rejection> {
        let params = PARAMS.get(host)?.ok_or_else(|| No::NotInitialised.because("the first event is `init`"))?;
        let counts = COUNTS.get(host)?.unwrap_or_default();
        let (now_ms, seq) = (input.logical_time_ms, input.seq);
        Ok(Self { host, params, now_ms, answer: Json::object(), seq, counts, touched: Touched::default() })
    }

    /// Ends, with what the step answers.
    pub fn close(mut self) -> Vec<u8> {
        COUNTS.put(self.host, &self.counts);
        TOUCHED.put(self.host, &self.touched);
        self.answer.done()
    }

    /// Says what was decided, and why.
    pub fn say(&mut self, decision: &str, why: &str) {
        self.answer.text("decision", decision).text("why", why);
    }

    /// A ledger; a new one if it is not known.
    ///
    /// # Errors
    /// [`No::BadName`], [`No::TooMany`], or corrupt state.
    pub fn ledger(&mut self, name: &str) -> Result<Held, Rejection> {
        named(name)?;
        if let Some(held) = self.known(name)? {
            return Ok(held);
        }
        if self.counts.ledgers >= LEDGERS_MAX {
            return Err(No::TooMany.because("there are 4,096 ledgers"));
        }
        self.counts.ledgers += 1;
        Ok(Held { name: name.into(), ledger: Ledger::default(), stage_was: None })
    }

    /// A ledger, if it is known.
    ///
    /// # Errors
    /// Corrupt state.
    pub fn known(&mut self, name: &str) -> Result<Option<Held>, Rejection> {
        let ledger = LEDGERS.get(self.host, &name.into())?;
        Ok(ledger.map(|ledger| Held {
            name: name.into(),
            stage_was: ledger.plan.as_ref().map(|plan| plan.stage),
            ledger,
        }))
    }

    /// Stores a ledger.
    pub fn save(&mut self, held: Held) {
        let Held { name, ledger, stage_was } = held;
        match (stage_was.is_some(), ledger.plan.is_some()) {
            (false, true) => self.counts.plans += 1,
            (true, false) => self.counts.plans = self.counts.plans.saturating_sub(1),
            _ => {}
        }
        LEDGERS.put(self.host, &name, &ledger);
        self.touched.ledger = Some((name, stage_was));
    }

    /// Keeps the last difference to a peer.
    ///
    /// # Errors
    /// [`No::TooMany`], or corrupt state.
    pub fn saw(&mut self, ledger: &str, peer: &str, seen: &Seen) -> Result<(), Rejection> {
        let key = (String::from(ledger), String::from(peer));
        if SEEN.get(self.host, &key)?.is_none() {
            if self.counts.seen >= PEERS_MAX {
                return Err(No::TooMany.because("there are 16,384 pairs of a ledger and a peer"));
            }
            self.counts.seen += 1;
        }
        SEEN.put(self.host, &key, seen);
        Ok(())
    }

    /// How a peer has behaved.
    ///
    /// # Errors
    /// [`No::BadName`], or corrupt state.
    pub fn conduct(&mut self, peer: &str) -> Result<Conduct, Rejection> {
        named(peer)?;
        Ok(CONDUCT.get(self.host, &peer.into())?.unwrap_or_default())
    }

    /// Stores how a peer has behaved.
    ///
    /// # Errors
    /// [`No::TooMany`], or corrupt state.
    pub fn behaved(&mut self, peer: &str, conduct: &Conduct) -> Result<(), Rejection> {
        let was = CONDUCT.get(self.host, &peer.into())?;
        if was.is_none() {
            if self.counts.conduct >= PEERS_MAX {
                return Err(No::TooMany.because("there are 16,384 peers"));
            }
            self.counts.conduct += 1;
        }
        let in_quarantine = |conduct: &Conduct| conduct.quarantined_until_ms.is_some();
        match (was.as_ref().is_some_and(in_quarantine), in_quarantine(conduct)) {
            (false, true) => self.counts.quarantined += 1,
            (true, false) => self.counts.quarantined = self.counts.quarantined.saturating_sub(1),
            _ => {}
        }
        CONDUCT.put(self.host, &peer.into(), conduct);
        self.touched.peer = Some(peer.into());
        Ok(())
    }

    /// Orders the step that a plan is at.
    pub fn order(&mut self, ledger: &str, plan: &Plan, why: &str) {
        let mut payload = Json::object();
        payload.text("do", plan.stage.name()).text("ledger", ledger).number("plan", plan.number);
        payload.number("attempt", plan.attempt).text("why", why);
        if !plan.peer.is_empty() {
            payload.text("peer", &plan.peer);
        }
        match plan.stage {
            Stage::RollBack { to } => drop(payload.number("to", to)),
            Stage::Suspend(reason) => suspension(&mut payload, reason),
            _ => {}
        }
        self.emit(key_of(plan, ledger), payload.done());
    }

    /// Tells the host that nothing of a peer is to be used from now on, or that it may be again.
    pub fn tell_of_peer(&mut self, what: &str, peer: &str, why: &str) {
        let seq = decimal(self.seq);
        let payload = Json::object().text("do", what).text("peer", peer).text("why", why).done();
        self.emit(join(&[what, ".", &seq, ".0.", peer]), payload);
    }

    fn emit(&mut self, idempotency_key: String, payload: Vec<u8>) {
        let deadline_ms = self.now_ms.saturating_add(self.params.step_ms);
        self.host.emit(Effect { idempotency_key, driver: DRIVER.into(), deadline_ms, payload, compensator: None });
    }

    /// Comes back to a plan, or a peer, later.
    pub fn wake(&mut self, what: &str, name: &str, due_ms: u64) {
        self.host.set_timer(Timer { id: join(&[what, name]), due_ms, payload: Vec::new() });
    }
}

/// The key under which a plan orders its step: no other step of any plan has it, so the host does nothing twice.
#[must_use]
pub fn key_of(plan: &Plan, ledger: &str) -> String {
    join(&[plan.stage.name(), ".", &decimal(plan.number), ".", &decimal(plan.orders), ".", ledger])
}

fn suspension(payload: &mut Json, why: Why) {
    payload.text("reason", why.name());
    if let Some(at) = why.at() {
        payload.number("at", at);
    }
}
