//! Why the policy says no.

use crate::state::NodeId;
use reprise_guest::{
    abi::Rejection,
    rejection::Code,
    text::{decimal, join},
};

reprise_guest::rejection_codes! {
    /// Why the policy refuses an input. Nothing of a refused input stays.
    pub enum No {
        /// `init` has not run yet.
        NotInitialised = 100,
        /// `init` has run.
        AlreadyInitialised = 101,
        /// A timeout is out of bounds, there are fewer than two operators, or an admin is no operator.
        BadParameters = 102,
        /// No node, or more than 1,000.
        BadNodeCount = 103,
        /// A node or an operator is listed twice, or the nodes are not in ascending order.
        Duplicate = 104,
        /// A name, digest or reason is empty or longer than 128 bytes.
        BadText = 105,
        /// No capsule, or more than 1,024.
        BadCapsuleCount = 106,
        /// No such node.
        UnknownNode = 120,
        /// The node was evicted.
        NodeEvicted = 121,
        /// The node is offline: it comes back by a manual restart.
        NodeOffline = 122,
        /// The node's state does not allow it.
        WrongNodeState = 123,
        /// The node is one of the cluster.
        NodeKnown = 124,
        /// No such capsule.
        UnknownCapsule = 130,
        /// The capsule has a node.
        CapsuleAssigned = 131,
        /// No healthy node can take over (2.4).
        NoHealthyNodes = 132,
        /// Capsules of the node are on their way.
        TransfersInFlight = 133,
        /// The node has no capsules to move.
        NothingToMove = 134,
        /// No proposals are accepted: the cluster is read-only (2.3).
        ProposalsHalted = 140,
        /// A ballot is open.
        BallotOpen = 141,
        /// That ballot is not open.
        NoBallot = 142,
        /// The node has voted so already.
        AlreadyVoted = 143,
        /// The node has joined after the ballot was opened, or is not healthy.
        NotAVoter = 144,
        /// The round has passed.
        StaleRound = 150,
        /// The round has not begun.
        RoundAhead = 151,
        /// The node has reported so already.
        AlreadyReported = 152,
        /// Nothing may be changed: the cluster is read-only or halted.
        MutationsHalted = 160,
        /// A procedure is under way that ends by itself.
        Busy = 161,
        /// Nothing is halted.
        NothingToResume = 162,
        /// Fewer than two thirds of the nodes are responsive.
        NoQuorum = 163,
        /// A node that contradicted itself is still a member: evict or clear it first.
        SuspectPresent = 164,
        /// No security incident waits for clearance.
        NothingToClear = 165,
        /// A global failure is being handled.
        FailureKnown = 166,
        /// No such operator.
        UnknownOperator = 170,
        /// The second operator is the first one.
        SameOperator = 171,
        /// The operator is no admin.
        NotAuthorised = 172,
        /// A halt waits for its second operator.
        HaltPending = 180,
        /// No halt waits for its second operator.
        NothingToConfirm = 181,
        /// The acknowledgement is of no halt, or of another one.
        UnknownHalt = 182,
        /// The 30 seconds are over.
        AckTooLate = 183,
        /// The node has acknowledged.
        AlreadyAcknowledged = 184,
        /// No such snapshot.
        UnknownSnapshot = 190,
        /// A snapshot of that name is registered.
        SnapshotKnown = 191,
        /// A restoration is under way.
        RestorePending = 192,
        /// A security incident is not cleared: nothing is restored until it is (5.2, level 4).
        NotCleared = 193,
    }
}

impl No {
    /// The rejection, with a sentence made of parts.
    #[inline(never)]
    pub fn says(self, parts: &[&str]) -> Rejection {
        self.because(join(parts))
    }

    /// The rejection, about a node.
    #[inline(never)]
    pub fn node(self, node: NodeId) -> Rejection {
        self.number("node ", u64::from(node.0))
    }

    /// The rejection, about a number.
    #[inline(never)]
    pub fn number(self, what: &str, number: u64) -> Rejection {
        self.says(&[what, &decimal(number)])
    }
}
