//! Invariants, after every step that changed state.
//!
//! They hold the whole against itself and against the runs whose state the last step changed, and the five locks: a step
//! costs the same in a cluster of any size.

use crate::{
    ids::{Phase, phases},
    machine::State,
    params::NODES_MAX,
    state::{Change, LOCKS, RECORDS, RUNS, Run, WHOLE, Whole, majority},
};
use reprise_guest::{
    Host,
    abi::{Rejection, Violation},
};

/// An invariant that does not hold.
pub type Broken = &'static str;

/// Holds the invariants.
///
/// # Errors
/// The first one that does not hold.
pub fn check(host: &mut dyn Host) -> Result<(), Violation> {
    let Ok(whole) = WHOLE.get(host) else { return Err(violated("state-is-readable", "whole")) };
    let Some(whole) = whole else { return Ok(()) };
    check_whole(&whole).map_err(|broken| violated(broken, ""))?;
    for phase in phases() {
        check_lock(host, phase).map_err(|broken| violated(broken, phase.name()))?;
    }
    for (index, change) in whole.changes.iter().enumerate() {
        let last = whole.changes[index + 1..].iter().all(|later| later.run != change.run);
        check_change(host, &whole, change, last).map_err(|broken| violated(broken, &change.run.trace()))?;
    }
    Ok(())
}

#[inline(never)]
fn check_whole(whole: &Whole) -> Result<(), Broken> {
    let census = &whole.census;
    if census.members == 0 || census.members > NODES_MAX || census.reachable > census.members {
        return Err("nodes-are-counted");
    }
    if census.replicas() < majority(census.members) {
        return Err("replication-set-is-a-majority");
    }
    if whole.last.durable > whole.last.record {
        return Err("durable-is-written");
    }
    Ok(())
}

/// A token is odd exactly while a run holds the lock, and that run is being recovered: there is one valid token.
#[inline(never)]
fn check_lock(host: &mut dyn Host, phase: Phase) -> Result<(), Broken> {
    let lock = LOCKS.or_default(host, &phase).map_err(unreadable)?;
    if (lock.token % 2 == 1) != lock.holder.is_some() {
        return Err("odd-token-is-a-recovery");
    }
    let Some(holder) = lock.holder else { return Ok(()) };
    if lock.waiting.contains(&holder) {
        return Err("holder-does-not-wait");
    }
    let run = RUNS.get(host, &holder).map_err(unreadable)?;
    if holder.phase != phase || !run.is_some_and(|run| run.state.is_locked()) {
        return Err("holder-is-recovered");
    }
    Ok(())
}

/// A run changed by a transition of the document, and is what its state says.
#[inline(never)]
fn check_change(host: &mut dyn Host, whole: &Whole, change: &Change, last: bool) -> Result<(), Broken> {
    let documented = match change.from {
        Some(from) => from.may_become(change.to),
        None => change.to == State::Beginning,
    };
    if !documented {
        return Err("only-documented-transitions");
    }
    let run = RUNS.get(host, &change.run).map_err(unreadable)?;
    let Some(run) = run.filter(|_| last) else { return Ok(()) };
    if run.state != change.to {
        return Err("run-is-in-its-state");
    }
    // What is of a passed generation is final, unless a supervisor resumed it.
    if change.run.g > whole.g || change.run.g < whole.g && run.state.is_open() {
        return Err("order-barrier-holds");
    }
    let holder = LOCKS.or_default(host, &change.run.phase).map_err(unreadable)?.holder;
    if run.state.is_locked() != (holder == Some(change.run)) {
        return Err("recovery-holds-the-lock");
    }
    check_log(host, &run)
}

/// RUNNING only with `BEGIN_PHASE` on a majority; a good end without recovery only with `COMMIT_PHASE` on one.
#[inline(never)]
fn check_log(host: &mut dyn Host, run: &Run) -> Result<(), Broken> {
    if run.state == State::Running && !durable(host, run.log.begin)? {
        return Err("running-is-durable");
    }
    if run.recovery.uncompensated > run.spend.effects {
        return Err("compensations-are-of-effects");
    }
    if run.state != State::CleanExit {
        return Ok(());
    }
    let commit = run.log.commit.unwrap_or_default();
    if run.since.interrupted_ms.is_none() && !(durable(host, commit)? && run.started.within(&run.finished)) {
        return Err("commit-is-durable-and-whole");
    }
    if run.recovery.back && run.recovery.uncompensated > 0 {
        return Err("rolled-back-is-compensated");
    }
    Ok(())
}

fn durable(host: &mut dyn Host, index: u64) -> Result<bool, Broken> {
    Ok(RECORDS.get(host, &index).map_err(unreadable)?.is_some_and(|record| record.durable))
}

#[cold]
#[inline(never)]
fn violated(invariant: &str, detail: &str) -> Violation {
    Violation { invariant: invariant.into(), detail: detail.into() }
}

fn unreadable(_: Rejection) -> Broken {
    "state-is-readable"
}

#[cfg(test)]
mod tests;
