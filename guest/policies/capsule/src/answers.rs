//! What nodes and people say: `assess`, `confirm`, `review`. It counts at the end of the tick.

use crate::{
    case::{Decision, Nodes, Vote},
    config::{REPAIR_TICKS, check_name},
    events::{Assess, Confirm, Review},
    lineage, orders,
    rejection::No,
    state::{NODES, ORDERS, Status},
    turn::{Held, Turn},
};
use reprise_guest::{abi::Rejection, json::Json, rejection::Code, text::decimal};

/// A node's vote on what to do with an escalated capsule (E4).
///
/// # Errors
/// [`No::UnknownCapsule`], [`No::UnknownNode`], [`No::NoAssessment`], [`No::StaleRound`].
pub fn assess(turn: &mut Turn, assess: &Assess) -> Result<(), Rejection> {
    let mut held = turn.named(&assess.capsule)?;
    let node = only(turn, &assess.node)?;
    let assessment = held.capsule.case.as_mut().and_then(|case| case.assessment.as_mut());
    let assessment = assessment.ok_or_else(|| No::NoAssessment.because(&assess.capsule))?;
    check_round(assess.round, assessment.round)?;
    let [release, quarantine, isolate] = &mut assessment.votes;
    match assess.action {
        Vote::Release => *release |= node,
        Vote::Quarantine => *quarantine |= node,
        Vote::IsolateLineage => *isolate |= node,
    }
    // Of two votes of one node the more cautious counts.
    *quarantine &= !*isolate;
    *release &= !(*isolate | *quarantine);
    held.capsule.agenda.planned = true;
    turn.save(held);
    Ok(())
}

/// A node's word on a recovery (E12). Of two words in a round the worse one counts.
///
/// # Errors
/// [`No::UnknownCapsule`], [`No::UnknownNode`], [`No::NotVerifying`], [`No::StaleRound`].
pub fn confirm(turn: &mut Turn, confirm: &Confirm) -> Result<(), Rejection> {
    let mut held = turn.named(&confirm.capsule)?;
    let node = only(turn, &confirm.node)?;
    let watch = held.capsule.case.as_mut().and_then(|case| case.watch.as_mut());
    let watch = watch.ok_or_else(|| No::NotVerifying.because(&confirm.capsule))?;
    check_round(confirm.round, watch.round)?;
    *if confirm.agree { &mut watch.agreed } else { &mut watch.disagreed } |= node;
    if !confirm.proof_valid {
        watch.distrusted |= node;
    }
    turn.save(held);
    Ok(())
}

/// A person's decision (E3, E5): the only way out of quarantine that is not the cluster's.
///
/// # Errors
/// [`No::UnknownCapsule`], [`No::BadName`], [`No::NotQuarantined`], [`No::UnderAssessment`],
/// [`No::LineageUnderReview`], [`No::LineageBusy`], [`No::NotStableLongEnough`].
pub fn review(turn: &mut Turn, review: &Review) -> Result<(), Rejection> {
    let mut held = turn.named(&review.capsule)?;
    check_name("reviewer", &review.reviewer)?;
    check_reviewable(turn, &held)?;
    let release = review.decision == Decision::Release;
    if release && review.override_reason.is_none() {
        check_stable(turn, &held)?;
    }
    let mut record = Json::object();
    record.text("event_type", "REVIEW").text("capsule", &held.id).text("reviewer", &review.reviewer);
    record.text("decision", if release { "RELEASE" } else { "KEEP" });
    if let Some(reason) = &review.override_reason {
        record.text("override_reason", reason);
    }
    orders::trail(turn, "review", &held.id, record);
    if let Some(case) = &mut held.capsule.case {
        case.review = case.review.max(Some(review.decision));
    }
    held.capsule.agenda.planned = true;
    turn.save(held);
    Ok(())
}

fn check_reviewable(turn: &mut Turn, held: &Held) -> Result<(), Rejection> {
    if let Some(root) = lineage::isolated_above(turn.host, &turn.header, &held.capsule)? {
        return Err(No::LineageBusy.because([&held.id, ": the lineage of ", &root, " is being isolated"].concat()));
    }
    match held.capsule.status {
        Status::Quarantined => Ok(()),
        Status::Escalated => Err(No::UnderAssessment.because(&held.id)),
        Status::Normal | Status::Healing | Status::Recovering => Err(No::NotQuarantined.because(&held.id)),
        Status::Isolated => {
            let number = held.capsule.order.unwrap_or_default();
            let order = ORDERS.get(turn.host, &number)?.ok_or_else(|| No::NotQuarantined.because(&held.id))?;
            if order.root != held.id {
                Err(No::LineageUnderReview.because([&held.id, ": review its root, ", &order.root].concat()))
            } else if order.is_complete() {
                Ok(())
            } else {
                Err(No::LineageBusy.because([&held.id, ": the lineage is being isolated"].concat()))
            }
        }
    }
}

/// Measured stable without a break for as long as the runbook asks (section 5.2, level 1), and lately.
fn check_stable(turn: &Turn, held: &Held) -> Result<(), Rejection> {
    let lately = held.capsule.reading.is_some_and(|reading| reading.tick.saturating_add(REPAIR_TICKS) >= turn.tick);
    let since_tick = held.capsule.case.as_ref().and_then(|case| case.stable_since_tick);
    let long_enough = since_tick
        .is_some_and(|since| turn.now_ms.saturating_sub(turn.config.begin_ms(since)) >= turn.config.stable_ms);
    if lately && long_enough { Ok(()) } else { Err(No::NotStableLongEnough.because(&held.id)) }
}

fn check_round(given: u64, asked: u64) -> Result<(), Rejection> {
    if given == asked { Ok(()) } else { Err(No::StaleRound.because(["the round is ", &decimal(asked)].concat())) }
}

/// The set of this one node.
fn only(turn: &mut Turn, node: &String) -> Result<Nodes, Rejection> {
    let nodes = NODES.get(turn.host)?.unwrap_or_default();
    let place = nodes.iter().position(|known| known == node);
    place.and_then(|place| Nodes::checked_shl(1, place as u32)).ok_or_else(|| No::UnknownNode.because(node))
}
