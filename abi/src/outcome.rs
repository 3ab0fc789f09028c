//! How a step ended. Host faults are not here: they are never an outcome.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The policy's "no".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// From the policy's documented list.
    pub code: u32,
    /// A sentence for people, at most 1 KiB.
    pub detail: String,
}

/// An invariant of the policy that did not hold after the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Name of the invariant.
    pub invariant: String,
    /// A sentence for people, at most 1 KiB.
    pub detail: String,
}

/// Why a guest trapped: the project's own list, independent of any engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u32)]
pub enum TrapKind {
    /// `unreachable`: a panic in most languages.
    Unreachable = 0,
    /// Memory access outside the linear memory.
    MemoryOutOfBounds = 1,
    /// Table access outside the table.
    TableOutOfBounds = 2,
    /// Indirect call to null or with another signature.
    BadIndirectCall = 3,
    /// Integer overflow, division by zero or bad conversion.
    Arithmetic = 4,
    /// A value that the canonical ABI does not allow: bad discriminant, bad UTF-8, bad or misaligned pointer.
    BadValue = 5,
    /// A call that the contract does not allow at that moment: re-entry, a host call in `describe`, a write in a view.
    ForbiddenCall = 6,
}

/// Which limit a step went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u32)]
pub enum LimitKind {
    /// A key is empty or too long.
    Key = 0,
    /// A value is too long.
    Value = 1,
    /// Too many keys changed.
    DiffChanges = 2,
    /// Too many bytes changed.
    DiffBytes = 3,
    /// Too many effects.
    Effects = 4,
    /// A payload of an effect, compensator or timer is too long.
    EffectPayload = 5,
    /// Too many timer changes.
    Timers = 6,
    /// A name is empty or too long.
    Name = 7,
    /// The answer is too long.
    Answer = 8,
    /// A log message is too long, or there are too many.
    Log = 9,
    /// The state of the ledger would be too large.
    State = 10,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The policy took the input; its diff is applied.
    Accepted {
        /// What the policy answered.
        #[serde(with = "serde_bytes")]
        answer: Vec<u8>,
    },
    /// The policy refused the input; its diff is discarded.
    Rejected(Rejection),
    /// The guest trapped; its diff is discarded.
    Trapped(TrapKind),
    /// The guest used all its fuel; its diff is discarded.
    OutOfFuel,
    /// The guest went over a limit; its diff is discarded.
    LimitExceeded(LimitKind),
    /// An invariant did not hold; its diff is discarded and the ledger halts.
    InvariantViolated(Violation),
}

/// The class of an outcome: what a receipt carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u32)]
pub enum OutcomeClass {
    /// See [`Outcome::Accepted`].
    Accepted = 0,
    /// See [`Outcome::Rejected`].
    Rejected = 1,
    /// See [`Outcome::Trapped`].
    Trapped = 2,
    /// See [`Outcome::OutOfFuel`].
    OutOfFuel = 3,
    /// See [`Outcome::LimitExceeded`].
    LimitExceeded = 4,
    /// See [`Outcome::InvariantViolated`].
    InvariantViolated = 5,
}

impl Outcome {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> OutcomeClass {
        match self {
            Self::Accepted { .. } => OutcomeClass::Accepted,
            Self::Rejected(_) => OutcomeClass::Rejected,
            Self::Trapped(_) => OutcomeClass::Trapped,
            Self::OutOfFuel => OutcomeClass::OutOfFuel,
            Self::LimitExceeded(_) => OutcomeClass::LimitExceeded,
            Self::InvariantViolated(_) => OutcomeClass::InvariantViolated,
        }
    }

    /// The code within its class: the rejection code, the trap kind, the limit; else 0.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Rejected(rejection) => rejection.code,
            Self::Trapped(kind) => *kind as u32,
            Self::LimitExceeded(kind) => *kind as u32,
            Self::Accepted { .. } | Self::OutOfFuel | Self::InvariantViolated(_) => 0,
        }
    }

    /// The policy's diff is applied.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

impl OutcomeClass {
    /// The guest is at fault: neither a decision for nor against the input.
    #[must_use]
    pub fn is_guest_fault(self) -> bool {
        !matches!(self, Self::Accepted | Self::Rejected)
    }

    /// Its name in tables and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Trapped => "trapped",
            Self::OutOfFuel => "out of fuel",
            Self::LimitExceeded => "limit exceeded",
            Self::InvariantViolated => "invariant violated",
        }
    }
}
