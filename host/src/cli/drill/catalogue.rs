//! Which drills there are, what each injects, and the objective that its time is held against.
//!
//! Objectives are the documents': the recovery protocols' table of target recovery times (section 4.1) for capsules and
//! cluster nodes, the exchange's recovery time objectives (section 13) for the rest.

use serde_json::{Value, json};

/// One drill.
pub(super) struct Drill {
    pub(super) name: &'static str,
    /// What is injected, and what has to follow.
    pub(super) about: &'static str,
    pub(super) objective_ms: u64,
    /// Where the objective is from.
    pub(super) source: &'static str,
    pub(super) kind: Kind,
}

/// How a fault is injected.
pub(super) enum Kind {
    Scripted(Script),
    Killed,
    DiskFull,
    CorruptPage,
    FullRestore,
}

impl Kind {
    /// Whose time is measured.
    pub(super) fn clock(&self) -> &'static str {
        match self {
            Self::Scripted(_) => "logical",
            _ => "clock",
        }
    }
}

/// A fault of the outside world: a scenario that runs on a ledger of a live node.
pub(super) struct Script {
    /// The scenario.
    pub(super) file: &'static str,
    pub(super) scenario: &'static str,
    /// The policy's package.
    pub(super) package: &'static [u8],
    /// When the fault begins, in milliseconds of the scenario.
    pub(super) fault_ms: u64,
    /// The view that tells that all is well again, with its arguments and what it must contain.
    pub(super) view: &'static str,
    pub(super) args: fn() -> Option<Value>,
    pub(super) well: fn() -> Value,
}

macro_rules! scripted {
    ($file:literal, $package:literal, $fault_ms:literal, $view:literal, $args:expr, $well:expr) => {
        Kind::Scripted(Script {
            file: $file,
            scenario: include_str!(concat!("../../../../fixtures/scenarios/", $file)),
            package: include_bytes!(concat!("../../../../fixtures/packages/", $package)),
            fault_ms: $fault_ms,
            view: $view,
            args: || $args,
            well: || $well,
        })
    };
}

const CAPSULE: &str = "recovery protocols, section 4.1: MILD drift, less than 6 ticks of 1 s";
const NODE: &str = "recovery protocols, section 4.1: single node failure, 35 s";
const PARTITION: &str = "exchange, section 13: loss of a zone, 2 min";
const CRASH: &str = "exchange, section 13: single service crash, 30 s";
const REGION: &str = "exchange, section 13: loss of a region, 5 min";
const CORRUPTION: &str = "exchange, section 13: data corruption, 30 min";
const RESTORE: &str = "recovery protocols, section 4.1: state corruption from a snapshot, 30 min";

/// All of them.
pub(super) const DRILLS: &[Drill] = &[
    Drill {
        name: "capsule-drift",
        about: "a capsule drifts mildly; it is healed, verified for five ticks, and normal again",
        objective_ms: 6_000,
        source: CAPSULE,
        kind: scripted!(
            "capsule/heal-holds.json",
            "capsule-1.0.0.reprise",
            1_300,
            "figures",
            None,
            json!({"heals": 1, "recoveries": 1})
        ),
    },
    Drill {
        name: "node-failure",
        about: "a node of four falls silent; its capsules move, another one leads, three go on",
        objective_ms: 35_000,
        source: NODE,
        kind: scripted!(
            "cluster/node-failover.json",
            "cluster-1.0.0.reprise",
            2_001,
            "cluster",
            None,
            json!({"status": "NORMAL", "members": 3, "nodes": {"HEALTHY": 3, "OFFLINE": 1}})
        ),
    },
    Drill {
        name: "partition",
        about: "half of the nodes are cut off; everything halts until they are back and all agree",
        objective_ms: 120_000,
        source: PARTITION,
        kind: scripted!(
            "cluster/global-partition.json",
            "cluster-1.0.0.reprise",
            1_001,
            "incident",
            None,
            json!({"mode": "partition", "ended_ms": 31_001})
        ),
    },
    Drill {
        name: "latency",
        about: "calls take 100 to 500 ms longer for ten seconds; all of them still end within their time",
        objective_ms: 30_000,
        source: CRASH,
        kind: scripted!(
            "service/drill-latency.json",
            "service-1.0.0.reprise",
            1_000,
            "drill",
            None,
            json!({"fault": "latency", "phase": "DONE", "recovery": 0})
        ),
    },
    Drill {
        name: "region-failover",
        about: "the active region is shut down; the backup region has every write and takes over",
        objective_ms: 300_000,
        source: REGION,
        kind: scripted!(
            "service/drill-region.json",
            "service-1.0.0.reprise",
            1_000,
            "database",
            None,
            json!({"region": "us", "read_only": false})
        ),
    },
    Drill {
        name: "full-restore",
        about: "the journal is lost; a new node goes on from a checkpoint bundle",
        objective_ms: 30 * 60_000,
        source: RESTORE,
        kind: Kind::FullRestore,
    },
    Drill {
        name: "kill",
        about: "the process is killed in the middle of a submission, and started again",
        objective_ms: 30_000,
        source: CRASH,
        kind: Kind::Killed,
    },
    Drill {
        name: "disk-full",
        about: "the disk is full in the middle of a submission, until there is room again",
        objective_ms: 30_000,
        source: CRASH,
        kind: Kind::DiskFull,
    },
    Drill {
        name: "corrupt-page",
        about: "a byte of the journal file flips; it is found, named, and repaired from the archive",
        objective_ms: 30 * 60_000,
        source: CORRUPTION,
        kind: Kind::CorruptPage,
    },
];
