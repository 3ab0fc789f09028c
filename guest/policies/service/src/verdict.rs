//! What is decided when a tick is over.
//!
//! Checks and measurements of one millisecond only count. A timer one millisecond later decides what follows from them,
//! in the order of kinds, the worst first, and names: so the order in which different things are heard of within a
//! tick changes nothing.

use crate::{
    database,
    params::{FAILED_CHECKS, STEP_MAX},
    recovery, regions,
    stage::Kind,
    state::{PLAN, SERVICES},
    turn::Turn,
};
use reprise_guest::{
    abi::Rejection,
    compact::{decoded, stored},
};

/// Something that is decided when this tick is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What would have to be recovered.
    pub kind: Kind,
    /// Which of them.
    pub subject: String,
    /// Why.
    pub cause: String,
}
stored!(Planned { kind, subject, cause });

/// Has something looked at when this tick is over.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn plan(turn: &mut Turn<'_>, kind: Kind, subject: &str, cause: &str) -> Result<(), Rejection> {
    let key = (kind as u8, String::from(subject));
    // Of two causes in a tick the last by name counts, whichever came first: memory before health checks.
    if PLAN.get(turn.host, &key)?.is_none_or(|planned| planned.cause.as_str() < cause) {
        PLAN.put(turn.host, &key, &Planned { kind, subject: subject.into(), cause: cause.into() });
    }
    turn.timer("judge", "now", 1);
    Ok(())
}

/// The tick is over.
///
/// # Errors
/// Corrupt state.
pub fn judge(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    let planned = PLAN.take(turn.host, STEP_MAX);
    if planned.len() == STEP_MAX as usize {
        turn.timer("judge", "now", 1);
    }
    for planned in planned {
        if let Some(Planned { kind, subject, cause }) = decoded(Some(planned))? {
            consider(turn, kind, &subject, &cause)?;
        }
    }
    Ok(())
}

fn consider(turn: &mut Turn<'_>, kind: Kind, subject: &str, cause: &str) -> Result<(), Rejection> {
    let active = recovery::active(turn, kind, subject)?;
    let due = match kind {
        Kind::Service | Kind::Engine => {
            let service = SERVICES.of(turn.host, subject)?;
            let failed = service.is_some_and(|service| service.failures >= FAILED_CHECKS);
            // Without a database every service fails its checks (4.2): restarting them all would not help.
            cause == "memory" || failed && !turn.exchange.read_only()
        }
        Kind::Database => match active {
            Some(number) => return recovery::reconsider(turn, number),
            None => database::primary_is_lost(turn, subject)?,
        },
        Kind::Region => regions::is_lost(turn, subject)?,
        Kind::Zone | Kind::Corruption | Kind::Connections | Kind::Disk => true,
        Kind::Failback => false,
    };
    if due && active.is_none() {
        recovery::begin(turn, kind, subject, cause)?;
    }
    Ok(())
}
