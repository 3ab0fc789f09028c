//! A phase as it goes well: `BEGIN_PHASE`, progress, `COMMIT_PHASE` (H1, H2, H7, H8).

use crate::{
    clock::Clock,
    error::{No, Refusal},
    fields::Fields,
    ids::{Nodes, PHASES, RunId, phases},
    judge, leader, log,
    machine::{State, watch},
    merge::Merge,
    nodes,
    params::Wait,
    state::{Cause, Change, DURATIONS, Entry, Health, LOCKS, NODES, RUNS, Recovery, Run, Since, Span, Spend},
    turn::{EVENT, SNAPSHOT, Turn, verb_run},
};
use reprise_guest::json::Json;

/// `BEGIN_PHASE(g, x)`: accepted if the barrier, the partition and the fencing token allow it, acknowledged once its
/// record is durable on a majority.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::PartitionError`], [`No::NoLeader`], [`No::PhaseOrderBarrier`],
/// [`No::StaleGeneration`], [`No::AlreadyBegun`], [`No::OutOfOrder`], [`No::RecoveryActive`], [`No::StaleToken`],
/// malformed.
pub fn begin(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (owner, node) = nodes::taken(turn.host, fields)?;
    let id = RunId::taken(fields)?;
    let token: u64 = fields.take("token")?;
    fields.end()?;
    if node.health == Health::Partitioned || turn.on_minority() {
        return Err(No::PartitionError.says(&["BEGIN_PHASE is refused without a majority"]));
    }
    if turn.whole.leader.is_none() {
        return Err(No::NoLeader.says(&["wait for an election"]));
    }
    may_begin(turn, id)?;
    let lock = LOCKS.or_default(turn.host, &id.phase)?;
    if lock.token % 2 == 1 {
        return Err(No::RecoveryActive.number("token ", lock.token));
    }
    if lock.token != token {
        return Err(No::StaleToken.number("the valid one is ", lock.token));
    }
    let begin = log::append(turn, Entry::Begin, id, token)?;
    let run = first(turn, id, owner, Span { begin, commit: None, token, checkpoint: None })?;
    RUNS.put(turn.host, &id, &run);
    turn.whole.changes.push(Change { run: id, from: None, to: State::Beginning });
    watch(turn, id, &run);
    turn.say(SNAPSHOT, verb_run("take", id).number("token", token));
    let mut answer = Json::object();
    answer.text("trace", &id.trace()).number("record", begin).number("timeout_ms", run.since.timeout_ms);
    Ok(answer)
}

/// The order barrier (section 4): nothing of g + 1 before all of g has ended. Within g the phases begin in their order,
/// each when the one before it is not under way any more; one that is being recovered does not hold up the next.
fn may_begin(turn: &mut Turn<'_>, id: RunId) -> Result<(), Refusal> {
    if id.g > turn.whole.g {
        return Err(No::PhaseOrderBarrier.number("not ended: ", turn.whole.g));
    }
    if id.g < turn.whole.g {
        return Err(No::StaleGeneration.number("this is ", turn.whole.g));
    }
    if RUNS.get(turn.host, &id)?.is_some() {
        return Err(No::AlreadyBegun.run(id));
    }
    if let Some(before) = (id.phase as usize).checked_sub(1) {
        let before = RunId { g: id.g, phase: PHASES[before] };
        if RUNS.get(turn.host, &before)?.is_none_or(|run| run.state.is_open()) {
            return Err(No::OutOfOrder.run(before));
        }
    }
    Ok(())
}

fn first(turn: &mut Turn<'_>, id: RunId, owner: crate::ids::NodeId, log: Span) -> Result<Run, Refusal> {
    let durations = DURATIONS.or_default(turn.host, &id.phase)?;
    let timeout_ms = durations.estimate(turn.config.prior(id.phase)).timeout(turn.config.k_tenths);
    let since = Since {
        began_ms: turn.now_ms,
        state_ms: turn.now_ms,
        timeout_ms: turn.now_ms + timeout_ms,
        sla_ms: None,
        consensus_ms: None,
        interrupted_ms: None,
    };
    Ok(Run {
        state: State::Beginning,
        owner,
        since,
        log,
        started: Nodes::default(),
        finished: Nodes::default(),
        cause: None,
        recovery: Recovery::default(),
        merge: Merge::default(),
        spend: Spend { cap: turn.config.cost_limit, ..Spend::default() },
    })
}

/// `COMMIT_PHASE(g, x)`: the phase ends once the record is durable and all that started have finished.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRun`], [`No::StaleToken`],
/// [`No::WrongState`], [`No::NotOwner`], [`No::Repeated`], malformed.
pub fn commit(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (node_id, id, mut run) = leader::fenced(turn, fields)?;
    fields.end()?;
    if turn.whole.partition_ms.is_some() {
        return Err(No::LogReadOnly.node(node_id));
    }
    if run.state != State::Running {
        return Err(No::WrongState.says(&[run.state.name()]));
    }
    if run.owner != node_id {
        return Err(No::NotOwner.node(run.owner));
    }
    if run.log.commit.is_some() {
        return Err(No::Repeated.run(id));
    }
    let commit = log::append(turn, Entry::Commit, id, run.log.token)?;
    run.log.commit = Some(commit);
    RUNS.put(turn.host, &id, &run);
    let mut answer = Json::object();
    answer.number("record", commit);
    Ok(answer)
}

/// `phase_transition.started` or `.finished` of a node, with its vector clock. The consensus timer runs while some have
/// finished and some have not.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::BadClock`], [`No::StaleClock`],
/// [`No::UnknownRun`], [`No::WrongState`], [`No::BadName`], [`No::Repeated`], malformed.
pub fn transition(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (node_id, mut node) = nodes::taken(turn.host, fields)?;
    let id = RunId::taken(fields)?;
    let (event, clock): (String, _) = (fields.take("event")?, Clock::taken(fields)?);
    fields.end()?;
    if node.health == Health::Partitioned {
        return Err(No::LogReadOnly.node(node_id));
    }
    let counter = clock.entry(node_id);
    if counter == 0 {
        return Err(No::BadClock.says(&["the node's own entry is missing"]));
    }
    if counter <= node.counter {
        return Err(No::StaleClock.number("the node's last entry is ", node.counter));
    }
    let mut run = turn.run(id)?;
    if !run.state.is_open() {
        return Err(No::WrongState.says(&[run.state.name()]));
    }
    let new = match event.as_str() {
        "started" => run.started.add(node_id),
        "finished" => run.started.has(node_id) && run.finished.add(node_id),
        other => return Err(No::BadName.says(&["event ", other])),
    };
    if !new {
        return Err(No::Repeated.says(&[&event, " twice, or finished and not started"]));
    }
    (node.counter, node.vc_hash) = (counter, clock.hash());
    NODES.put(turn.host, &node_id, &node);
    if run.finished.count() > 0 {
        let due_ms = run.since.consensus_ms.unwrap_or(turn.after(Wait::Consensus));
        run.since.consensus_ms = (run.started.count() > run.finished.count()).then_some(due_ms);
        watch(turn, id, &run);
        turn.touch(id);
    }
    RUNS.put(turn.host, &id, &run);
    Ok(Json::object())
}

/// `exec_status` of a run: IN_PROGRESS begins the SLA, DONE ends it, FAILED is a failure.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRun`], [`No::WrongState`],
/// [`No::BadName`], malformed.
pub fn status(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    nodes::writer(turn.host, fields)?;
    let id = RunId::taken(fields)?;
    let status: String = fields.take("status")?;
    fields.end()?;
    let mut run = turn.run(id)?;
    if !run.state.is_open() {
        return Err(No::WrongState.says(&[run.state.name()]));
    }
    match status.as_str() {
        "IN_PROGRESS" => {
            let sla_ms = turn.config.sla_ms.get(id.phase as usize).copied().unwrap_or_default();
            run.since.sla_ms.get_or_insert(turn.now_ms + sla_ms);
            watch(turn, id, &run);
        }
        "DONE" => run.since.sla_ms = None,
        "FAILED" => return Ok(failed(turn, id, &mut run)),
        other => return Err(No::BadName.says(&["status ", other])),
    }
    RUNS.put(turn.host, &id, &run);
    Ok(Json::object())
}

fn failed(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Json {
    judge::trip(turn, id, run, Cause::ExecStatus);
    Json::object()
}

/// All five phases of a generation have ended: PHASE_ORDER_BARRIER(g), and g + 1 may begin.
///
/// # Errors
/// Corrupt state.
pub fn pass_barrier(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let g = turn.whole.g;
    for phase in phases() {
        if !RUNS.get(turn.host, &RunId { g, phase })?.is_some_and(|run| run.state.is_final()) {
            return Ok(());
        }
    }
    turn.whole.g = g + 1;
    turn.say(EVENT, crate::turn::verb("PHASE_ORDER_BARRIER").number("g", g).number("phase_ready", g + 1));
    let Some(old) = g.checked_sub(crate::params::GENERATIONS_KEPT) else { return Ok(()) };
    for phase in phases() {
        forget(turn, RunId { g: old, phase })?;
    }
    Ok(())
}

/// Forgets a run that ended well, with its records and side effects. One that is HARD_FAILED may still be resumed.
///
/// # Errors
/// Corrupt state.
pub fn forget(turn: &mut Turn<'_>, id: RunId) -> Result<(), Refusal> {
    let Some(run) = RUNS.get(turn.host, &id)?.filter(|run| run.state == State::CleanExit) else { return Ok(()) };
    crate::sel::forget(turn, id, &run)?;
    crate::state::RECORDS.delete(turn.host, &run.log.begin);
    if let Some(commit) = run.log.commit {
        crate::state::RECORDS.delete(turn.host, &commit);
    }
    RUNS.delete(turn.host, &id);
    Ok(())
}
