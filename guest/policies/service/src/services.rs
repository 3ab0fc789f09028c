//! Services: health checks, what they use, and what is done about it (4.1, 11.2).

use crate::{
    error::No,
    events::{Health, Metrics, NewService, ZoneFailure},
    params::{DISK_FULL_PERCENT, FAILED_CHECKS, IDLE_MAX_MS, LAG_YELLOW_MS, MEMORY_MAX_PERCENT, SERVICES_MAX},
    recovery,
    stage::Kind,
    state::{SERVICES, ZONES},
    turn::{Turn, text, word},
    verdict,
};
use reprise_guest::{
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
};

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The matching engine, of which there is at most one: critical (11.1).
    Matching,
    /// Settlement: critical (11.1).
    Settlement,
    /// Market data (7.3).
    MarketData,
    /// Anything else.
    Other,
}
stored_enum!(Role);

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Matching, Self::Settlement, Self::MarketData, Self::Other];
    /// Their names, in order.
    pub const NAMES: [&str; 4] = ["matching", "settlement", "market_data", "other"];

    /// Its name in parameters and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it does.
    pub role: Role,
    /// Health is red without it.
    pub critical: bool,
    /// Its zone, or nothing.
    pub zone: String,
    /// Consecutive failed checks.
    pub failures: u32,
    /// It processes events a second late or more.
    pub lagging: bool,
    /// Its recovery; 0: it runs.
    pub recovery: u64,
}
stored!(Service { role, critical, zone, failures, lagging, recovery });

impl Service {
    /// How it is recovered.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.role == Role::Matching { Kind::Engine } else { Kind::Service }
    }
}

/// One more service.
///
/// # Errors
/// [`No::BadText`], [`No::UnknownWord`], [`No::Duplicate`], [`No::BadParameters`]: too many, or a second engine.
pub fn register(turn: &mut Turn<'_>, new: NewService) -> Result<Json, Rejection> {
    text("service", &new.service)?;
    let role = Role::ALL[word("role", &new.role, &Role::NAMES)?];
    if SERVICES.of(turn.host, &new.service)?.is_some() {
        return Err(No::Duplicate.about(&new.service));
    }
    let census = &mut turn.exchange.census;
    if census.services == SERVICES_MAX || role == Role::Matching && census.engine {
        return Err(No::BadParameters.about("at most 1,000 services, one of them `matching`"));
    }
    census.services += 1;
    census.engine |= role == Role::Matching;
    if let Some(zone) = &new.zone {
        text("zone", zone)?;
        ZONES.set(turn.host, zone, &());
    }
    let critical = matches!(role, Role::Matching | Role::Settlement) || new.critical == Some(true);
    let zone = new.zone.unwrap_or_default();
    let service = Service { role, critical, zone, failures: 0, lagging: false, recovery: 0 };
    SERVICES.set(turn.host, &new.service, &service);
    Ok(Json::object())
}

/// A health check: three failed ones in a row are a crash.
///
/// # Errors
/// [`No::UnknownService`].
pub fn health(turn: &mut Turn<'_>, event: &Health) -> Result<Json, Rejection> {
    let mut service = find(turn, &event.service)?;
    service.failures = if event.ok { 0 } else { service.failures.saturating_add(1) };
    let lagging = event.lag_ms.map_or(service.lagging, |lag_ms| lag_ms >= LAG_YELLOW_MS);
    if lagging != service.lagging {
        service.lagging = lagging;
        let count = &mut turn.exchange.census.lagging;
        *count = if lagging { *count + 1 } else { count.saturating_sub(1) };
    }
    if service.failures >= FAILED_CHECKS && service.recovery == 0 {
        verdict::plan(turn, service.kind(), &event.service, "health checks")?;
    }
    SERVICES.put(turn.host, &event.service, &service);
    let mut answer = Json::object();
    answer.number("failures", service.failures);
    Ok(answer)
}

/// What a service uses: the table of remedies (11.2).
///
/// # Errors
/// [`No::UnknownService`].
pub fn metrics(turn: &mut Turn<'_>, event: &Metrics) -> Result<Json, Rejection> {
    let service = find(turn, &event.service)?;
    if event.memory_percent.is_some_and(|percent| percent > MEMORY_MAX_PERCENT) && service.recovery == 0 {
        verdict::plan(turn, service.kind(), &event.service, "memory")?;
    }
    if event.idle_ms.is_some_and(|idle_ms| idle_ms > IDLE_MAX_MS) {
        verdict::plan(turn, Kind::Connections, &event.service, "idle connections")?;
    }
    if event.disk_percent.is_some_and(|percent| percent >= DISK_FULL_PERCENT) {
        verdict::plan(turn, Kind::Disk, &event.service, "disk full")?;
    }
    Ok(Json::object())
}

/// An availability zone is gone.
///
/// # Errors
/// [`No::UnknownZone`], [`No::UnderWay`].
pub fn zone_failure(turn: &mut Turn<'_>, event: &ZoneFailure) -> Result<Json, Rejection> {
    if ZONES.of(turn.host, &event.zone)?.is_none() {
        return Err(No::UnknownZone.about(&event.zone));
    }
    if recovery::active(turn, Kind::Zone, &event.zone)?.is_some() {
        return Err(No::UnderWay.about(&event.zone));
    }
    verdict::plan(turn, Kind::Zone, &event.zone, "zone failure")?;
    Ok(Json::object())
}

/// A service is being recovered, or not any more.
///
/// # Errors
/// Corrupt state.
pub fn stands(turn: &mut Turn<'_>, name: &str, recovery: Option<u64>) -> Result<(), Rejection> {
    let Some(mut service) = SERVICES.of(turn.host, name)? else { return Ok(()) };
    let down = recovery.is_some();
    service.recovery = recovery.unwrap_or_default();
    service.failures = 0;
    SERVICES.set(turn.host, name, &service);
    let census = &mut turn.exchange.census;
    let by = |count: &mut u32| *count = if down { *count + 1 } else { count.saturating_sub(1) };
    by(if service.critical { &mut census.down_critical } else { &mut census.down_other });
    match service.role {
        Role::MarketData => by(&mut census.feeds_down),
        Role::Matching => turn.exchange.engine.down = down,
        Role::Settlement | Role::Other => {}
    }
    Ok(())
}

/// A service that exists.
///
/// # Errors
/// [`No::UnknownService`].
#[inline(never)]
pub fn find(turn: &mut Turn<'_>, name: &str) -> Result<Service, Rejection> {
    SERVICES.of(turn.host, name)?.ok_or_else(|| No::UnknownService.about(name))
}
