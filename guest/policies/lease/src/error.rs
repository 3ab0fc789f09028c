//! `UML_OS.Error.Emit_v1`: every error is a record with code, name and context, and is emitted once.
//!
//! A refusal leaves nothing in state, so its record is the rejection in the receipt and a message in the log. What goes
//! wrong in a step that is accepted is a [`Trouble`]: its record goes into the trace and the log.

use crate::{trace::Happening, turn::Turn};
use reprise_guest::{
    Host, LogLevel,
    abi::Rejection,
    rejection::Code,
    text::{decimal, join},
};

reprise_guest::rejection_codes! {
    /// Why the policy refuses an input.
    pub enum No {
        /// `init` has not run yet.
        NotInitialised = 100,
        /// `init` has run.
        AlreadyInitialised = 101,
        /// A field of the configuration is out of bounds.
        BadConfig = 102,
        /// More ranks than 128, or none.
        BadRankCount = 103,
        /// More partitions than 128.
        TooManyPartitions = 104,
        /// A rank or partition is listed twice.
        Duplicate = 105,
        /// A checkpoint does not have the digest that was given for it, or does not bind what it comes with.
        CheckpointMismatch = 106,
        /// A checkpoint was made under another lease policy or configuration.
        PolicyMismatch = 107,
        /// A checkpoint is older than the ledger: going back is refused.
        StaleCheckpoint = 108,
        /// The snapshot names a pending plan: only `restore` and heartbeats are taken until it is there.
        RestorePending = 109,
        /// There is no checkpoint to restore.
        NoCheckpoint = 110,
        /// No such rank.
        UnknownRank = 120,
        /// No such partition.
        UnknownPartition = 121,
        /// The message is of an earlier life of the rank.
        StaleIncarnation = 122,
        /// The message is of a life of the rank that the policy did not start.
        UnexpectedIncarnation = 123,
        /// The rank is not healthy, so it cannot do that.
        RankNotActive = 124,
        /// A rank is on two sides of a network partition, or a side is empty.
        BadSides = 125,
        /// More observations than 256, or none.
        BadObservationCount = 126,
        /// Another rank's lease lives.
        LeaseHeld = 140,
        /// The claim is of an epoch that has passed.
        StaleEpoch = 141,
        /// The claim is of an epoch that has not begun.
        EpochAhead = 142,
        /// The partition is fenced, and the claim is not of a later epoch than the fence.
        PartitionFenced = 143,
        /// The last owner may still believe in its lease until it expires.
        LeaseDraining = 144,
        /// The rank does not own the partition.
        NotOwner = 145,
        /// The token is not the lease's.
        StaleToken = 146,
        /// The lease has expired; renewing comes too late.
        LeaseExpired = 147,
        /// No plan is pending.
        NoPlanPending = 160,
        /// The result is for a plan that has been replaced.
        StalePlan = 161,
        /// The result is for an action that is not in flight.
        ActionNotInFlight = 162,
        /// The plan is halted.
        PlanHalted = 163,
        /// The recovery epoch cannot go higher.
        EpochOverflow = 180,
        /// The number of failure events cannot go higher.
        EventSeqOverflow = 181,
        /// The token of a lease cannot go higher.
        TokenOverflow = 182,
        /// A figure, an incarnation, or the number of restarts, effects or trace entries cannot go higher.
        CounterOverflow = 183,
        /// A point in time is beyond 2^64 - 1 milliseconds.
        TimeOverflow = 184,
    }
}

/// An error: code, name, context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRecord {
    /// From [`No`] or [`Trouble`].
    pub code: u32,
    /// Its stable name.
    pub name: &'static str,
    /// What it is about, for people.
    pub context: String,
}

impl No {
    /// An error record of this refusal.
    #[must_use]
    pub fn at(self, context: impl Into<String>) -> ErrorRecord {
        ErrorRecord { code: self.code(), name: self.name(), context: context.into() }
    }

    /// An error record of this refusal, with a context in parts.
    #[must_use]
    #[inline(never)]
    pub fn says(self, parts: &[&str]) -> ErrorRecord {
        self.at(join(parts))
    }

    /// An error record of this refusal, about something that has a number.
    #[must_use]
    #[inline(never)]
    pub fn of(self, what: &str, number: impl Into<u64>) -> ErrorRecord {
        self.says(&[what, &decimal(number)])
    }
}

impl From<No> for ErrorRecord {
    fn from(no: No) -> Self {
        no.at("")
    }
}

impl From<ErrorRecord> for Rejection {
    fn from(record: ErrorRecord) -> Self {
        let separator = if record.context.is_empty() { "" } else { ": " };
        Self { code: record.code, detail: join(&[record.name, separator, &record.context]) }
    }
}

impl From<No> for Rejection {
    fn from(no: No) -> Self {
        ErrorRecord::from(no).into()
    }
}

/// What can go wrong in a step that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Trouble {
    /// Two ranks have an equal claim: the partition is fenced.
    LeaseConflict = 200,
    /// A network partition leaves no strict majority: partitions are fenced.
    NoMajority = 201,
    /// All attempts at a restart failed: the rank is evicted.
    RestartExhausted = 202,
    /// All attempts at an eviction failed: the plan halts.
    EvictionExhausted = 203,
    /// All attempts at a rejoin failed: the rank stays out.
    RejoinExhausted = 204,
}

impl Trouble {
    /// An error record of it.
    #[must_use]
    pub fn at(self, context: impl Into<String>) -> ErrorRecord {
        let name = match self {
            Self::LeaseConflict => "LeaseConflict",
            Self::NoMajority => "NoMajority",
            Self::RestartExhausted => "RestartExhausted",
            Self::EvictionExhausted => "EvictionExhausted",
            Self::RejoinExhausted => "RejoinExhausted",
        };
        ErrorRecord { code: self as u32, name, context: context.into() }
    }
}

/// `UML_OS.Error.Emit_v1`: puts an error record into the trace and the log.
pub fn emit(turn: &mut Turn<'_>, record: &ErrorRecord) {
    turn.host.log(LogLevel::Error, &join(&[record.name, ": ", &record.context]));
    turn.trace(Happening::Error { code: record.code, context: record.context.clone() });
}

/// `UML_OS.Error.Emit_v1` for a refusal: nothing of it can stay in state, so it goes into the log and the receipt.
#[must_use]
pub fn refuse(host: &mut dyn Host, rejection: Rejection) -> Rejection {
    host.log(LogLevel::Warn, &rejection.detail);
    rejection
}
