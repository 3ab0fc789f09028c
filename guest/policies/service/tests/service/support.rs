//! An exchange for tests, and short words for what happens to it.

use reprise_guest::{
    abi::{EffectStatus, Outcome},
    testing::MemoryLedger,
};
use reprise_service::Service;
use serde_json::{Value, json};

/// When everything begins.
pub const START_MS: u64 = 1_000;

/// A ledger with the policy, and what tests ask of it.
#[derive(Clone)]
pub struct Sim {
    pub ledger: MemoryLedger<Service>,
}

/// Three regions' worth of things: a matching engine, settlement, market data, a mailer; three database nodes here, two
/// in the backup region.
pub fn parameters() -> Value {
    json!({
        "services": [
            { "service": "engine", "role": "matching" },
            { "service": "settle", "role": "settlement", "zone": "z1" },
            { "service": "feed", "role": "market_data", "zone": "z1" },
            { "service": "mail", "role": "other" },
        ],
        "nodes": [
            { "node": "a1", "region": "eu" }, { "node": "a2", "region": "eu" }, { "node": "a3", "region": "eu" },
            { "node": "b1", "region": "us" }, { "node": "b2", "region": "us" },
        ],
        "regions": ["eu", "us"],
        "operators": ["ann", "bob"],
        "fee_ppm": 1_000,
    })
}

impl Sim {
    /// An exchange where nothing has happened.
    pub fn new() -> Self {
        Self::with(parameters())
    }

    /// An exchange with other parameters.
    pub fn with(parameters: Value) -> Self {
        let mut sim = Self { ledger: MemoryLedger::new() };
        sim.ok(START_MS, "init", parameters);
        sim
    }

    /// An exchange where `ann` and `bob` have a million each.
    pub fn rich() -> Self {
        let mut sim = Self::new();
        for name in ["ann", "bob"] {
            sim.ok(START_MS, "balance", json!({ "transaction": name, "account": name, "amount": 1_000_000 }));
        }
        sim
    }

    /// An event, however it ends.
    pub fn send(&mut self, at_ms: u64, kind: &str, payload: &Value) -> Outcome {
        self.ledger.submit(at_ms, kind, payload.to_string().as_bytes())
    }

    /// An event that is accepted, and its answer.
    pub fn ok(&mut self, at_ms: u64, kind: &str, payload: Value) -> Value {
        match self.send(at_ms, kind, &payload) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).unwrap_or_default(),
            other => panic!("{kind} {payload}: {other:?}"),
        }
    }

    /// An event that is rejected, and its code.
    pub fn no(&mut self, at_ms: u64, kind: &str, payload: Value) -> u32 {
        self.ledger.advance(at_ms);
        let before = self.ledger.host.state.clone();
        match self.send(at_ms, kind, &payload) {
            Outcome::Rejected(no) => {
                assert!(self.ledger.host.state == before, "a rejection leaves nothing");
                no.code
            }
            other => panic!("{kind} {payload}: {other:?}"),
        }
    }

    /// Three failed checks of a service, and the tick after them. Answers when.
    pub fn crash(&mut self, at_ms: u64, service: &str) -> u64 {
        for _ in 0..3 {
            self.ok(at_ms, "health", json!({ "service": service, "ok": false }));
        }
        self.ledger.advance(at_ms + 1);
        at_ms + 1
    }

    /// Three failed connections to a node, and the tick after them. Answers when.
    pub fn unplug(&mut self, at_ms: u64, nodes: &[&str]) -> u64 {
        for node in nodes {
            for _ in 0..3 {
                self.ok(at_ms, "connection", json!({ "node": node, "ok": false }));
            }
        }
        self.ledger.advance(at_ms + 1);
        at_ms + 1
    }

    /// A new order. Answers its number.
    pub fn place(&mut self, at_ms: u64, account: &str, side: &str, price: u64, quantity: u64) -> u64 {
        let key = format!("key-{}", self.ledger.ran.len());
        let order = self.ok(at_ms, "place", order(&key, account, side, price, quantity));
        order["order"].as_u64().unwrap()
    }

    /// Keys and payloads of what was asked for with this verb and has not ended, in order.
    pub fn asked(&self, verb: &str) -> Vec<(String, Value)> {
        let outbox = self.ledger.outbox.iter();
        let mut asked: Vec<(String, Value)> = outbox
            .map(|(key, pending)| (key.clone(), serde_json::from_slice(&pending.effect.payload).unwrap()))
            .filter(|(_, payload): &(String, Value)| payload["do"] == verb)
            .collect();
        asked.sort_by_key(|(key, _)| key.rsplit('.').next().unwrap().parse::<u64>().unwrap());
        asked
    }

    /// Payloads of everything that was ever emitted with this verb, in order.
    pub fn said(&self, verb: &str) -> Vec<Value> {
        let effects = self.ledger.ran.iter().flat_map(|ran| &ran.effects);
        let payloads = effects.map(|effect| serde_json::from_slice::<Value>(&effect.payload).unwrap());
        payloads.filter(|payload| payload["do"] == verb).collect()
    }

    /// What people were told, with the channel, in order.
    pub fn alerts(&self) -> Vec<(String, String)> {
        let effects = self.ledger.ran.iter().flat_map(|ran| &ran.effects);
        let told = effects.map(|effect| (&effect.driver, serde_json::from_slice::<Value>(&effect.payload).unwrap()));
        told.filter(|(_, payload)| payload["do"] == "alert")
            .map(|(driver, payload)| (driver.clone(), payload["what"].as_str().unwrap().to_owned()))
            .collect()
    }

    /// The one thing that was asked for with this verb is done, with this answer.
    pub fn done(&mut self, at_ms: u64, verb: &str, answer: &Value) {
        self.end(at_ms, verb, EffectStatus::Done { answer: answer.to_string().into() });
    }

    /// The one thing that was asked for with this verb fails.
    pub fn fail(&mut self, at_ms: u64, verb: &str, detail: &str) {
        self.end(at_ms, verb, EffectStatus::Failed { detail: detail.into() });
    }

    fn end(&mut self, at_ms: u64, verb: &str, status: EffectStatus) {
        self.ledger.advance(at_ms);
        let asked = self.asked(verb);
        let [(key, _)] = asked.as_slice() else { panic!("{verb} was asked for {} times", asked.len()) };
        let outcome = self.ledger.settle(at_ms, key, status).expect("it was pending");
        assert!(outcome.is_accepted(), "{verb}: {outcome:?}");
    }

    /// A view without arguments.
    pub fn view(&mut self, name: &str) -> Value {
        self.view_of(name, json!({}))
    }

    /// A view.
    pub fn view_of(&mut self, name: &str, args: Value) -> Value {
        match self.ledger.view(name, args.to_string().as_bytes()) {
            Outcome::Accepted { answer } => serde_json::from_slice(&answer).expect("views are JSON"),
            other => panic!("{name} {args}: {other:?}"),
        }
    }

    /// The newest recovery.
    pub fn recovery(&mut self) -> Value {
        self.view("recoveries")["recoveries"][0].clone()
    }

    /// Numbers of the orders in the book, best first.
    pub fn book(&mut self, side: &str) -> Vec<u64> {
        let book = self.view_of("book", json!({ "symbol": "BTC" }));
        book[side].as_array().unwrap().iter().map(|order| order["order"].as_u64().unwrap()).collect()
    }

    /// Everything that was asked for in the course of the engine's recovery is done, up to its end. Answers when.
    pub fn mend_engine(&mut self, at_ms: u64) -> u64 {
        self.done(at_ms, "restart", &json!({}));
        let mut now_ms = at_ms;
        while self.asked("resume_matching").is_empty() {
            now_ms += 1;
            self.ledger.advance(now_ms);
            assert!(now_ms < at_ms + 10_000, "it never resumes");
        }
        self.done(now_ms, "resume_matching", &json!({}));
        while self.view("health")["modes"].as_array().unwrap().contains(&json!("ORDER_QUEUE")) {
            now_ms += 1;
            self.ledger.advance(now_ms);
            assert!(now_ms < at_ms + 10_000, "it never ends");
        }
        now_ms
    }
}

/// An order's payload.
pub fn order(key: &str, account: &str, side: &str, price: u64, quantity: u64) -> Value {
    json!({
        "idempotency_key": key, "account": account, "symbol": "BTC", "side": side, "price": price, "quantity": quantity,
    })
}

/// A match's payload.
pub fn matched(number: u64, buy: u64, sell: u64, price: u64, quantity: u64) -> Value {
    json!({ "match": number, "buy": buy, "sell": sell, "price": price, "quantity": quantity })
}
