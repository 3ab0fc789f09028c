//! The document's numbers, the bounds of this policy, and what an operator may set.

use crate::{
    error::{No, Refusal},
    fields::{Fields, bounded},
    ids::{PHASES, Phase},
    state::REGIONS,
};
use reprise_guest::{Host, compact::stored};

/// Samples until which the prior is blended in (R3 1).
pub const BLEND_SAMPLES: u32 = 10;
/// Samples of the rolling P95 (R2 1).
pub const WINDOW_SAMPLES: usize = 100;
/// Priors of the phases, in milliseconds (section 6).
pub const PRIORS_MS: [u64; 5] = [15_000, 20_000, 120_000, 30_000, 10_000];
/// An `exec_status` is IN_PROGRESS past its SLA after so many priors. The document leaves the SLA to configuration.
pub const SLA_PRIORS: u64 = 10;
/// k in tenths for STRICT, DEFAULT and DEV_FAST (R3 7).
pub const K_TENTHS: [u64; 3] = [12, 16, 20];
/// Prior of the time a peer's fsync takes, in microseconds: the document's p99.
pub const FSYNC_PRIOR_US: u64 = 25_000;
/// Automatic attempts at one recovery, then a person (R2 12, H16).
pub const ATTEMPTS: u64 = 2;
/// So many changes between create and delete within [`SWING_WINDOW_MS`] are allowed (section 7).
pub const SWINGS: usize = 3;
/// Ten minutes (section 7).
pub const SWING_WINDOW_MS: u64 = 600_000;
/// The cost cap of a trace, in hundredths of a unit of the budget's currency: 500 units (R4 6).
pub const COST_LIMIT: u64 = 50_000;
/// Most signatures that an override is asked for (section 5).
pub const SIGNATURES_MAX: u32 = 3;

/// Streams of the log on the ring.
pub const STREAMS: u64 = 16;
/// Most streams that migrate within one sticky window: 25 % (R4 4).
pub const STREAMS_PER_WINDOW: usize = 4;
/// Most nodes of a cluster.
pub const NODES_MAX: u32 = 1_000;
/// Numbers of nodes are below this one and are never given twice.
pub const NODE_IDS: u32 = 4_096;
/// Most nodes that one event says were heard: each costs some 30,000 of a step's fuel if it was lost before.
pub const HEARD_MAX: usize = 256;
/// Most entries of a vector clock in an event.
pub const CLOCK_MAX: usize = 256;
/// Most peers that one step takes out of the replication set.
pub const LAGGING_PER_STEP: usize = 16;
/// Most supervisors, regions, rates, records of a tail, and overrides under way.
pub const SHORT_LIST_MAX: usize = 64;
/// Most side effects of one run of a phase.
pub const EFFECTS_MAX: u32 = 256;
/// Generations whose runs stay to be looked at.
pub const GENERATIONS_KEPT: u64 = 4;
/// Longest name, in bytes.
pub const TEXT_MAX: usize = 128;
/// Longest duration of a phase or timeout, in milliseconds: a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Deadline of what nobody waits for, in milliseconds after it was said.
pub const NOTICE_MS: u64 = 60 * 60 * 1_000;

/// What `init` sets for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The safety factor k, in tenths.
    pub k_tenths: u64,
    /// Prior of each phase, in milliseconds.
    pub priors_ms: Vec<u64>,
    /// SLA of each phase, in milliseconds.
    pub sla_ms: Vec<u64>,
    /// The timeouts, by [`Wait`].
    pub waits_ms: Vec<u64>,
    /// Currency of the budget.
    pub currency: String,
    /// Cost cap of a trace, in hundredths of a unit of it.
    pub cost_limit: u64,
}
stored!(Config { k_tenths, priors_ms, sla_ms, waits_ms, currency, cost_limit });

/// What `budget.yaml` says of a region (R4 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its currency.
    pub currency: String,
    /// Cost cap of a trace there, in hundredths of a unit of its currency.
    pub limit: u64,
}
stored!(Region { currency, limit });

/// The timeouts, in the order of [`WAITS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Silence of three heartbeats of 15 s (section 1).
    Heartbeat,
    /// Silence of gossip until PARTITIONED (section 1).
    Gossip,
    /// From the first `finished` to all of them (section 1).
    Consensus,
    /// T_blocked (section 3).
    Blocked,
    /// Between the alert `pending_eviction` and the eviction (R2 10).
    Grace,
    /// How long a node may be cut off before its eviction is pending. The document names no number.
    Ttl,
    /// The sticky window of the ring (R4 4).
    Sticky,
    /// The allowance for one asynchronous peer (R4 1).
    Async,
    /// Retention of vector clock entries (R3 11): 90 days.
    Retention,
    /// How long a majority of log heads is waited for in RECONCILE.
    Reconcile,
    /// How long one order of a recovery may take.
    Order,
    /// How long an override may gather signatures.
    Override,
}

/// Names and defaults of the timeouts, in milliseconds.
pub const WAITS: [(&str, u64); 12] = [
    ("heartbeat_ms", 45_000),
    ("gossip_ms", 45_000),
    ("consensus_ms", 45_000),
    ("blocked_ms", 60 * 60_000),
    ("grace_ms", 15 * 60_000),
    ("ttl_ms", 30 * 60_000),
    ("sticky_ms", 5 * 60_000),
    ("async_ms", 30 * 60_000),
    ("retention_ms", 90 * DAY_MS),
    ("reconcile_ms", 60_000),
    ("order_ms", 60_000),
    ("override_ms", 15 * 60_000),
];

impl Config {
    /// Takes the parameters; what is left out has its default.
    ///
    /// # Errors
    /// [`No::BadParameter`], [`No::BadText`], [`No::BadName`], [`No::BadList`], malformed.
    pub fn take(fields: &mut Fields) -> Result<Self, Refusal> {
        let k_tenths = match fields.maybe::<String>("mode")?.as_deref() {
            None | Some("DEFAULT") => K_TENTHS[1],
            Some("STRICT") => K_TENTHS[0],
            Some("DEV_FAST") => K_TENTHS[2],
            Some(other) => return Err(No::BadName.says(&["mode ", other])),
        };
        let k_tenths = fields.maybe("k_tenths")?.unwrap_or(k_tenths);
        within("k_tenths", k_tenths, K_TENTHS[0], K_TENTHS[2])?;
        let priors_ms = five(fields, "priors_ms", PRIORS_MS.to_vec())?;
        let slas = priors_ms.iter().map(|prior| (prior * SLA_PRIORS).min(DAY_MS)).collect();
        let sla_ms = five(fields, "sla_ms", slas)?;
        let mut waits_ms = Vec::with_capacity(WAITS.len());
        for (name, default) in WAITS {
            let wait = fields.maybe(name)?.unwrap_or(default);
            within(name, wait, 1, 3_660 * DAY_MS)?;
            waits_ms.push(wait);
        }
        let currency: String = fields.maybe("currency")?.unwrap_or_else(|| "USD".into());
        bounded("currency", &currency)?;
        let cost_limit = fields.maybe("cost_limit")?.unwrap_or(COST_LIMIT);
        within("cost_limit", cost_limit, 0, MONEY_MAX)?;
        Ok(Self { k_tenths, priors_ms, sla_ms, waits_ms, currency, cost_limit })
    }

    /// A timeout, in milliseconds.
    #[must_use]
    pub fn wait(&self, wait: Wait) -> u64 {
        self.waits_ms.get(wait as usize).copied().unwrap_or(1)
    }

    /// The prior of a phase, in milliseconds.
    #[must_use]
    pub fn prior(&self, phase: Phase) -> u64 {
        self.priors_ms.get(phase as usize).copied().unwrap_or(1)
    }
}

/// Largest sum of money, in hundredths: with a rate below [`RATE_MAX`] the product is below 2^63.
pub const MONEY_MAX: u64 = 1_000_000_000;
/// Largest rate, in millionths.
pub const RATE_MAX: u64 = 1_000_000_000;

fn five(fields: &mut Fields, name: &'static str, default: Vec<u64>) -> Result<Vec<u64>, Refusal> {
    let list: Vec<u64> = fields.maybe(name)?.unwrap_or(default);
    if list.len() != PHASES.len() {
        return Err(No::BadList.says(&["`", name, "` has one number for each of the five phases"]));
    }
    for ms in &list {
        within(name, *ms, 1, DAY_MS)?;
    }
    Ok(list)
}

/// Takes the regions and keeps them.
///
/// # Errors
/// [`No::BadParameter`], [`No::BadText`], [`No::BadList`], malformed.
pub fn regions(host: &mut dyn Host, fields: &mut Fields) -> Result<(), Refusal> {
    let list = fields.objects("regions", true)?;
    for mut row in list {
        let (name, region): (String, _) =
            (row.take("region")?, Region { currency: row.take("currency")?, limit: row.take("limit")? });
        row.end()?;
        bounded("region", &name)?;
        bounded("currency", &region.currency)?;
        within("limit", region.limit, 0, MONEY_MAX)?;
        REGIONS.put(host, &name, &region);
    }
    Ok(())
}

/// A parameter is within its bounds.
///
/// # Errors
/// [`No::BadParameter`].
#[inline(never)]
pub fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(No::BadParameter.says(&["`", name, "` is out of bounds"]))
    }
}
