use std::process::ExitCode;

use super::Status;

/// The exit code of the process: the one documented list.
///
/// | code | meaning |
/// |---|---|
/// | 0 | green: everything that was asked for passed |
/// | 1 | failed: a step looked and found something |
/// | 2 | usage or configuration: nothing was run |
/// | 3 | error: at least one step could not decide; stronger than 1, because not everything was looked at |
/// | 130, 143 | interrupted by SIGINT or SIGTERM |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything that was asked for passed.
    Green,
    /// A step looked and found something.
    Failed,
    /// The command line or a configuration file is wrong; nothing was run.
    Usage,
    /// At least one step could not decide.
    Error,
    /// A signal ended the run; its number.
    Interrupted(u8),
}

impl ExitStatus {
    /// The number that the process exits with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Green => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Error => 3,
            Self::Interrupted(signal) => 128u8.saturating_add(signal),
        }
    }

    /// The verdict on a run from the statuses of its steps. `skipped` is neutral: it was asked for or not asked for,
    /// and the report says so. `blocked` and `cancelled` count as an error when nothing failed: something was not
    /// looked at.
    #[must_use]
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        let (mut failed, mut error, mut not_looked) = (false, false, false);
        for status in statuses {
            match status {
                Status::Passed | Status::Exempted | Status::Flaky | Status::Skipped => {}
                Status::Failed => failed = true,
                Status::Error => error = true,
                Status::Blocked | Status::Cancelled => not_looked = true,
            }
        }
        match (error, failed, not_looked) {
            (true, _, _) => Self::Error,
            (false, true, _) => Self::Failed,
            (false, false, true) => Self::Error,
            (false, false, false) => Self::Green,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn could_not_decide_is_stronger_than_failed() {
        assert_eq!(ExitStatus::of([Status::Failed, Status::Error]).code(), 3);
        assert_eq!(ExitStatus::of([Status::Failed, Status::Blocked]).code(), 1);
        assert_eq!(ExitStatus::of([Status::Passed, Status::Blocked]).code(), 3);
        assert_eq!(ExitStatus::of([Status::Passed, Status::Skipped, Status::Exempted]).code(), 0);
        assert_eq!(ExitStatus::Interrupted(2).code(), 130);
    }
}
