//! Parameters: pinned by `init`.

use crate::{
    error::No,
    state::{COUNTS, Counts, PARAMS},
};
use reprise_guest::{Host, abi::Rejection, json::Json, rejection::Code};
use serde::{Deserialize, Serialize};

/// Most attempts, repairs and strikes that a parameter may allow.
const TIMES_MAX: u32 = 100;
/// Longest time of a parameter, in milliseconds: 30 days.
const TIME_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Ledgers that are kept.
pub const LEDGERS_MAX: u32 = 4_096;
/// Peers that are kept, and pairs of a ledger and a peer.
pub const PEERS_MAX: u32 = 16_384;

/// Parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// Attempts at a step of a plan, and rounds of repair within `window_ms`.
    pub attempts_max: u32,
    /// The first wait after a failure; it doubles each time.
    pub wait_ms: u64,
    /// The longest wait.
    pub wait_ms_max: u64,
    /// How long a step may take.
    pub step_ms: u64,
    /// Rejected objects after which nothing of a peer is used.
    pub strikes_max: u32,
    /// How long nothing of it is used, and how long repairs are counted.
    pub window_ms: u64,
}

/// Begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// See [`Params`].
    #[serde(default = "five")]
    pub attempts_max: u32,
    /// See [`Params`].
    #[serde(default = "second")]
    pub wait_ms: u64,
    /// See [`Params`].
    #[serde(default = "minute")]
    pub wait_ms_max: u64,
    /// See [`Params`].
    #[serde(default = "ten_minutes")]
    pub step_ms: u64,
    /// See [`Params`].
    #[serde(default = "five")]
    pub strikes_max: u32,
    /// See [`Params`].
    #[serde(default = "hour")]
    pub window_ms: u64,
}

fn five() -> u32 {
    5
}

fn second() -> u64 {
    1_000
}

fn minute() -> u64 {
    60_000
}

fn ten_minutes() -> u64 {
    600_000
}

fn hour() -> u64 {
    3_600_000
}

impl Params {
    /// How long to wait after so many failures in a row.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> u64 {
        let doubled = failures.saturating_sub(1).min(32);
        self.wait_ms.saturating_mul(1 << doubled).min(self.wait_ms_max)
    }

    fn holds(&self) -> bool {
        let times = |times: u32| (1..=TIMES_MAX).contains(&times);
        let time = |ms: u64| (1..=TIME_MS_MAX).contains(&ms);
        times(self.attempts_max)
            && times(self.strikes_max)
            && time(self.step_ms)
            && time(self.window_ms)
            && time(self.wait_ms)
            && (self.wait_ms..=TIME_MS_MAX).contains(&self.wait_ms_max)
    }
}

/// The first event.
///
/// # Errors
/// [`No::AlreadyInitialised`], [`No::BadParameter`].
pub fn init(host: &mut dyn Host, init: Init) -> Result<Vec<u8>, Rejection> {
    if PARAMS.get(host)?.is_some() {
        return Err(No::AlreadyInitialised.because("parameters are pinned"));
    }
    let Init { attempts_max, wait_ms, wait_ms_max, step_ms, strikes_max, window_ms } = init;
    let params = Params { attempts_max, wait_ms, wait_ms_max, step_ms, strikes_max, window_ms };
    if !params.holds() {
        return Err(No::BadParameter.because("times are 1 ms to 30 days, counts 1 to 100, and waits do not shrink"));
    }
    PARAMS.put(host, &params);
    COUNTS.put(host, &Counts::default());
    Ok(Json::object().text("decision", "begin").done())
}
