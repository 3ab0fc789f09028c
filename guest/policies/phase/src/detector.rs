//! The phi-accrual detector (H10, section 6): when a phase that has begun counts as failed.
//!
//! It is fed with the durations of the phases that committed. The times of a phase are taken as normally distributed;
//! what is needed of them is the mean and the 95th percentile:
//!
//! - Ten samples and more: the mean and the P95 (nearest rank) of the last 100.
//! - Fewer: those of ten samples of which the missing ones are the prior, whose mean is the phase's default and whose
//!   variance is (mean x 0.5) squared (R3 1).
//!
//! The timeout is k x P95. The suspicion Φ of a phase that has taken the time t is `-log10 P(T > t)` for the normal
//! distribution with that mean and that P95 (but a standard deviation of at least 1 % of the mean). It grows with t, so
//! t > k x P95 says the same as Φ(t) > Φ(k x P95): k is what turns the threshold of Φ into seconds (R2 1).
//!
//! **Error.** Everything is whole numbers. With samples of up to a day the timeout is at most 0.2 ms below and
//! 4 ms above the exact one; Φ is within 0.01 of the exact one for means of a second and more, up to Φ = 32, where it stays.

use crate::params::{BLEND_SAMPLES, FSYNC_PRIOR_US, WINDOW_SAMPLES};
use reprise_guest::compact::stored;

/// The last 100 samples, in milliseconds for phases, in microseconds for fsyncs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    samples: Vec<u64>,
    /// Where the next one goes when the window is full.
    next: u64,
}
stored!(Window { samples, next });

/// What the detector knows of a distribution, in thousandths of the unit of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The mean, rounded down.
    pub mean_milli: u64,
    /// The 95th percentile.
    pub p95_milli: u64,
}

/// Longest sample: a day in milliseconds.
const SAMPLE_MAX: u64 = crate::params::DAY_MS;
/// z(0.95) / sqrt(1,000) in units of 10^-10: see [`Window::blended`].
const Z_OVER_ROOT: u64 = 520_148_388;
/// z(0.95) in units of 2^-16.
const Z_65536: i64 = 107_797;

impl Window {
    /// Takes a sample.
    pub fn add(&mut self, sample: u64) {
        let sample = sample.min(SAMPLE_MAX);
        match self.samples.get_mut(self.next as usize) {
            Some(oldest) => *oldest = sample,
            None => self.samples.push(sample),
        }
        self.next = (self.next + 1) % WINDOW_SAMPLES as u64;
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.samples.len() as u64
    }

    /// Mean and P95, blended with the prior while there are fewer than ten samples.
    #[must_use]
    #[inline(never)]
    pub fn estimate(&self, prior: u64) -> Estimate {
        let count = self.count();
        if count < u64::from(BLEND_SAMPLES) {
            return self.blended(prior.min(SAMPLE_MAX));
        }
        let sum: u64 = self.samples.iter().sum();
        Estimate { mean_milli: sum * 1_000 / count, p95_milli: self.nearest_rank() * 1_000 }
    }

    /// P95 of fsyncs, in microseconds; before the first one the document's figure.
    #[must_use]
    pub fn fsync_p95_us(&self) -> u64 {
        if self.count() == 0 { FSYNC_PRIOR_US } else { self.estimate(FSYNC_PRIOR_US).p95_milli / 1_000 }
    }

    /// With `n` samples `x` and the prior `m`, in whole numbers: the sum `s` of ten is `(10 - n) m + sum(x)`, and
    /// `(10 - n) ((10 m - s)^2 + 25 m^2) + sum((10 x - s)^2)` is 1,000 variances. At most 9.3e18.
    fn blended(&self, prior: u64) -> Estimate {
        let missing = u64::from(BLEND_SAMPLES) - self.count();
        let sum = missing * prior + self.samples.iter().sum::<u64>();
        let off = |sample: u64| (10 * sample).abs_diff(sum).pow(2);
        let spread: u64 = self.samples.iter().map(|sample| off(*sample)).sum();
        let spread = spread + missing * (off(prior) + 25 * prior * prior);
        let mean_milli = sum * 100;
        Estimate { mean_milli, p95_milli: mean_milli + (spread.isqrt() + 1) * Z_OVER_ROOT / 10_000_000 }
    }

    /// The sample of rank ceil(0.95 n): at most the sixth from above.
    fn nearest_rank(&self) -> u64 {
        let count = self.samples.len();
        let above = count - (95 * count).div_ceil(100);
        let mut top = [0_u64; 6];
        for sample in &self.samples {
            let mut sample = *sample;
            for place in &mut top {
                if sample > *place {
                    core::mem::swap(place, &mut sample);
                }
            }
        }
        top.get(above).copied().unwrap_or_default()
    }
}

impl Estimate {
    /// k x P95, rounded up, in the unit of the samples.
    #[must_use]
    pub fn timeout(self, k_tenths: u64) -> u64 {
        (self.p95_milli * k_tenths).div_ceil(10_000)
    }

    /// Φ after so much time, in thousandths.
    #[must_use]
    pub fn phi_milli(self, elapsed: u64) -> u64 {
        let elapsed = elapsed.min(10 * SAMPLE_MAX).cast_signed() * 1_000;
        let mean = self.mean_milli.cast_signed();
        // P95 lies z deviations above the mean; a deviation is at least 1 % of it.
        let least = mean * Z_65536 / (100 << 16);
        let above = (self.p95_milli.cast_signed() - mean).max(least).max(1);
        let y = (elapsed - mean) * Z_65536 / above + (4 << 16);
        let last = TAIL.len() as i64 - 1;
        let at = y.clamp(0, (last << 13) - 1);
        let (step, part) = ((at >> 13) as usize, (at & 0x1fff).cast_unsigned());
        let (low, high) = (u64::from(TAIL[step]), u64::from(TAIL[step + 1]));
        (low + (high - low) * part / 0x2000) / 1_000
    }
}

/// `-log10` of the upper tail of the standard normal distribution, in millionths, at -4, -3.875 and so on up to 12.
/// Between two of them a straight line is off by at most 0.001.
const TAIL: [u32; 129] = [
    14, 23, 38, 63, 101, 160, 251, 386, 587, 878, 1_296, 1_886, 2_705, 3_828, 5_342, 7_355, 9_994, 13_406, 17_756,
    23_229, 30_029, 38_373, 48_492, 60_628, 75_026, 91_937, 111_611, 134_295, 160_231, 189_653, 222_786, 259_844,
    301_030, 346_535, 396_538, 451_205, 510_692, 575_142, 644_688, 719_451, 799_546, 885_074, 976_131, 1_072_806,
    1_175_177, 1_283_318, 1_397_298, 1_517_178, 1_643_016, 1_774_864, 1_912_770, 2_056_779, 2_206_932, 2_363_267,
    2_525_818, 2_694_619, 2_869_699, 3_051_086, 3_238_805, 3_432_881, 3_633_336, 3_840_190, 4_053_463, 4_273_172,
    4_499_335, 4_731_967, 4_971_082, 5_216_695, 5_468_818, 5_727_464, 5_992_644, 6_264_367, 6_542_646, 6_827_488,
    7_118_903, 7_416_899, 7_721_485, 8_032_667, 8_350_454, 8_674_850, 9_005_864, 9_343_501, 9_687_767, 10_038_667,
    10_396_206, 10_760_390, 11_131_223, 11_508_709, 11_892_854, 12_283_660, 12_681_132, 13_085_273, 13_496_088,
    13_913_579, 14_337_750, 14_768_603, 15_206_143, 15_650_371, 16_101_290, 16_558_903, 17_023_213, 17_494_222,
    17_971_932, 18_456_345, 18_947_464, 19_445_291, 19_949_828, 20_461_076, 20_979_038, 21_503_714, 22_035_108,
    22_573_221, 23_118_053, 23_669_608, 24_227_885, 24_792_888, 25_364_616, 25_943_072, 26_528_256, 27_120_171,
    27_718_817, 28_324_195, 28_936_306, 29_555_153, 30_180_734, 30_813_053, 31_452_109, 32_097_904, 32_750_439,
];

#[cfg(test)]
mod tests;
