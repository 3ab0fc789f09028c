//! What follows from a tick, decided once when it is over, in the order of (generation, phase).
//!
//! Events, timers and results of a tick only leave word in the runs they are about. A timer one millisecond later has
//! every run on the agenda looked at. So what follows does not depend on the order in which things were heard.

use crate::{
    error::Refusal,
    ids::{RunId, phases},
    leader, log,
    machine::{State, enter, watch},
    overrides,
    params::GENERATIONS_KEPT,
    phases, recover,
    state::{Cause, DURATIONS, Entry, RUNS, Run},
    turn::{EVENT, Turn, verb},
};

/// The tick is over.
///
/// # Errors
/// Corrupt state.
pub fn judge(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    watch_majority(turn)?;
    // Looking at one run may put others on the agenda: a lock was given back.
    while !turn.whole.agenda.is_empty() {
        let id = turn.whole.agenda.remove(0);
        look(turn, id)?;
    }
    phases::pass_barrier(turn)
}

/// `partition_status` of the whole: PARTITIONED while fewer than a majority can be reached.
fn watch_majority(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let partitioned = turn.whole.census.partitioned();
    match (turn.whole.partition_ms, partitioned) {
        (None, true) => {
            turn.whole.partition_ms = Some(turn.now_ms);
            turn.say(EVENT, verb("partition_status").text("status", "PARTITIONED"));
            for phase in phases() {
                let id = RunId { g: turn.whole.g, phase };
                if let Some(mut run) = RUNS.get(turn.host, &id)?.filter(|run| run.state.is_open()) {
                    trip(turn, id, &mut run, Cause::Partition);
                }
            }
        }
        (Some(since_ms), false) => {
            turn.whole.partition_ms = None;
            turn.whole.figures.partition_ms += turn.now_ms - since_ms;
            turn.say(EVENT, verb("partition_status").text("status", "HEALED"));
            for phase in phases() {
                leader::go_on(turn, phase, false)?;
            }
            touch_open(turn)?;
        }
        _ => {}
    }
    Ok(())
}

/// A detector has found something: the run is tagged, and interrupted when the tick is over.
#[inline(never)]
pub fn trip(turn: &mut Turn<'_>, id: RunId, run: &mut Run, cause: Cause) {
    run.cause = Some(run.cause.map_or(cause, |known| known.min(cause)));
    RUNS.put(turn.host, &id, run);
    turn.touch(id);
}

/// Has everything that is under way looked at.
///
/// # Errors
/// Corrupt state.
pub fn touch_open(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    for phase in phases() {
        turn.touch(RunId { g: turn.whole.g, phase });
    }
    for id in turn.whole.proposals.clone() {
        turn.touch(id);
    }
    leader::wake(turn)
}

/// Whether a record of this run, not durable yet, is still waited for.
///
/// # Errors
/// Corrupt state.
pub fn waits_for(turn: &mut Turn<'_>, id: RunId, entry: Entry) -> Result<bool, Refusal> {
    if entry == Entry::Override {
        return Ok(turn.whole.proposals.contains(&id));
    }
    Ok(RUNS.get(turn.host, &id)?.is_some_and(|run| run.state.is_open()))
}

/// The run's timer is due.
///
/// # Errors
/// Corrupt state.
pub fn due(turn: &mut Turn<'_>, id: RunId) -> Result<(), Refusal> {
    let Some(mut run) = RUNS.get(turn.host, &id)? else { return Ok(()) };
    let over = |due_ms: Option<u64>| due_ms.is_some_and(|due_ms| due_ms <= turn.now_ms);
    if run.state.is_open() {
        let cause = if over(Some(run.since.timeout_ms)) {
            Cause::LogGap
        } else if over(run.since.sla_ms) {
            Cause::ExecStatus
        } else if over(run.since.consensus_ms) {
            Cause::PartialCommit
        } else {
            watch(turn, id, &run);
            return Ok(());
        };
        trip(turn, id, &mut run, cause);
        return Ok(());
    }
    recover::due(turn, id, run)
}

/// Looks at one run, and goes on with it as far as it goes.
fn look(turn: &mut Turn<'_>, id: RunId) -> Result<(), Refusal> {
    if turn.whole.proposals.contains(&id) {
        overrides::look(turn, id)?;
    }
    let Some(mut run) = RUNS.get(turn.host, &id)? else { return Ok(()) };
    let before = (run.state, run.recovery.order);
    go(turn, id, &mut run)?;
    if before.0 != run.state {
        watch(turn, id, &run);
    }
    RUNS.put(turn.host, &id, &run);
    // Resumed after its generation, and ended when that was forgotten already.
    if id.g + GENERATIONS_KEPT < turn.whole.g { phases::forget(turn, id) } else { Ok(()) }
}

fn go(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    if run.state.is_open() && run.cause.is_some() {
        interrupt(turn, id, run);
    }
    if run.state == State::Beginning && log::is_durable(turn, run.log.begin)? {
        enter(turn, id, run, State::Running);
        turn.say(EVENT, crate::turn::verb_run("phase_transition.started", id).number("token", run.log.token));
    }
    if run.state == State::Running
        && let Some(commit) = run.log.commit
        && log::is_durable(turn, commit)?
        && run.started.count() == run.finished.count()
    {
        let mut durations = DURATIONS.or_default(turn.host, &id.phase)?;
        durations.add(turn.now_ms - run.since.began_ms);
        DURATIONS.put(turn.host, &id.phase, &durations);
        recover::finish(turn, id, run, State::CleanExit)?;
    }
    recover::go(turn, id, run)
}

/// FAILED_PARTIAL: the run is INTERRUPTED.
pub fn interrupt(turn: &mut Turn<'_>, id: RunId, run: &mut Run) {
    let cause = run.cause.map_or("", Cause::name);
    turn.whole.figures.detect_ms = turn.now_ms - run.since.began_ms;
    run.since.interrupted_ms = Some(turn.now_ms);
    enter(turn, id, run, State::Interrupted);
    turn.say(EVENT, crate::turn::verb_run("FAILED_PARTIAL", id).text("cause", cause));
}
