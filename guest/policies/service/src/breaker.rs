//! Circuit breakers: one for each thing that operations depend on (3.2).
//!
//! CLOSED: calls go through. Five transient failures within ten seconds open it. OPEN: nothing goes through; operations
//! are queued or answered from the cache. After thirty seconds it is HALF_OPEN: one trial at a time, queued operations
//! first, else a probe. Three successes close it, one failure opens it again.

use crate::{
    alert::Severity,
    operations,
    params::{
        BREAKER_FAILURES, BREAKER_OPEN_MS, BREAKER_SUCCESSES, BREAKER_WINDOW_MS, Operation, PERSISTENT_MS, STEP_MAX,
    },
    state::{DEPENDENCIES, Figure, Sent, WAITING},
    turn::Turn,
};
use reprise_guest::{
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
};

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breaker {
    /// Calls go through.
    Closed,
    /// Nothing goes through.
    Open,
    /// One trial at a time.
    HalfOpen,
}
stored_enum!(Breaker);

impl Breaker {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];
    /// Their names, in order.
    pub const NAMES: [&str; 3] = ["CLOSED", "OPEN", "HALF_OPEN"];

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether one may follow the other.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use Breaker::{Closed, HalfOpen, Open};
        matches!((self, to), (Closed, Open) | (Open, HalfOpen) | (HalfOpen, Open | Closed))
    }
}

/// Something that operations depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// How its breaker stands.
    pub breaker: Breaker,
    /// When the last failures were, in milliseconds, at most five.
    pub failed_ms: Vec<u64>,
    /// Since when it has failed and not succeeded, in milliseconds.
    pub failing_since_ms: Option<u64>,
    /// Successes since the breaker is half open.
    pub successes: u32,
    /// Number of the trial that is under way; 0 for none.
    pub trial: u64,
    /// Operations that wait.
    pub waiting: u32,
}
stored!(Dependency { breaker, failed_ms, failing_since_ms, successes, trial, waiting });

impl Dependency {
    /// One that has not failed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            breaker: Breaker::Closed,
            failed_ms: Vec::new(),
            failing_since_ms: None,
            successes: 0,
            trial: 0,
            waiting: 0,
        }
    }

    /// What the failure amounts to: none, transient, or persistent after 30 seconds (3.1, 3.2).
    #[must_use]
    pub fn failure(&self, now_ms: u64) -> &'static str {
        match self.failing_since_ms {
            None => "NONE",
            Some(since_ms) if now_ms.saturating_sub(since_ms) > PERSISTENT_MS => "PERSISTENT",
            Some(_) => "TRANSIENT",
        }
    }
}

impl Default for Dependency {
    fn default() -> Self {
        Self::new()
    }
}

/// A call or a probe came to something. `number` is its effect's.
///
/// # Errors
/// Corrupt state.
pub fn heard(turn: &mut Turn<'_>, name: &str, number: u64, ok: bool) -> Result<(), Rejection> {
    let mut dependency = DEPENDENCIES.of(turn.host, name)?.unwrap_or_default();
    if ok {
        dependency.failing_since_ms = None;
    } else {
        dependency.failing_since_ms.get_or_insert(turn.now_ms);
    }
    let trial = dependency.trial == number;
    match (dependency.breaker, ok) {
        (Breaker::Closed, false) => {
            let now_ms = turn.now_ms;
            dependency.failed_ms.retain(|at_ms| now_ms.saturating_sub(*at_ms) < BREAKER_WINDOW_MS);
            dependency.failed_ms.push(turn.now_ms);
            if dependency.failed_ms.len() >= BREAKER_FAILURES {
                open(turn, name, &mut dependency);
            }
        }
        (Breaker::HalfOpen, false) if trial => open(turn, name, &mut dependency),
        (Breaker::HalfOpen, true) if trial => {
            dependency.successes += 1;
            dependency.trial = 0;
            if dependency.successes >= BREAKER_SUCCESSES {
                close(turn, name, &mut dependency);
            } else {
                try_one(turn, name, &mut dependency)?;
            }
        }
        _ => {}
    }
    DEPENDENCIES.set(turn.host, name, &dependency);
    Ok(())
}

/// The time of an open breaker is over.
///
/// # Errors
/// Corrupt state.
pub fn half_open(turn: &mut Turn<'_>, name: &str) -> Result<(), Rejection> {
    let Some(mut dependency) = DEPENDENCIES.of(turn.host, name)? else { return Ok(()) };
    if dependency.breaker == Breaker::Open {
        dependency.breaker = Breaker::HalfOpen;
        dependency.successes = 0;
        try_one(turn, name, &mut dependency)?;
        DEPENDENCIES.set(turn.host, name, &dependency);
    }
    Ok(())
}

/// Operations that waited go out, some at a time.
///
/// # Errors
/// Corrupt state.
pub fn drain(turn: &mut Turn<'_>, name: &str) -> Result<(), Rejection> {
    let Some(mut dependency) = DEPENDENCIES.of(turn.host, name)? else { return Ok(()) };
    if dependency.breaker != Breaker::Closed {
        return Ok(());
    }
    for ticket in WAITING.numbers_of(turn.host, &name.into(), STEP_MAX) {
        release(turn, name, &mut dependency, ticket)?;
    }
    if dependency.waiting > 0 {
        turn.timer("drain", name, 1);
    }
    DEPENDENCIES.set(turn.host, name, &dependency);
    Ok(())
}

fn open(turn: &mut Turn<'_>, name: &str, dependency: &mut Dependency) {
    dependency.breaker = Breaker::Open;
    dependency.failed_ms.clear();
    dependency.trial = 0;
    turn.exchange.count(Figure::Opened);
    turn.timer("breaker", name, BREAKER_OPEN_MS);
    turn.alert(Severity::P2, "circuit_open", name);
}

fn close(turn: &mut Turn<'_>, name: &str, dependency: &mut Dependency) {
    dependency.breaker = Breaker::Closed;
    turn.alert(Severity::P3, "circuit_closed", name);
    if dependency.waiting > 0 {
        turn.timer("drain", name, 1);
    }
}

/// Tries whether the dependency works: with the first operation that waits, else with a probe.
fn try_one(turn: &mut Turn<'_>, name: &str, dependency: &mut Dependency) -> Result<(), Rejection> {
    let first = WAITING.numbers_of(turn.host, &name.into(), 1);
    let released = first.first().map(|ticket| release(turn, name, dependency, *ticket)).transpose()?.flatten();
    if let Some(number) = released {
        dependency.trial = number;
        return Ok(());
    }
    let mut payload = Json::object();
    payload.text("do", "probe").text("dependency", name);
    let for_ms = Operation::RpcInternal.timeout_ms();
    dependency.trial = turn.ask("gateway", for_ms, &mut payload, &Sent::Probe(name.into()));
    Ok(())
}

/// An operation waits no longer. Answers the number of its call.
fn release(
    turn: &mut Turn<'_>,
    name: &str,
    dependency: &mut Dependency,
    ticket: u64,
) -> Result<Option<u64>, Rejection> {
    let key = (String::from(name), ticket);
    let Some(operation) = WAITING.get(turn.host, &key)? else { return Ok(None) };
    WAITING.delete(turn.host, &key);
    dependency.waiting = dependency.waiting.saturating_sub(1);
    operations::call(turn, &operation)
}
