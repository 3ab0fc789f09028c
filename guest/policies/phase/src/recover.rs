//! The recovery of a run: RECONCILE, ROLLBACK and their ends (H4, H5, H16).
//!
//! Only the holder of the phase's recovery lock does anything, one order at a time, under the lock's token. The step
//! under way is in state, so whoever has the token goes on with it:
//!
//! | state | step | order | done | else |
//! | --- | --- | --- | --- | --- |
//! | RECONCILE | wal_fsync | nodes replay their logs | vc_merge | ROLLBACK |
//! | | vc_merge | none: a majority of log heads | one log: checkpoint_flush | no one log, or too late: ROLLBACK |
//! | | checkpoint_flush | roll forward | CLEAN_EXIT | ROLLBACK |
//! | ROLLBACK | sel_compensate | the last side effect's compensator | the one before; then snapshot_apply | BLOCKED_COMPENSATOR |
//! | | snapshot_apply | restore the snapshot | CLEAN_EXIT | INTERRUPTED: another attempt, or a person |
//!
//! Without a majority or a leader everything stands still and goes on later.

use crate::{
    error::Refusal,
    fields::Fields,
    ids::RunId,
    leader,
    machine::{State, enter},
    merge::{Merge, agreed},
    params::{ATTEMPTS, Wait},
    sel,
    state::{HEADS, LOCKS, ORDERS, Order, RUNS, Run, Step, majority},
    turn::{EVENT, RECOVERY, Turn, verb_run},
};
use reprise_guest::{abi::EffectStatus, text::decimal};

/// Goes on with a recovery as far as it goes.
///
/// # Errors
/// Corrupt state.
pub fn go(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    if run.state == State::Interrupted {
        begin(turn, id, run)?;
    }
    if !run.state.is_locked() || run.recovery.order != 0 || stands_still(turn) {
        return Ok(());
    }
    if run.state == State::Reconcile && run.recovery.back {
        roll_back(turn, id, run);
    }
    if run.state == State::Reconcile && run.recovery.step == Step::VcMerge {
        merge(turn, id, run)?;
    }
    if run.state == State::Rollback && run.recovery.held && over_budget(run) {
        return give_up_attempt(turn, id, run);
    }
    if run.state == State::BlockedCompensator {
        return blocked(turn, id, run);
    }
    order(turn, id, run)
}

/// Without a majority or a leader nothing is ordered, and what fails costs nothing.
fn stands_still(turn: &Turn<'_>) -> bool {
    turn.on_minority() || turn.whole.leader.is_none()
}

/// INTERRUPTED: once the lock is free an attempt begins, twice; then a person has to (H16).
fn begin(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    if !run.recovery.held && run.recovery.attempts >= ATTEMPTS {
        run.recovery.held = true;
        turn.alert_run("human_attention", id);
        let cost = decimal(run.spend.cost);
        turn.alert("human_cost_estimate", "hundredths", &cost);
    }
    if run.recovery.held || !leader::acquire(turn, id)? {
        return Ok(());
    }
    run.recovery.attempts += 1;
    run.merge = Merge::default();
    run.recovery.reread = false;
    HEADS.delete(turn.host, &id);
    if run.recovery.back {
        roll_back(turn, id, run);
    } else {
        run.recovery.step = Step::WalFsync;
        enter(turn, id, run, State::Reconcile);
    }
    Ok(())
}

/// ROLLBACK. From here on there is no way forward.
fn roll_back(turn: &mut Turn<'_>, id: RunId, run: &mut Run) {
    run.recovery.back = true;
    run.recovery.reread = false;
    run.recovery.step = Step::SelCompensate;
    enter(turn, id, run, State::Rollback);
}

/// A majority of log heads: one log leads on, anything else back. Too few in time lead back as well.
fn merge(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    let late = turn.now_ms >= run.since.state_ms + turn.config.wait(Wait::Reconcile);
    let enough = run.merge.nodes.count() >= majority(turn.whole.census.members);
    if late || enough || run.merge.invalid {
        let heads = HEADS.or_default(turn.host, &id)?;
        match agreed(heads).filter(|_| enough && !run.merge.invalid) {
            Some(digest) => {
                run.merge.digest = digest;
                run.recovery.step = Step::CheckpointFlush;
            }
            None => roll_back(turn, id, run),
        }
    }
    Ok(())
}

/// BLOCKED_COMPENSATOR for longer than T_blocked is HARD_FAILED and releases the barrier (R4 2).
fn blocked(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    if turn.now_ms < run.since.state_ms + turn.config.wait(Wait::Blocked) {
        return Ok(());
    }
    turn.alert_run("compensator_timeout", id);
    finish(turn, id, run, State::HardFailed)
}

/// Orders the step under way.
fn order(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    let token = LOCKS.or_default(turn.host, &id.phase)?.token;
    let reread = run.recovery.reread;
    if !reread && run.recovery.step == Step::SelCompensate && !sel::compensate(turn, id, run, token)? {
        run.recovery.step = Step::SnapshotApply;
    }
    let name = match run.recovery.step {
        _ if reread => "resume",
        Step::WalFsync => "replay",
        Step::CheckpointFlush => "roll_forward",
        // Newer generations stand on what its snapshot would take away.
        Step::SnapshotApply if id.g < turn.whole.g => return finish(turn, id, run, State::CleanExit),
        Step::SnapshotApply => "restore",
        Step::VcMerge | Step::SelCompensate => return Ok(()),
    };
    let mut json = verb_run(name, id);
    json.number("token", token).maybe("offset", run.log.checkpoint.map(|(offset, _)| offset));
    if reread {
        json.maybe("crc", run.log.checkpoint.map(|(_, crc)| crc.into()));
    } else if run.recovery.step == Step::CheckpointFlush {
        json.text("digest", &run.merge.digest);
    }
    run.recovery.order = turn.order_step(RECOVERY, &mut json, &Order::Step(id, token));
    Ok(())
}

/// An order has ended. What was ordered under an older token does not count. A leader that died is noticed later than
/// its order expires, so that is only a failure when there was time to notice it.
///
/// # Errors
/// Corrupt state.
pub fn ended(turn: &mut Turn<'_>, id: RunId, token: u64, how: &EffectStatus) -> Result<(), Refusal> {
    let Some(run) = RUNS.get(turn.host, &id)? else { return Ok(()) };
    let valid = LOCKS.or_default(turn.host, &id.phase)?.token == token;
    if !valid || !run.state.is_locked() {
        return Ok(());
    }
    let of_leader = run.recovery.reread || run.recovery.step != Step::SelCompensate;
    match how {
        EffectStatus::Expired if of_leader && !stands_still(turn) => {
            turn.run_timer(id, turn.after(Wait::Heartbeat) + NOTICED_MS);
            Ok(())
        }
        EffectStatus::Done { answer } => settle(turn, id, run, Some(answer)),
        _ => settle(turn, id, run, None),
    }
}

/// From the end of a leader's silence until the whole knows, in milliseconds: the node's timer, then its judgement.
const NOTICED_MS: u64 = 2;

/// The run's timer is due: an order that expired has failed if the leader is there; all else is a matter of time.
///
/// # Errors
/// Corrupt state.
pub fn due(turn: &mut Turn<'_>, id: RunId, run: Run) -> Result<(), Refusal> {
    if run.state.is_locked() && run.recovery.order != 0 && !ORDERS.has(turn.host, &run.recovery.order) {
        return settle(turn, id, run, None);
    }
    turn.touch(id);
    Ok(())
}

/// What follows from the end of an order: from an answer, or from none.
fn settle(turn: &mut Turn<'_>, id: RunId, mut run: Run, answer: Option<&[u8]>) -> Result<(), Refusal> {
    run.recovery.order = 0;
    match (run.recovery.step, answer.is_some()) {
        (_, false) if stands_still(turn) => {}
        _ if run.recovery.reread => resume(turn, id, &mut run, answer),
        (Step::WalFsync, true) => {
            run.recovery.step = Step::VcMerge;
            run.since.state_ms = turn.now_ms;
            crate::machine::watch(turn, id, &run);
        }
        (Step::CheckpointFlush, true) | (Step::SnapshotApply, true) => {
            finish(turn, id, &mut run, State::CleanExit)?;
        }
        (Step::SelCompensate, true) => sel::compensated(turn, id, &mut run)?,
        (Step::SelCompensate, false) => {
            turn.alert_run("sel_compensator_failed", id);
            enter(turn, id, &mut run, State::BlockedCompensator);
            crate::machine::watch(turn, id, &run);
        }
        (Step::SnapshotApply, false) => give_up_attempt(turn, id, &mut run)?,
        (_, false) => run.recovery.back = true,
        (Step::VcMerge, true) => {}
    }
    RUNS.put(turn.host, &id, &run);
    turn.touch(id);
    Ok(())
}

/// The new leader has read the checkpoint: it goes on, or, if the checksum fails or nothing can be read, back (R2 6).
fn resume(turn: &mut Turn<'_>, id: RunId, run: &mut Run, answer: Option<&[u8]>) {
    run.recovery.reread = false;
    let read = answer.and_then(|answer| Fields::read(answer).ok()?.take::<u32>("crc").ok());
    if read.is_none() || read != run.log.checkpoint.map(|(_, crc)| crc) {
        run.recovery.back = true;
        turn.alert_run("checkpoint_damaged", id);
    }
}

/// An attempt has failed: back to INTERRUPTED.
fn give_up_attempt(turn: &mut Turn<'_>, id: RunId, run: &mut Run) -> Result<(), Refusal> {
    enter(turn, id, run, State::Interrupted);
    leader::release(turn, id)?;
    turn.touch(id);
    Ok(())
}

/// A run ends: the lock is given back, and the barrier may pass.
///
/// # Errors
/// Corrupt state.
pub fn finish(turn: &mut Turn<'_>, id: RunId, run: &mut Run, to: State) -> Result<(), Refusal> {
    let figures = &mut turn.whole.figures;
    if let Some(since_ms) = run.since.interrupted_ms {
        figures.recovery_ms = turn.now_ms - since_ms;
        *match (to, run.recovery.back) {
            (State::HardFailed, _) => &mut figures.hard_failed,
            (_, true) => &mut figures.rollback,
            (_, false) => &mut figures.rollforward,
        } += 1;
    }
    let result = match (run.since.interrupted_ms, run.recovery.back) {
        (None, _) => "commit",
        (_, true) => "rollback",
        (_, false) => "rollforward",
    };
    run.recovery.order = 0;
    HEADS.delete(turn.host, &id);
    enter(turn, id, run, to);
    leader::release(turn, id)?;
    let mut said = verb_run("phase_transition.finished", id);
    turn.say(EVENT, said.text("state", to.name()).text("result", result));
    turn.judge();
    Ok(())
}

fn over_budget(run: &Run) -> bool {
    crate::budget::exceeded(run)
}
