//! A rate that is held by waiting: at most so many in a second on average, a second's worth at once.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Room for what comes unevenly.
const BURST: Duration = Duration::from_secs(1);

/// Holds a rate (the generic cell rate algorithm: one moment is all that is kept).
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next one would come if they came evenly.
    even: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), even: Instant::now() }
    }

    /// Waits until one more keeps to the rate. True when there was something to wait for.
    pub(super) async fn take(&mut self) -> bool {
        let now = Instant::now();
        let late = self.even > now + BURST;
        if late {
            sleep_until(self.even - BURST).await;
        }
        self.even = self.even.max(now) + self.interval;
        late
    }
}

#[cfg(test)]
mod tests;
