//! Medians and percentiles, and the object that every benchmark prints.
//!
//! In: measured times. Out: figures.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// What a benchmark comes to: `ours` against `theirs`, medians.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Which benchmark.
    pub name: &'static str,
    /// Ferry's median.
    #[serde(serialize_with = "rounded")]
    pub ours: f64,
    /// The median of what it is compared with.
    #[serde(serialize_with = "rounded")]
    pub theirs: f64,
    /// Of both.
    pub unit: &'static str,
    /// `ours` ÷ `theirs`.
    #[serde(serialize_with = "rounded")]
    pub ratio: f64,
    /// How often each was measured.
    pub runs: usize,
    /// What is Ferry's own of `ours`: without the build and the base's work.
    pub own: Spread,
    /// Where Ferry's time goes, in order: medians.
    pub steps: Vec<Step>,
    /// Where theirs goes, in order: medians.
    pub their_steps: Vec<Step>,
    /// What was measured besides, in the same turns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub besides: Vec<Beside>,
}

/// Another that `ours` is compared with.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    /// Its name.
    pub name: &'static str,
    /// Its median, in the figures' unit.
    #[serde(serialize_with = "rounded")]
    pub theirs: f64,
    /// `ours` ÷ `theirs`.
    #[serde(serialize_with = "rounded")]
    pub ratio: f64,
    /// Where its time goes, in order: medians.
    pub steps: Vec<Step>,
}

/// One step's median.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// In the figures' unit.
    #[serde(serialize_with = "rounded")]
    pub median: f64,
}

/// How times are spread.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// Half are not above it.
    #[serde(serialize_with = "rounded")]
    pub p50: f64,
    /// 99 of 100 are not above it; of fewer than 100, the largest.
    #[serde(serialize_with = "rounded")]
    pub p99: f64,
}

/// Times of the steps of several runs, in the order in which they first came.
#[derive(Debug, Default)]
pub(super) struct Table {
    order: Vec<&'static str>,
    times: BTreeMap<&'static str, Vec<f64>>,
}

impl Table {
    pub(super) fn add(&mut self, steps: &[(&'static str, f64)]) {
        for (name, millis) in steps {
            if !self.order.contains(name) {
                self.order.push(name);
            }
            self.times.entry(name).or_default().push(*millis);
        }
    }

    pub(super) fn medians(&self) -> Vec<Step> {
        let median = |name: &&'static str| Step {
            name,
            median: median(&self.times[name]),
        };
        self.order.iter().map(median).collect()
    }
}

/// Clocks tell no more than a microsecond.
fn rounded<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1000.0).round() / 1000.0)
}

/// In milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let values = sorted(values);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// Median and 99th percentile (nearest rank).
pub(super) fn spread(values: &[f64]) -> Spread {
    let sorted = sorted(values);
    let rank = (sorted.len() * 99).div_ceil(100);
    let p99 = sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default();
    Spread {
        p50: median(values),
        p99,
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }

    #[test]
    fn of_few_the_99th_percentile_is_the_largest() {
        let few: Vec<f64> = (1..=10).map(f64::from).collect();
        assert!((spread(&few).p99 - 10.0).abs() < f64::EPSILON);
        let many: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((spread(&many).p99 - 198.0).abs() < f64::EPSILON);
    }

    #[test]
    fn steps_keep_their_order() {
        let mut table = Table::default();
        table.add(&[("pull", 1.0), ("build", 10.0)]);
        table.add(&[("pull", 3.0), ("build", 20.0)]);
        let medians = table.medians();
        assert_eq!(
            medians.iter().map(|step| step.name).collect::<Vec<_>>(),
            ["pull", "build"]
        );
        assert!((medians[1].median - 15.0).abs() < f64::EPSILON);
    }
}
