//! How bad the drift of a capsule is (E1, section 1.2 of the document).
//!
//! Three measures, four bands each; the worst of the three decides. The document's bands share their ends (0.3 is in
//! "0.1 - 0.3" and in "0.3 - 0.5"): a value that is in two bands is in the worse one.

use crate::numbers;
use serde::{Deserialize, Serialize};

/// One, in parts per million.
pub const PPM: u32 = 1_000_000;

/// Drift is MODERATE from here on, per tick and in parts per million.
pub const VELOCITY_MODERATE_PPM: u32 = 100_000;
/// Drift is SEVERE from here on.
pub const VELOCITY_SEVERE_PPM: u32 = 300_000;
/// Drift is CRITICAL above this.
pub const VELOCITY_CRITICAL_ABOVE_PPM: u32 = 500_000;
/// Time to failure is MODERATE up to here, in ticks.
pub const TTF_MODERATE_TICKS: u32 = 60;
/// Time to failure is SEVERE up to here.
pub const TTF_SEVERE_TICKS: u32 = 30;
/// Time to failure is CRITICAL below this.
pub const TTF_CRITICAL_BELOW_TICKS: u32 = 10;
/// Stability is MODERATE up to here, in parts per million.
pub const STABILITY_MODERATE_PPM: u32 = 700_000;
/// Stability is SEVERE up to here.
pub const STABILITY_SEVERE_PPM: u32 = 500_000;
/// Stability is CRITICAL below this.
pub const STABILITY_CRITICAL_BELOW_PPM: u32 = 300_000;

/// A capsule is well below this drift velocity (section 4.2).
pub const RECOVERED_VELOCITY_BELOW_PPM: u32 = 50_000;
/// A capsule is well above this stability (section 4.2).
pub const RECOVERED_STABILITY_ABOVE_PPM: u32 = 800_000;

/// How bad it is. Worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// HEAL.
    Mild,
    /// QUARANTINE.
    Moderate,
    /// ESCALATE and QUARANTINE.
    Severe,
    /// ISOLATE_LINEAGE.
    Critical,
}

impl Severity {
    /// The document's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mild => "MILD",
            Self::Moderate => "MODERATE",
            Self::Severe => "SEVERE",
            Self::Critical => "CRITICAL",
        }
    }

    /// The band of a drift velocity.
    #[must_use]
    pub fn of_velocity(ppm: u32) -> Self {
        if ppm > VELOCITY_CRITICAL_ABOVE_PPM {
            Self::Critical
        } else if ppm >= VELOCITY_SEVERE_PPM {
            Self::Severe
        } else if ppm >= VELOCITY_MODERATE_PPM {
            Self::Moderate
        } else {
            Self::Mild
        }
    }

    /// The band of a time to failure.
    #[must_use]
    pub fn of_ttf(ticks: u32) -> Self {
        if ticks < TTF_CRITICAL_BELOW_TICKS {
            Self::Critical
        } else if ticks <= TTF_SEVERE_TICKS {
            Self::Severe
        } else if ticks <= TTF_MODERATE_TICKS {
            Self::Moderate
        } else {
            Self::Mild
        }
    }

    /// The band of a stability.
    #[must_use]
    pub fn of_stability(ppm: u32) -> Self {
        if ppm < STABILITY_CRITICAL_BELOW_PPM {
            Self::Critical
        } else if ppm <= STABILITY_SEVERE_PPM {
            Self::Severe
        } else if ppm <= STABILITY_MODERATE_PPM {
            Self::Moderate
        } else {
            Self::Mild
        }
    }
}

/// What was measured of a capsule in one tick: of each measure the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// In which tick.
    #[serde(serialize_with = "numbers::wide")]
    pub tick: u64,
    /// How fast it drifts, per tick in parts per million.
    #[serde(serialize_with = "numbers::narrow")]
    pub drift_velocity_ppm: u32,
    /// Ticks until it fails, as predicted.
    #[serde(serialize_with = "numbers::narrow")]
    pub ttf_ticks: u32,
    /// 0 to 1,000,000.
    #[serde(serialize_with = "numbers::narrow")]
    pub stability_ppm: u32,
    /// Symbolic entropy, in parts per million of its unit.
    #[serde(serialize_with = "numbers::narrow")]
    pub entropy_ppm: u32,
    /// The entropy of the last reading of an earlier tick.
    pub entropy_before_ppm: Option<u32>,
    /// The capsule's vector was heard in this tick.
    pub phi_heard: bool,
}

impl Reading {
    /// Of the three measures the worst (E1).
    #[must_use]
    pub fn severity(&self) -> Severity {
        Severity::of_velocity(self.drift_velocity_ppm)
            .max(Severity::of_ttf(self.ttf_ticks))
            .max(Severity::of_stability(self.stability_ppm))
    }

    /// Drift velocity and stability are what section 4.2 asks of a recovered capsule.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.drift_velocity_ppm < RECOVERED_VELOCITY_BELOW_PPM && self.stability_ppm > RECOVERED_STABILITY_ABOVE_PPM
    }

    /// There is drift: the capsule is not stable, or fails within the MODERATE time.
    ///
    /// The document's MILD band has no beginning. If it began at no drift at all, a capsule that has just recovered
    /// would be healed again for ever; so it begins where a recovery ends.
    #[must_use]
    pub fn drifts(&self) -> bool {
        !self.is_stable() || self.ttf_ticks <= TTF_MODERATE_TICKS
    }

    /// Two readings of one tick as one: of each measure the worse, so that neither hides what the other shows, and it
    /// does not matter which came first.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            drift_velocity_ppm: self.drift_velocity_ppm.max(other.drift_velocity_ppm),
            ttf_ticks: self.ttf_ticks.min(other.ttf_ticks),
            stability_ppm: self.stability_ppm.min(other.stability_ppm),
            entropy_ppm: self.entropy_ppm.max(other.entropy_ppm),
            phi_heard: self.phi_heard || other.phi_heard,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
