use std::time::Duration;

/// When each request of a run is planned to be sent.
///
/// A schedule is arithmetic: the moment of request 5,000,000 is computed, not stored, so a queue of any length takes no
/// memory. Other shapes than a steady rate belong here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    rate_per_second: f64,
    total: u64,
}

impl Schedule {
    /// A steady rate, the first request at 0.
    pub(super) fn steady(rate_per_second: f64, length: Duration) -> Self {
        // Rounded down, but a product that misses a whole number only by the error of floating point counts as that number.
        let total = (rate_per_second * length.as_secs_f64() + 1e-6).floor().max(0.0) as u64;
        Self { rate_per_second, total }
    }

    /// How many requests it has.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// When request `index` is planned, from the start of the run.
    pub(super) fn planned(&self, index: u64) -> Duration {
        Duration::from_secs_f64(index as f64 / self.rate_per_second)
    }

    /// How many requests are planned up to and including `elapsed`.
    pub(super) fn due(&self, elapsed: Duration) -> u64 {
        let mut count = ((elapsed.as_secs_f64() * self.rate_per_second) as u64).min(self.total);
        // The product and the quotient in `planned` round apart, by one request at most; `planned` decides.
        while count > 0 && self.planned(count - 1) > elapsed {
            count -= 1;
        }
        while count < self.total && self.planned(count) <= elapsed {
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_and_planned_agree_at_every_request() {
        for rate in [0.5, 3.0, 7.3, 200.0, 999.9, 100_000.0] {
            let schedule = Schedule::steady(rate, Duration::from_secs(30));
            assert_eq!(schedule.total(), (rate * 30.0 + 1e-6) as u64);
            for index in (0..schedule.total()).step_by(1 + schedule.total() as usize / 5000) {
                let planned = schedule.planned(index);
                assert_eq!(schedule.due(planned), index + 1, "rate {rate}, request {index}");
                if index > 0 {
                    assert_eq!(schedule.due(planned - Duration::from_nanos(2)), index, "rate {rate}, request {index}");
                }
            }
            assert_eq!(schedule.due(Duration::from_secs(3600)), schedule.total());
        }
    }
}
