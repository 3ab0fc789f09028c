//! Retries: exponential waits with jitter, for transient errors only (3.1, 10.1, 10.2).

use crate::params::{JITTER_MAX_MS, RETRY_FIRST_MS};

/// Beginnings of the details of failures that are transient (3.1). A timeout is transient, too.
pub const TRANSIENT: [&str; 4] = ["timeout", "pool exhausted", "unavailable", "transient"];

/// The failure is temporary: trying again may help.
#[must_use]
pub fn is_transient(detail: &str) -> bool {
    TRANSIENT.iter().any(|known| detail.starts_with(known))
}

/// The wait before a retry, in milliseconds: 100 doubled with every retry before it, and up to 50 more by chance.
/// `seed` is the step's, so that a replay waits as long.
#[must_use]
pub const fn wait_ms(retries: u32, seed: u64) -> u64 {
    (RETRY_FIRST_MS << retries) + seed % (JITTER_MAX_MS + 1)
}
