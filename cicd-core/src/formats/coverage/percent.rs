use std::fmt;

use serde::{Deserialize, Serialize};

/// A share of a whole, from 0 to 100 per cent.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent(f64);

/// A number that is not a percentage.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a percentage: use a number from 0 to 100")]
pub struct InvalidPercent(pub f64);

impl Percent {
    /// The whole.
    pub const FULL: Self = Self(100.0);

    /// Checks a number.
    ///
    /// # Errors
    /// When it is below 0, above 100 or not a number.
    pub fn new(value: f64) -> Result<Self, InvalidPercent> {
        if (0.0..=100.0).contains(&value) { Ok(Self(value)) } else { Err(InvalidPercent(value)) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl TryFrom<f64> for Percent {
    type Error = InvalidPercent;

    fn try_from(value: f64) -> Result<Self, InvalidPercent> {
        Self::new(value)
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// So many of so many. Kept as two counts, so that 9999 of 10000 never becomes "100 %".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// How many are covered.
    pub covered: u64,
    /// How many there are.
    pub total: u64,
}

impl Ratio {
    /// Whether the share is at least `threshold`. Nothing of nothing reaches every threshold.
    #[must_use]
    pub fn reaches(self, threshold: Percent) -> bool {
        if self.covered >= self.total {
            return true;
        }
        // Exact: both counts of a real report are far below 2^53.
        self.covered as f64 * 100.0 >= threshold.0 * self.total as f64
    }

    /// The share in per cent, rounded down to a tenth.
    #[must_use]
    pub fn percent(self) -> f64 {
        let tenths = match self.total {
            0 => 1000,
            total => u128::from(self.covered) * 1000 / u128::from(total),
        };
        tenths as f64 / 10.0
    }
}

impl std::ops::Add for Ratio {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { covered: self.covered.saturating_add(other.covered), total: self.total.saturating_add(other.total) }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_percentages_are_percentages() {
        for bad in [-0.1, 100.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Percent::new(bad).is_err(), "{bad} was accepted");
        }
        assert_eq!(Percent::new(100.0), Ok(Percent::FULL));
        assert!(serde_json::from_str::<Percent>("101").is_err());
    }

    #[test]
    fn nearly_all_is_not_all() {
        let nearly = Ratio { covered: 99_999, total: 100_000 };
        assert!(!nearly.reaches(Percent::FULL));
        assert_eq!(nearly.to_string(), "99.9 %");
        assert!(Ratio { covered: 19, total: 20 }.reaches(Percent(95.0)));
        assert!(!Ratio { covered: 18, total: 20 }.reaches(Percent(95.0)));
    }
}
