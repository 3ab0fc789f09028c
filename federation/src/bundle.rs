//! Bundles for peers: what is to be made for a question, or why it is refused. Making and sending files is the driver's.

use crate::{
    ledgers::{LedgerHead, Ledgers},
    limits::BUNDLE_STEPS_MAX,
    message::{BundleQuery, Refusal},
};
use reprise_receipts::{LedgerId, bundle::BundleKind};
use std::ops::Range;

/// A bundle that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleOrder {
    /// Of which ledger.
    pub ledger: LedgerId,
    /// Which kind.
    pub kind: BundleKind,
    /// Which receipts; of a checkpoint, `0..size`.
    pub range: Range<u64>,
    /// Less may be made, from the beginning of the range on: as much as somebody has signed.
    pub open_end: bool,
}

/// What is to be made for a question. `shared` are the heads of the ledgers that both nodes are members of, in the order of
/// ledgers; of this one, so many receipts are `committed`. Nothing beyond them leaves this node as a bundle, because whoever
/// begins a ledger with it could not take it back; as long as nothing is committed, members are still gathering, and all is
/// given.
///
/// # Errors
/// [`Refusal`]: not shared, beyond the end, there is no checkpoint or only one that is not committed yet, or more receipts
/// than one bundle may have.
pub fn plan(
    query: &BundleQuery,
    shared: &[LedgerHead],
    committed: u64,
    facts: &dyn Ledgers,
) -> Result<BundleOrder, Refusal> {
    let BundleQuery { ledger, kind, from, to, .. } = *query;
    let at = shared.binary_search_by_key(&ledger, |head| head.ledger).map_err(|_| Refusal::NotShared)?;
    let size = shared[at].size.min(if committed == 0 { u64::MAX } else { committed });
    let end = match (to, kind) {
        (Some(to), _) => to,
        (None, BundleKind::Checkpoint) => match facts.snapshot(ledger).ok_or(Refusal::Pruned)?.claim.size {
            newest if newest > size => return Err(Refusal::NotMade),
            newest => newest,
        },
        (None, BundleKind::Receipt | BundleKind::Replay) => size.min(from.saturating_add(BUNDLE_STEPS_MAX)),
    };
    if end > size || from >= end {
        return Err(Refusal::BeyondEnd);
    }
    if kind != BundleKind::Checkpoint && end - from > BUNDLE_STEPS_MAX {
        return Err(Refusal::NotMade);
    }
    Ok(BundleOrder { ledger, kind, range: from..end, open_end: to.is_none() && kind != BundleKind::Checkpoint })
}
