//! Kinds of recovery, the stages of each, and which stage may follow which: the tables of sections 4, 3.3, 11.2 and 13.

use crate::params::Operation;
use reprise_guest::compact::stored_enum;

/// What is being recovered. What is worse comes first: it explains what is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The active region is gone (3.3).
    Region,
    /// Back to a region that had failed: by hand only (3.3).
    Failback,
    /// An availability zone is gone (13).
    Zone,
    /// The primary of the database crashed (4.2).
    Database,
    /// Data is corrupt (8, 13).
    Corruption,
    /// The matching engine crashed (4.3).
    Engine,
    /// A service crashed, or uses too much memory (4.1, 11.2).
    Service,
    /// Connections to the database leak (11.2).
    Connections,
    /// A disk is full (11.2).
    Disk,
}
stored_enum!(Kind);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Region,
        Self::Failback,
        Self::Zone,
        Self::Database,
        Self::Corruption,
        Self::Engine,
        Self::Service,
        Self::Connections,
        Self::Disk,
    ];
    /// Their names, in order.
    pub const NAMES: [&str; 9] =
        ["region", "failback", "zone", "database", "corruption", "engine", "service", "connections", "disk"];

    /// Its name in views and payloads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Recovery time objective, in milliseconds (13; 4.3 for the matching engine). The recovery point objective is 0
    /// for all: nothing acknowledged is lost.
    #[must_use]
    pub const fn objective_ms(self) -> Option<u64> {
        match self {
            Self::Service => Some(30_000),
            Self::Engine => Some(10_000),
            Self::Database => Some(60_000),
            Self::Zone => Some(120_000),
            Self::Region => Some(300_000),
            Self::Corruption => Some(1_800_000),
            Self::Failback | Self::Connections | Self::Disk => None,
        }
    }

    /// Its stages, in order.
    #[must_use]
    pub const fn stages(self) -> &'static [Stage] {
        match self {
            Self::Service => &[Stage::Restart, Stage::LoadState, Stage::ReplayEvents],
            Self::Engine => {
                &[Stage::Restart, Stage::Clear, Stage::Reload, Stage::Rematch, Stage::Resume, Stage::Submit]
            }
            Self::Database => &[Stage::Redirect, Stage::Choose, Stage::Promote, Stage::ReplayLog],
            Self::Zone => &[Stage::Reschedule, Stage::Check],
            Self::Region | Self::Failback => &[Stage::Fence, Stage::VerifyCopy, Stage::Switch],
            Self::Corruption => &[Stage::Isolate, Stage::Repair, Stage::VerifyData],
            Self::Connections => &[Stage::CloseIdle],
            Self::Disk => &[Stage::ArchiveLogs],
        }
    }

    /// Whether a recovery of this kind may go from one stage to another: on, back to its beginning for another
    /// attempt, to a person, and from a person back.
    #[must_use]
    pub fn may_become(self, from: Stage, to: Stage) -> bool {
        let stages = self.stages();
        let at = |stage: Stage| stages.iter().position(|one| *one == stage);
        match (at(from), at(to)) {
            (Some(from), Some(to)) => to == from + 1 || to == 0,
            // The last stage ends it; a primary that is back before another one was chosen, too.
            (Some(from), None) => {
                to == Stage::Person
                    || to == Stage::Done && (from + 1 == stages.len() || self == Self::Database && from == 1)
            }
            (None, Some(to)) => from == Stage::Person && to == 0,
            (None, None) => false,
        }
    }
}

/// How far a recovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The orchestrator restarts it (4.1, 11.2).
    Restart,
    /// It reads its last committed state (4.1).
    LoadState,
    /// It replays the events since its last checkpoint (4.1).
    ReplayEvents,
    /// What is left of the order book is dropped (4.3).
    Clear,
    /// Open orders are put into the book, by price, then by time (4.3).
    Reload,
    /// Matches that were logged and not applied are applied (4.3).
    Rematch,
    /// Matching resumes (4.3).
    Resume,
    /// Orders that were queued meanwhile are submitted (7.2).
    Submit,
    /// Reads go to healthy replicas (4.2).
    Redirect,
    /// A replica that has everything acknowledged is chosen; waits for one, and for a quorum (4.2, 5).
    Choose,
    /// It becomes the primary, under a new fencing token (4.2, 5).
    Promote,
    /// It replays its write-ahead log (4.2).
    ReplayLog,
    /// What is in the zone starts elsewhere (13).
    Reschedule,
    /// It does.
    Check,
    /// The old region is shut out, under a new fencing token (3.3, 5).
    Fence,
    /// The new region has everything that was acknowledged (3.3).
    VerifyCopy,
    /// Traffic goes to the new region (3.3).
    Switch,
    /// Nobody reads what is corrupt (8).
    Isolate,
    /// It is restored (8).
    Repair,
    /// It is what it was (8).
    VerifyData,
    /// Idle connections are closed (11.2).
    CloseIdle,
    /// Old logs are archived (11.2).
    ArchiveLogs,
    /// Two automatic attempts failed: a person decides.
    Person,
    /// It is over.
    Done,
}
stored_enum!(Stage);

/// What a stage asks of the outside world: driver, what to do, and how long that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub driver: &'static str,
    /// What.
    pub verb: &'static str,
    /// As what kind of operation: that bounds its time (10.3).
    pub operation: Operation,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Restart,
        Self::LoadState,
        Self::ReplayEvents,
        Self::Clear,
        Self::Reload,
        Self::Rematch,
        Self::Resume,
        Self::Submit,
        Self::Redirect,
        Self::Choose,
        Self::Promote,
        Self::ReplayLog,
        Self::Reschedule,
        Self::Check,
        Self::Fence,
        Self::VerifyCopy,
        Self::Switch,
        Self::Isolate,
        Self::Repair,
        Self::VerifyData,
        Self::CloseIdle,
        Self::ArchiveLogs,
        Self::Person,
        Self::Done,
    ];
    /// Their names, in order.
    pub const NAMES: [&str; 24] = [
        "RESTART",
        "LOAD_STATE",
        "REPLAY_EVENTS",
        "CLEAR",
        "RELOAD",
        "REMATCH",
        "RESUME",
        "SUBMIT",
        "REDIRECT",
        "CHOOSE",
        "PROMOTE",
        "REPLAY_LOG",
        "RESCHEDULE",
        "CHECK",
        "FENCE",
        "VERIFY_COPY",
        "SWITCH",
        "ISOLATE",
        "REPAIR",
        "VERIFY_DATA",
        "CLOSE_IDLE",
        "ARCHIVE_LOGS",
        "PERSON",
        "DONE",
    ];

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// What it asks for; nothing if the policy does it itself, slice by slice, or waits.
    #[must_use]
    pub const fn ask(self) -> Option<Ask> {
        use Operation::{Database, Http, RpcExternal, RpcInternal};
        let (driver, verb, operation) = match self {
            Self::Restart => ("orchestrator", "restart", RpcExternal),
            Self::LoadState => ("service", "load_state", Database),
            Self::ReplayEvents => ("service", "replay_events", Database),
            Self::Resume => ("service", "resume_matching", RpcInternal),
            Self::Redirect => ("load-balancer", "redirect", RpcExternal),
            Self::Promote => ("database", "promote", Database),
            Self::ReplayLog => ("database", "replay_log", Http),
            Self::Reschedule => ("orchestrator", "reschedule", Http),
            Self::Check => ("orchestrator", "check", RpcExternal),
            Self::Fence => ("region", "fence", RpcExternal),
            Self::VerifyCopy => ("database", "verify_copy", Database),
            Self::Switch => ("load-balancer", "switch", RpcExternal),
            Self::Isolate => ("storage", "isolate", RpcInternal),
            Self::Repair => ("storage", "repair", Http),
            Self::VerifyData => ("storage", "verify", Http),
            Self::CloseIdle => ("database", "close_idle", Database),
            Self::ArchiveLogs => ("storage", "archive_logs", Http),
            Self::Clear | Self::Reload | Self::Rematch | Self::Submit | Self::Choose | Self::Person | Self::Done => {
                return None;
            }
        };
        Some(Ask { driver, verb, operation })
    }
}

#[cfg(test)]
mod tests;
