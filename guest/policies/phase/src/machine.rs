//! The states of a run of a phase and the ways between them (section 3).

use crate::{
    ids::RunId,
    params::Wait,
    state::{Change, Run},
    turn::Turn,
};
use reprise_guest::{LogLevel, compact::stored_enum};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// `BEGIN_PHASE` is written and not acknowledged.
    Beginning,
    /// `BEGIN_PHASE` is durable on a majority.
    Running,
    /// A detector has raised FAILED_PARTIAL.
    Interrupted,
    /// Rolling forward.
    Reconcile,
    /// Compensating and going back to the snapshot.
    Rollback,
    /// A compensator failed.
    BlockedCompensator,
    /// Committed, rolled forward or rolled back.
    CleanExit,
    /// Given up, by a supervisor or after T_blocked.
    HardFailed,
}
stored_enum!(State);

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Beginning,
        Self::Running,
        Self::Interrupted,
        Self::Reconcile,
        Self::Rollback,
        Self::BlockedCompensator,
        Self::CleanExit,
        Self::HardFailed,
    ];

    /// The ways of section 3, and no other: R2's and R4's arrows, abort and resume by a supervisor (section 5, R4 2).
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use State::{Beginning, BlockedCompensator, CleanExit, HardFailed, Interrupted, Reconcile, Rollback, Running};
        matches!(
            (self, to),
            (Beginning, Running | Interrupted)
                | (Running, CleanExit | Interrupted)
                | (Interrupted, Reconcile | Rollback | HardFailed)
                | (Reconcile, CleanExit | Rollback | HardFailed)
                | (Rollback, CleanExit | BlockedCompensator | Interrupted | HardFailed)
                | (BlockedCompensator, Rollback | HardFailed)
                | (HardFailed, Interrupted)
        )
    }

    /// It does not hold up the order barrier (section 4).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::CleanExit | Self::HardFailed)
    }

    /// No detector has found anything yet.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Beginning | Self::Running)
    }

    /// It holds the recovery lock of its phase.
    #[must_use]
    pub const fn is_locked(self) -> bool {
        matches!(self, Self::Reconcile | Self::Rollback | Self::BlockedCompensator)
    }

    /// The document's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        [
            "BEGINNING",
            "RUNNING",
            "INTERRUPTED",
            "RECONCILE",
            "ROLLBACK",
            "BLOCKED_COMPENSATOR",
            "CLEAN_EXIT",
            "HARD_FAILED",
        ][self as usize]
    }
}

/// Changes a run's state, and leaves word of it.
#[inline(never)]
pub fn enter(turn: &mut Turn<'_>, id: RunId, run: &mut Run, to: State) {
    turn.whole.changes.push(Change { run: id, from: Some(run.state), to });
    run.state = to;
    run.since.state_ms = turn.now_ms;
    turn.log(LogLevel::Info, &[&id.trace(), " is ", to.name()]);
}

/// Sets the run's one timer to the next moment at which time alone changes something; none when nothing does.
#[inline(never)]
pub fn watch(turn: &mut Turn<'_>, id: RunId, run: &Run) {
    let due_ms = match run.state {
        State::Beginning | State::Running => {
            let sla_ms = run.since.sla_ms.unwrap_or(u64::MAX);
            Some(run.since.timeout_ms.min(sla_ms).min(run.since.consensus_ms.unwrap_or(u64::MAX)))
        }
        State::Reconcile => Some(run.since.state_ms + turn.config.wait(Wait::Reconcile)),
        State::BlockedCompensator => Some(run.since.state_ms + turn.config.wait(Wait::Blocked)),
        _ => None,
    };
    if let Some(due_ms) = due_ms {
        turn.run_timer(id, due_ms);
    }
}
