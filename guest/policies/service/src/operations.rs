//! Operations on what may fail: a timeout for each kind, retries for transient errors, a fallback while the circuit is
//! open (3.1, 3.2, 10).

use crate::{
    alert::Severity,
    breaker::{self, Breaker, Dependency},
    error::No,
    events, idempotency,
    params::{Operation, RETRIES_MAX, WAITING_MAX},
    retry,
    state::{CACHED, DEPENDENCIES, Figure, OPERATIONS, Sent, WAITING},
    turn::{Turn, text, word},
};
use reprise_guest::{
    abi::{EffectStatus, Rejection},
    compact::{stored, stored_enum},
    json::Json,
};

/// What is done while the circuit is open (3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fallback {
    /// The operation waits.
    Queue,
    /// The last good answer is given.
    Cache,
    /// It is refused.
    None,
}
stored_enum!(Fallback);

impl Fallback {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Cache, Self::None];
    const NAMES: [&str; 3] = ["queue", "cache", "none"];
}

/// How an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is being tried.
    Called,
    /// It waits for its next retry.
    Backoff,
    /// It waits for the circuit to close.
    Queued,
    /// It was answered.
    Done,
    /// It failed for good.
    Failed,
}
stored_enum!(State);

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Called, Self::Backoff, Self::Queued, Self::Done, Self::Failed];
    /// Their names, in order.
    pub const NAMES: [&str; 5] = ["CALLED", "BACKOFF", "QUEUED", "DONE", "FAILED"];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether one may follow the other.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use State::{Backoff, Called, Done, Failed, Queued};
        matches!((self, to), (Called, Backoff | Done | Failed) | (Backoff, Called | Queued | Failed) | (Queued, Called))
    }
}

stored_enum!(Operation);

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Its kind.
    pub kind: Operation,
    /// What it depends on.
    pub dependency: String,
    /// What is asked.
    pub request: String,
    /// What is done while the circuit is open.
    pub fallback: Fallback,
    /// How it stands.
    pub state: State,
    /// Retries so far.
    pub retries: u32,
    /// Number of the call that is under way; 0 for none.
    pub sent: u64,
    /// Fingerprint of the request.
    pub fingerprint: u64,
    /// When it is forgotten, once it has ended, in milliseconds.
    pub expires_ms: u64,
    /// The answer.
    pub answer: String,
}
stored!(Op { kind, dependency, request, fallback, state, retries, sent, fingerprint, expires_ms, answer });

/// Longest answer that is kept, in bytes.
const ANSWER_MAX: usize = 1_024;

/// An operation is asked for. The same one again is told how it stands.
///
/// # Errors
/// [`No::OperationReused`], [`No::BadText`], [`No::UnknownWord`], [`No::CircuitOpen`], [`No::NothingCached`],
/// [`No::QueueFull`].
pub fn operation(turn: &mut Turn<'_>, event: events::Operation) -> Result<Json, Rejection> {
    let fingerprint = idempotency::fingerprint(&[&event.kind, &event.dependency, &event.request, &event.fallback], &[]);
    if let Some(known) = OPERATIONS.get(turn.host, &event.operation)? {
        if known.fingerprint != fingerprint {
            return Err(No::OperationReused.about(&event.operation));
        }
        turn.exchange.count(Figure::Duplicates);
        return Ok(describe(&event.operation, &known));
    }
    for (what, value) in
        [("operation", &event.operation), ("dependency", &event.dependency), ("request", &event.request)]
    {
        text(what, value)?;
    }
    let kind = Operation::ALL[word("kind", &event.kind, &Operation::NAMES)?];
    let fallback = Fallback::ALL[word("fallback", &event.fallback, &Fallback::NAMES)?];
    let dependency = DEPENDENCIES.of(turn.host, &event.dependency)?.unwrap_or_default();
    let mut op = Op {
        kind,
        dependency: event.dependency,
        request: event.request,
        fallback,
        state: State::Called,
        retries: 0,
        sent: 0,
        fingerprint,
        expires_ms: 0,
        answer: String::new(),
    };
    turn.exchange.count(Figure::Operations);
    if dependency.breaker != Breaker::Closed {
        match op.fallback {
            Fallback::None => return Err(No::CircuitOpen.about(&op.dependency)),
            Fallback::Cache => return cached(turn, &op),
            Fallback::Queue => enqueue(turn, &event.operation, &mut op, dependency)?,
        }
    } else {
        send(turn, &event.operation, &mut op);
    }
    OPERATIONS.put(turn.host, &event.operation, &op);
    Ok(describe(&event.operation, &op))
}

/// A call has ended.
///
/// # Errors
/// Corrupt state.
pub fn answered(turn: &mut Turn<'_>, number: u64, name: &str, status: &EffectStatus) -> Result<(), Rejection> {
    let Some(mut op) = OPERATIONS.of(turn.host, name)?.filter(|op| op.sent == number) else { return Ok(()) };
    op.sent = 0;
    let transient = match status {
        EffectStatus::Done { answer } => {
            op.answer = core::str::from_utf8(answer).ok().filter(|text| text.len() <= ANSWER_MAX).unwrap_or("").into();
            CACHED.put(turn.host, &(op.dependency.clone(), op.request.clone()), &(turn.now_ms, op.answer.clone()));
            end(turn, name, &mut op, State::Done)?;
            false
        }
        EffectStatus::Failed { detail } | EffectStatus::Retry { detail } => retry::is_transient(detail),
        EffectStatus::Expired => true,
    };
    if op.state == State::Called {
        if transient && op.retries < RETRIES_MAX {
            op.state = State::Backoff;
            turn.timer("op", name, retry::wait_ms(op.retries, turn.seed));
            op.retries += 1;
            turn.exchange.count(Figure::Retries);
        } else {
            end(turn, name, &mut op, State::Failed)?;
        }
    }
    OPERATIONS.set(turn.host, name, &op);
    // Whoever answers that it will not do it, does answer.
    breaker::heard(turn, &op.dependency, number, !transient)
}

/// The wait before a retry is over.
///
/// # Errors
/// Corrupt state.
pub fn retry(turn: &mut Turn<'_>, name: &str) -> Result<(), Rejection> {
    let Some(mut op) = OPERATIONS.of(turn.host, name)?.filter(|op| op.state == State::Backoff) else {
        return Ok(());
    };
    let dependency = DEPENDENCIES.get(turn.host, &op.dependency)?.unwrap_or_default();
    match (dependency.breaker, op.fallback) {
        (Breaker::Closed, _) => send(turn, name, &mut op),
        (_, Fallback::Queue) if dependency.waiting < WAITING_MAX => enqueue(turn, name, &mut op, dependency)?,
        _ => end(turn, name, &mut op, State::Failed)?,
    }
    OPERATIONS.set(turn.host, name, &op);
    Ok(())
}

/// Calls an operation that waited. Answers the number of the call.
///
/// # Errors
/// Corrupt state.
pub fn call(turn: &mut Turn<'_>, name: &str) -> Result<Option<u64>, Rejection> {
    let Some(mut op) = OPERATIONS.of(turn.host, name)? else { return Ok(None) };
    send(turn, name, &mut op);
    OPERATIONS.set(turn.host, name, &op);
    Ok(Some(op.sent))
}

/// How an operation stands.
#[must_use]
pub fn describe(name: &str, op: &Op) -> Json {
    let mut json = Json::object();
    json.text("operation", name)
        .text("status", op.state.name())
        .number("retries", op.retries)
        .text("answer", &op.answer);
    json
}

fn send(turn: &mut Turn<'_>, name: &str, op: &mut Op) {
    let mut payload = Json::object();
    payload
        .text("do", "call")
        .text("operation", name)
        .text("kind", op.kind.name())
        .text("dependency", &op.dependency)
        .text("request", &op.request)
        .number("retry", op.retries);
    op.state = State::Called;
    op.sent = turn.ask("gateway", op.kind.timeout_ms(), &mut payload, &Sent::Call(name.into()));
}

fn enqueue(turn: &mut Turn<'_>, name: &str, op: &mut Op, mut dependency: Dependency) -> Result<(), Rejection> {
    if dependency.waiting >= WAITING_MAX {
        return Err(No::QueueFull.about(&op.dependency));
    }
    dependency.waiting += 1;
    DEPENDENCIES.put(turn.host, &op.dependency, &dependency);
    turn.exchange.last.ticket += 1;
    WAITING.put(turn.host, &(op.dependency.clone(), turn.exchange.last.ticket), &name.into());
    op.state = State::Queued;
    Ok(())
}

fn cached(turn: &mut Turn<'_>, op: &Op) -> Result<Json, Rejection> {
    let Some((at_ms, answer)) = CACHED.get(turn.host, &(op.dependency.clone(), op.request.clone()))? else {
        return Err(No::NothingCached.about(&op.request));
    };
    let mut json = Json::object();
    json.text("status", "CACHED").text("answer", &answer).number("as_of_ms", at_ms);
    Ok(json)
}

fn end(turn: &mut Turn<'_>, name: &str, op: &mut Op, state: State) -> Result<(), Rejection> {
    op.state = state;
    if state == State::Failed {
        turn.exchange.count(Figure::Failures);
        turn.alert(Severity::P2, "operation_failed", name);
    }
    op.expires_ms = idempotency::expires(turn, true, name);
    idempotency::forget(turn)
}
