//! Regions: fail-over to the backup region with nothing lost, failback by hand (3.3).

use crate::{
    alert::Severity,
    database::{self, Database},
    error::No,
    events::{Detach, Failback, RegionCheck},
    params::FAILED_CHECKS,
    recovery::{self, Recovery},
    stage::Kind,
    turn::{Turn, text},
    verdict,
};
use reprise_guest::{abi::Rejection, compact::stored, json::Json};

/// A region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Consecutive failed checks.
    pub failures: u32,
}
stored!(Region { name, failures });

/// A check of a region: three failed ones in a row, and it is gone.
///
/// # Errors
/// [`No::UnknownRegion`].
pub fn check(turn: &mut Turn<'_>, event: &RegionCheck) -> Result<Json, Rejection> {
    let mut database = database::load(turn)?;
    let at = find(&database, &event.region)?;
    let region = &mut database.regions[at];
    region.failures = if event.ok { 0 } else { region.failures.saturating_add(1) };
    let failures = region.failures;
    if at == database.active as usize && failures >= FAILED_CHECKS {
        verdict::plan(turn, Kind::Region, &event.region, "region checks")?;
    } else if failures == FAILED_CHECKS {
        turn.alert(Severity::P1, "standby_region_down", &event.region);
    }
    database::save(turn, &database);
    let mut answer = Json::object();
    answer.number("failures", failures);
    Ok(answer)
}

/// Whether the active region of this name is gone, and there is another one.
///
/// # Errors
/// Corrupt state.
pub fn is_lost(turn: &mut Turn<'_>, name: &str) -> Result<bool, Rejection> {
    let database = database::load(turn)?;
    let active = &database.regions[database.active as usize];
    Ok(active.name == name && active.failures >= FAILED_CHECKS && database.regions.len() > 1)
}

/// An operator goes back to the first region, when the cause of its failure is known (3.3).
///
/// # Errors
/// [`No::UnknownOperator`], [`No::BadText`], [`No::NothingToFailBack`], [`No::UnderWay`], [`No::NotCaughtUp`].
pub fn failback(turn: &mut Turn<'_>, event: &Failback) -> Result<Json, Rejection> {
    turn.operator(&event.operator)?;
    text("root_cause", &event.root_cause)?;
    let database = database::load(turn)?;
    if database.active == 0 {
        return Err(No::NothingToFailBack.about("the first region is active"));
    }
    if turn.exchange.data.failing_over > 0 {
        return Err(No::UnderWay.about("a fail-over is under way"));
    }
    let acknowledged = turn.exchange.data.acknowledged;
    if database.regions[0].failures > 0 || database.heir(0, acknowledged, "", "").is_none() {
        return Err(No::NotCaughtUp.about(&database.regions[0].name));
    }
    let leaves = database.regions[database.active as usize].name.clone();
    recovery::begin(turn, Kind::Failback, &leaves, &event.root_cause)?;
    Ok(Json::object())
}

/// An operator goes on without the other region: writes are acknowledged without it until its nodes have caught up.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::UnknownRegion`], [`No::UnderWay`]: the region is the active one.
pub fn detach(turn: &mut Turn<'_>, event: &Detach) -> Result<Json, Rejection> {
    turn.operator(&event.operator)?;
    let mut database = database::load(turn)?;
    let at = find(&database, &event.region)? as u32;
    if at == database.active || turn.exchange.data.failing_over > 0 {
        return Err(No::UnderWay.says(&[&event.region, " is active, or a fail-over is under way"]));
    }
    for node in database.nodes.iter_mut().filter(|node| node.region == at) {
        node.fenced = true;
    }
    turn.alert(Severity::P0, "region_detached", &event.region);
    let safe = database.safe().max(turn.exchange.data.acknowledged);
    turn.exchange.data.acknowledged = safe;
    database::save(turn, &database);
    Ok(Json::object())
}

/// Says which region takes over: the other one.
///
/// # Errors
/// Corrupt state.
pub fn aim(turn: &mut Turn<'_>, recovery: &mut Recovery) -> Result<(), Rejection> {
    let database = database::load(turn)?;
    let other = database.regions.iter().find(|region| region.name != recovery.subject);
    recovery.work.target = other.map_or_else(String::new, |region| region.name.clone());
    Ok(())
}

/// The old region is shut out: its nodes neither vote nor lead.
///
/// # Errors
/// Corrupt state.
pub fn fenced(turn: &mut Turn<'_>, recovery: &Recovery) -> Result<Option<&'static str>, Rejection> {
    let mut database = database::load(turn)?;
    let Ok(target) = find(&database, &recovery.work.target) else { return Ok(Some("there is no other region")) };
    for node in &mut database.nodes {
        node.fenced = node.region as usize != target;
    }
    database::save(turn, &database);
    Ok(None)
}

/// Traffic goes to the new region: it is active, and its best node the primary.
///
/// # Errors
/// Corrupt state.
pub fn switched(turn: &mut Turn<'_>, recovery: &Recovery) -> Result<Option<&'static str>, Rejection> {
    let mut database = database::load(turn)?;
    let Ok(target) = find(&database, &recovery.work.target) else { return Ok(Some("there is no other region")) };
    let acknowledged = turn.exchange.data.acknowledged;
    let Some(at) = database.heir(target as u32, acknowledged, "", "") else {
        return Ok(Some("no node of the region has everything acknowledged"));
    };
    database.active = target as u32;
    let lsn = database.nodes[at].lsn;
    database::lead(&mut database, at, lsn);
    if recovery.kind == Kind::Failback {
        for node in &mut database.nodes {
            node.fenced = false;
        }
    }
    database::save(turn, &database);
    Ok(None)
}

#[inline(never)]
fn find(database: &Database, name: &str) -> Result<usize, Rejection> {
    database.regions.iter().position(|region| region.name == name).ok_or_else(|| No::UnknownRegion.about(name))
}
