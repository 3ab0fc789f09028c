//! Why the policy says no. `README.md` has the same list with what to do.

reprise_guest::rejection_codes! {
    /// The policy's own codes.
    pub enum No {
        /// Before `init`.
        NotInitialised = 100,
        /// A second `init`.
        AlreadyInitialised = 101,
        /// A parameter is out of its bounds.
        BadParameter = 102,
        /// No node, too many, or not ascending.
        BadNodes = 103,
        /// A name is empty, too long or not visible ASCII.
        BadName = 104,
        /// A list is empty or too long.
        BadCount = 105,
        /// A capsule of that name is known.
        DuplicateCapsule = 110,
        /// No capsule of that name is known.
        UnknownCapsule = 111,
        /// The parent of a new capsule is not known.
        UnknownParent = 112,
        /// The lineage is too long.
        TooDeep = 113,
        /// There are as many capsules as there can be.
        TooManyCapsules = 114,
        /// The parent is in quarantine: nothing may spring from it.
        PropagationBlocked = 115,
        /// The vector has another dimension, or not length one.
        BadPhi = 116,
        /// A measure is out of its range.
        BadReading = 117,
        /// No node of that name is known.
        UnknownNode = 120,
        /// The cluster is not asked about this capsule.
        NoAssessment = 121,
        /// Nothing about this capsule is being verified.
        NotVerifying = 122,
        /// The answer is to an earlier question.
        StaleRound = 123,
        /// There is nothing to review.
        NotQuarantined = 130,
        /// The cluster is still deciding.
        UnderAssessment = 131,
        /// The capsule is released with the whole tree, by a review of its root.
        LineageUnderReview = 132,
        /// The capsule has not been stable for long enough.
        NotStableLongEnough = 133,
        /// The tree is still being worked through.
        LineageBusy = 134,
        /// The policy set no such timer.
        UnknownTimer = 140,
        /// The policy emitted no such effect.
        UnknownEffect = 141,
        /// An audit is under way.
        AuditRunning = 142,
        /// `canary` is switched off.
        CanaryOff = 143,
    }
}
