use std::net::SocketAddr;
use std::time::Duration;

use hyper::{StatusCode, Uri};

/// Above any rate this generator reaches; a higher number is a slip of the keyboard.
const RATE_PER_SECOND_MAX: f64 = 1_000_000.0;
/// A pipeline that measures for longer is not one that people wait for.
const LENGTH_MAX: Duration = Duration::from_secs(3600);
/// The longest time worth waiting for one answer.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// More connections than this to one address run out of ports as soon as some have to be opened again.
const CONNECTIONS_MAX: usize = 10_000;

/// What is asked, and which answer is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) address: SocketAddr,
    pub(super) path: Uri,
    pub(super) status: StatusCode,
}

impl Target {
    /// `GET path` at an address, where status 200 is expected. No redirect is followed.
    ///
    /// # Errors
    /// A path that does not begin with `/` or cannot stand in a request.
    pub fn get(address: SocketAddr, path: &str) -> Result<Self, InvalidPlan> {
        let uri = path.parse::<Uri>().ok().filter(|_| path.starts_with('/'));
        let path = uri.ok_or_else(|| InvalidPlan::Path(path.to_owned()))?;
        Ok(Self { address, path, status: StatusCode::OK })
    }

    /// Expects another status.
    ///
    /// # Errors
    /// A number that is not a status.
    pub fn expect_status(mut self, status: u16) -> Result<Self, InvalidPlan> {
        self.status = StatusCode::from_u16(status).map_err(|_| InvalidPlan::Status(status))?;
        Ok(self)
    }
}

/// A load whose requests come at a fixed rate, whatever the server does: the open model.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenPlan {
    /// Arrivals a second.
    pub rate_per_second: f64,
    /// How long is measured.
    pub during: Duration,
    /// How long requests are sent before that without being counted.
    pub warm_up: Duration,
    /// When a request is given up, counted from its planned moment.
    pub timeout: Duration,
    /// How many connections may be open at once; see [`CONNECTIONS_DEFAULT`].
    pub connections_max: usize,
    /// How late the generator itself may be, at the 99th percentile; see [`LATENESS_MAX_DEFAULT`].
    pub lateness_max: Duration,
}

/// Time enough for an interpreter to load what it loads on the first requests.
pub const WARM_UP_DEFAULT: Duration = Duration::from_secs(2);

/// Nobody waits longer for a page, and a run whose server has died ends this much later.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Fewer than the smallest accept queue in use (128): a server that stalls makes requests wait, while with more the kernel
/// would drop connection attempts and repeat them only after 1, 3 and 7 seconds, which measures the kernel.
pub const CONNECTIONS_DEFAULT: usize = 100;

/// On a free machine the generator is late by well under 1 ms, on a busy one by a few slices of the scheduler (3 ms each). A
/// process held back by a CPU quota is late by tens of milliseconds, since quotas are counted in periods of 100 ms. Between the
/// two lies what cannot be blamed on the server.
pub const LATENESS_MAX_DEFAULT: Duration = Duration::from_millis(10);

impl OpenPlan {
    /// A plan with the default warm-up, timeout and limits.
    #[must_use]
    pub fn new(rate_per_second: f64, during: Duration) -> Self {
        Self {
            rate_per_second,
            during,
            warm_up: WARM_UP_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            connections_max: CONNECTIONS_DEFAULT,
            lateness_max: LATENESS_MAX_DEFAULT,
        }
    }

    /// How many requests will be measured.
    #[must_use]
    pub fn measured_requests(&self) -> u64 {
        use super::schedule::Schedule;
        let all = Schedule::steady(self.rate_per_second, self.warm_up.saturating_add(self.during));
        all.total().saturating_sub(Schedule::steady(self.rate_per_second, self.warm_up).total())
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// The first one that no run could be made of.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        let rate = self.rate_per_second;
        if !(rate > 0.0 && rate <= RATE_PER_SECOND_MAX) {
            return Err(InvalidPlan::Rate(rate));
        }
        check_length(self.warm_up.saturating_add(self.during))?;
        check_timeout(self.timeout)?;
        check_connections(self.connections_max)?;
        if self.lateness_max.is_zero() || self.lateness_max > self.timeout {
            return Err(InvalidPlan::Lateness { lateness: self.lateness_max, timeout: self.timeout });
        }
        if self.measured_requests() == 0 {
            return Err(InvalidPlan::NoRequests { rate, during: self.during });
        }
        Ok(())
    }
}

/// A load whose every connection sends the next request as soon as it has the answer to the last: the closed model. It finds the
/// highest rate; its latencies say nothing about what users wait, since a slow server is asked less often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPlan {
    /// How many connections.
    pub connections: usize,
    /// How long is measured.
    pub during: Duration,
    /// How long requests are sent before that without being counted.
    pub warm_up: Duration,
    /// When a request is given up.
    pub timeout: Duration,
}

impl ClosedPlan {
    /// A plan with the default warm-up and timeout.
    #[must_use]
    pub fn new(connections: usize, during: Duration) -> Self {
        Self { connections, during, warm_up: WARM_UP_DEFAULT, timeout: TIMEOUT_DEFAULT }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// The first one that no run could be made of.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        check_length(self.warm_up.saturating_add(self.during))?;
        if self.during.is_zero() {
            return Err(InvalidPlan::Length(self.during));
        }
        check_timeout(self.timeout)?;
        check_connections(self.connections)
    }
}

fn check_length(length: Duration) -> Result<(), InvalidPlan> {
    if length.is_zero() || length > LENGTH_MAX { Err(InvalidPlan::Length(length)) } else { Ok(()) }
}

fn check_timeout(timeout: Duration) -> Result<(), InvalidPlan> {
    if timeout < Duration::from_millis(1) || timeout > TIMEOUT_MAX {
        return Err(InvalidPlan::Timeout(timeout));
    }
    Ok(())
}

fn check_connections(connections: usize) -> Result<(), InvalidPlan> {
    if connections == 0 || connections > CONNECTIONS_MAX {
        return Err(InvalidPlan::Connections(connections));
    }
    Ok(())
}

/// A load that cannot be run as it is written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlan {
    /// Zero, negative, not a number or beyond any generator.
    #[error("{0} requests/s is not a rate: use more than 0 and up to {RATE_PER_SECOND_MAX}")]
    Rate(f64),
    /// Nothing to measure, or too long.
    #[error("{0:?} of warm-up and measurement is not a length: use more than 0 and up to {LENGTH_MAX:?}")]
    Length(Duration),
    /// Too short or too long.
    #[error("{0:?} is not a timeout: use 1ms to {TIMEOUT_MAX:?}")]
    Timeout(Duration),
    /// None or too many.
    #[error("{0} connections cannot be used: use 1 to {CONNECTIONS_MAX}")]
    Connections(usize),
    /// A bound that accepts everything or nothing.
    #[error(
        "{lateness:?} cannot bound the lateness of the generator: use more than 0 and up to the timeout of {timeout:?}"
    )]
    Lateness {
        /// The bound.
        lateness: Duration,
        /// The timeout.
        timeout: Duration,
    },
    /// The rate is so low that no request falls into the measurement.
    #[error("at {rate} requests/s no request is planned within {during:?}: measure longer or raise the rate")]
    NoRequests {
        /// The rate.
        rate: f64,
        /// The length.
        during: Duration,
    },
    /// Not a path.
    #[error("{0:?} is not a path: begin with / and use only what a URL may hold")]
    Path(String),
    /// Not a status.
    #[error("{0} is not an HTTP status: use 100 to 999")]
    Status(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_run_are_refused() {
        let good = OpenPlan::new(200.0, Duration::from_secs(15));
        good.check().expect("a plan");
        assert_eq!(good.measured_requests(), 3000);
        for rate in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, f64::MIN_POSITIVE] {
            assert!(OpenPlan { rate_per_second: rate, ..good.clone() }.check().is_err(), "{rate} was accepted");
        }
        for plan in [
            OpenPlan { during: Duration::ZERO, ..good.clone() },
            OpenPlan { during: Duration::MAX, ..good.clone() },
            OpenPlan { warm_up: Duration::MAX, ..good.clone() },
            OpenPlan { timeout: Duration::ZERO, ..good.clone() },
            OpenPlan { timeout: Duration::MAX, ..good.clone() },
            OpenPlan { connections_max: 0, ..good.clone() },
            OpenPlan { connections_max: usize::MAX, ..good.clone() },
            OpenPlan { lateness_max: Duration::ZERO, ..good.clone() },
            OpenPlan { lateness_max: Duration::MAX, ..good.clone() },
            OpenPlan { rate_per_second: 0.1, during: Duration::from_secs(1), ..good },
        ] {
            assert!(plan.check().is_err(), "{plan:?} was accepted");
        }
        assert!(ClosedPlan::new(0, Duration::from_secs(1)).check().is_err());
        assert!(ClosedPlan::new(1, Duration::ZERO).check().is_err());
    }

    #[test]
    fn paths_and_statuses_that_make_no_request_are_refused() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        for path in ["", "healthcheck", "http://example.org/", "/a b", "/\r\nX: y", "/\u{0}"] {
            assert!(Target::get(address, path).is_err(), "{path:?} was accepted");
        }
        let target = Target::get(address, "/a?b=c%20d").expect("a path");
        assert!(target.clone().expect_status(204).is_ok());
        assert!(target.expect_status(0).is_err());
    }
}
