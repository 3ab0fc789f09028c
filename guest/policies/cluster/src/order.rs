//! Orders: what was ordered, has not ended, and matters when it does.

use crate::{moves::Transfer, state::NodeId};
use reprise_guest::compact::{Reader, Stored, write_number};

/// What was ordered and is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// One of the retries, a recovery or a restart of a node.
    Revive(NodeId),
    /// The candidate of this term takes the lead.
    Lead(u64),
    /// Capsules move.
    Transfer(Transfer),
    /// A node is taken out, by this incident (0: by an operator).
    Evict(NodeId, u64),
    /// A snapshot of everything is taken.
    Capture(String),
    /// A snapshot is checked, for the restoration of this number.
    Check(u64),
    /// A node is restored, by the restoration of this number.
    Restore(NodeId, u64),
}

impl Stored for Order {
    fn store(&self, out: &mut Vec<u8>) {
        let (variant, number) = match self {
            Self::Revive(id) => (0, u64::from(id.0)),
            Self::Lead(term) => (1, *term),
            Self::Transfer(_) => (2, 0),
            Self::Evict(id, _) => (3, u64::from(id.0)),
            Self::Capture(_) => (4, 0),
            Self::Check(number) => (5, *number),
            Self::Restore(id, _) => (6, u64::from(id.0)),
        };
        write_number(variant, out);
        match self {
            Self::Transfer(transfer) => transfer.store(out),
            Self::Capture(name) => name.store(out),
            _ => write_number(number, out),
        }
        if let Self::Evict(_, number) | Self::Restore(_, number) = self {
            write_number(*number, out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Self {
        match from.below(7) {
            0 => Self::Revive(Stored::load(from)),
            1 => Self::Lead(Stored::load(from)),
            2 => Self::Transfer(Stored::load(from)),
            3 => Self::Evict(Stored::load(from), Stored::load(from)),
            4 => Self::Capture(Stored::load(from)),
            5 => Self::Check(Stored::load(from)),
            _ => Self::Restore(Stored::load(from), Stored::load(from)),
        }
    }
}
