//! Each invariant, broken by hand, is found.

use super::*;
use crate::{
    ids::RunId,
    state::{Lock, NODES},
};
use reprise_guest::{StepInput, testing::MemoryHost};

fn begun() -> MemoryHost {
    let mut host = MemoryHost::new();
    let mut step = |at_ms: u64, kind: &str, payload: &str| {
        let input =
            StepInput { logical_time_ms: at_ms, kind: kind.into(), payload: payload.into(), ..StepInput::default() };
        let outcome = host.step::<crate::PhaseTransitions>(&input);
        assert!(outcome.is_accepted(), "{outcome:?}");
    };
    step(1, "init", r#"{"nodes":[1,2,3],"supervisors":["ann"]}"#);
    step(1, "leader", r#"{"node":1,"term":1}"#);
    step(1, "begin_phase", r#"{"node":1,"g":1,"phase":"ANALYZE","token":0}"#);
    host
}

fn broken(spoil: impl FnOnce(&mut MemoryHost)) -> String {
    let mut host = begun();
    assert_eq!(check(&mut host), Ok(()));
    spoil(&mut host);
    check(&mut host).expect_err("it is broken").invariant
}

const RUN: RunId = RunId { g: 1, phase: Phase::Analyze };

fn whole(host: &mut MemoryHost, change: impl FnOnce(&mut Whole)) {
    let mut whole = WHOLE.get(host).unwrap().unwrap();
    change(&mut whole);
    WHOLE.put(host, &whole);
}

fn run(host: &mut MemoryHost, change: impl FnOnce(&mut Run)) {
    let mut run = RUNS.get(host, &RUN).unwrap().unwrap();
    change(&mut run);
    RUNS.put(host, &RUN, &run);
}

fn to(host: &mut MemoryHost, from: Option<State>, to: State) {
    run(host, |run| run.state = to);
    whole(host, |whole| whole.changes = vec![Change { run: RUN, from, to }]);
}

#[test]
fn counts() {
    assert_eq!(broken(|host| whole(host, |whole| whole.census.reachable = 4)), "nodes-are-counted");
    assert_eq!(broken(|host| whole(host, |whole| whole.census.lagging = 2)), "replication-set-is-a-majority");
    assert_eq!(broken(|host| whole(host, |whole| whole.last.durable = 9)), "durable-is-written");
    assert_eq!(broken(|host| host.state.insert(b"whole".to_vec(), vec![1]).map_or((), drop)), "state-is-readable");
    assert!(NODES.get(&mut begun(), &crate::ids::NodeId(1)).unwrap().is_some());
}

#[test]
fn tokens() {
    let lock = |token: u64, holder: Option<RunId>, waiting: Vec<RunId>| {
        broken(|host| LOCKS.put(host, &Phase::Analyze, &Lock { token, holder, waiting }))
    };
    assert_eq!(lock(1, None, vec![]), "odd-token-is-a-recovery");
    assert_eq!(lock(2, Some(RUN), vec![]), "odd-token-is-a-recovery");
    assert_eq!(lock(1, Some(RUN), vec![]), "holder-is-recovered");
    assert_eq!(lock(1, Some(RUN), vec![RUN]), "holder-does-not-wait");
}

#[test]
fn transitions() {
    assert_eq!(broken(|host| to(host, Some(State::Running), State::Rollback)), "only-documented-transitions");
    assert_eq!(broken(|host| to(host, None, State::Running)), "only-documented-transitions");
    assert_eq!(broken(|host| to(host, Some(State::Beginning), State::Running)), "running-is-durable");
    assert_eq!(broken(|host| to(host, Some(State::Running), State::CleanExit)), "commit-is-durable-and-whole");
    assert_eq!(broken(|host| to(host, Some(State::Interrupted), State::Reconcile)), "recovery-holds-the-lock");
    let moved = |host: &mut MemoryHost| {
        to(host, Some(State::Beginning), State::Interrupted);
        run(host, |run| run.state = State::Running);
    };
    assert_eq!(broken(moved), "run-is-in-its-state");
    assert_eq!(broken(|host| whole(host, |whole| whole.g = 2)), "order-barrier-holds");
}

#[test]
fn compensations() {
    let more = |host: &mut MemoryHost| {
        to(host, Some(State::Beginning), State::Interrupted);
        run(host, |run| run.recovery.uncompensated = 1);
    };
    assert_eq!(broken(more), "compensations-are-of-effects");
    let left = |host: &mut MemoryHost| {
        to(host, Some(State::Rollback), State::CleanExit);
        run(host, |run| {
            run.since.interrupted_ms = Some(1);
            run.spend.effects = 1;
            (run.recovery.back, run.recovery.uncompensated) = (true, 1);
        });
    };
    assert_eq!(broken(left), "rolled-back-is-compensated");
}
