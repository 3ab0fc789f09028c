//! Parameters and bounds. Numbers that the document gives are constants; what it leaves open is pinned by `init`.

use crate::{numbers, phi, rejection::No, severity::PPM};
use reprise_guest::{abi::Rejection, rejection::Code, text::decimal};
use serde::{Deserialize, Serialize};

/// How long a healed or released capsule is verified (section 1.3, HEAL).
pub const VERIFY_TICKS: u64 = 5;
/// How often a repair of a quarantined capsule is attempted (section 1.3, QUARANTINE).
pub const REPAIR_TICKS: u64 = 10;
/// How long notices to people and forensic records are worth delivering, in milliseconds: 24 hours.
pub const NOTICE_MS: u64 = 24 * 60 * 60 * 1_000;

/// Longest name of a capsule, a node or a reviewer, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most nodes.
pub const NODES_MAX: usize = 64;
/// Longest lineage: how many ancestors a capsule may have.
pub const DEPTH_MAX: u32 = 64;
/// Most capsules.
pub const CAPSULES_MAX: u32 = 1_000_000;
/// Most capsules in one `register`, most readings in one `observe`.
pub const BATCH_MAX: usize = 64;
/// Work after which a step leaves the rest to the next. A record that is read counts one, a record that is stored two
/// (it is checked, too), an effect one: with the longest names and vectors, one is at most 40,000 units of fuel.
pub const SLICE_WORK_MAX: u32 = 288;
/// Most items on a page of a view.
pub const PAGE_MAX: u32 = 256;

/// The rules that users rely on, as text: their digest is the governed rule `capsule-recovery`.
pub const RULES: &str = "\
MILD: velocity < 0.1, ttf > 60, stability > 0.7: HEAL
MODERATE: velocity 0.1-0.3, ttf 30-60, stability 0.5-0.7: QUARANTINE
SEVERE: velocity 0.3-0.5, ttf 10-30, stability 0.3-0.5: ESCALATE + QUARANTINE
CRITICAL: velocity > 0.5, ttf < 10, stability < 0.3: ISOLATE_LINEAGE
the worst of the three decides; an end that two bands share is in the worse one
HEAL: 0.7 own + 0.3 nearest stable ancestor, normalised; verified over 5 ticks
QUARANTINE: out of the pool, propagation blocked, repair every 10 ticks, release by review
recovered: velocity < 0.05, else QUARANTINE; stability > 0.8, else 5 more ticks; all nodes agree; all proofs valid
";
/// BLAKE3 of [`RULES`], keyed `reprise capsule rules v1`. Written down, because a guest has no use for the hash
/// otherwise.
pub const RULES_DIGEST: [u8; 32] = [
    146, 6, 115, 254, 110, 189, 141, 71, 190, 203, 59, 228, 176, 88, 78, 81, 248, 69, 140, 63, 88, 67, 41, 225, 217,
    33, 218, 176, 22, 48, 89, 158,
];

/// Parameters, pinned by `init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Length of a tick, in milliseconds.
    #[serde(serialize_with = "numbers::wide")]
    pub tick_ms: u64,
    /// Components of a state vector.
    #[serde(serialize_with = "numbers::narrow")]
    pub dimension: u32,
    /// How many nodes decide.
    #[serde(serialize_with = "numbers::narrow")]
    pub nodes: u32,
    /// How long the cluster may take to decide, in ticks.
    #[serde(serialize_with = "numbers::wide")]
    pub assess_ticks: u64,
    /// How long a capsule has to be stable before a review may release it, in milliseconds.
    #[serde(serialize_with = "numbers::wide")]
    pub stable_ms: u64,
    /// A rise of the entropy by this much is a spike.
    #[serde(serialize_with = "numbers::narrow")]
    pub entropy_spike_ppm: u32,
    /// `canary` is allowed.
    pub canary: bool,
}

impl Config {
    /// Holds the parameters against their bounds.
    ///
    /// # Errors
    /// [`No::BadParameter`], which names the first that is out of bounds.
    pub fn validate(&self) -> Result<(), Rejection> {
        let day_ms = 24 * 60 * 60 * 1_000;
        let bounds = [
            ("tick_ms: 1 to 86400000", (1..=day_ms).contains(&self.tick_ms)),
            ("dimension: 1 to 32", (1..=phi::DIMENSION_MAX).contains(&self.dimension)),
            ("assess_ticks: 1 to 1000000", (1..=1_000_000).contains(&self.assess_ticks)),
            ("stable_ms: at most 366 days", self.stable_ms <= 366 * day_ms),
            ("entropy_spike_ppm: 1 to 1000000", (1..=PPM).contains(&self.entropy_spike_ppm)),
        ];
        match bounds.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(No::BadParameter.because(what)),
            None => Ok(()),
        }
    }

    /// How many nodes are a quorum: two thirds of them, rounded up.
    #[must_use]
    pub fn quorum(&self) -> u32 {
        (self.nodes * 2).div_ceil(3)
    }

    /// The tick in which a moment is.
    #[must_use]
    pub fn tick_at(&self, now_ms: u64) -> u64 {
        now_ms / self.tick_ms
    }

    /// When a tick begins; at the end of time if it would be later.
    #[must_use]
    pub fn begin_ms(&self, tick: u64) -> u64 {
        tick.saturating_mul(self.tick_ms)
    }
}

/// A name is 1 to 64 bytes of visible ASCII, so that it can stand in keys, logs and JSON as it is.
///
/// # Errors
/// [`No::BadName`], which says whose.
pub fn check_name(of: &str, name: &str) -> Result<(), Rejection> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(No::BadName.because([of, ": 1 to 64 bytes of visible ASCII"].concat()))
    }
}

/// A list has 1 to `most` items.
///
/// # Errors
/// [`No::BadCount`], which says which list.
pub fn check_count(of: &str, count: usize, most: usize) -> Result<(), Rejection> {
    if (1..=most).contains(&count) {
        Ok(())
    } else {
        Err(No::BadCount.because([of, ": 1 to ", &decimal(most as u64)].concat()))
    }
}

#[cfg(test)]
mod tests;
