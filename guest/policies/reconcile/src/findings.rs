//! A difference to a peer: what it is answered with now, given what is under way.

use crate::{
    conduct,
    decide::{Remedy, reason, remedy},
    events::{Finding, named},
    plans,
    state::{Divergence, Seen, Stage},
    turn::Turn,
};
use reprise_guest::abi::Rejection;

/// This node and a peer differ.
///
/// # Errors
/// [`No::BadFinding`](crate::error::No::BadFinding) and others of the same kind, or corrupt state.
pub fn finding(turn: &mut Turn<'_>, finding: &Finding) -> Result<(), Rejection> {
    named(&finding.peer)?;
    let divergence = finding.divergence()?;
    let mut held = turn.ledger(&finding.ledger)?;
    let seen = Seen { divergence, there: finding.there.clone(), at_ms: turn.now_ms };
    turn.saw(&finding.ledger, &finding.peer, &seen)?;
    held.ledger.protected = held.ledger.protected.max(finding.protected);
    let protected = held.ledger.protected;
    // What was decided before more was protected does not hold any more; the host refuses it for itself, too.
    held.ledger.plan.take_if(|plan| matches!(plan.stage, Stage::RollBack { to } if to < protected));
    if divergence == Divergence::CorruptThere {
        conduct::strike(turn, &finding.peer, 1)?;
    }
    let remedy = remedy(divergence, protected, finding.leads);
    let why = reason(divergence, remedy, finding.leads);
    let stage = match remedy {
        Remedy::Nothing => None,
        Remedy::Fetch => Some(Stage::Fetch),
        Remedy::RollBack { to } => Some(Stage::RollBack { to }),
        Remedy::Suspend(why) => Some(Stage::Suspend(why)),
    };
    let Some(stage) = stage else {
        turn.say("nothing", why);
        turn.save(held);
        return Ok(());
    };
    let fetches = matches!(stage, Stage::Fetch | Stage::RollBack { .. });
    let stands = |stage: Stage| stage.repairs() || matches!(stage, Stage::Suspend(_));
    let stands = held.ledger.plan.as_ref().is_some_and(|plan| stands(plan.stage));
    if fetches && held.ledger.gave_up {
        turn.say("nothing", "a person is to look");
    } else if fetches && (held.ledger.suspended.is_some() || stands) {
        turn.say("nothing", "the ledger is suspended: it is repaired first");
    } else if fetches && !finding.leads && turn.conduct(&finding.peer)?.quarantined_until_ms.is_some() {
        turn.say("nothing", "the peer is in quarantine: others may have it too");
    } else if matches!(stage, Stage::Suspend(_)) && held.ledger.suspended.is_some() {
        turn.say("nothing", "the ledger is suspended already");
    } else {
        plans::begin(turn, &mut held, stage, &finding.peer, why);
    }
    turn.save(held);
    Ok(())
}
