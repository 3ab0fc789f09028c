//! Configuration, pinned at initialisation and hashed into every report; and the rules that no configuration changes.

use crate::{
    digest::{self, Digest},
    error::No,
    table::Table,
};
use serde::{Deserialize, Serialize};

/// Most ranks of a cluster. With [`PARTITIONS_MAX`], what one step has to get through when everything fails at once: the
/// scenario `largest-cluster` takes three quarters of a step's fuel.
pub const RANKS_MAX: usize = 128;
/// Most partitions of a cluster.
pub const PARTITIONS_MAX: usize = 128;
/// Most observations in one input.
pub const OBSERVATIONS_MAX: usize = 256;
/// Most settings of a backend profile, and most bytes of its name, a setting's name and a setting's value.
pub const PROFILE_MAX: usize = 64;
/// Entries of the trace, one for each step, that are kept in state; older ones stay bound by the trace hash.
pub const TRACE_MAX: u64 = 256;

/// The lease policy. Changing what it says is a new major version; see `governed` in the description.
pub const LEASE_RULES: &str = "\
lease-policy 1
A partition has at most one owner. Only a healthy rank is granted a lease; a suspected one keeps its own.
A lease ends at its expiry, when its owner fails, or when its partition is fenced. Every grant raises the token by one.
The lease of an owner known to be dead is free at once; of any other lost owner only at its expiry.
A claim from the future epoch, or older than the lease, or by a rank that is not healthy, is refused.
A request for a lease that lives is refused. Of claims for a free partition the highest epoch wins.
Two ranks with the highest claim, or an assertion in the epoch of another rank's living lease, are a conflict.
A conflict, or a network partition without a strict majority, fences: no owner until one rank claims in a later epoch,
and not before every lease that somebody may believe in has run out.
Automatic assignment gives a free partition to the healthy rank with fewest leases, the last owner last, then the lowest.
";

/// The restart policy. Changing what it says is a new major version; see `governed` in the description.
pub const RESTART_RULES: &str = "\
restart-policy 1
A rank without a heartbeat for one timeout is suspected, for as many timeouts as the threshold says it has failed.
A lost, silent or crashed rank is restarted, until its restarts are used up; then it is evicted.
A rank that ended with code 0, cannot be started (126, 127) or is cut off from the strict majority is evicted.
An evicted rank that asks with a higher incarnation rejoins. Evict goes before restart, restart before rejoin.
Actions are ordered by (epoch, rank, event_seq) and run one at a time; a failed one is tried again within its limit.
A restart that is used up becomes an eviction, a rejoin is given up, an eviction that is used up halts the plan.
Any new failure raises the epoch and replaces the plan by one over everything that is outstanding.
";

/// The distributed backend that the ranks run on, by name and settings. The policy only pins it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendProfile {
    /// Name, for instance `nccl-tcp`.
    pub name: String,
    /// Settings in the order of their names.
    #[serde(default)]
    pub settings: Table<String, String>,
}

/// Who gives a free partition an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// The policy does, at once.
    #[default]
    Automatic,
    /// It waits for a rank's claim.
    ByClaim,
}

/// Backend profile, timeouts and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The backend.
    pub profile: BackendProfile,
    /// How long a lease lives without renewal, in milliseconds; not 0.
    pub lease_ttl_ms: u64,
    /// Silence that counts as one missed heartbeat, in milliseconds; not 0.
    pub heartbeat_timeout_ms: u64,
    /// Missed heartbeats until a suspected rank has failed; at least 2.
    pub suspect_threshold: u64,
    /// Restarts of one rank until it is evicted instead.
    pub restarts_max: u64,
    /// Attempts at one action; not 0.
    pub action_attempts_max: u64,
    /// How long one attempt may take, in milliseconds; not 0.
    pub action_timeout_ms: u64,
    /// Who gives a free partition an owner.
    #[serde(default)]
    pub assignment: Assignment,
}

impl Config {
    /// Holds the bounds of every field.
    ///
    /// # Errors
    /// [`No::BadConfig`].
    pub fn validate(&self) -> Result<(), No> {
        let name_ok = |name: &String| !name.is_empty() && name.len() <= PROFILE_MAX;
        let settings = &self.profile.settings;
        let profile_ok = name_ok(&self.profile.name)
            && settings.len() <= PROFILE_MAX
            && settings.iter().all(|(name, value)| name_ok(name) && value.len() <= PROFILE_MAX);
        let positive = [self.lease_ttl_ms, self.heartbeat_timeout_ms, self.action_attempts_max, self.action_timeout_ms];
        if profile_ok && positive.iter().all(|n| *n > 0) && self.suspect_threshold >= 2 {
            Ok(())
        } else {
            Err(No::BadConfig)
        }
    }

    /// The lease policy hash of a report: both rule texts and this configuration.
    #[must_use]
    pub fn policy_hash(&self) -> Digest {
        Digest::of_value(digest::POLICY, &(LEASE_RULES, RESTART_RULES, self))
    }
}
