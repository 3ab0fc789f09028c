//! Recoveries: one machine for all kinds, stage after stage, two automatic attempts, then a person (4, 3.3, 11.2, 13).
//!
//! [`Kind`] and [`Stage`] are the tables; here is what drives through them. A stage is asked of the outside world and
//! judged by its answer, or done here in slices. A transient failure is tried again on the retry schedule; any other
//! failure, a timeout, or an answer that does not hold costs an attempt.

use crate::{
    alert::Severity,
    answers, database, drill, engine,
    error::No,
    events::Recover,
    integrity,
    params::{ATTEMPTS_MAX, HISTORY, RETRIES_MAX},
    regions, retry, services,
    stage::{Kind, Stage},
    state::{ACTIVE, Figure, RECOVERIES, Sent},
    turn::Turn,
};
use reprise_guest::{
    LogLevel,
    abi::{EffectStatus, Rejection},
    compact::stored,
    json::Json,
};

/// A recovery that is under way, waits for a person, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// What is being recovered.
    pub kind: Kind,
    /// Which of them.
    pub subject: String,
    /// Why.
    pub cause: String,
    /// How far it is.
    pub stage: Stage,
    /// Which automatic attempt this is, from 1.
    pub attempt: u32,
    /// Retries of this stage.
    pub retries: u32,
    /// Number of what was asked for and has not ended; 0 for nothing.
    pub sent: u64,
    /// When it began, in milliseconds: when the failure was known.
    pub began_ms: u64,
    /// When it ended, in milliseconds.
    pub ended_ms: Option<u64>,
    /// What the stages tell one another.
    pub work: Work,
    /// The failure was a drill's.
    pub drill: bool,
}
stored!(Recovery { kind, subject, cause, stage, attempt, retries, sent, began_ms, ended_ms, work, drill });

/// What the stages of a recovery tell one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The node or region that takes over.
    pub target: String,
    /// The checkpoint that replay begins after.
    pub from: u64,
    /// The last event, which replay must reach.
    pub to: u64,
}
stored!(Work { target, from, to });

impl Recovery {
    /// How long it took, or has taken by `now_ms`.
    #[must_use]
    pub fn took_ms(&self, now_ms: u64) -> u64 {
        self.ended_ms.unwrap_or(now_ms).saturating_sub(self.began_ms)
    }

    /// Whether it met its objective, once it is over.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        let took_ms = self.took_ms(self.ended_ms?);
        Some(self.kind.objective_ms().is_none_or(|objective_ms| took_ms <= objective_ms))
    }
}

/// Begins a recovery, unless there is one.
///
/// # Errors
/// Corrupt state.
pub fn begin(turn: &mut Turn<'_>, kind: Kind, subject: &str, cause: &str) -> Result<(), Rejection> {
    if active(turn, kind, subject)?.is_some() {
        return Ok(());
    }
    turn.exchange.last.recovery += 1;
    let number = turn.exchange.last.recovery;
    turn.exchange.count(Figure::Recoveries);
    forget(turn, number)?;
    let Some(first) = kind.stages().first().copied() else { return Ok(()) };
    let mut recovery = Recovery {
        kind,
        subject: subject.into(),
        cause: cause.into(),
        stage: first,
        attempt: 1,
        retries: 0,
        sent: 0,
        began_ms: turn.now_ms,
        ended_ms: None,
        work: Work::default(),
        drill: drill::notice(turn, number, kind, subject)?,
    };
    ACTIVE.put(turn.host, &(kind as u8, subject.into()), &number);
    if let Some(objective_ms) = kind.objective_ms() {
        turn.timer_of("objective", number, objective_ms);
    }
    let severity = match kind {
        Kind::Region | Kind::Corruption => Severity::P0,
        Kind::Engine | Kind::Database | Kind::Zone => Severity::P1,
        Kind::Service | Kind::Failback | Kind::Connections | Kind::Disk => Severity::P2,
    };
    turn.alert(severity, kind.name(), subject);
    stands(turn, number, &recovery, true)?;
    perform(turn, number, &mut recovery)?;
    RECOVERIES.put(turn.host, &number, &recovery);
    Ok(())
}

/// The number of the recovery that is under way, or waits for a person.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn active(turn: &mut Turn<'_>, kind: Kind, subject: &str) -> Result<Option<u64>, Rejection> {
    ACTIVE.get(turn.host, &(kind as u8, subject.into()))
}

/// What is asked for in the recovery's name has ended.
///
/// # Errors
/// Corrupt state.
pub fn answered(turn: &mut Turn<'_>, effect: u64, number: u64, status: &EffectStatus) -> Result<(), Rejection> {
    let Some(mut recovery) = RECOVERIES.get(turn.host, &number)? else { return Ok(()) };
    if recovery.sent != effect {
        return Ok(());
    }
    recovery.sent = 0;
    match status {
        EffectStatus::Done { answer } => match answers::accept(turn, &mut recovery, answer)? {
            None => advance(turn, number, &mut recovery)?,
            Some(objection) => setback(turn, number, &mut recovery, objection)?,
        },
        EffectStatus::Failed { detail } if retry::is_transient(detail) && recovery.retries < RETRIES_MAX => {
            let wait_ms = retry::wait_ms(recovery.retries, turn.seed);
            recovery.retries += 1;
            turn.exchange.count(Figure::Retries);
            turn.timer_of("retry", number, wait_ms);
        }
        EffectStatus::Failed { .. } | EffectStatus::Retry { .. } => setback(turn, number, &mut recovery, "failed")?,
        EffectStatus::Expired => setback(turn, number, &mut recovery, "timed out")?,
    }
    RECOVERIES.put(turn.host, &number, &recovery);
    Ok(())
}

/// The wait before a retry is over.
///
/// # Errors
/// Corrupt state.
pub fn retry(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    let Some(mut recovery) = RECOVERIES.get(turn.host, &number)? else { return Ok(()) };
    if recovery.sent == 0 && recovery.ended_ms.is_none() && recovery.stage != Stage::Person {
        ask(turn, number, &mut recovery);
        RECOVERIES.put(turn.host, &number, &recovery);
    }
    Ok(())
}

/// Another slice of what is done here.
///
/// # Errors
/// Corrupt state.
pub fn slice(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    let Some(mut recovery) = RECOVERIES.get(turn.host, &number)? else { return Ok(()) };
    match engine::slice(turn, recovery.stage)? {
        engine::Slice::More => turn.timer_of("slice", number, 1),
        engine::Slice::Over => advance(turn, number, &mut recovery)?,
        engine::Slice::NotMine => {}
    }
    RECOVERIES.put(turn.host, &number, &recovery);
    Ok(())
}

/// The objective's time is over, and the recovery is not (13).
///
/// # Errors
/// Corrupt state.
pub fn overdue(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    if let Some(recovery) = RECOVERIES.get(turn.host, &number)?.filter(|recovery| recovery.ended_ms.is_none()) {
        turn.alert(Severity::P1, "objective_missed", &recovery.subject);
    }
    Ok(())
}

/// An operator has it tried again.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownRecovery`], [`No::NothingWaits`].
pub fn recover(turn: &mut Turn<'_>, event: &Recover) -> Result<Json, Rejection> {
    turn.operator(&event.operator)?;
    let number = event.recovery;
    let Some(mut recovery) = RECOVERIES.get(turn.host, &number)? else {
        return Err(No::UnknownRecovery.number("recovery ", number));
    };
    if recovery.stage != Stage::Person {
        return Err(No::NothingWaits.says(&["the recovery is in stage ", recovery.stage.name()]));
    }
    recovery.attempt = 1;
    first(turn, number, &mut recovery)?;
    RECOVERIES.put(turn.host, &number, &recovery);
    let mut answer = Json::object();
    answer.number("recovery", number).text("stage", recovery.stage.name());
    Ok(answer)
}

/// Something that a waiting recovery waits for may have come.
///
/// # Errors
/// Corrupt state.
pub fn reconsider(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    let Some(mut recovery) = RECOVERIES.get(turn.host, &number)? else { return Ok(()) };
    if recovery.stage == Stage::Choose {
        choose(turn, number, &mut recovery)?;
        RECOVERIES.put(turn.host, &number, &recovery);
    }
    Ok(())
}

/// Goes to a stage, and says so to `check`.
fn enter(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery, stage: Stage) -> Result<(), Rejection> {
    turn.exchange.touched.stages.push((number, (recovery.stage, stage)));
    recovery.stage = stage;
    recovery.retries = 0;
    recovery.sent = 0;
    perform(turn, number, recovery)
}

fn perform(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery) -> Result<(), Rejection> {
    turn.log(LogLevel::Info, &[recovery.kind.name(), " ", &recovery.subject, ": ", recovery.stage.name()]);
    match recovery.stage {
        Stage::Clear | Stage::Reload | Stage::Rematch | Stage::Submit => turn.timer_of("slice", number, 1),
        Stage::Choose => return choose(turn, number, recovery),
        Stage::Person => {
            turn.exchange.count(Figure::Persons);
            turn.alert(Severity::P0, "person_needed", &recovery.subject);
        }
        Stage::Done => return finish(turn, number, recovery),
        Stage::Fence => {
            regions::aim(turn, recovery)?;
            turn.exchange.data.token += 1;
            ask(turn, number, recovery);
        }
        Stage::Promote => {
            turn.exchange.data.token += 1;
            ask(turn, number, recovery);
        }
        _ => ask(turn, number, recovery),
    }
    Ok(())
}

/// Asks for what the stage needs, within the time that such an operation has.
fn ask(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery) {
    let Some(ask) = recovery.stage.ask() else { return };
    let mut payload = Json::object();
    payload
        .text("do", ask.verb)
        .number("recovery", number)
        .text("subject", &recovery.subject)
        .number("attempt", recovery.attempt);
    match recovery.stage {
        Stage::ReplayEvents => {
            payload.number("after", recovery.work.from).number("through", recovery.work.to);
        }
        Stage::Resume => engine::describe(turn, &mut payload),
        Stage::Promote | Stage::ReplayLog | Stage::Fence | Stage::VerifyCopy | Stage::Switch => {
            payload
                .text("target", &recovery.work.target)
                .number("token", turn.exchange.data.token)
                .number("acknowledged", turn.exchange.data.acknowledged);
        }
        _ => {}
    }
    recovery.sent = turn.ask(ask.driver, ask.operation.timeout_ms(), &mut payload, &Sent::Stage(number));
}

fn advance(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery) -> Result<(), Rejection> {
    let stages = recovery.kind.stages();
    let at = stages.iter().position(|stage| *stage == recovery.stage);
    let next = at.and_then(|at| stages.get(at + 1)).copied().unwrap_or(Stage::Done);
    enter(turn, number, recovery, next)
}

/// An attempt has failed: another one, or a person.
fn setback(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery, why: &str) -> Result<(), Rejection> {
    turn.log(LogLevel::Warn, &[recovery.kind.name(), " ", &recovery.subject, ": ", recovery.stage.name(), " ", why]);
    if recovery.attempt >= ATTEMPTS_MAX {
        return enter(turn, number, recovery, Stage::Person);
    }
    recovery.attempt += 1;
    first(turn, number, recovery)
}

fn first(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery) -> Result<(), Rejection> {
    let stage = recovery.kind.stages().first().copied().unwrap_or(Stage::Done);
    enter(turn, number, recovery, stage)
}

fn choose(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery) -> Result<(), Rejection> {
    match database::choose(turn, recovery)? {
        database::Choice::Wait => Ok(()),
        database::Choice::NotNeeded => enter(turn, number, recovery, Stage::Done),
        database::Choice::Node(name) => {
            recovery.work.target = name;
            enter(turn, number, recovery, Stage::Promote)
        }
    }
}

fn finish(turn: &mut Turn<'_>, number: u64, recovery: &mut Recovery) -> Result<(), Rejection> {
    recovery.ended_ms = Some(turn.now_ms);
    ACTIVE.delete(turn.host, &(recovery.kind as u8, recovery.subject.clone()));
    turn.cancel_timer_of("objective", number);
    let took_ms = recovery.took_ms(turn.now_ms);
    if let Some(objective) = turn.exchange.objectives.get_mut(recovery.kind as usize) {
        objective.count += 1;
        objective.missed += u64::from(recovery.met() == Some(false));
        objective.last_ms = took_ms;
        objective.worst_ms = objective.worst_ms.max(took_ms);
    }
    stands(turn, number, recovery, false)?;
    turn.alert(Severity::P3, "recovered", &recovery.subject);
    drill::recovered(turn, number, recovery)
}

/// What a recovery means for the exchange while it is under way.
fn stands(turn: &mut Turn<'_>, number: u64, recovery: &Recovery, begins: bool) -> Result<(), Rejection> {
    let by = |count: u32| if begins { count + 1 } else { count.saturating_sub(1) };
    match recovery.kind {
        Kind::Service | Kind::Engine => services::stands(turn, &recovery.subject, begins.then_some(number))?,
        Kind::Database | Kind::Region | Kind::Failback => {
            turn.exchange.data.failing_over = by(turn.exchange.data.failing_over);
        }
        Kind::Zone => turn.exchange.census.zones_down = by(turn.exchange.census.zones_down),
        Kind::Corruption => {
            turn.exchange.data.corrupt = by(turn.exchange.data.corrupt);
            if begins {
                integrity::halt(turn, "corrupt data", &recovery.subject);
            }
        }
        Kind::Connections | Kind::Disk => {}
    }
    Ok(())
}

/// Forgets the recovery that is [`HISTORY`] older, if it is over.
fn forget(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    let Some(old) = number.checked_sub(HISTORY) else { return Ok(()) };
    if RECOVERIES.get(turn.host, &old)?.is_some_and(|recovery| recovery.ended_ms.is_some()) {
        RECOVERIES.delete(turn.host, &old);
    }
    Ok(())
}
