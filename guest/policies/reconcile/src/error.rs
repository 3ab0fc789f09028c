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
        /// A ledger or peer is not named by 64 hexadecimal digits.
        BadName = 103,
        /// A class of difference that is not known, or that comes with other members.
        BadFinding = 104,
        /// A reason of suspension that is not known, or that comes with other members.
        BadReason = 105,
        /// A text is too long, or a count is 0.
        BadRejected = 106,
        /// There are as many ledgers or peers as there can be.
        TooMany = 107,
        /// No ledger of that name is known.
        UnknownLedger = 110,
        /// The ledger is not suspended.
        NotSuspended = 111,
        /// The peer is not in quarantine.
        NotInQuarantine = 112,
        /// The policy set no such timer.
        UnknownTimer = 120,
        /// The policy emitted no such effect.
        UnknownEffect = 121,
    }
}
