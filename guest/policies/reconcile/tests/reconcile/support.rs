//! A ledger in memory, and the host that answers it.

use reprise_guest::{
    abi::{EffectStatus, Outcome},
    testing::MemoryLedger,
};
use reprise_reconcile::Reconcile;
use serde_json::{Value, json};

/// A ledger's or peer's name of one digit, repeated.
pub fn name(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub struct World {
    pub ledger: MemoryLedger<Reconcile>,
    pub now_ms: u64,
}

impl World {
    pub fn new() -> Self {
        Self::with(json!({}))
    }

    pub fn with(parameters: Value) -> Self {
        let mut world = Self { ledger: MemoryLedger::new(), now_ms: 1_000 };
        assert!(world.tell("init", parameters).is_accepted());
        world
    }

    /// An event, a millisecond later than the last.
    pub fn tell(&mut self, kind: &str, data: Value) -> Outcome {
        self.now_ms += 1;
        self.ledger.submit(self.now_ms, kind, data.to_string().as_bytes())
    }

    /// A finding about ledger `a` and peer `b`, of somebody who leads; `more` changes what it says.
    pub fn finding(&mut self, class: &str, more: Value) -> Value {
        let head = json!({ "size": 20, "log_root": name('1'), "state_root": name('2') });
        let mut data = json!({
            "ledger": name('a'), "peer": name('b'), "class": class, "protected": 10, "leads": true, "here": head,
        });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer(self.tell("finding", data))
    }

    pub fn suspended(&mut self, why: &str, at: Option<u64>) -> Value {
        let mut data = json!({ "ledger": name('a'), "why": why });
        if let Some(at) = at {
            data["at"] = at.into();
        }
        answer(self.tell("suspended", data))
    }

    /// The only effect that waits: what it says.
    pub fn ordered(&self) -> Value {
        assert_eq!(self.ledger.outbox.len(), 1, "{:?}", self.ledger.outbox);
        serde_json::from_slice(&self.ledger.outbox.values().next().unwrap().effect.payload).unwrap()
    }

    /// The only effect that waits is this step, and ends so.
    #[track_caller]
    pub fn end(&mut self, step: &str, status: EffectStatus) -> Value {
        assert_eq!(self.ordered()["do"], step);
        let key = self.ledger.outbox.keys().next().unwrap().clone();
        self.now_ms += 1;
        answer(self.ledger.settle(self.now_ms, &key, status).unwrap())
    }

    #[track_caller]
    pub fn done(&mut self, step: &str) -> Value {
        self.end(step, EffectStatus::Done { answer: vec![] })
    }

    #[track_caller]
    pub fn fail(&mut self, step: &str) -> Value {
        self.end(step, EffectStatus::Failed { detail: "the disk is full".into() })
    }

    #[track_caller]
    pub fn verified(&mut self, sound: bool) -> Value {
        let answer = if sound { json!({ "sound": true }) } else { json!({ "sound": false, "first_wrong": 7 }) };
        self.end("verify", EffectStatus::Done { answer: answer.to_string().into_bytes() })
    }

    /// Lets the wait that is set pass.
    pub fn wait(&mut self) {
        let (due_ms, _) = self.ledger.timers.keys().next().expect("nothing waits").clone();
        self.now_ms = self.now_ms.max(due_ms);
        self.ledger.advance(self.now_ms);
    }

    pub fn view(&mut self, name: &str, args: Value) -> Value {
        answer(self.ledger.view(name, args.to_string().as_bytes()))
    }

    /// The record of ledger `a`.
    pub fn record(&mut self) -> Value {
        self.view("ledger", json!({ "ledger": name('a') }))
    }
}

/// What an accepted step answers.
#[track_caller]
pub fn answer(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Accepted { answer } => serde_json::from_slice(&answer).unwrap(),
        other => panic!("{other:?}"),
    }
}
