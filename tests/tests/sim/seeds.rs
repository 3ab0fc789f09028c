//! Many runs, on all processors, and what they come to together.

use crate::run::Outcome;
use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Does something for every number, on all processors; answers in the order of the numbers.
pub fn on_all_processors<T: Send>(numbers: Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<(u64, T)> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let (next, end, work) = (AtomicU64::new(numbers.start), numbers.end, &work);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < end);
    let mut results: Vec<(u64, T)> = thread::scope(|scope| {
        let one_after_the_other = || std::iter::from_fn(&take).map(|number| (number, work(number))).collect::<Vec<_>>();
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_after_the_other)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    results.sort_by_key(|(number, _)| *number);
    results
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, final_windows, replayed, healed_ms, .. } = self;
        write!(f, "{acknowledged} acknowledged, {final_windows} final windows, {replayed} replayed, ")?;
        write!(f, "at rest after {healed_ms} ms, {}", blake3::Hash::from_bytes(self.digest))
    }
}

/// What many runs come to, as a table.
#[derive(Default)]
pub struct Totals {
    runs: u64,
    acknowledged: usize,
    final_windows: usize,
    replayed: u64,
    healed_ms_max: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        self.acknowledged += outcome.acknowledged;
        self.final_windows += outcome.final_windows;
        self.replayed += outcome.replayed;
        self.healed_ms_max = self.healed_ms_max.max(outcome.healed_ms);
        for (what, count) in outcome.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | count |\n| --- | ---: |")?;
        writeln!(f, "| runs that held | {} |", self.runs)?;
        writeln!(f, "| inputs acknowledged | {} |", self.acknowledged)?;
        writeln!(f, "| final windows | {} |", self.final_windows)?;
        writeln!(f, "| final receipts done again | {} |", self.replayed)?;
        writeln!(f, "| longest time to rest, ms | {} |", self.healed_ms_max)?;
        self.counts.iter().try_for_each(|(what, count)| writeln!(f, "| {what} | {count} |"))
    }
}
