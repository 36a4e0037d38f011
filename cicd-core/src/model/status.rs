use std::fmt;

use serde::{Deserialize, Serialize};

/// How a step ended. Only the first three are green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Looked, and nothing was found that counts.
    Passed,
    /// Looked; every finding that counts is allowed by a valid exception.
    Exempted,
    /// Passed or exempted, but only on a retry.
    Flaky,
    /// Looked, and found something that no exception allows.
    Failed,
    /// Could not decide: a tool is missing, was killed, or saw nothing.
    Error,
    /// Not started, because an input did not come.
    Blocked,
    /// Not started, because it was not asked for.
    Skipped,
    /// Stopped from outside.
    Cancelled,
}

impl Status {
    /// Whether dependents may use the step's output.
    #[must_use]
    pub fn is_green(self) -> bool {
        matches!(self, Self::Passed | Self::Exempted | Self::Flaky)
    }

    /// The lower-case word for this status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Exempted => "exempted",
            Self::Flaky => "flaky",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Blocked => "blocked",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
