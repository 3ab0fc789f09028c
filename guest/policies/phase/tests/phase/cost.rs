//! What a step costs does not depend on how many nodes there are.

use crate::support::Sim;
use serde_json::json;

/// Host calls, and bytes read and written, of usual steps among so many nodes.
fn costs(nodes: u32) -> Vec<u64> {
    let mut sim = Sim::new(nodes);
    let mut calls = Vec::new();
    let mut note = |sim: &Sim| calls.push(sim.ledger.host.calls);
    sim.ok("heartbeat", json!({ "nodes": [3] }));
    note(&sim);
    sim.ok("gossip", json!({ "nodes": [4] }));
    note(&sim);
    let record = sim.begin(2, "ANALYZE");
    note(&sim);
    let peers = sim.peers(record);
    let ack = sim.ack_of(record, peers[0]);
    sim.ok("wal_ack", ack);
    note(&sim);
    sim.ok("phase_transition", json!({ "node": 3, "g": 1, "phase": "ANALYZE", "event": "started", "vc": [[3, 1]] }));
    note(&sim);
    for peer in &peers[1..] {
        let ack = sim.ack_of(record, *peer);
        sim.ok("wal_ack", ack);
    }
    sim.pass(1);
    note(&sim);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    sim.ok("exec_status", json!({ "node": 2, "g": 1, "phase": "ANALYZE", "status": "FAILED" }));
    sim.pass(1);
    note(&sim);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
    sim.done("replay", "");
    note(&sim);
    calls
}

#[test]
fn a_step_among_a_thousand_costs_what_it_costs_among_ten() {
    assert_eq!(costs(10), costs(1_000));
}

/// The longest record of a usual step hardly grows: a bit for each node.
#[test]
fn a_run_among_a_thousand_is_a_few_hundred_bytes() {
    let mut sim = Sim::new(1_000);
    sim.run(2, "ANALYZE");
    let longest = |prefix: &[u8]| {
        let values = sim.ledger.host.state.iter().filter(|(key, _)| key.starts_with(prefix));
        values.map(|(_, value)| value.len()).max().unwrap()
    };
    assert!(longest(b"run/") < 400 && longest(b"record/") < 300 && longest(b"node/") < 100);
    assert!(longest(b"ring/") < 2_100 && longest(b"whole") < 400);
}
