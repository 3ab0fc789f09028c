//! The document's numbers and the bounds of this policy. Numbers in brackets are sections of the document.

/// Waits before the retries of an operation, in milliseconds (3.1, 10.1): 100 ms, doubled from retry to retry.
pub const RETRY_FIRST_MS: u64 = 100;
/// Most retries of one operation (3.1): after 100, 200, 400, 800, 1,600 and 3,200 ms.
pub const RETRIES_MAX: u32 = 6;
/// Most that chance adds to each wait, in milliseconds (10.2).
pub const JITTER_MAX_MS: u64 = 50;

/// Failures within [`BREAKER_WINDOW_MS`] that open a circuit breaker (3.2).
pub const BREAKER_FAILURES: usize = 5;
/// The window in which they count, in milliseconds (3.2).
pub const BREAKER_WINDOW_MS: u64 = 10_000;
/// How long a breaker is open before it is half open, in milliseconds (3.2).
pub const BREAKER_OPEN_MS: u64 = 30_000;
/// Successes that close a half open breaker (3.2).
pub const BREAKER_SUCCESSES: u32 = 3;
/// A failure that lasts longer is persistent, one that does not is transient, in milliseconds (3.1, 3.2).
pub const PERSISTENT_MS: u64 = 30_000;

/// Consecutive failed checks after which something is down (4.1). Connections and regions are held to the same.
pub const FAILED_CHECKS: u32 = 3;
/// Automatic attempts at one recovery; then a person decides.
pub const ATTEMPTS_MAX: u32 = 2;

/// Replication lag from which health is yellow, in milliseconds (11.1). Event processing lag is held to the same.
pub const LAG_YELLOW_MS: u64 = 1_000;
/// Replication lag above which health is red, in milliseconds (11.1).
pub const LAG_RED_MS: u64 = 10_000;
/// Memory in use above which a service is restarted, in percent (11.2).
pub const MEMORY_MAX_PERCENT: u64 = 80;
/// Idle time above which database connections are closed, in milliseconds (11.2).
pub const IDLE_MAX_MS: u64 = 5 * 60 * 1_000;
/// A disk that is this full counts as full, in percent (11.2; 12.1 fills it to 95 %).
pub const DISK_FULL_PERCENT: u64 = 95;

/// Market data older than this is refused while its service is down, in milliseconds (7.3).
pub const STALE_MAX_MS: u64 = 60_000;
/// How long the answer to an idempotency key is kept, in milliseconds (9.1): 24 hours.
pub const KEY_TTL_MS: u64 = 24 * 60 * 60 * 1_000;

/// Latency that a drill introduces, in milliseconds (12.1).
pub const LATENCY_MS: core::ops::RangeInclusive<u64> = 100..=500;
/// Days between two drills of a kind: monthly, quarterly, annual (12.1, 12.2).
pub const DRILL_DAYS: [u64; 3] = [30, 91, 365];
/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// How long a drill waits for a person who fails back, in milliseconds.
pub const DRILL_FAILBACK_MS: u64 = DAY_MS;

/// Longest name, reason or symbol, in bytes.
pub const TEXT_MAX: usize = 64;
/// Most services.
pub const SERVICES_MAX: u32 = 1_000;
/// Most services that `init` names: each costs some 60,000 of a step's fuel.
pub const INIT_SERVICES_MAX: usize = 128;
/// Most database nodes: they are one record.
pub const NODES_MAX: usize = 32;
/// Most dependencies of operations.
pub const DEPENDENCIES_MAX: u32 = 1_000;
/// Most symbols whose price is kept.
pub const SYMBOLS_MAX: u32 = 10_000;
/// Most places that are corrupt at a time.
pub const PLACES_MAX: u32 = 10_000;
/// Most operators.
pub const OPERATORS_MAX: usize = 64;
/// Highest price of a lot, in money units, and most lots of an order.
pub const ORDER_MAX: u64 = 1_000_000_000;
/// Most money units that one balance update adds or takes, and that an account holds.
pub const MONEY_MAX: u64 = 1_000_000_000_000_000;
/// Highest leverage of a position.
pub const LEVERAGE_MAX: u64 = 1_000;
/// Fees are parts of a million of what a trade is worth, at most all of it.
pub const PPM: u64 = 1_000_000;
/// Orders or entries that one step of a recovery works through.
pub const SLICE: u32 = 64;
/// Matches that one step applies: each costs as much fuel as four orders.
pub const SLICE_MATCHES: u32 = SLICE / 4;
/// Most of what is due, or waits for a breaker, that one step takes on.
pub const STEP_MAX: u32 = 16;
/// Most operations that wait for one dependency.
pub const WAITING_MAX: u32 = 10_000;
/// Expired keys that one step forgets.
pub const FORGET_MAX: u32 = 2;
/// Recoveries that are remembered after their end.
pub const HISTORY: u64 = 64;
/// Most entries of a page of a view.
pub const PAGE: u32 = 128;
/// Deadline of what nobody waits for (alerts, notices), in milliseconds after it was said.
pub const NOTICE_MS: u64 = 60 * 60 * 1_000;

/// Kinds of operation, each with its timeout (10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A database query.
    Database,
    /// A call within the exchange.
    RpcInternal,
    /// A call to somebody else.
    RpcExternal,
    /// An HTTP request.
    Http,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Database, Self::RpcInternal, Self::RpcExternal, Self::Http];
    /// Their names, in order.
    pub const NAMES: [&str; 4] = ["database", "rpc_internal", "rpc_external", "http"];

    /// Its name in events and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// How long it may take, in milliseconds (10.3).
    #[must_use]
    pub const fn timeout_ms(self) -> u64 {
        match self {
            Self::Database => 5_000,
            Self::RpcInternal => 3_000,
            Self::RpcExternal => 10_000,
            Self::Http => 30_000,
        }
    }
}
