//! Drills: a fault is injected on purpose, and the recovery is timed against its objective (12).
//!
//! A drill ends when the recovery that its fault began has ended. That of a whole region goes on as the document has
//! it: critical flows are tested, a person fails back, and the drill is looked at again (12.2).

use crate::{
    alert::Severity,
    error::No,
    events::StartDrill,
    health::{self, Colour},
    params::{DAY_MS, DRILL_DAYS, DRILL_FAILBACK_MS, LATENCY_MS, Operation},
    recovery::Recovery,
    stage::Kind,
    state::{DRILL, Sent},
    turn::{Turn, text, word},
};
use reprise_guest::{
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
};

/// Which fault is injected (12.1, 12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A service is killed.
    Kill,
    /// The network is slow: 100 to 500 ms, by chance.
    Latency,
    /// A disk is filled to 95 %.
    DiskFull,
    /// A database page is damaged.
    CorruptPage,
    /// A database node is stopped.
    NodeFailure,
    /// A zone is shut down.
    ZoneFailure,
    /// A region is shut down.
    RegionFailover,
}
stored_enum!(Fault);

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Kill,
        Self::Latency,
        Self::DiskFull,
        Self::CorruptPage,
        Self::NodeFailure,
        Self::ZoneFailure,
        Self::RegionFailover,
    ];
    /// Their names, in order.
    pub const NAMES: [&str; 7] =
        ["kill", "latency", "disk_full", "corrupt_page", "node_failure", "zone_failure", "region_failover"];

    /// Its name in events and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether this is the recovery that its fault begins. Latency begins none: timeouts and retries bear it.
    #[must_use]
    pub const fn begins(self, kind: Kind) -> bool {
        match self {
            Self::Kill => matches!(kind, Kind::Service | Kind::Engine),
            Self::Latency => false,
            Self::DiskFull => matches!(kind, Kind::Disk),
            Self::CorruptPage => matches!(kind, Kind::Corruption),
            Self::NodeFailure => matches!(kind, Kind::Database),
            Self::ZoneFailure => matches!(kind, Kind::Zone),
            Self::RegionFailover => matches!(kind, Kind::Region),
        }
    }

    /// Days until the next one: chaos monthly, the region quarterly, the zone annually (12.1, 12.2).
    #[must_use]
    pub const fn days(self) -> u64 {
        match self {
            Self::RegionFailover => DRILL_DAYS[1],
            Self::ZoneFailure => DRILL_DAYS[2],
            _ => DRILL_DAYS[0],
        }
    }

    /// How long it may take until it is given up, in milliseconds: the longest objective.
    const fn limit_ms(self) -> u64 {
        match self {
            Self::CorruptPage => 1_800_000,
            _ => 600_000,
        }
    }
}

/// How far a drill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The fault is being injected, or has been and nobody has noticed yet.
    Injected,
    /// What its fault began is being recovered.
    Recovering,
    /// Critical flows are tested (12.2).
    Testing,
    /// A person has to fail back (12.2).
    Failback,
    /// It is over.
    Done,
    /// It came to nothing: nobody noticed, the recovery took too long to end, or a critical flow failed.
    Failed,
}
stored_enum!(Phase);

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Injected, Self::Recovering, Self::Testing, Self::Failback, Self::Done, Self::Failed];

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Injected => "INJECTED",
            Self::Recovering => "RECOVERING",
            Self::Testing => "TESTING",
            Self::Failback => "FAILBACK",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
        }
    }

    /// The drill goes on.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        !matches!(self, Self::Done | Self::Failed)
    }
}

/// The drill that is or was last, and when each kind was last done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// Its number.
    pub number: u64,
    /// Which fault.
    pub fault: Fault,
    /// Of what.
    pub subject: String,
    /// Who began it.
    pub operator: String,
    /// How far it is.
    pub phase: Phase,
    /// When it began, in milliseconds.
    pub began_ms: u64,
    /// The recovery that its fault began; 0 for none.
    pub recovery: u64,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// Whether that met its objective.
    pub met: Option<bool>,
    /// When each kind of drill was last done, in milliseconds, in the order of [`Fault::ALL`].
    pub last_ms: Vec<u64>,
}
stored!(Drill { number, fault, subject, operator, phase, began_ms, recovery, took_ms, met, last_ms });

/// An operator begins a drill. It takes a healthy exchange.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownWord`], [`No::BadText`], [`No::DrillUnderWay`], [`No::NotHealthy`].
pub fn start(turn: &mut Turn<'_>, event: &StartDrill) -> Result<Json, Rejection> {
    turn.operator(&event.operator)?;
    let fault = Fault::ALL[word("drill", &event.drill, &Fault::NAMES)?];
    text("subject", &event.subject)?;
    let before = DRILL.get(turn.host)?;
    if before.as_ref().is_some_and(|drill| drill.phase.is_under_way()) {
        return Err(No::DrillUnderWay.about("one at a time"));
    }
    let colour = health::colour(&turn.exchange);
    if colour != Colour::Green {
        return Err(No::NotHealthy.says(&["health is ", colour.name()]));
    }
    let (number, last_ms) = before.map_or((0, vec![0; Fault::ALL.len()]), |drill| (drill.number, drill.last_ms));
    let drill = Drill {
        number: number + 1,
        fault,
        subject: event.subject.clone(),
        operator: event.operator.clone(),
        phase: Phase::Injected,
        began_ms: turn.now_ms,
        recovery: 0,
        took_ms: 0,
        met: None,
        last_ms,
    };
    turn.alert(Severity::P3, "drill_announced", fault.name());
    let mut payload = Json::object();
    payload.text("do", fault.name()).text("subject", &event.subject);
    match fault {
        Fault::Latency => {
            let span = LATENCY_MS.end() - LATENCY_MS.start() + 1;
            payload.number("latency_ms", LATENCY_MS.start() + turn.seed % span);
        }
        Fault::DiskFull => {
            payload.number("percent", crate::params::DISK_FULL_PERCENT);
        }
        _ => {}
    }
    turn.ask("chaos", Operation::Http.timeout_ms(), &mut payload, &Sent::Drill);
    turn.timer_of("drill", drill.number, fault.limit_ms());
    DRILL.put(turn.host, &drill);
    let mut answer = Json::object();
    answer.number("drill", drill.number);
    Ok(answer)
}

/// A recovery begins: whether it is the drill's.
///
/// # Errors
/// Corrupt state.
pub fn notice(turn: &mut Turn<'_>, number: u64, kind: Kind, subject: &str) -> Result<bool, Rejection> {
    let Some(mut drill) = DRILL.get(turn.host)? else { return Ok(false) };
    if drill.phase != Phase::Injected || !drill.fault.begins(kind) || drill.subject != subject {
        return Ok(false);
    }
    drill.phase = Phase::Recovering;
    drill.recovery = number;
    DRILL.put(turn.host, &drill);
    Ok(true)
}

/// A recovery has ended: if it is the drill's, so has the drill, or its next part begins.
///
/// # Errors
/// Corrupt state.
pub fn recovered(turn: &mut Turn<'_>, number: u64, recovery: &Recovery) -> Result<(), Rejection> {
    let Some(mut drill) = DRILL.get(turn.host)? else { return Ok(()) };
    if drill.phase == Phase::Recovering && drill.recovery == number {
        drill.took_ms = recovery.took_ms(turn.now_ms);
        drill.met = recovery.met();
        if drill.fault == Fault::RegionFailover {
            drill.phase = Phase::Testing;
            let mut payload = Json::object();
            payload.text("do", "test_critical_flows");
            turn.ask("tester", Operation::Http.timeout_ms(), &mut payload, &Sent::Drill);
        } else {
            end(turn, &mut drill, Phase::Done);
        }
    } else if drill.phase == Phase::Failback && recovery.kind == Kind::Failback {
        end(turn, &mut drill, Phase::Done);
    } else {
        return Ok(());
    }
    DRILL.put(turn.host, &drill);
    Ok(())
}

/// The fault was injected, or critical flows were tested.
///
/// # Errors
/// Corrupt state.
pub fn answered(turn: &mut Turn<'_>, done: bool) -> Result<(), Rejection> {
    let Some(mut drill) = DRILL.get(turn.host)? else { return Ok(()) };
    match drill.phase {
        Phase::Injected | Phase::Testing if !done => end(turn, &mut drill, Phase::Failed),
        Phase::Injected if drill.fault == Fault::Latency => end(turn, &mut drill, Phase::Done),
        Phase::Testing => {
            drill.phase = Phase::Failback;
            turn.timer_of("drill", drill.number, DRILL_FAILBACK_MS);
            turn.alert(Severity::P2, "drill_waits_for_failback", &drill.subject);
        }
        _ => return Ok(()),
    }
    DRILL.put(turn.host, &drill);
    Ok(())
}

/// A drill has had its time.
///
/// # Errors
/// Corrupt state.
pub fn is_due(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    let Some(mut drill) = DRILL.get(turn.host)?.filter(|drill| drill.number == number) else { return Ok(()) };
    if drill.phase.is_under_way() {
        end(turn, &mut drill, Phase::Failed);
        DRILL.put(turn.host, &drill);
    }
    Ok(())
}

/// When a kind of drill is due again, in milliseconds; nothing if it was never done: it is due.
#[must_use]
pub fn due_ms(drill: Option<&Drill>, fault: Fault) -> Option<u64> {
    let last_ms = *drill?.last_ms.get(fault as usize)?;
    (last_ms > 0).then(|| last_ms.saturating_add(fault.days() * DAY_MS))
}

fn end(turn: &mut Turn<'_>, drill: &mut Drill, phase: Phase) {
    drill.phase = phase;
    turn.cancel_timer_of("drill", drill.number);
    if let Some(last_ms) = drill.last_ms.get_mut(drill.fault as usize).filter(|_| phase == Phase::Done) {
        *last_ms = turn.now_ms;
    }
    let severity = if phase == Phase::Done && drill.met != Some(false) { Severity::P3 } else { Severity::P1 };
    turn.alert(severity, "drill_post_mortem", drill.fault.name());
}
