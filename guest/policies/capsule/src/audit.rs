//! `audit`: every invariant on the whole state, and the counters counted anew (X12).
//!
//! It goes through the capsules in slices, each by a timer that is due at once, so that no other input comes between. A
//! slice that finds something writes it down, and `check` makes a violation of it: the ledger halts.

use crate::{
    check,
    rejection::No,
    state::{AUDIT, Audit, CAPSULES, Figure, capsules_after},
    tick,
    turn::Turn,
};
use reprise_guest::{abi::Rejection, rejection::Code};

/// Capsules of one slice.
const SLICE: u32 = 256;

/// Begins an audit.
///
/// # Errors
/// [`No::AuditRunning`], or corrupt state.
pub fn begin(turn: &mut Turn) -> Result<(), Rejection> {
    if AUDIT.get(turn.host)?.is_some_and(|audit| !audit.complete) {
        return Err(No::AuditRunning.because("it ends by itself"));
    }
    turn.header.count(Figure::Audits);
    AUDIT.put(turn.host, &Audit::default());
    tick::at_once(turn);
    Ok(())
}

/// Looks at some more capsules; true if there are more.
///
/// # Errors
/// Corrupt state.
pub fn slice(turn: &mut Turn) -> Result<bool, Rejection> {
    let mut audit = AUDIT.get(turn.host)?.unwrap_or_default();
    let (page, more) = capsules_after(turn.host, audit.after.as_ref(), SLICE)?;
    for id in page {
        let Some(capsule) = CAPSULES.get(turn.host, &id)? else { continue };
        let count = &mut audit.by_status[capsule.status as usize];
        *count = count.saturating_add(1);
        let parent = check::descent(turn.host, &turn.header, &capsule)?;
        if let Err(broken) = check::record(&turn.config, &capsule).and(parent) {
            turn.report(broken, &id);
        }
        audit.after = Some(id);
    }
    audit.complete = !more;
    if audit.complete && audit.by_status != turn.header.by_status {
        turn.report("counters-are-true", "");
    }
    AUDIT.put(turn.host, &audit);
    Ok(more)
}
