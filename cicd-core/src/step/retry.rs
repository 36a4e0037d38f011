use std::fmt;
use std::time::Duration;

use super::{Context, StepError};
use crate::formats::network_failure::NetworkFailure;
use crate::process::{Captured, Invocation, ProcessError};

/// Long enough for a connection to be given another way, short enough not to be noticed.
const DELAY_FIRST: Duration = Duration::from_secs(1);
/// A registry that is busy for longer has an outage, and the reader is better told.
const DELAY_MAX: Duration = Duration::from_secs(30);

/// How often a step is tried again, and how long is waited before: the first delay, then twice as long each time up to a limit,
/// of which a random half is left out, so that the runs of many machines do not come back together.
///
/// ```
/// use std::time::Duration;
///
/// use cicd_core::step::Retry;
///
/// let retry = Retry::times(2).delays(Duration::from_secs(1), Duration::from_secs(10));
/// assert_eq!(retry.to_string(), "up to 3 attempts");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    times: u32,
    delay_first: Duration,
    delay_max: Duration,
}

impl Retry {
    /// More is no longer a remedy for a moment's trouble.
    pub const TIMES_MAX: u32 = 5;

    /// One attempt and no other.
    pub const NEVER: Self = Self::times(0);

    /// For steps that talk to a network: two more attempts, one and two seconds later.
    pub const NETWORK: Self = Self::times(2);

    /// So many attempts after the first, at most [`TIMES_MAX`](Self::TIMES_MAX).
    #[must_use]
    pub const fn times(times: u32) -> Self {
        let times = if times > Self::TIMES_MAX { Self::TIMES_MAX } else { times };
        Self { times, delay_first: DELAY_FIRST, delay_max: DELAY_MAX }
    }

    /// The first delay and the longest one; a second and half a minute unless set.
    #[must_use]
    pub const fn delays(mut self, first: Duration, max: Duration) -> Self {
        (self.delay_first, self.delay_max) = (first, max);
        self
    }

    /// How many attempts there may be, the first included.
    #[must_use]
    pub const fn attempts_max(self) -> u32 {
        self.times + 1
    }

    /// How long is waited after the attempt `number`, from 1. `part` is a random number from 0 to 1.
    #[must_use]
    pub fn delay(self, number: u32, part: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(number.saturating_sub(1));
        let whole = self.delay_first.saturating_mul(doubled).min(self.delay_max);
        whole / 2 + (whole / 2).mul_f64(part.clamp(0.0, 1.0))
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts_max() {
            1 => f.write_str("one attempt"),
            attempts => write!(f, "up to {attempts} attempts"),
        }
    }
}

impl Context {
    /// Runs a process that talks to a network, and requires exit code 0. A failure that the network or a server explains is
    /// [transient](StepError::Transient), which is tried again if the step says so in its [`retry`](super::Step::retry).
    ///
    /// # Errors
    /// As [`run_ok`](Self::run_ok).
    pub fn run_remote(&self, invocation: &Invocation) -> Result<Captured, StepError> {
        let captured = self.run(invocation).and_then(|captured| Ok(captured.require_success()?));
        captured.map_err(StepError::by_network)
    }
}

impl StepError {
    /// The same error as transient, where a process tells that a network or a server failed it, or did not end in its time.
    #[must_use]
    pub fn by_network(self) -> Self {
        let cause = match &self {
            Self::Process(ProcessError::Exited { stderr, .. }) => NetworkFailure::told(stderr),
            Self::Process(ProcessError::TimedOut { .. }) => Some(NetworkFailure::NoAnswer),
            _ => None,
        };
        self.caused_by(cause)
    }

    /// The same error as transient, if there is a cause that may be gone a moment later.
    #[must_use]
    pub fn caused_by(self, cause: Option<NetworkFailure>) -> Self {
        match cause {
            Some(cause) => Self::Transient { cause, error: Box::new(self) },
            None => self,
        }
    }

    /// What a network did, where the step says that this is worth another attempt.
    #[must_use]
    pub fn transient(&self) -> Option<NetworkFailure> {
        match self {
            Self::Transient { cause, .. } => Some(*cause),
            _ => None,
        }
    }

    /// Whether another attempt could end otherwise at all: a missing tool or secret, a panic and a cancelled run stay what they
    /// are, and a finding is no error.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Process(ProcessError::Cancelled { .. })
            | Self::Cancelled { .. }
            | Self::Tool(_)
            | Self::Secret(_)
            | Self::Panicked(_)
            | Self::Found(_) => false,
            Self::Process(_) | Self::Read(_) | Self::Io { .. } | Self::NotLooked { .. } | Self::Transient { .. } => {
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_keep_at_least_half() {
        let retry = Retry::times(4).delays(Duration::from_secs(1), Duration::from_secs(5));
        let all = |part| [1, 2, 3, 4, 40].map(|number| retry.delay(number, part).as_millis());
        assert_eq!(all(1.0), [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(all(0.0), [500, 1000, 2000, 2500, 2500]);
        assert_eq!(Retry::times(100).attempts_max(), Retry::TIMES_MAX + 1);
    }
}
