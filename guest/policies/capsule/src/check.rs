//! Invariants (X12): after every step on what it changed, in an audit on everything.
//!
//! A step must not cost more where there are more capsules. So it leaves word of the capsules it changed, how each of
//! them stood before and stands now, and that is held against the table of transitions, the shape of the records,
//! their parents and the counters.

use crate::{
    case::Case,
    config::Config,
    phi,
    severity::PPM,
    state::{CAPSULES, CONFIG, Capsule, HEADER, Header, Status, TOUCHED, Touched},
};
use reprise_guest::{
    Host,
    abi::{Rejection, Violation},
};

/// An invariant that does not hold.
pub type Broken = &'static str;

/// Holds the invariants that the last step can have broken.
///
/// # Errors
/// The first one that does not hold.
pub fn check(host: &mut dyn Host) -> Result<(), Violation> {
    let touched = TOUCHED.get(host).map_err(unreadable)?.unwrap_or_default();
    let header = HEADER.get(host).map_err(unreadable)?.unwrap_or_default();
    let Some(config) = CONFIG.get(host).map_err(unreadable)? else { return Ok(()) };
    counters(&header, &touched).map_err(|broken| violated(broken, ""))?;
    if let Some((broken, id)) = &touched.broken {
        return Err(violated(broken, id));
    }
    for (id, path) in &touched.changes {
        let new = path.len() == 1;
        if new && path[0] != Status::Normal || path.windows(2).any(|edge| !transition(edge[0], edge[1])) {
            return Err(violated("transition-is-the-documents", id));
        }
        let capsule = CAPSULES.get(host, id).map_err(unreadable)?;
        let capsule =
            capsule.filter(|c| path.last() == Some(&c.status)).ok_or_else(|| violated("change-is-in-state", id))?;
        // Who its parent is does not change, and taint only comes from above.
        let alone = !new && capsule.lineage_tainted;
        let parent = if alone { Ok(Ok(())) } else { descent(host, &header, &capsule) };
        let broken = record(&config, &capsule).and(parent.map_err(unreadable)?);
        broken.map_err(|broken| violated(broken, id))?;
    }
    Ok(())
}

/// The document's transitions (section 1.1), and no others.
#[must_use]
pub fn transition(from: Status, to: Status) -> bool {
    use Status::{Escalated, Healing, Isolated, Normal, Quarantined, Recovering};
    match from {
        Normal => matches!(to, Normal | Healing | Quarantined | Escalated | Isolated),
        Healing => to != Recovering,
        Quarantined => matches!(to, Quarantined | Escalated | Isolated | Recovering),
        Escalated => matches!(to, Escalated | Quarantined | Isolated | Recovering),
        // A root by a review; its descendants with it.
        Isolated => matches!(to, Isolated | Recovering | Normal | Quarantined),
        Recovering => to != Healing,
    }
}

/// Counters changed by what the step changed, and by nothing else.
fn counters(header: &Header, touched: &Touched) -> Result<(), Broken> {
    let mut expected = touched.by_status_before;
    for (_, path) in &touched.changes {
        if let [before, _, ..] = path[..] {
            let count = &mut expected[before as usize];
            *count = count.checked_sub(1).ok_or("counters-are-true")?;
        }
        if let Some(after) = path.last() {
            let count = &mut expected[*after as usize];
            *count = count.checked_add(1).ok_or("counters-are-true")?;
        }
    }
    if expected == header.by_status { Ok(()) } else { Err("counters-are-true") }
}

/// One record by itself.
///
/// # Errors
/// The first invariant that it breaks.
pub fn record(config: &Config, capsule: &Capsule) -> Result<(), Broken> {
    shape(capsule)?;
    if phi::is_normal(&capsule.phi, config.dimension) { Ok(()) } else { Err("vector-has-length-one") }
}

/// One record and its parent's.
///
/// # Errors
/// Corrupt state outside, a broken invariant inside.
pub fn descent(host: &mut dyn Host, header: &Header, capsule: &Capsule) -> Result<Result<(), Broken>, Rejection> {
    let Some(parent) = &capsule.parent else {
        return Ok(if capsule.depth == 0 { Ok(()) } else { Err("depth-is-true") });
    };
    let Some(parent) = CAPSULES.get(host, parent)? else { return Ok(Err("parent-is-known")) };
    if capsule.depth != parent.depth + 1 || !parent.has_children {
        return Ok(Err("depth-is-true"));
    }
    // While a tree is being worked through, the taint is on its way.
    let spreads = !header.walking.is_empty() || capsule.lineage_tainted || !parent.lineage_tainted;
    Ok(if spreads { Ok(()) } else { Err("taint-reaches-descendants") })
}

fn shape(capsule: &Capsule) -> Result<(), Broken> {
    let participates = capsule.status.participates();
    if capsule.consensus_participation != participates || capsule.propagation_blocked == participates {
        return Err("pool-follows-status");
    }
    let isolated = capsule.status == Status::Isolated;
    let may_be_tainted = isolated || capsule.status == Status::Recovering;
    if capsule.lineage_tainted != capsule.order.is_some()
        || isolated && !capsule.lineage_tainted
        || !may_be_tainted && capsule.lineage_tainted
    {
        return Err("taint-is-isolation");
    }
    if !case_fits(capsule) {
        return Err("case-fits-status");
    }
    // Whoever is not normal waits for something that comes by itself; descendants wait for their root.
    if capsule.agenda.due.is_some() != capsule.case.is_some() {
        return Err("every-wait-ends");
    }
    if capsule.reading.is_some_and(|reading| reading.stability_ppm > PPM) {
        return Err("reading-is-in-range");
    }
    Ok(())
}

fn case_fits(capsule: &Capsule) -> bool {
    let is = |case: &Case, watched: bool, assessed: bool| {
        case.watch.is_some() == watched && case.assessment.is_some() == assessed
    };
    match (capsule.status, &capsule.case) {
        (Status::Normal, case) => case.is_none(),
        (Status::Healing | Status::Recovering, Some(case)) => is(case, true, false),
        (Status::Quarantined | Status::Isolated, Some(case)) => is(case, false, false),
        (Status::Escalated, Some(case)) => is(case, false, true),
        (Status::Isolated, None) => true,
        (_, None) => false,
    }
}

fn violated(invariant: &str, about: &str) -> Violation {
    Violation { invariant: invariant.into(), detail: about.into() }
}

fn unreadable(why: impl Into<Rejection>) -> Violation {
    Violation { invariant: "state-is-readable".into(), detail: why.into().detail }
}

#[cfg(test)]
mod tests;
