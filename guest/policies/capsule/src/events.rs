//! Inputs, as typed events. The kind of the input names the variant, the payload is its JSON.

use crate::{
    case::{Decision, Vote},
    config::Config,
};
use reprise_guest::abi::{EFFECT_KIND, TIMER_KIND};
use serde::Deserialize;

/// The kind of the first event, whose payload is an [`Init`].
pub const INIT: &str = "init";
/// Every kind of input that the policy knows, ascending.
pub const KINDS: [&str; 10] =
    ["assess", "audit", "canary", "confirm", INIT, "observe", "register", EFFECT_KIND, TIMER_KIND, "review"];

/// A submitted input after the first.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// What was measured. First, because nearly every input is one.
    Observe(Observe),
    /// New capsules.
    Register(Register),
    /// A node's vote on an escalated capsule.
    Assess(Assess),
    /// A node's word on a recovery.
    Confirm(Confirm),
    /// A person's decision on a quarantined capsule.
    Review(Review),
    /// Hold all invariants on the whole state.
    Audit,
    /// Break an invariant, on purpose.
    Canary(Canary),
}

/// Begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// 1 to 64 nodes of the cluster, ascending.
    pub nodes: Vec<String>,
    /// See [`Config`].
    #[serde(default = "second")]
    pub tick_ms: u64,
    /// See [`Config`].
    #[serde(default = "eight")]
    pub dimension: u32,
    /// See [`Config`].
    #[serde(default = "minute")]
    pub assess_ticks: u64,
    /// See [`Config`]. The document's runbook says 24 hours (section 5.2, level 1).
    #[serde(default = "day")]
    pub stable_ms: u64,
    /// See [`Config`].
    #[serde(default = "fifth")]
    pub entropy_spike_ppm: u32,
    /// See [`Config`].
    #[serde(default)]
    pub canary: bool,
}

impl Init {
    /// The parameters.
    #[must_use]
    pub fn config(&self) -> Config {
        Config {
            tick_ms: self.tick_ms,
            dimension: self.dimension,
            nodes: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            assess_ticks: self.assess_ticks,
            stable_ms: self.stable_ms,
            entropy_spike_ppm: self.entropy_spike_ppm,
            canary: self.canary,
        }
    }
}

fn second() -> u64 {
    1_000
}

fn eight() -> u32 {
    8
}

fn minute() -> u64 {
    60
}

fn day() -> u64 {
    24 * 60 * 60 * 1_000
}

fn fifth() -> u32 {
    200_000
}

/// New capsules: all of them, or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// 1 to 256, parents before their children.
    pub capsules: Vec<Newcomer>,
}

/// A new capsule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newcomer {
    /// Its name.
    pub id: String,
    /// What it descends from; without it, it begins a lineage.
    #[serde(default)]
    pub parent: Option<String>,
    /// Its state vector, of length one; in parts per million.
    pub phi: Vec<i32>,
}

/// Readings, in any order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observe {
    /// 1 to 256.
    pub readings: Vec<Measured>,
}

/// What was measured of one capsule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Of which.
    pub capsule: String,
    /// See [`Reading`](crate::severity::Reading).
    pub drift_velocity_ppm: u32,
    /// See [`Reading`](crate::severity::Reading).
    pub ttf_ticks: u32,
    /// 0 to 1,000,000.
    pub stability_ppm: u32,
    /// See [`Reading`](crate::severity::Reading).
    #[serde(default)]
    pub entropy_ppm: u32,
    /// Its state vector now.
    #[serde(default)]
    pub phi: Option<Vec<i32>>,
}

/// A node's vote on an escalated capsule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assess {
    /// Which capsule.
    pub capsule: String,
    /// The number of the question, from the alert.
    pub round: u64,
    /// Which node.
    pub node: String,
    /// What it wants.
    pub action: Vote,
}

/// A node's word on a recovery.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Which capsule.
    pub capsule: String,
    /// The number of the question, from the message.
    pub round: u64,
    /// Which node.
    pub node: String,
    /// It agrees on the capsule's state.
    pub agree: bool,
    /// The proof it checked is valid.
    pub proof_valid: bool,
}

/// A person's decision on a quarantined capsule, or on the root of an isolated lineage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Which capsule.
    pub capsule: String,
    /// Who decides.
    pub reviewer: String,
    /// What.
    pub decision: Decision,
    /// Why it is released though it has not been stable for long enough.
    #[serde(default)]
    pub override_reason: Option<String>,
}

/// Break an invariant, on purpose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Of which capsule.
    pub capsule: String,
    /// Where only an audit finds it.
    #[serde(default)]
    pub hidden: bool,
}
