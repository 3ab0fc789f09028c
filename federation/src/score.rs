//! How far a peer is trusted to answer: deadlines from its own round trips, back-off with jitter, no second chance at
//! once for wrong answers. Each peer has its own score, so a slow, silent or hostile one costs the others nothing.

/// First deadline, before any round trip is measured, in milliseconds.
const DEADLINE_FIRST_MS: u64 = 1_000;
/// Shortest deadline in milliseconds.
const DEADLINE_MIN_MS: u64 = 200;
/// Longest deadline in milliseconds.
const DEADLINE_MAX_MS: u64 = 10_000;
/// First wait after a failure, in milliseconds; it doubles with every further one.
const BACKOFF_FIRST_MS: u64 = 250;
/// Longest wait in milliseconds.
const BACKOFF_MAX_MS: u64 = 60_000;
/// A wrong answer counts as so many failures: silence may be the network's fault, a lie is not.
const WRONG_ANSWER_FAILURES: u32 = 4;

/// splitmix64 (Steele, Lea, Flood 2014): jitter that repeats with its seed.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// At least half of `wait_ms`, and less than all of it.
    pub fn spread(&mut self, wait_ms: u64) -> u64 {
        let half = wait_ms / 2;
        half + self.next() % (wait_ms - half).max(1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The score of one peer.
#[derive(Clone, Debug)]
pub struct Score {
    jitter: Jitter,
    /// Smoothed round trip in milliseconds; none measured yet.
    round_trip_ms: Option<u64>,
    /// Failures since the last good answer.
    failures: u32,
    /// Wrong answers ever.
    wrong: u64,
    /// Nothing is asked before this time.
    rest_until_ms: u64,
}

impl Score {
    /// Of a peer about which nothing is known.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { jitter: Jitter::new(seed), round_trip_ms: None, failures: 0, wrong: 0, rest_until_ms: 0 }
    }

    /// It may be asked.
    #[must_use]
    pub fn is_usable(&self, now_ms: u64) -> bool {
        now_ms >= self.rest_until_ms
    }

    /// When it may be asked again.
    #[must_use]
    pub fn rest_until_ms(&self) -> u64 {
        self.rest_until_ms
    }

    /// How long to wait for an answer, in milliseconds: four round trips, within bounds.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        let measured = self.round_trip_ms.map_or(DEADLINE_FIRST_MS, |round_trip| round_trip.saturating_mul(4));
        measured.clamp(DEADLINE_MIN_MS, DEADLINE_MAX_MS)
    }

    /// A good answer came after so many milliseconds.
    pub fn answered(&mut self, after_ms: u64) {
        let smoothed = |old: u64| (7 * old + after_ms) / 8;
        self.round_trip_ms = Some(self.round_trip_ms.map_or(after_ms, smoothed).min(DEADLINE_MAX_MS));
        self.failures = 0;
        self.rest_until_ms = 0;
    }

    /// No answer came in time.
    pub fn timed_out(&mut self, now_ms: u64) {
        // The round trip may have grown: without this, a peer that became slow would never be in time again.
        self.round_trip_ms = Some((self.deadline_ms() / 2).min(DEADLINE_MAX_MS));
        self.fail(now_ms, 1);
    }

    /// A wrong answer came.
    pub fn answered_wrong(&mut self, now_ms: u64) {
        self.wrong = self.wrong.saturating_add(1);
        self.fail(now_ms, WRONG_ANSWER_FAILURES);
    }

    /// Wrong answers since the peer is known.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    fn fail(&mut self, now_ms: u64, failures: u32) {
        self.failures = self.failures.saturating_add(failures);
        let doublings = (self.failures - 1).min(16);
        let wait_ms = (BACKOFF_FIRST_MS << doublings).min(BACKOFF_MAX_MS);
        self.rest_until_ms = now_ms.saturating_add(self.jitter.spread(wait_ms));
    }
}

#[cfg(test)]
mod tests;
