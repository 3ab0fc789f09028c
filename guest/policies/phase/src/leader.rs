//! The leader and the fencing tokens (H4).
//!
//! Each phase has one recovery lock with one token. It only grows, and is odd while a recovery is active. A new leader
//! takes over an active recovery under the next odd token, reads the last checkpoint, and goes on where the old one was;
//! whatever the old token says from then on is refused.

use crate::{
    error::{No, Refusal},
    fields::Fields,
    ids::{NodeId, Phase, RunId, phases},
    machine::{State, watch},
    nodes,
    params::{TERM_MAX, within},
    state::{Health, LOCKS, Lock, ORDERS, RUNS, Run, Step},
    turn::{EVENT, RAFT, Turn, insert, verb},
};
use reprise_guest::json::Json;

/// Raft has a new leader.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::PartitionError`], [`No::BadParameter`], [`No::StaleTerm`], malformed.
pub fn elected(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (id, node) = nodes::taken(turn.host, fields)?;
    let term: u64 = fields.take("term")?;
    fields.end()?;
    if node.health != Health::Healthy || turn.whole.census.partitioned() {
        return Err(No::PartitionError.node(id));
    }
    within("term", term, 0, TERM_MAX)?;
    if term <= turn.whole.term {
        return Err(No::StaleTerm.number("the term is ", turn.whole.term));
    }
    turn.whole.leader = Some(id);
    turn.whole.term = term;
    turn.say(EVENT, verb("leader").number("node", id).number("term", term));
    for phase in phases() {
        go_on(turn, phase, true)?;
    }
    wake(turn)?;
    Ok(Json::object())
}

/// The leader is gone: Raft finds another one.
pub fn lost(turn: &mut Turn<'_>, id: NodeId) {
    turn.whole.leader = None;
    turn.alert_node("leader_lost", id);
    turn.say(RAFT, verb("elect").number("term", turn.whole.term + 1));
}

/// Goes on with an active recovery. A new leader does so under the next odd token, and reads the checkpoint first. After
/// a partition an order that has expired is given again. Both give nodes the whole time for their log heads.
///
/// # Errors
/// Corrupt state.
pub fn go_on(turn: &mut Turn<'_>, phase: Phase, elected: bool) -> Result<(), Refusal> {
    let Some(id) = LOCKS.or_default(turn.host, &phase)?.holder else { return Ok(()) };
    let mut run = turn.run(id)?;
    if elected {
        fence(turn, phase)?;
        let reads = run.recovery.step != Step::VcMerge && run.state != State::BlockedCompensator;
        run.recovery.reread = reads && run.log.checkpoint.is_some();
    }
    if elected || !ORDERS.has(turn.host, &run.recovery.order) {
        run.recovery.order = 0;
    }
    if run.state == State::Reconcile {
        run.since.state_ms = turn.now_ms;
        watch(turn, id, &run);
    }
    RUNS.put(turn.host, &id, &run);
    turn.touch(id);
    Ok(())
}

/// Fences off what was ordered in an active recovery: it goes on under the next odd token.
///
/// # Errors
/// Corrupt state.
pub fn fence(turn: &mut Turn<'_>, phase: Phase) -> Result<(), Refusal> {
    let mut lock = LOCKS.or_default(turn.host, &phase)?;
    lock.token += 2;
    LOCKS.put(turn.host, &phase, &lock);
    Ok(())
}

/// Takes the recovery lock of a phase for a run: the token becomes odd. If it is taken, the run waits.
///
/// # Errors
/// Corrupt state.
pub fn acquire(turn: &mut Turn<'_>, id: RunId) -> Result<bool, Refusal> {
    let mut lock = LOCKS.or_default(turn.host, &id.phase)?;
    let free = lock.holder.is_none() && turn.whole.leader.is_some() && turn.whole.partition_ms.is_none();
    if free {
        lock.waiting.retain(|waiting| *waiting != id);
        lock.token += 1;
        lock.holder = Some(id);
    } else {
        insert(&mut lock.waiting, id);
    }
    LOCKS.put(turn.host, &id.phase, &lock);
    Ok(free)
}

/// Gives the lock back: the token becomes even, and whoever waits is looked at.
///
/// # Errors
/// Corrupt state.
pub fn release(turn: &mut Turn<'_>, id: RunId) -> Result<(), Refusal> {
    let mut lock = LOCKS.or_default(turn.host, &id.phase)?;
    if lock.holder == Some(id) {
        lock.token += 1;
        lock.holder = None;
    }
    lock.waiting.retain(|waiting| *waiting != id);
    LOCKS.put(turn.host, &id.phase, &lock);
    if let Some(next) = lock.waiting.first() {
        turn.touch(*next);
    }
    Ok(())
}

/// There is a leader and a majority again: recoveries that stood still are looked at.
///
/// # Errors
/// Corrupt state.
pub fn wake(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    for phase in phases() {
        let Lock { holder, waiting, .. } = LOCKS.or_default(turn.host, &phase)?;
        if let Some(id) = holder {
            turn.touch(id);
        }
        for id in waiting {
            turn.touch(id);
        }
    }
    Ok(())
}

/// The token of a phase's lock.
///
/// # Errors
/// Corrupt state.
pub fn token(turn: &mut Turn<'_>, phase: Phase) -> Result<u64, Refusal> {
    Ok(LOCKS.or_default(turn.host, &phase)?.token)
}

/// An event of a node about a run, under the valid token of its phase.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRun`], [`No::StaleToken`], malformed.
#[inline(never)]
pub fn fenced(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<(NodeId, RunId, Run), Refusal> {
    let node = nodes::writer(turn.host, fields)?;
    let id = RunId::taken(fields)?;
    let given: u64 = fields.take("token")?;
    let valid = token(turn, id.phase)?;
    let run = turn.run(id)?;
    if given == valid { Ok((node, id, run)) } else { Err(No::StaleToken.number("the valid one is ", valid)) }
}

/// A checkpoint of a run, by whoever has the valid token. `data` is what it says, `crc` its CRC-32.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRun`], [`No::WrongState`],
/// [`No::StaleToken`], [`No::BadChecksum`], [`No::StaleCheckpoint`], malformed.
pub fn checkpoint(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (_, id, mut run) = fenced(turn, fields)?;
    let (offset, crc): (u64, u32) = (fields.take("offset")?, fields.take("crc")?);
    let data: String = fields.take("data")?;
    fields.end()?;
    if !run.state.is_open() && !run.state.is_locked() {
        return Err(No::WrongState.says(&[run.state.name()]));
    }
    if crate::digest::crc32(data.as_bytes()) != crc {
        return Err(No::BadChecksum.says(&["of the checkpoint"]));
    }
    if run.log.checkpoint.is_some_and(|(last, _)| offset <= last) {
        return Err(No::StaleCheckpoint.number("offset ", offset));
    }
    run.log.checkpoint = Some((offset, crc));
    RUNS.put(turn.host, &id, &run);
    Ok(Json::object())
}
