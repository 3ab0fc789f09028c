use super::*;
use crate::{
    ballot::Ballot,
    leader::Leader,
    state::{NodeId, ROUTES},
};
use reprise_guest::{StepInput, abi::Outcome, compact::Stored, json::Json, testing::MemoryHost};

fn step(host: &mut MemoryHost, kind: &str, payload: &str) -> Outcome {
    let (kind, payload) = (kind.into(), payload.into());
    host.step::<crate::Cluster>(&StepInput { logical_time_ms: 1_000, kind, payload, ..StepInput::default() })
}

fn begun() -> MemoryHost {
    let mut host = MemoryHost::new();
    let payload = r#"{"nodes":[1,2,3],"operators":["ann","bob"],"admins":["ann"]}"#;
    assert!(step(&mut host, "init", payload).is_accepted());
    assert!(step(&mut host, "assign", r#"{"node":1,"capsules":[7]}"#).is_accepted());
    host
}

/// The invariant that is broken when the cluster's record is spoilt like this.
fn broken(spoil: impl FnOnce(&mut Cluster)) -> String {
    let mut host = begun();
    let mut cluster = CLUSTER.get(&mut host).unwrap().unwrap();
    spoil(&mut cluster);
    CLUSTER.put(&mut host, &cluster);
    check(&mut host).map_or_else(|violation| violation.invariant, |()| "none".into())
}

#[test]
fn a_sound_cluster_passes() {
    assert_eq!(broken(|_| ()), "none");
}

#[test]
fn every_invariant_of_the_whole_is_held() {
    let ballot = |yes, no| Ballot { number: 1, proposal: "p".into(), voters: 3, yes, no };
    assert_eq!(broken(|c| c.census.by_state = [0; 5]), "node-count-in-bounds");
    assert_eq!(broken(|c| c.census.by_state = [u32::MAX, 1, 0, 0, 0]), "node-count-in-bounds");
    assert_eq!(broken(|c| c.census.by_state = [1, 2, 0, 0, 0]), "no-change-without-a-quorum");
    assert_eq!(broken(|c| c.ballot = Some(ballot(2, 2))), "one-vote-for-each-node");
    let halted = |c: &mut Cluster| {
        c.phase = Phase::Halted;
        c.ballot = Some(ballot(0, 0));
    };
    assert_eq!(broken(halted), "no-ballot-while-halted");
    assert_eq!(broken(|c| c.phase = Phase::Halting), "halt-has-a-record");
    assert_eq!(broken(|c| c.round.agree = 4), "one-report-for-each-member");
    assert_eq!(broken(|c| c.suspects = vec![NodeId(2), NodeId(1)]), "suspects-in-order");
    let leader = |node, term| Some(Leader { node: NodeId(node), term, confirmed: true, refused: 0 });
    assert_eq!(broken(|c| c.leader = leader(9, 1)), "leader-is-a-member");
    assert_eq!(broken(|c| c.leader = leader(1, 2)), "leader-is-a-member");
}

#[test]
fn every_invariant_of_a_changed_node_is_held() {
    use NodeState::{Degraded, Failing, Healthy, Offline};
    let change = |from, to| move |c: &mut Cluster| c.changes = vec![Change { node: NodeId(2), from, to }];
    assert_eq!(broken(change(Healthy, Offline)), "only-documented-transitions");
    assert_eq!(broken(change(Degraded, Failing)), "node-is-in-its-state");
    assert_eq!(broken(change(Degraded, Healthy)), "none");
    let mut host = begun();
    let mut node = NODES.get(&mut host, &NodeId(2)).unwrap().unwrap();
    node.state = Degraded;
    NODES.put(&mut host, &NodeId(2), &node);
    let mut cluster = CLUSTER.get(&mut host).unwrap().unwrap();
    change(Healthy, Degraded)(&mut cluster);
    CLUSTER.put(&mut host, &cluster);
    assert_eq!(check(&mut host).unwrap_err().invariant, "healthy-nodes-are-listed");
    HEALTHY.delete(&mut host, &NodeId(2));
    assert_eq!(check(&mut host).unwrap_err().invariant, "missing-nodes-are-attempted");
}

#[test]
fn a_halt_needs_two_operators_and_a_quorum() {
    let mut host = begun();
    assert!(step(&mut host, "halt_request", r#"{"reason":"r","operator":"ann"}"#).is_accepted());
    assert!(step(&mut host, "halt_confirm", r#"{"operator":"bob"}"#).is_accepted());
    let halt = HALT.get(&mut host).unwrap().unwrap();
    let broken = |host: &mut MemoryHost, halt: Halt| {
        HALT.put(host, &Box::new(halt));
        check(host).unwrap_err().invariant
    };
    assert_eq!(broken(&mut host, Halt { second: "ann".into(), ..*halt.clone() }), "halt-has-two-operators");
    assert_eq!(broken(&mut host, Halt { second: String::new(), ..*halt.clone() }), "halting-is-undecided");
    let mut cluster = CLUSTER.get(&mut host).unwrap().unwrap();
    cluster.phase = Phase::Halted;
    CLUSTER.put(&mut host, &cluster);
    assert_eq!(broken(&mut host, Halt { success: Some(true), ..*halt }), "halt-succeeds-by-quorum");
}

/// The audit looks at what no ordinary step looks at, and its finding halts the ledger.
#[test]
fn an_audit_finds_what_does_not_add_up() {
    let found = |spoil: &dyn Fn(&mut MemoryHost), payload: &str| {
        let mut host = begun();
        spoil(&mut host);
        match step(&mut host, "audit", payload) {
            Outcome::InvariantViolated(violation) => violation.detail,
            other => format!("{other:?}"),
        }
    };
    let accepted =
        |counted: u32| format!("{:?}", Outcome::Accepted { answer: Json::object().number("counted", counted).done() });
    assert_eq!(found(&|_| (), "{}"), accepted(3));
    assert_eq!(found(&|_| (), r#"{"node":1}"#), accepted(1));
    let unlisted = |host: &mut MemoryHost| HEALTHY.delete(host, &NodeId(3));
    assert_eq!(found(&unlisted, "{}"), "the list of the healthy nodes is another");
    let lost = |host: &mut MemoryHost| NODES.delete(host, &NodeId(3));
    assert_eq!(found(&lost, "{}"), "nodes or capsules are not as many as was counted");
    let strayed = |host: &mut MemoryHost| ROUTES.put(host, &crate::state::CapsuleId(7), &NodeId(2));
    assert_eq!(found(&strayed, r#"{"node":1}"#), "the route of capsule 7 is another");
    let load = |host: &mut MemoryHost| crate::state::LOADS.put(host, &NodeId(1), &2);
    assert_eq!(found(&load, r#"{"node":1}"#), "node 1 has another number of capsules");
}

#[test]
fn corrupt_state_is_a_violation_not_a_panic() {
    let mut host = begun();
    let mut bytes = Vec::new();
    0_u64.store(&mut bytes);
    host.state.insert(b"cluster".to_vec(), bytes);
    assert_eq!(check(&mut host).unwrap_err().invariant, "state-readable");
}
