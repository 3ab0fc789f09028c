//! A phase as it goes well, and everything around it: log, nodes, partitions, overrides.

use crate::support::{PHASES, Sim};
use reprise_guest::abi::Outcome;
use serde_json::{Value, json};

const ALL: [u32; 5] = [1, 2, 3, 4, 5];

/// Five nodes whose ANALYZE may take a day.
fn patient() -> Sim {
    Sim::with(json!({
        "nodes": ALL, "supervisors": ["ann", "bob", "eve"], "priors_ms": [86_400_000, 1, 1, 1, 1]
    }))
}

#[test]
fn five_phases_pass_the_barrier() {
    let mut sim = Sim::new(5);
    for phase in PHASES {
        sim.whole(1, phase);
    }
    sim.pass(1);
    assert_eq!(sim.said("PHASE_ORDER_BARRIER"), [json!({ "do": "PHASE_ORDER_BARRIER", "g": 1, "phase_ready": 2 })]);
    sim.whole(3, "ANALYZE");
    for g in 2..9 {
        for phase in PHASES.iter().skip(usize::from(g == 2)) {
            sim.hear(&ALL);
            sim.whole(2, phase);
        }
        sim.pass(1);
    }
    assert_eq!(sim.g(), 9);
    let old = sim.ledger.view("run", json!({ "g": 3, "phase": "IDLE" }).to_string().as_bytes());
    assert!(matches!(old, Outcome::Rejected(no) if no.code == 134), "old runs are forgotten");
}

#[test]
fn begin_is_acknowledged_by_a_sync_majority_and_not_before() {
    let mut sim = Sim::new(5);
    let record = sim.begin(1, "ANALYZE");
    let peers = sim.peers(record);
    assert_eq!(peers.len(), 4, "5 / 2 + 1, rounded up");
    for peer in &peers[..3] {
        let ack = sim.ack_of(record, *peer);
        sim.ok("wal_ack", ack);
    }
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "BEGINNING");
    let last = peers[3];
    let good = sim.ack_of(record, last);
    let but = |name: &str, value: Value| {
        let mut ack = good.clone();
        ack[name] = value;
        ack
    };
    assert_eq!(sim.no("wal_ack", but("token", json!(2))), 140);
    assert_eq!(sim.no("wal_ack", but("crc", json!(7))), 154);
    assert_eq!(sim.no("wal_ack", but("durable", json!(false))), 153);
    assert_eq!(sim.no("wal_ack", but("record", json!(9))), 150);
    let stranger = ALL.into_iter().find(|node| !peers.contains(node)).unwrap();
    assert_eq!(sim.no("wal_ack", but("node", json!(stranger))), 151);
    assert_eq!(sim.no("wal_ack", but("node", json!(peers[0]))), 152);
    sim.ok("wal_ack", good);
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
}

#[test]
fn a_slow_peer_is_lagging_and_writes_go_on() {
    let mut sim = Sim::new(3);
    let record = sim.begin(1, "ANALYZE");
    let peers = sim.peers(record);
    assert_eq!(peers.len(), 3);
    for peer in &peers[..2] {
        let ack = sim.ack_of(record, *peer);
        sim.ok("wal_ack", ack);
    }
    sim.pass(49);
    assert!(sim.orders("leave").is_empty(), "2 x 25 ms are not over");
    sim.pass(1);
    let leave = sim.orders("leave");
    assert_eq!(leave[0].1, json!({ "do": "leave", "nodes": [peers[2]], "old": 3, "new": 2 }));
    assert_eq!(sim.state(1, "ANALYZE"), "BEGINNING", "joint consensus first");
    sim.done("leave", "");
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    assert_eq!(sim.view("node", json!({ "node": peers[2] }))["lagging"], true);
    assert_eq!(sim.no("caught_up", json!({ "node": peers[2], "record": 0 })), 115);
    assert_eq!(sim.no("caught_up", json!({ "node": peers[0], "record": 1 })), 114);
    sim.ok("caught_up", json!({ "node": peers[2], "record": 1 }));
    assert_eq!(sim.no("caught_up", json!({ "node": peers[2], "record": 1 })), 116);
    sim.done("enter", "");
    assert_eq!(sim.view("nodes", json!({}))["replicas"], 3);
}

#[test]
fn the_replication_set_never_falls_below_a_majority_of_the_members() {
    let mut sim = Sim::new(5);
    sim.begin(1, "ANALYZE");
    for _ in 0..4 {
        sim.pass(1_100);
        sim.done("leave", "");
    }
    assert_eq!(sim.view("nodes", json!({}))["replicas"], 3);
    assert_eq!(sim.state(1, "ANALYZE"), "BEGINNING", "nobody has acknowledged");
}

#[test]
fn one_peer_may_be_asynchronous_for_half_an_hour() {
    let mut sim = Sim::new(3);
    sim.ok("permit_async", json!({ "node": 2, "supervisor": "ann" }));
    assert_eq!(sim.no("permit_async", json!({ "node": 3, "supervisor": "ann" })), 184);
    let record = sim.begin(1, "ANALYZE");
    let unsynced = |sim: &mut Sim, record: u64, node: u32| {
        let mut ack = sim.ack_of(record, node);
        ack["durable"] = json!(false);
        ack
    };
    let three = unsynced(&mut sim, record, 3);
    assert_eq!(sim.no("wal_ack", three), 153);
    let two = unsynced(&mut sim, record, 2);
    sim.ok("wal_ack", two);
    for node in [1, 3] {
        let ack = sim.ack_of(record, node);
        sim.ok("wal_ack", ack);
    }
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    sim.commit(1, "ANALYZE");
    sim.pass_hearing(30 * 60_000, &[1, 2, 3]);
    assert_eq!(sim.said("async_ended").len(), 1);
    let record = sim.begin(1, "BLUEPRINT");
    let two = unsynced(&mut sim, record, 2);
    assert_eq!(sim.no("wal_ack", two), 153);
}

#[test]
fn a_dead_participant_interrupts_the_phase() {
    let mut sim = patient();
    sim.run(1, "ANALYZE");
    let started = json!({ "node": 4, "g": 1, "phase": "ANALYZE", "event": "started", "vc": [[4, 1]] });
    sim.ok("phase_transition", started.clone());
    assert_eq!(sim.no("phase_transition", started), 161, "a replayed clock");
    sim.pass_hearing(30_000, &[1, 2, 3, 5]);
    // Gossip of node 4 goes on, its heartbeats do not.
    sim.ok("gossip", json!({ "nodes": [4] }));
    sim.pass_hearing(14_990, &[1, 2, 3, 5]);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    sim.pass(20);
    assert_eq!(sim.health(4), "UNHEALTHY");
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
    assert_eq!(sim.said("FAILED_PARTIAL")[0]["cause"], "heartbeat_loss");
}

#[test]
fn a_partial_commit_is_found_by_the_consensus_timer() {
    let mut sim = Sim::with(json!({
        "nodes": [1, 2, 3], "supervisors": ["ann"], "priors_ms": [86_400_000, 1, 1, 1, 1]
    }));
    sim.run(1, "ANALYZE");
    for (node, event, vc) in [
        (1, "started", json!([[1, 1]])),
        (2, "started", json!([[1, 1], [2, 1]])),
        (1, "finished", json!([[1, 2], [2, 1]])),
    ] {
        sim.ok("phase_transition", json!({ "node": node, "g": 1, "phase": "ANALYZE", "event": event, "vc": vc }));
    }
    sim.commit(1, "ANALYZE");
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING", "node 2 has not finished");
    sim.pass_hearing(44_990, &[1, 2, 3]);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    sim.pass_hearing(20, &[1, 2, 3]);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
    assert_eq!(sim.said("FAILED_PARTIAL")[0]["cause"], "partial_commit");
}

#[test]
fn a_partitioned_node_may_not_begin_and_its_log_is_read_only() {
    let mut sim = Sim::new(5);
    sim.pass_hearing(50_000, &[1, 2, 3, 4]);
    assert_eq!(sim.health(5), "PARTITIONED");
    assert_eq!(sim.no("begin_phase", json!({ "node": 5, "g": 1, "phase": "ANALYZE", "token": 0 })), 120);
    let tail = json!({ "node": 5, "records": [{ "record": 1, "data": "x", "crc": 1 }] });
    assert_eq!(sim.no("log_tail", tail), 121);
    let record = sim.begin(1, "ANALYZE");
    for node in sim.peers(record).into_iter().filter(|node| *node != 5) {
        let ack = sim.ack_of(record, node);
        sim.ok("wal_ack", ack);
    }
    let missing = sim.ack_of(record, 5);
    assert_eq!(sim.no("wal_ack", missing), 121);
    sim.pass(50);
    sim.done("leave", "");
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING", "without node 5, which is LAGGING now");
}

#[test]
fn a_minority_begins_nothing_and_overrides_nothing() {
    let mut sim = patient();
    sim.run(1, "ANALYZE");
    sim.pass_hearing(50_000, &[1, 2]);
    assert_eq!(sim.view("generation", json!({}))["partition_status"], "PARTITIONED");
    assert_eq!(sim.state(1, "ANALYZE"), "INTERRUPTED", "it waits for the partition to heal");
    assert_eq!(sim.no("begin_phase", json!({ "node": 1, "g": 1, "phase": "BLUEPRINT", "token": 0 })), 120);
    let abort = json!({ "node": 1, "trace": "1.ANALYZE", "action": "abort", "supervisor": "ann" });
    assert_eq!(sim.no("override", abort), 122);
    sim.hear(&[3]);
    sim.pass(2);
    assert_eq!(sim.view("generation", json!({}))["partition_status"], "CONNECTED");
    sim.ok("leader", json!({ "node": 1, "term": 2 }));
    sim.pass(2);
    assert_eq!(sim.state(1, "ANALYZE"), "RECONCILE");
}

#[test]
fn signatures_are_half_of_the_supervisors_at_most_three() {
    use reprise_phase::overrides::threshold;
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 64].map(threshold), [1, 1, 2, 2, 3, 3, 3, 3]);
    assert_eq!(threshold(0), 1);
    let mut sim = Sim::new(3);
    sim.run(1, "ANALYZE");
    let sign =
        |name: &str, action: &str| json!({ "node": 1, "trace": "1.ANALYZE", "action": action, "supervisor": name });
    assert_eq!(sim.no("override", sign("ann", "resume")), 135, "nothing to resume");
    assert_eq!(sim.no("override", sign("mallory", "abort")), 180);
    assert_eq!(sim.ok("override", sign("ann", "abort")), json!({ "signatures": 1, "need": 2 }));
    assert_eq!(sim.no("override", sign("ann", "abort")), 181);
    assert_eq!(sim.no("override", sign("bob", "force-rollback")), 182);
    sim.pass(1);
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING");
    // Two of three leave: one is enough now (R4 3).
    let asked = sim.ok("roster", json!({ "supervisor": "ann", "supervisors": ["ann"] }));
    assert_eq!(asked, json!({ "signatures": 1, "need": 2 }), "nobody makes the others leave alone");
    sim.ok("roster", json!({ "supervisor": "bob", "supervisors": ["bob"] }));
    sim.pass(1);
    assert_eq!(sim.view("overrides", json!({}))["supervisors"], json!(["ann", "bob", "eve"]), "not the same one");
    let asked = sim.ok("roster", json!({ "supervisor": "eve", "supervisors": ["ann"] }));
    assert_eq!(asked, json!({ "signatures": 2, "need": 2 }));
    sim.pass(1);
    let record = sim.view("overrides", json!({}))["under_way"][0]["record"].as_u64().unwrap();
    assert_eq!(sim.state(1, "ANALYZE"), "RUNNING", "not before a majority of the log has it");
    sim.ack(record);
    assert_eq!(sim.state(1, "ANALYZE"), "HARD_FAILED");
}

#[test]
fn an_override_without_enough_signatures_is_void_after_a_quarter_of_an_hour() {
    let mut sim = Sim::new(3);
    sim.run(1, "ANALYZE");
    sim.ok("override", json!({ "node": 1, "trace": "1.ANALYZE", "action": "abort", "supervisor": "ann" }));
    sim.pass_hearing(15 * 60_000 + 1, &[1, 2, 3]);
    assert_eq!(sim.said("override")[0]["result"], "void");
    assert_eq!(sim.view("overrides", json!({}))["under_way"], json!([]));
}

#[test]
fn a_node_that_stays_away_is_evicted_if_the_others_are_enough() {
    let mut sim = Sim::new(5);
    let ttl_ms = 30 * 60_000;
    sim.pass_hearing(46_000 + ttl_ms, &[1, 2, 3, 4]);
    assert_eq!(sim.alerts(), ["pending_eviction"]);
    sim.pass_hearing(15 * 60_000, &[1, 2, 3, 4]);
    assert_eq!(sim.view("nodes", json!({}))["members"], 4);
    assert_eq!(sim.view("figures", json!({}))["minority_evictions_total"], 1);
    assert_eq!(sim.no("gossip", json!({ "nodes": [5] })), 111);
    // Another one goes: 3 of 4 are still enough. The third would leave 2 of 3.
    sim.pass_hearing(46_000 + ttl_ms + 15 * 60_000, &[1, 2, 3]);
    assert_eq!(sim.view("nodes", json!({}))["members"], 3);
    sim.pass_hearing(46_000 + ttl_ms + 15 * 60_000, &[1, 2]);
    assert_eq!(sim.view("nodes", json!({}))["members"], 3);
    assert_eq!(sim.alerts().last().unwrap(), "eviction_blocked");
    sim.ok("join", json!({ "node": 5, "supervisor": "bob" }));
    assert_eq!(sim.view("node", json!({ "node": 5 }))["lagging"], true, "not before it has the log");
}

#[test]
fn streams_stay_for_five_minutes_and_move_by_quarters() {
    let mut sim = Sim::new(5);
    for node in 6..9 {
        sim.ok("join", json!({ "node": node, "supervisor": "ann" }));
        sim.pass_hearing(60_000, &(1..=node).collect::<Vec<_>>());
        sim.ok("caught_up", json!({ "node": node, "record": 0 }));
        sim.done("enter", "");
    }
    let on_newest = |sim: &mut Sim| {
        let ring = sim.view("ring", json!({}));
        let version = ring["version"].clone();
        (version.as_u64().unwrap(), ring["streams"].as_array().unwrap().iter().filter(|on| **on == version).count())
    };
    let nodes = [1, 2, 3, 4, 5, 6, 7, 8];
    sim.pass_hearing(238_000, &nodes);
    assert_eq!(on_newest(&mut sim), (1, 16), "five minutes after the last change");
    for moved in [4, 8, 12, 16] {
        sim.pass_hearing(if moved == 4 { 2_000 } else { 300_000 }, &nodes);
        assert_eq!(on_newest(&mut sim), (2, moved));
    }
    assert_eq!(sim.view("figures", json!({}))["migrated"], 16);
}

#[test]
fn a_pruned_clock_leaves_a_tombstone_that_reingested_logs_are_held_against() {
    let mut sim = Sim::new(5);
    sim.run(1, "ANALYZE");
    let vc = json!([[1, 4], [4, 7]]);
    sim.ok("phase_transition", json!({ "node": 4, "g": 1, "phase": "ANALYZE", "event": "started", "vc": vc }));
    sim.ok("phase_transition", json!({ "node": 4, "g": 1, "phase": "ANALYZE", "event": "finished", "vc": [[4, 8]] }));
    assert_eq!(sim.no("reingest", json!({ "node": 4, "vc": [[4, 8]] })), 163);
    sim.ok("decommission", json!({ "node": 4, "supervisor": "ann" }));
    sim.now_ms += 90 * 24 * 3_600_000;
    sim.ledger.advance(sim.now_ms);
    assert!(sim.view("node", json!({ "node": 4 }))["tombstone"].is_string());
    assert_eq!(sim.ok("reingest", json!({ "node": 4, "vc": [[4, 8]] })), json!({ "verified": true }));
    assert_eq!(sim.no("reingest", json!({ "node": 4, "vc": vc })), 162);
    sim.hear(&[1, 2, 3, 5]);
    sim.pass(1);
    assert_eq!(sim.no("join", json!({ "node": 4, "supervisor": "ann" })), 112);
}

#[test]
fn a_control_record_with_a_wrong_version_or_checksum_is_aborted_and_redone() {
    let mut sim = Sim::new(3);
    let sum = |text: &str| reprise_guest::text::hex(&reprise_phase::digest::sha256(text.as_bytes()));
    let write = |version: u64, content: &str, checksum: String| json!({ "node": 1, "name": "state.txt", "version": version, "content": content, "checksum": checksum });
    let commit = json!({ "result": "COMMIT", "version": 1 });
    assert_eq!(sim.ok("control_write", write(0, "ph=ANALYZE", sum("ph=ANALYZE"))), commit);
    let stale = sim.ok("control_write", write(0, "ph=IDLE", sum("ph=IDLE")));
    assert_eq!(stale, json!({ "result": "ABORT", "mismatch": "version", "version": 1 }));
    let damaged = sim.ok("control_write", write(1, "ph=IDLF", sum("ph=IDLE")));
    assert_eq!(damaged, json!({ "result": "ABORT", "mismatch": "checksum", "version": 1 }));
    assert_eq!(sim.said("REDO").len(), 2);
    assert_eq!(sim.view("control", json!({ "name": "state.txt" }))["version"], 1);
}

#[test]
fn the_tail_of_a_log_is_good_up_to_the_first_wrong_checksum() {
    let mut sim = Sim::new(3);
    sim.whole(1, "ANALYZE");
    let row = |record: u64, text: &str| json!({ "record": record, "data": text, "crc": reprise_phase::digest::crc32(text.as_bytes()) });
    let begin = row(1, "BEGIN_PHASE 1.ANALYZE 0 1");
    let torn = json!({ "record": 2, "data": "COMMIT_PHA", "crc": row(2, "COMMIT_PHASE 1.ANALYZE 0 2")["crc"] });
    let answer = sim.ok("log_tail", json!({ "node": 3, "records": [begin, torn] }));
    assert_eq!(answer, json!({ "keep": 1, "damaged": 2 }));
    assert_eq!(sim.orders("repair")[0].1["source"], 1);
    // One that is whole but not what was written there is damaged too.
    let forged = row(2, "COMMIT_PHASE 1.ANALYZE 9 2");
    assert_eq!(sim.ok("log_tail", json!({ "node": 3, "records": [forged] }))["damaged"], 2);
    let whole = [row(1, "BEGIN_PHASE 1.ANALYZE 0 1"), row(2, "COMMIT_PHASE 1.ANALYZE 0 2")];
    assert_eq!(sim.ok("log_tail", json!({ "node": 3, "records": whole })), json!({ "keep": 2, "damaged": null }));
}

#[test]
fn costs_are_compared_in_the_currency_of_the_budget() {
    let mut sim = Sim::with(json!({
        "nodes": [1, 2, 3], "supervisors": ["ann"],
        "regions": [{ "region": "eu", "currency": "EUR", "limit": 10_000 }],
    }));
    sim.run(1, "ANALYZE");
    let effect = |key: &str, cost: u64| {
        json!({
            "node": 1, "g": 1, "phase": "ANALYZE", "token": 0, "key": key, "action": "other", "undo": "u",
            "cost": cost, "region": "eu",
        })
    };
    assert_eq!(sim.no("side_effect", effect("a", 1)), 170, "no rate yet");
    sim.ok("fx_rates", json!({ "day": 1, "rates": [{ "currency": "EUR", "ppm": 1_100_000 }] }));
    assert_eq!(sim.no("fx_rates", json!({ "day": 1, "rates": [] })), 171);
    assert_eq!(sim.no("fx_rates", json!({ "day": 3, "rates": [] })), 171);
    sim.ok("side_effect", effect("a", 10_000));
    let ledger = sim.view("ledger", json!({ "g": 1, "phase": "ANALYZE" }));
    assert_eq!((&ledger["cost"], &ledger["cap"]), (&json!(11_000), &json!(11_000)));
    assert!(sim.alerts().is_empty());
    sim.ok("side_effect", effect("b", 1));
    assert_eq!(sim.alerts(), ["COST_CAP_EXCEEDED"]);
}
