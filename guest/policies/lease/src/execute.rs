//! `UML_OS.Runtime.ExecuteRecoveryPlan_v1`: one action after the other, each begun by an effect and ended by a result.
//!
//! Nothing is done twice: a plan and how far it is are state, so that an interrupted execution goes on where it was.

use crate::{
    detect::{Detection, FailureClass, Finding},
    digest::Digest,
    error::{No, Trouble, emit},
    plan::{Action, ActionKind, RecoveryPlan},
    procedure::recover,
    state::{Health, Partition, Rank, increment},
    trace::{Happening, Stage},
    turn::Turn,
};
use reprise_guest::text::{decimal, hex, join};
use serde::{Deserialize, Serialize};

/// How far a plan is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The action in flight.
    pub next: u32,
    /// Which attempt at it, from 0.
    pub attempt: u64,
    /// When the attempt has taken too long, in milliseconds of logical time.
    pub due_ms: u64,
    /// An eviction failed for good: nothing goes on until a new plan.
    pub halted: bool,
}

/// What the orchestrator is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order<'a> {
    /// Restart, evict or rejoin.
    pub action: ActionKind,
    /// Which rank.
    pub rank: Rank,
    /// The life of it that this begins (restart, rejoin) or ends (evict). Already so: nothing is left to do.
    pub incarnation: u64,
    /// Partitions to fence first.
    pub fence: &'a [Partition],
    /// Hash of the plan, for the result.
    pub plan: Digest,
    /// Index of the action, for the result.
    pub index: u32,
    /// Which attempt, from 0.
    pub attempt: u64,
}

/// Replaces whatever plan is pending by this one and begins its first action.
///
/// # Errors
/// Overflows.
pub fn execute_recovery_plan(turn: &mut Turn<'_>, plan: RecoveryPlan) -> Result<(), No> {
    turn.cluster.plan = Some(plan);
    turn.cluster.execution = Some(Execution { next: 0, attempt: 0, due_ms: 0, halted: false });
    begin_attempt(turn)
}

/// Emits the effect of the action that is next; ends the plan when there is none.
///
/// # Errors
/// Overflows.
pub fn begin_attempt(turn: &mut Turn<'_>) -> Result<(), No> {
    let Some((action, Execution { next, attempt, .. })) = in_flight(turn) else {
        turn.cluster.plan = None;
        turn.cluster.execution = None;
        return Ok(());
    };
    let due_ms = turn.now_ms.checked_add(turn.cluster.config.action_timeout_ms).ok_or(No::TimeOverflow)?;
    if let Some(execution) = &mut turn.cluster.execution {
        execution.due_ms = due_ms;
    }
    if action.kind == ActionKind::Restart {
        turn.set_health(action.rank, Health::Restarting);
    }
    trace_attempt(turn, &action, next, attempt, Stage::Begun);
    let Action { rank, incarnation, kind, fence, .. } = &action;
    let order = Order {
        action: *kind,
        rank: *rank,
        incarnation: *incarnation,
        fence,
        plan: turn.cluster.header.plan,
        index: next,
        attempt,
    };
    let undo = Order { action: ActionKind::Evict, ..order.clone() };
    match kind {
        ActionKind::Restart => turn.effect("restart", due_ms, &order, None),
        ActionKind::Evict => turn.effect("evict", due_ms, &order, None),
        ActionKind::Rejoin => turn.effect("rejoin", due_ms, &order, Some(&undo)),
    }
}

/// The action in flight worked: the rank is what the action makes of it, and the next one begins.
///
/// # Errors
/// Overflows.
pub fn attempt_succeeded(turn: &mut Turn<'_>) -> Result<(), No> {
    let Some((action, Execution { next, attempt, .. })) = in_flight(turn) else { return Ok(()) };
    trace_attempt(turn, &action, next, attempt, Stage::Done);
    if let Some(record) = turn.cluster.ranks.get_mut(&action.rank) {
        record.fault = None;
        record.incarnation = action.incarnation;
        match action.kind {
            ActionKind::Restart => increment(&mut record.restarts, No::CounterOverflow)?,
            ActionKind::Rejoin => record.restarts = 0,
            ActionKind::Evict => {}
        }
        if action.kind != ActionKind::Evict {
            record.last_heartbeat_ms = turn.now_ms;
        }
    }
    let to = if action.kind == ActionKind::Evict { Health::Evicted } else { Health::Healthy };
    turn.set_health(action.rank, to);
    begin_next(turn)
}

/// The action in flight did not work, or not in time: again, or what the restart policy says when attempts are used up.
/// Answers how many failure events came of it.
///
/// # Errors
/// Overflows.
pub fn attempt_failed(turn: &mut Turn<'_>, stage: Stage) -> Result<u32, No> {
    let Some((action, Execution { next, attempt, .. })) = in_flight(turn) else { return Ok(0) };
    trace_attempt(turn, &action, next, attempt, stage);
    if let Some(execution) = &mut turn.cluster.execution {
        increment(&mut execution.attempt, No::CounterOverflow)?;
        if execution.attempt < turn.cluster.config.action_attempts_max {
            return begin_attempt(turn).map(|()| 0);
        }
    }
    let context = join(&[
        "rank ",
        &decimal(action.rank.0),
        ", action ",
        &decimal(next),
        " of plan ",
        &hex(&turn.cluster.header.plan.0),
    ]);
    match action.kind {
        ActionKind::Restart => {
            emit(turn, &Trouble::RestartExhausted.at(context));
            let finding = Finding { rank: action.rank, source_seq: 0, class: FailureClass::RestartExhausted };
            let detection = Detection { findings: [(finding, ())].into_iter().collect(), ..Detection::default() };
            recover(turn, detection).map(|recovery| recovery.events)
        }
        ActionKind::Evict => {
            emit(turn, &Trouble::EvictionExhausted.at(context));
            if let Some(execution) = &mut turn.cluster.execution {
                execution.halted = true;
            }
            Ok(0)
        }
        ActionKind::Rejoin => {
            emit(turn, &Trouble::RejoinExhausted.at(context));
            if let Some(record) = turn.cluster.ranks.get_mut(&action.rank) {
                record.fault = None;
            }
            turn.set_health(action.rank, Health::Evicted);
            begin_next(turn).map(|()| 0)
        }
    }
}

fn begin_next(turn: &mut Turn<'_>) -> Result<(), No> {
    if let Some(execution) = &mut turn.cluster.execution {
        execution.next += 1;
        execution.attempt = 0;
    }
    begin_attempt(turn)
}

fn in_flight(turn: &Turn<'_>) -> Option<(Action, Execution)> {
    let execution = turn.cluster.execution.clone()?;
    let index = usize::try_from(execution.next).ok()?;
    Some((turn.cluster.plan.as_ref()?.actions.get(index)?.clone(), execution))
}

fn trace_attempt(turn: &mut Turn<'_>, action: &Action, index: u32, attempt: u64, stage: Stage) {
    let Action { rank, kind, .. } = *action;
    turn.trace(Happening::Action { index, rank, kind, attempt, stage });
}
