//! A case: what is being done about a capsule, and why.

use crate::{numbers, phi::Phi, severity::Severity};
use serde::{Deserialize, Serialize};

/// What is being done about a capsule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Why.
    pub cause: Cause,
    /// The worst severity that was acted on: only a worse one is acted on again.
    pub worst: Severity,
    /// In which tick it was opened.
    #[serde(serialize_with = "numbers::wide")]
    pub opened_tick: u64,
    /// Repairs attempted.
    #[serde(serialize_with = "numbers::narrow")]
    pub repairs: u32,
    /// The next repair.
    #[serde(serialize_with = "numbers::wide")]
    pub repair_tick: u64,
    /// Since which tick every reading was stable.
    pub stable_since_tick: Option<u64>,
    /// The last correction, until its effect has ended.
    pub correction: Option<Correction>,
    /// What a review said in this tick.
    pub review: Option<Decision>,
    /// The question to the cluster.
    pub assessment: Option<Assessment>,
    /// The verification.
    pub watch: Option<Watch>,
    /// The order that takes it out of the pool.
    pub containment: Containment,
}

/// How the order stands that takes a capsule out of the pool, or its lineage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    /// The last one came to nothing: it is given again at the end of the tick.
    pub failed: bool,
    /// People were told so: once in a case.
    pub told: bool,
}

/// A correction whose effect has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The step that ordered it.
    #[serde(serialize_with = "numbers::wide")]
    pub seq: u64,
    /// The vector before, unless a newer one was heard meanwhile.
    pub phi_before: Option<Phi>,
}

/// What a review decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// Let it recover.
    Release,
    /// Keep it in quarantine. Of two reviews in one tick this one counts.
    Keep,
}

/// The cluster is asked what to do (E4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The number of the question.
    #[serde(serialize_with = "numbers::wide")]
    pub round: u64,
    /// Until when it may answer.
    #[serde(serialize_with = "numbers::wide")]
    pub until_tick: u64,
    /// Who wants it released, quarantined, isolated: each node in one of them at most.
    #[serde(serialize_with = "numbers::wides")]
    pub votes: [Nodes; 3],
}

/// A set of nodes: node `n` is bit `n`.
pub type Nodes = u64;

/// What a node wants to be done. More cautious is greater: of two votes of one node in a round that one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum Vote {
    /// Let it recover.
    Release = 0,
    /// Keep it in quarantine.
    Quarantine = 1,
    /// Isolate its lineage.
    IsolateLineage = 2,
}

/// A healed or released capsule is verified (E2, E12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The number of the question to the nodes.
    #[serde(serialize_with = "numbers::wide")]
    pub round: u64,
    /// When it began.
    #[serde(serialize_with = "numbers::wide")]
    pub since_tick: u64,
    /// Stability when it began.
    #[serde(serialize_with = "numbers::narrow")]
    pub baseline_ppm: u32,
    /// How often it was extended.
    #[serde(serialize_with = "numbers::narrow")]
    pub extensions: u32,
    /// Who agrees on the capsule's state.
    #[serde(serialize_with = "numbers::wide")]
    pub agreed: Nodes,
    /// Who does not.
    #[serde(serialize_with = "numbers::wide")]
    pub disagreed: Nodes,
    /// Who found that a proof is not valid.
    #[serde(serialize_with = "numbers::wide")]
    pub distrusted: Nodes,
}

/// Why a case was opened, or where it has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// MILD drift.
    Mild,
    /// MODERATE drift.
    Moderate,
    /// SEVERE drift.
    Severe,
    /// CRITICAL drift.
    Critical,
    /// No ancestor is stable enough to heal from.
    NoStableAncestor,
    /// Healing did not hold.
    HealFailed,
    /// The cluster decided so.
    ClusterDecision,
    /// The cluster did not decide in time.
    ClusterUndecided,
    /// A review released it.
    Released,
    /// After the recovery it drifted too fast (section 4.2: re-quarantine).
    Requarantine,
    /// Not all nodes agreed (section 4.2: manual intervention).
    ManualIntervention,
    /// A proof was not valid (section 4.2: investigate tampering).
    InvestigateTampering,
    /// The release did not reach the capsule.
    ReleaseFailed,
}

impl Cause {
    /// Drift of this severity.
    #[must_use]
    pub fn drift(severity: Severity) -> Self {
        match severity {
            Severity::Mild => Self::Mild,
            Severity::Moderate => Self::Moderate,
            Severity::Severe => Self::Severe,
            Severity::Critical => Self::Critical,
        }
    }

    /// In capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mild => Severity::Mild.name(),
            Self::Moderate => Severity::Moderate.name(),
            Self::Severe => Severity::Severe.name(),
            Self::Critical => Severity::Critical.name(),
            Self::NoStableAncestor => "NO_STABLE_ANCESTOR",
            Self::HealFailed => "HEAL_FAILED",
            Self::ClusterDecision => "CLUSTER_DECISION",
            Self::ClusterUndecided => "CLUSTER_UNDECIDED",
            Self::Released => "RELEASED",
            Self::Requarantine => "RE_QUARANTINE",
            Self::ManualIntervention => "MANUAL_INTERVENTION",
            Self::InvestigateTampering => "INVESTIGATE_TAMPERING",
            Self::ReleaseFailed => "RELEASE_FAILED",
        }
    }
}
