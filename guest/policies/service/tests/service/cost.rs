//! What a step costs does not depend on how many accounts, orders, services or operations there are.

use crate::support::{Sim, matched, order};
use serde_json::{Value, json};

/// Host calls of the usual steps, in an exchange with so many of everything.
fn costs(many: u64) -> Vec<u64> {
    let mut sim = Sim::new();
    for n in 4..many {
        sim.ok(1_500, "register", json!({ "service": format!("s{n}"), "role": "other" }));
    }
    for n in 0..many {
        let name = format!("u{n}");
        sim.ok(2_000, "balance", json!({ "transaction": name, "account": name, "amount": 1_000_000 }));
    }
    for n in 0..many {
        sim.place(2_000, &format!("u{n}"), if n % 2 == 0 { "buy" } else { "sell" }, 100 + n % 2 * 50 + n % 7, 5);
    }
    for n in 0..many {
        let operation = json!({
            "operation": format!("o{n}"), "kind": "http", "dependency": "db", "request": "r", "fallback": "queue",
        });
        sim.ok(2_000, "operation", operation);
    }
    let mut calls = Vec::new();
    let events: [(&str, Value); 9] = [
        ("place", order("last", "u3", "sell", 100, 5)),
        ("match", matched(1, 7, many + 1, 102, 5)),
        ("settle", json!({ "trade": 1 })),
        ("cancel", json!({ "order": 2 })),
        ("balance", json!({ "transaction": "x", "account": "u5", "amount": -1 })),
        ("health", json!({ "service": "mail", "ok": false })),
        ("connection", json!({ "node": "a1", "ok": true })),
        ("write", json!({ "node": "a1", "token": 1 })),
        ("request", json!({ "method": "GET" })),
    ];
    for (kind, payload) in events {
        sim.ok(2_001, kind, payload);
        calls.push(sim.ledger.host.calls);
    }
    // The engine's crash: every step of it is bounded, whatever the size of the book.
    let before = sim.ledger.ran.len();
    sim.crash(3_000, "engine");
    calls.push(sim.ledger.host.calls);
    sim.mend_engine(4_000);
    assert!(many < 100 || sim.ledger.ran.len() > before + 20, "in slices");
    calls
}

#[test]
fn a_step_among_a_thousand_costs_what_it_costs_among_ten() {
    assert_eq!(costs(10), costs(1_000));
}
