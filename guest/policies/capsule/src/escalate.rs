//! ESCALATE: a drift alert to every node, and the cluster decides (E4, section 1.3 of the document).

use crate::{
    case::{Assessment, Cause},
    lineage, orders,
    quarantine::enter,
    severity::Severity,
    state::{Figure, Status},
    turn::{Held, Turn},
};
use reprise_guest::{abi::Rejection, json::Json};

/// What an alert recommends: the document's word.
pub const RECOMMENDED_ACTION: &str = "QUARANTINE";

/// Puts a capsule into quarantine and asks every node what to do.
///
/// # Errors
/// Corrupt state.
pub fn escalate(turn: &mut Turn, held: &mut Held, cause: Cause) -> Result<(), Rejection> {
    turn.header.count(Figure::Escalations);
    turn.header.rounds += 1;
    let round = turn.header.rounds;
    let until_tick = turn.tick.saturating_add(turn.config.assess_ticks);
    enter(turn, held, Status::Escalated, cause, Severity::Severe);
    if let Some(case) = &mut held.capsule.case {
        case.assessment = Some(Assessment { round, until_tick, votes: [0; 3] });
        held.capsule.agenda.due = Some(crate::heal::next_due(case));
    }
    let lineage = lineage::chain(turn.host, &held.id, &held.capsule)?;
    turn.spend(held.capsule.depth);
    let mut alert = Json::object();
    alert.text("message_type", "DRIFT_ALERT").number("round", round).nested("payload");
    alert.text("capsule_id", &held.id).text("cause", cause.name());
    if let Some(reading) = held.capsule.reading {
        alert.number("drift_velocity_ppm", reading.drift_velocity_ppm).number("ttf_ticks", reading.ttf_ticks);
        alert.number("stability_ppm", reading.stability_ppm);
    }
    alert.texts("lineage", &lineage).text("recommended_action", RECOMMENDED_ACTION).close();
    orders::broadcast(turn, "alert", round, &alert, until_tick)
}
