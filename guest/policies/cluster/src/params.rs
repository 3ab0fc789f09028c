//! The document's numbers, the bounds of this policy, and what an operator may set.

use reprise_guest::compact::stored;
use serde::Deserialize;

/// Failed retries until a node is failing (2.1, 2.2). Also attempts at one transfer and at one election.
pub const RETRIES: u32 = 3;
/// How long the acknowledgements of an emergency halt are waited for, in milliseconds (3.2).
pub const HALT_ACK_MS: u64 = 30_000;
/// Priority of the broadcast that halts everything: urgent (3.2).
pub const HALT_PRIORITY: u64 = 3;
/// Target of a single node's failure, detection and recovery together, in milliseconds (4.1).
pub const NODE_RECOVERY_TARGET_MS: u64 = 35_000;

/// Most nodes of a cluster.
pub const NODES_MAX: u32 = 1_000;
/// Most capsules that one event names and one transfer batch moves. Three changes of state for each stay far below the
/// 16,384 of a step.
pub const BATCH_MAX: u32 = 1_024;
/// Most transfers, and nodes that are restored, at the same time: an order costs some 20,000 of a step's fuel.
pub const ORDERS_MAX: u32 = 256;
/// Most nodes that one step evicts, and most moves that it begins again.
pub const STEP_NODES_MAX: usize = 16;
/// Most nodes of a page of the view `nodes`.
pub const PAGE_NODES_MAX: usize = 256;
/// Most operators, and snapshots that are remembered; of more snapshots the oldest is forgotten.
pub const LIST_MAX: usize = 64;
/// Longest name, digest or reason, in bytes.
pub const TEXT_MAX: usize = 128;
/// Longest timeout, in milliseconds: a day.
pub const TIMEOUT_MAX_MS: u64 = 24 * 60 * 60 * 1_000;
/// Deadline of what nobody waits for (alerts, announcements), in milliseconds after it was said.
pub const NOTICE_MS: u64 = 60 * 60 * 1_000;

/// Timeouts, all in milliseconds, 1 to [`TIMEOUT_MAX_MS`]. What is left out has the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Silence after which a node is degraded (4.1: detection within 5 seconds).
    pub heartbeat_ms: u64,
    /// How long one of the three retries takes.
    pub retry_ms: u64,
    /// How long a failing node may still come back before its failover.
    pub failover_delay_ms: u64,
    /// From one attempt to recover a missing node to the next.
    pub recovery_interval_ms: u64,
    /// How long a candidate has to take the lead.
    pub election_ms: u64,
    /// How long one transfer of capsules may take.
    pub transfer_ms: u64,
    /// How long a ballot is open before it is deadlocked.
    pub vote_ms: u64,
    /// How long reports are gathered before the mode of a global failure is judged.
    pub survey_ms: u64,
    /// How long all nodes have to agree after a recovery.
    pub verify_ms: u64,
    /// How long the second operator has to confirm a halt.
    pub confirm_ms: u64,
    /// How long checking a snapshot, or restoring one node from it, may take.
    pub restore_ms: u64,
}

stored!(Timeouts {
    heartbeat_ms,
    retry_ms,
    failover_delay_ms,
    recovery_interval_ms,
    election_ms,
    transfer_ms,
    vote_ms,
    survey_ms,
    verify_ms,
    confirm_ms,
    restore_ms,
});

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            heartbeat_ms: 5_000,
            retry_ms: 3_000,
            failover_delay_ms: 1_000,
            recovery_interval_ms: 10_000,
            election_ms: 5_000,
            transfer_ms: 5_000,
            vote_ms: 10_000,
            survey_ms: 5_000,
            verify_ms: 30_000,
            confirm_ms: 60_000,
            restore_ms: 300_000,
        }
    }
}

impl Timeouts {
    /// Every timeout is within its bounds.
    #[must_use]
    pub fn in_bounds(&self) -> bool {
        [
            self.heartbeat_ms,
            self.retry_ms,
            self.failover_delay_ms,
            self.recovery_interval_ms,
            self.election_ms,
            self.transfer_ms,
            self.vote_ms,
            self.survey_ms,
            self.verify_ms,
            self.confirm_ms,
            self.restore_ms,
        ]
        .iter()
        .all(|ms| (1..=TIMEOUT_MAX_MS).contains(ms))
    }
}
