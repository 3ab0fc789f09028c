//! The words in which the policy answers: the payloads of its effects.

use crate::keys;
use reprise_federation::{NodeKey, Suspension};
use reprise_receipts::LedgerId;
use serde::Deserialize;

/// The driver of the policy's effects: this node.
pub(super) const DRIVER: &str = "node";

/// Something that the policy orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Fetch what is missing, as this peer has shown.
    Fetch { ledger: LedgerId, peer: NodeKey },
    /// Take back the steps from this one on.
    RollBack { ledger: LedgerId, peer: NodeKey, to: u64 },
    /// Do not advance any more.
    Suspend { ledger: LedgerId, why: Suspension },
    /// Hold state and log against the receipts.
    Verify { ledger: LedgerId },
    /// The state anew, from a peer.
    Restore { ledger: LedgerId, attempt: u32 },
    /// The state anew, from what is here.
    Rebuild { ledger: LedgerId },
    /// Advance again.
    Resume { ledger: LedgerId },
    /// Use nothing that a peer says about differences.
    Quarantine { peer: NodeKey },
    /// Use it again.
    Release { peer: NodeKey },
}

#[derive(Deserialize)]
struct Payload {
    r#do: String,
    ledger: Option<String>,
    peer: Option<String>,
    to: Option<u64>,
    at: Option<u64>,
    reason: Option<String>,
    #[serde(default)]
    attempt: u32,
}

impl Order {
    /// From an effect's payload; `None` when it is of another version of the policy.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let payload: Payload = serde_json::from_slice(payload).ok()?;
        let peer = || Some(NodeKey(keys::parse_public(payload.peer.as_deref()?)?));
        let ledger = || payload.ledger.as_deref()?.parse().ok();
        Some(match payload.r#do.as_str() {
            "fetch" => Self::Fetch { ledger: ledger()?, peer: peer()? },
            "roll_back" => Self::RollBack { ledger: ledger()?, peer: peer()?, to: payload.to? },
            "suspend" => Self::Suspend { ledger: ledger()?, why: suspension(payload.reason.as_deref()?, payload.at)? },
            "verify" => Self::Verify { ledger: ledger()? },
            "restore" => Self::Restore { ledger: ledger()?, attempt: payload.attempt },
            "rebuild" => Self::Rebuild { ledger: ledger()? },
            "resume" => Self::Resume { ledger: ledger()? },
            "quarantine" => Self::Quarantine { peer: peer()? },
            "release" => Self::Release { peer: peer()? },
            _ => return None,
        })
    }

    /// The ledger that it is about, if it is about one.
    pub(super) fn ledger(&self) -> Option<LedgerId> {
        match self {
            Self::Fetch { ledger, .. }
            | Self::RollBack { ledger, .. }
            | Self::Suspend { ledger, .. }
            | Self::Verify { ledger }
            | Self::Restore { ledger, .. }
            | Self::Rebuild { ledger }
            | Self::Resume { ledger } => Some(*ledger),
            Self::Quarantine { .. } | Self::Release { .. } => None,
        }
    }
}

fn suspension(name: &str, at: Option<u64>) -> Option<Suspension> {
    Some(match name {
        "corrupt_here" => Suspension::CorruptHere,
        "contradiction" => Suspension::Contradiction { at: at? },
        "execution_fault" => Suspension::ExecutionFault { at: at? },
        "equivocation" => Suspension::Equivocation { at: at? },
        "incomparable" => Suspension::Incomparable,
        "ordered" => Suspension::Ordered,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
