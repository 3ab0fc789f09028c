use super::*;
use crate::params::{K_TENTHS, PRIORS_MS};

/// -log10 of the upper tail of the standard normal distribution, by the continued fraction of Laplace beyond 3 and
/// by integration of the density below.
fn tail(y: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if y > 3.0 {
        let fraction = (1..200).rev().fold(y, |inner, n| y + f64::from(n) / inner);
        return -(density(y).log10() - fraction.log10());
    }
    // Simpson's rule from y to 10.
    let (steps, width) = (20_000, (10.0 - y) / 20_000.0);
    let sum: f64 = (0..=steps)
        .map(|n| {
            let weight = if n == 0 || n == steps { 1.0 } else { 2.0 + 2.0 * f64::from(n % 2) };
            weight * density(y + f64::from(n) * width)
        })
        .sum();
    -(sum * width / 3.0).log10()
}

/// The document's detector in floating point, from the text and not from the code above.
struct Exact {
    mean: f64,
    p95: f64,
}

impl Exact {
    fn of(samples: &[f64], prior: f64) -> Self {
        let n = samples.len();
        if n < 10 {
            let weight = (10 - n) as f64;
            let mean = (weight * prior + samples.iter().sum::<f64>()) / 10.0;
            let of_prior = (0.5 * prior).powi(2) + (prior - mean).powi(2);
            let variance = (weight * of_prior + samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>()) / 10.0;
            return Self { mean, p95: mean + 1.644_853_626_951_472_7 * variance.sqrt() };
        }
        let mut sorted = samples[n.saturating_sub(100)..].to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = (0.95 * sorted.len() as f64 - 1e-9).ceil() as usize;
        Self { mean: sorted.iter().sum::<f64>() / sorted.len() as f64, p95: sorted[rank - 1] }
    }

    fn phi(&self, elapsed: f64) -> f64 {
        let deviation = ((self.p95 - self.mean) / 1.644_853_626_951_472_7).max(0.01 * self.mean);
        tail((elapsed - self.mean) / deviation)
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A history: its prior, and samples around it or far from it.
fn history(dice: &mut Dice) -> (u64, Vec<u64>) {
    let prior = match dice.below(3) {
        0 => PRIORS_MS[dice.below(5) as usize],
        1 => 1_000 + dice.below(60_000),
        _ => 1_000 + dice.below(SAMPLE_MAX - 1_000),
    };
    let count = if dice.below(2) == 0 { dice.below(12) } else { dice.below(250) };
    let spread = 1 + dice.below(2 * prior);
    let samples = (0..count).map(|_| (prior / 2 + dice.below(spread)).clamp(1_000, SAMPLE_MAX)).collect();
    (prior, samples)
}

#[test]
fn ten_thousand_histories_agree_with_floating_point_within_the_stated_bounds() {
    let mut dice = Dice(7);
    let (mut cold, mut suspicions) = (0, 0);
    for round in 0..10_000 {
        let (prior, samples) = history(&mut dice);
        let mut window = Window::default();
        samples.iter().for_each(|sample| window.add(*sample));
        let estimate = window.estimate(prior);
        let exact = Exact::of(&samples.iter().map(|x| *x as f64).collect::<Vec<_>>(), prior as f64);
        for k_tenths in K_TENTHS {
            let timeout = estimate.timeout(k_tenths) as f64;
            let off = timeout - exact.p95 * k_tenths as f64 / 10.0;
            assert!((-0.2..=4.0).contains(&off), "{off} ms: {prior} {samples:?}");
        }
        cold += u32::from(samples.is_empty());
        if round % 10 == 0 {
            // Up to where the table ends.
            let elapsed = dice.below(3 * exact.mean as u64);
            let phi = exact.phi(elapsed as f64).min(32.5);
            let ours = estimate.phi_milli(elapsed) as f64 / 1_000.0;
            assert!((ours.min(32.5) - phi).abs() <= 0.01, "{ours} for {phi}: {prior} {elapsed} {samples:?}");
            suspicions += u32::from(phi > 1.0 && phi < 32.0);
        }
    }
    assert!(cold > 100 && suspicions > 100, "{cold} cold starts, {suspicions} suspicions");
}

#[test]
fn the_priors_alone_give_these_timeouts() {
    let window = Window::default();
    let timeouts = |k| PRIORS_MS.map(|prior| window.estimate(prior).timeout(k));
    assert_eq!(timeouts(12), [32_804, 43_739, 262_430, 65_608, 21_870]);
    assert_eq!(timeouts(16), [43_739, 58_318, 349_906, 87_477, 29_159]);
    assert_eq!(timeouts(20), [54_673, 72_898, 437_383, 109_346, 36_449]);
}

#[test]
fn a_steady_history_with_ten_percent_jitter_never_raises_an_alarm() {
    let mut dice = Dice(11);
    for prior in PRIORS_MS {
        let mut window = Window::default();
        for beat in 0..20_000 {
            let sample = prior * 9 / 10 + dice.below(prior / 5 + 1);
            assert!(sample <= window.estimate(prior).timeout(K_TENTHS[1]), "beat {beat} of {prior}");
            window.add(sample);
        }
    }
}

/// A phase that stops is found k x P95 after it began: with 10 % jitter at most 1.6 x 1.1 means.
#[test]
fn a_stop_is_found_within_the_bound_of_the_formula() {
    let mut dice = Dice(13);
    let mut window = Window::default();
    for _ in 0..500 {
        window.add(27_000 + dice.below(6_001));
    }
    let estimate = window.estimate(30_000);
    assert!((estimate.timeout(16)..=estimate.timeout(16) + 1).contains(&(estimate.p95_milli * 16).div_ceil(10_000)));
    assert!(estimate.timeout(16) <= 33_000 * 16 / 10);
    assert!(estimate.timeout(16) > 33_000, "and not before the longest that went well");
}

#[test]
fn the_table_is_the_tail_of_the_normal_distribution() {
    for (at, value) in TAIL.iter().enumerate() {
        let y = -4.0 + at as f64 / 8.0;
        assert!((f64::from(*value) / 1e6 - tail(y)).abs() < 2e-6, "{y}");
    }
}

#[test]
fn suspicion_grows_with_time_and_crosses_its_threshold_at_the_timeout() {
    let estimate = Window::default().estimate(30_000);
    let phis: Vec<u64> = (0..400).map(|second| estimate.phi_milli(second * 1_000)).collect();
    assert!(phis.is_sorted());
    assert_eq!(phis[399], 32_750, "where it stays");
    assert_eq!(estimate.phi_milli(30_000), 301, "half of all phases take longer than the mean");
    assert!(estimate.phi_milli(estimate.timeout(16)) > estimate.phi_milli(estimate.timeout(16) - 100));
}
