//! The words in which the policy is told: the events of `guest/policies/reconcile`.

use super::suspension_words;
use reprise_federation::{Divergence, LedgerHead, Suspension, node::Finding};
use reprise_receipts::LedgerId;
use serde_json::{Value, json};

/// A difference, as the policy's event `finding`.
pub(super) fn finding(
    found: &Finding,
    (protected, leads): (u64, bool),
    here: &LedgerHead,
    there: Option<&LedgerHead>,
) -> Value {
    let (class, at, missing) = class(found.divergence);
    let mut event = json!({
        "ledger": found.ledger.to_string(),
        "peer": found.peer.0.to_string(),
        "class": class,
        "protected": protected,
        "leads": leads,
        "here": head(here),
    });
    for (name, value) in [("at", at), ("missing", missing)] {
        if let Some(value) = value {
            event[name] = value.into();
        }
    }
    if let Some(there) = there {
        event["there"] = head(there);
    }
    event
}

/// The class of a difference, the first receipt that differs, and how many are missing.
pub(super) fn class(divergence: Divergence) -> (&'static str, Option<u64>, Option<u64>) {
    match divergence {
        Divergence::StaleHere { missing } => ("stale_here", None, Some(missing)),
        Divergence::StaleThere { missing } => ("stale_there", None, Some(missing)),
        Divergence::Forked { at } => ("forked", Some(at), None),
        Divergence::CorruptHere => ("corrupt_here", None, None),
        Divergence::CorruptThere => ("corrupt_there", None, None),
        Divergence::Equivocation { at } => ("equivocation", Some(at), None),
        Divergence::ExecutionFault { at } => ("execution_fault", Some(at), None),
        Divergence::Incomparable(_) => ("incomparable", None, None),
    }
}

/// A suspension, as the policy's event `suspended`.
pub(super) fn suspended(ledger: LedgerId, why: Suspension) -> Value {
    let (name, at) = suspension_words(why);
    let mut event = json!({ "ledger": ledger.to_string(), "why": name });
    if let Some(at) = at {
        event["at"] = at.into();
    }
    event
}

fn head(head: &LedgerHead) -> Value {
    json!({
        "size": head.size,
        "log_root": head.log_root.to_string(),
        "state_root": head.state_root.to_string(),
    })
}
