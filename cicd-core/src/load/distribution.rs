use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The finest time told apart: a clock call costs about as much.
const RESOLUTION_NS: u64 = 100;
/// Longer than any request may take; what is longer all the same counts as this.
const LONGEST_NS: u64 = 120_000_000_000;
/// Three digits: a tenth of a percent of the value, and 0.2 MB a histogram however many requests there are.
const DIGITS: u8 = 3;

/// The percentiles that reports show.
pub(super) const PERCENTILES: [f64; 8] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0];

/// Times as they are measured.
#[derive(Debug, Clone)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "the three bounds are constants that a test has tried")]
        Self(Histogram::new_with_bounds(RESOLUTION_NS, LONGEST_NS, DIGITS).expect("valid bounds"))
    }

    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS));
    }

    /// Takes over what another one has measured.
    pub(super) fn add(&mut self, other: &Self) {
        for step in other.0.iter_recorded() {
            self.0.saturating_record_n(step.value_iterated_to(), step.count_at_value());
        }
    }

    pub(super) fn finish(&self) -> Distribution {
        let buckets = self
            .0
            .iter_recorded()
            .map(|step| Bucket { up_to_us: micros(step.value_iterated_to()), count: step.count_at_value() })
            .collect();
        let mut distribution = Distribution {
            count: self.0.len(),
            min_ms: millis(self.0.min()),
            mean_ms: self.0.mean() / 1e6,
            percentiles: Vec::new(),
            buckets,
        };
        distribution.percentiles = PERCENTILES
            .iter()
            .filter_map(|&percent| Some(Percentile { percent, ms: distribution.percentile_ms(percent)? }))
            .collect();
        distribution
    }
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}

fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Every time of one kind that a run has measured, to three digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many times.
    pub count: u64,
    /// The shortest, in milliseconds.
    pub min_ms: f64,
    /// The mean, in milliseconds.
    pub mean_ms: f64,
    /// A table for people.
    pub percentiles: Vec<Percentile>,
    /// The times themselves, shortest first.
    pub buckets: Vec<Bucket>,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// This many percent of the times …
    pub percent: f64,
    /// … are not longer than this, in milliseconds.
    pub ms: f64,
}

/// Times that are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// The longest of them, in microseconds.
    pub up_to_us: f64,
    /// How many there are.
    pub count: u64,
}

impl Distribution {
    /// The shortest time that `percent` of the times do not exceed, in milliseconds; none where nothing was measured.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let total: u64 = self.buckets.iter().map(|bucket| bucket.count).sum();
        let rank = ((percent / 100.0 * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|bucket| {
            seen += bucket.count;
            seen >= rank
        });
        bucket.map(|bucket| bucket.up_to_us / 1e3)
    }

    /// The longest time, in milliseconds; none where nothing was measured.
    #[must_use]
    pub fn max_ms(&self) -> Option<f64> {
        self.percentile_ms(100.0)
    }

    /// The mean, in milliseconds; none where nothing was measured.
    #[must_use]
    pub fn average_ms(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(times_ms: impl IntoIterator<Item = u64>) -> Distribution {
        let mut times = Times::new();
        times_ms.into_iter().for_each(|ms| times.record(Duration::from_millis(ms)));
        times.finish()
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = measured(1..=100);
        for percent in [1.0, 50.0, 95.0, 99.0, 100.0] {
            let ms = hundred.percentile_ms(percent).expect("measured");
            assert!((ms - percent).abs() <= percent * 0.002, "p({percent}) = {ms}");
        }
        // Above 99 % of a hundred there is only the longest.
        assert_eq!(hundred.percentile_ms(99.9), hundred.max_ms());
        assert!((hundred.average_ms().expect("measured") - 50.5).abs() < 0.1);
        assert!((measured([7]).percentile_ms(1.0).expect("measured") - 7.0).abs() < 0.01);
    }

    #[test]
    fn nothing_measured_has_no_percentile() {
        let nothing = measured([]);
        assert_eq!((nothing.percentile_ms(50.0), nothing.max_ms(), nothing.average_ms()), (None, None, None));
        assert!(nothing.percentiles.is_empty());
    }

    #[test]
    fn a_time_beyond_the_range_is_kept_as_the_longest() {
        let mut times = Times::new();
        times.record(Duration::MAX);
        times.record(Duration::ZERO);
        let ends = times.finish();
        assert_eq!(ends.count, 2);
        assert!(ends.max_ms().expect("measured") >= 120_000.0);
    }

    #[test]
    fn merged_times_are_all_there() {
        let (mut all, mut other) = (Times::new(), Times::new());
        all.record(Duration::from_millis(1));
        other.record(Duration::from_millis(3));
        all.add(&other);
        let merged = all.finish();
        assert_eq!((merged.count, merged.buckets.len()), (2, 2));
        let text = serde_json::to_string(&merged).expect("serialisable");
        assert_eq!(serde_json::from_str::<Distribution>(&text).expect("readable"), merged);
    }
}
