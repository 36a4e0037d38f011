use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bad a finding is, in the five words that Trivy, the advisory databases and SARIF viewers share.
///
/// `Unknown` sorts above `Critical`: a flaw nobody has rated may be anything, so a gate treats it
/// as reaching every threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth planning.
    Medium,
    /// Worth stopping for.
    High,
    /// Worth waking somebody for.
    Critical,
    /// Not rated by any source, and so counted as the worst.
    Unknown,
}

impl Severity {
    /// Whether a finding of this severity reaches `threshold`. `Unknown` always does.
    #[must_use]
    pub fn reaches(self, threshold: Self) -> bool {
        self >= threshold
    }

    /// The lower-case word for this severity.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is not a severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a severity: use low, medium, high, critical or unknown")]
pub struct ParseSeverityError(String);

impl FromStr for Severity {
    type Err = ParseSeverityError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word.to_ascii_lowercase().as_str() {
            "low" => Ok(Self::Low),
            "medium" | "moderate" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            "unknown" => Ok(Self::Unknown),
            _ => Err(ParseSeverityError(word.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unrated_flaw_reaches_every_threshold() {
        for threshold in [Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
            assert!(Severity::Unknown.reaches(threshold));
        }
        assert!(!Severity::Medium.reaches(Severity::High));
    }

    #[test]
    fn words_are_read_in_any_case_and_others_are_refused() {
        assert_eq!("HIGH".parse(), Ok(Severity::High));
        assert!("severe".parse::<Severity>().is_err());
    }
}
