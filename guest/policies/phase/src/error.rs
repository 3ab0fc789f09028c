//! Why the policy says no.

use crate::ids::{NodeId, RunId};
use reprise_guest::{
    abi::Rejection,
    rejection::{Code, SdkCode},
    text::{decimal, join},
};

reprise_guest::rejection_codes! {
    /// Why the policy refuses an input. Nothing of a refused input stays.
    pub enum No {
        /// `init` has not run yet.
        NotInitialised = 100,
        /// `init` has run.
        AlreadyInitialised = 101,
        /// A parameter is out of its bounds.
        BadParameter = 102,
        /// No node, or more than 1,000, or not ascending, or 4,096 and up.
        BadNodes = 103,
        /// A text is empty or longer than 128 bytes.
        BadText = 104,
        /// An empty list, a longer one than allowed, or one that is not ascending.
        BadList = 105,
        /// No such phase, action, event, status, verb or mode.
        BadName = 106,
        /// No such node.
        UnknownNode = 110,
        /// The node was evicted or decommissioned.
        NodeLeft = 111,
        /// The node is a member, or its number was used before.
        NodeKnown = 112,
        /// More nodes would be out of the replication set than a majority allows.
        TooManyLagging = 113,
        /// The node is in the replication set.
        NotLagging = 114,
        /// The node has not the whole log.
        BehindLog = 115,
        /// The replication set is being changed already.
        Reconfiguring = 116,
        /// Too few nodes could be reached without this one (the safe-quorum test).
        UnsafeQuorum = 117,
        /// `BEGIN_PHASE` by a node that is PARTITIONED, or without a majority (section 5).
        PartitionError = 120,
        /// The node's log is read-only, because it is PARTITIONED (section 5).
        LogReadOnly = 121,
        /// Overrides, rosters, allowances and changes of the members are disabled on a minority (section 5).
        OverrideOnMinority = 122,
        /// A phase of g + 1 before all five of g have ended (section 4).
        PhaseOrderBarrier = 130,
        /// The generation has passed.
        StaleGeneration = 131,
        /// The phase before it has not begun, or is still under way.
        OutOfOrder = 132,
        /// The phase of that generation has begun.
        AlreadyBegun = 133,
        /// No such run of a phase.
        UnknownRun = 134,
        /// The run's state does not allow it.
        WrongState = 135,
        /// There is no leader.
        NoLeader = 136,
        /// Only the node that began the phase may.
        NotOwner = 137,
        /// The fencing token is not the valid one.
        StaleToken = 140,
        /// A recovery of the phase is active: its token is odd.
        RecoveryActive = 141,
        /// The leader's term is not newer.
        StaleTerm = 142,
        /// No such record in the log.
        UnknownRecord = 150,
        /// The node is not asked to acknowledge this record.
        NotAPeer = 151,
        /// The node has acknowledged it.
        AlreadyAcknowledged = 152,
        /// The acknowledgement is not durable, and the node has no allowance for that.
        NotDurable = 153,
        /// The checksum is not the record's or the content's.
        BadChecksum = 154,
        /// The checkpoint is older than the last one.
        StaleCheckpoint = 155,
        /// More than 4,096 control records.
        TooManyControls = 156,
        /// The vector clock is not ascending, has a zero, or lacks the node's own entry.
        BadClock = 160,
        /// The node's own entry is not newer than its last one: replayed or out of order.
        StaleClock = 161,
        /// The re-ingested log is not the one that the tombstone proves.
        ForensicMismatch = 162,
        /// No tombstone: the node's clock was never pruned.
        NoTombstone = 163,
        /// The node has said so, or the side effect is recorded with something else.
        Repeated = 164,
        /// No rate for that currency, or no such region.
        UnknownCurrency = 170,
        /// The rates are of another day, or known; or the last ones are older than yesterday.
        StaleRates = 171,
        /// More side effects than a run may have.
        TooManyEffects = 172,
        /// No such supervisor.
        UnknownSupervisor = 180,
        /// The supervisor has signed.
        AlreadySigned = 181,
        /// Another override of this run is under way.
        OverridePending = 182,
        /// Too many overrides are under way.
        TooManyOverrides = 183,
        /// An allowance for asynchronous acknowledgements is under way.
        AllowanceActive = 184,
    }
}

/// A rejection on its way out: one pointer, because every function has room for it in its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<Rejection>);

impl From<Rejection> for Refusal {
    #[cold]
    #[inline(never)]
    fn from(rejection: Rejection) -> Self {
        Self(Box::new(rejection))
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        *refusal.0
    }
}

impl No {
    /// The rejection, with a sentence made of parts.
    #[inline(never)]
    pub fn says(self, parts: &[&str]) -> Refusal {
        self.because(join(parts)).into()
    }

    /// The rejection, about a number.
    #[inline(never)]
    pub fn number(self, what: &str, number: u64) -> Refusal {
        self.says(&[what, &decimal(number)])
    }

    /// The rejection, about a node.
    #[inline(never)]
    pub fn node(self, node: NodeId) -> Refusal {
        self.number("node ", node.into())
    }

    /// The rejection, about a run.
    #[inline(never)]
    pub fn run(self, run: RunId) -> Refusal {
        self.says(&[&run.trace()])
    }
}

/// The payload is not what its kind asks for.
#[cold]
#[inline(never)]
pub fn malformed(why: &str) -> Refusal {
    SdkCode::MalformedPayload.because(why).into()
}
