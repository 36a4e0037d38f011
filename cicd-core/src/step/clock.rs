use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The time that verdicts are based on: the system's, or a fixed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Always this moment: for tests and for judging a policy at another date.
    Fixed(Timestamp),
}

impl Clock {
    /// Now.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(moment) => moment,
        }
    }

    /// Today in UTC. Expiry never depends on the machine's time zone.
    #[must_use]
    pub fn today(self) -> Date {
        self.now().to_zoned(TimeZone::UTC).date()
    }
}
